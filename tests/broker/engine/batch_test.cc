// Batches: making, joining, closing, counting, forgetting.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "broker/storage/key_format.h"
#include "tests/support/batch_calls.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {
namespace {

class BatchTest : public ::testing::Test {
 protected:
  // Batch rows that the store holds.
  size_t BatchRows() {
    size_t rows = 0;
    EXPECT_TRUE(h_.driver()
                    .store()
                    .Scan(std::string(1, kBatchRow), RowsEnd(kBatchRow),
                          [&](std::string_view, std::string_view) {
                            return ++rows > 0;
                          })
                    .ok());
    return rows;
  }

  EngineHarness h_;
  BatchCalls b_{&h_};
};

TEST_F(BatchTest, CountsItsMembers) {
  EXPECT_EQ(b_.Create("b"), "OPEN 0+0/0");
  EXPECT_EQ(b_.Join("b", "one"), "OK");
  EXPECT_EQ(b_.Join("b", "two"), "OK");
  EXPECT_EQ(b_.Join("b", "three"), "OK");
  EXPECT_EQ(h_.Submit("stranger"), "OK");
  EXPECT_EQ(b_.Get("b"), "OPEN 0+0/3");
  h_.Credit("w1", 3);
  h_.Succeed("w1", "one");
  EXPECT_EQ(b_.Get("b"), "OPEN 1+0/3");
  h_.Fail("w1", "two", {.non_retryable = true});
  h_.Cancel("stranger");
  EXPECT_EQ(b_.Get("b"), "OPEN 1+1/3");
  EXPECT_EQ(b_.Close("b"), "CLOSED 1+1/3");
  h_.Succeed("w1", "three");
  EXPECT_EQ(b_.Get("b"), "COMPLETE 2+1/3");
  EXPECT_EQ(b_.last().batch.complete_time, h_.now());
}

TEST_F(BatchTest, EveryWayToEndCounts) {
  b_.Create("b");
  b_.Join("b", "cancelled");
  b_.Join("b", "expired", {.expire_after = absl::Seconds(1)});
  b_.Join("b", "late", {.expire_after = absl::ZeroDuration()});
  b_.Join("b", "scheduled",
          {.delay = absl::Hours(1), .expire_after = absl::Seconds(2)});
  EXPECT_EQ(b_.Get("b"), "OPEN 0+1/4");
  h_.Cancel("cancelled");
  EXPECT_EQ(b_.Get("b"), "OPEN 0+2/4");
  h_.Advance(absl::Seconds(1));
  EXPECT_EQ(b_.Get("b"), "OPEN 0+3/4");
  h_.Advance(absl::Seconds(1));
  EXPECT_EQ(b_.Get("b"), "OPEN 0+4/4");
  b_.Join("b", "purged");
  h_.Purge("default");
  EXPECT_EQ(b_.Get("b"), "OPEN 0+5/5");
  b_.Join("b", "crashed", {.retry = {.jitter = 0, .max_crashes = 1}});
  h_.Credit("w1", 1);
  h_.Delivered("w1");
  h_.Advance(absl::Minutes(2));
  EXPECT_EQ(b_.Get("b"), "OPEN 0+6/6");
}

TEST_F(BatchTest, ARetryIsNoEnd) {
  b_.Create("b");
  b_.Join("b", "a");
  b_.Close("b");
  h_.Credit("w1", 1);
  h_.Fail("w1", "a");
  EXPECT_EQ(b_.Get("b"), "CLOSED 0+0/1");
  h_.Advance(absl::Seconds(1));
  h_.Credit("w1", 1);
  h_.Succeed("w1", "a");
  EXPECT_EQ(b_.Get("b"), "COMPLETE 1+0/1");
}

TEST_F(BatchTest, NobodyJoinsAClosedBatchOrOneThatIsNot) {
  EXPECT_EQ(b_.Join("b", "a"), "NOT_FOUND/BATCH_NOT_FOUND");
  EXPECT_EQ(h_.State("a"), "UNKNOWN");
  b_.Create("b");
  b_.Join("b", "a");
  b_.Close("b");
  EXPECT_EQ(b_.Join("b", "c"), "FAILED_PRECONDITION/BATCH_CLOSED");
  h_.Cancel("a");
  EXPECT_EQ(b_.Join("b", "c"), "FAILED_PRECONDITION/BATCH_CLOSED");
  EXPECT_EQ(h_.State("c"), "UNKNOWN");
  EXPECT_EQ(b_.Get("b"), "COMPLETE 0+1/1");
}

TEST_F(BatchTest, ARefusedSubmitDoesNotJoin) {
  b_.Create("b");
  EXPECT_EQ(b_.Join("b", "a", {.queue = "nowhere"}),
            "NOT_FOUND/QUEUE_NOT_FOUND");
  EXPECT_EQ(b_.Get("b"), "OPEN 0+0/0");
}

TEST_F(BatchTest, ARepeatedSubmitOfAMemberCountsOnce) {
  b_.Create("b");
  h_.InOneTurn([&] {
    b_.Join("b", "a");
    b_.Join("b", "a");
  });
  EXPECT_EQ(b_.Join("b", "a"), "OK");
  EXPECT_EQ(h_.Submit("a"), "ALREADY_EXISTS/TASK_ID_REUSED");
  EXPECT_EQ(b_.Get("b"), "OPEN 0+0/1");
  b_.Close("b");
  // It is a member, closed or not.
  EXPECT_EQ(b_.Join("b", "a"), "OK");
  h_.Cancel("a");
  EXPECT_EQ(b_.Join("b", "a"), "OK");
  EXPECT_EQ(b_.Get("b"), "COMPLETE 0+1/1");
}

TEST_F(BatchTest, AMemberBringsMembersWhileItRuns) {
  b_.CreateFull("b");
  b_.Join("b", "parent");
  h_.Credit("w1", 1);
  h_.Start("w1", "parent");
  EXPECT_EQ(b_.Join("b", "child"), "OK");
  EXPECT_EQ(b_.Close("b"), "CLOSED 0+0/2");
  h_.Succeed("w1", "parent");
  EXPECT_EQ(b_.Get("b"), "CLOSED 1+0/2");
  h_.Credit("w1", 1);
  h_.Succeed("w1", "child");
  EXPECT_EQ(b_.Get("b"), "COMPLETE 2+0/2 success complete");
}

TEST_F(BatchTest, JoinsAndEndsInOneTurnAreCounted) {
  b_.Create("b");
  h_.InOneTurn([&] {
    b_.Join("b", "a");
    h_.Cancel("a");
    b_.Join("b", "c");
    b_.Close("b");
    b_.Join("b", "d");
  });
  EXPECT_EQ(b_.Get("b"), "CLOSED 0+1/2");
  EXPECT_EQ(h_.State("d"), "UNKNOWN");
}

TEST_F(BatchTest, TheSameAgainIsAnsweredWithTheBatchAsItIs) {
  EXPECT_EQ(b_.CreateFull("b"), "OPEN 0+0/0");
  b_.Join("b", "a");
  EXPECT_EQ(b_.CreateFull("b"), "OPEN 0+0/1");
  b_.Close("b");
  EXPECT_EQ(b_.CreateFull("b"), "CLOSED 0+0/1");
  EXPECT_EQ(b_.Create("b"), "ALREADY_EXISTS/BATCH_ID_REUSED");
  EXPECT_EQ(b_.Create("b", {.description = "another"}),
            "ALREADY_EXISTS/BATCH_ID_REUSED");
  h_.Restart();
  EXPECT_EQ(b_.CreateFull("b"), "CLOSED 0+0/1");
  EXPECT_EQ(b_.Create("b"), "ALREADY_EXISTS/BATCH_ID_REUSED");
}

TEST_F(BatchTest, MintsAnIdWhereNoneIsGiven) {
  EXPECT_EQ(b_.Create(""), "OPEN 0+0/0");
  const std::string first = b_.last().batch.batch_id;
  EXPECT_EQ(first.size(), 36u);
  EXPECT_EQ(b_.Create(""), "OPEN 0+0/0");
  EXPECT_NE(b_.last().batch.batch_id, first);
  EXPECT_EQ(b_.Join(first, "a"), "OK");
  EXPECT_EQ(b_.Get(first), "OPEN 0+0/1");
}

TEST_F(BatchTest, CloseIsIdempotent) {
  EXPECT_EQ(b_.Close("b"), "NOT_FOUND/BATCH_NOT_FOUND");
  b_.Create("b");
  b_.Join("b", "a");
  EXPECT_EQ(b_.Close("b"), "CLOSED 0+0/1");
  EXPECT_EQ(b_.Close("b"), "CLOSED 0+0/1");
  h_.Cancel("a");
  const absl::Time end = h_.now();
  h_.Advance(absl::Seconds(1));
  EXPECT_EQ(b_.Close("b"), "COMPLETE 0+1/1");
  EXPECT_EQ(b_.last().batch.complete_time, end);
}

TEST_F(BatchTest, ShowsWhatItWasMadeOf) {
  b_.Create("b", {.description = "letters",
                  .on_success = {.type = "done", .delay = absl::Seconds(3)}});
  const absl::Time made = h_.now();
  h_.Advance(absl::Seconds(5));
  h_.Restart();
  EXPECT_EQ(b_.Get("b"), "OPEN 0+0/0");
  const BatchInfo& batch = b_.last().batch;
  EXPECT_EQ(batch.batch_id, "b");
  EXPECT_EQ(batch.description, "letters");
  EXPECT_EQ(batch.create_time, made);
  ASSERT_NE(batch.callbacks, nullptr);
  const BatchCallback& callback = (*batch.callbacks)[BatchEvent::kSuccess];
  ASSERT_NE(callback.content, nullptr);
  EXPECT_EQ(callback.content->type, "done");
  EXPECT_EQ(callback.content->namespace_name, "default");
  EXPECT_EQ(callback.content->payload.data, "payload of done");
  EXPECT_EQ(callback.delay, absl::Seconds(3));
  EXPECT_FALSE(callback.expire_after.has_value());
  EXPECT_EQ((*batch.callbacks)[BatchEvent::kComplete].content, nullptr);
}

TEST_F(BatchTest, ARestartBetweenAllStepsChangesNothing) {
  b_.CreateFull("b");
  h_.Restart();
  b_.Join("b", "one");
  h_.Restart();
  b_.Join("b", "two");
  h_.Restart();
  h_.Cancel("one");
  h_.Restart();
  EXPECT_EQ(b_.Get("b"), "OPEN 0+1/2 first_failure");
  EXPECT_EQ(b_.Close("b"), "CLOSED 0+1/2 first_failure");
  h_.Restart();
  EXPECT_EQ(b_.Join("b", "three"), "FAILED_PRECONDITION/BATCH_CLOSED");
  h_.Cancel("two");
  h_.Restart();
  EXPECT_EQ(b_.Get("b"), "COMPLETE 0+2/2 first_failure complete");
  // Both callbacks, once each.
  EXPECT_EQ(h_.Queue(), "ready=2 scheduled=0 leased=0");
}

TEST_F(BatchTest, ACrashTakesBackWholeTurns) {
  b_.CreateFull("b");
  b_.Join("b", "one");
  b_.Close("b");
  h_.HoldTurns();
  h_.Cancel("one");
  h_.Crash();
  EXPECT_EQ(b_.Get("b"), "CLOSED 0+0/1");
  EXPECT_EQ(h_.State("one"), "QUEUED");
  EXPECT_EQ(h_.Queue(), "ready=1 scheduled=0 leased=0");
  h_.HoldTurns();
  h_.Cancel("one");
  h_.Crash(/*surviving_turns=*/1);
  EXPECT_EQ(b_.Get("b"), "COMPLETE 0+1/1 first_failure complete");
  EXPECT_EQ(h_.Queue(), "ready=2 scheduled=0 leased=0");
}

TEST_F(BatchTest, ListsBatchesByIdInPages) {
  EXPECT_EQ(b_.List(10), "");
  for (const char* id : {"d", "a", "c", "e", "b"}) b_.CreateFull(id);
  EXPECT_EQ(b_.List(10), "a b c d e");
  EXPECT_EQ(b_.List(2), "a b | c d | e");
  EXPECT_EQ(b_.List(5), "a b c d e");
  h_.Restart();
  EXPECT_EQ(b_.List(3), "a b c | d e");
}

TEST_F(BatchTest, AListSeesWhatItsTurnChanged) {
  b_.Create("b");
  int list = 0;
  h_.InOneTurn([&] {
    b_.Create("a");
    b_.Join("b", "task");
    b_.Close("b");
    list = h_.Send(ListBatchesCommand{.namespace_name = "default"});
    h_.Cancel("task");
  });
  EXPECT_EQ(h_.Answers(list),
            "a OPEN members=0 pending=0 succeeded=0 unsuccessful=0; "
            "b CLOSED members=1 pending=1 succeeded=0 unsuccessful=0");
}

TEST_F(BatchTest, IsForgottenADayAfterItsEnd) {
  b_.CreateFull("b");
  b_.Create("open");
  b_.Join("b", "a");
  b_.Close("b");
  h_.Advance(absl::Hours(100));
  EXPECT_EQ(b_.Get("b"), "CLOSED 0+0/1");
  h_.Cancel("a");
  h_.Advance(absl::Hours(24) - absl::Milliseconds(1));
  EXPECT_EQ(b_.Get("b"), "COMPLETE 0+1/1 first_failure complete");
  EXPECT_EQ(b_.List(10), "b open");
  h_.Advance(absl::Milliseconds(1));
  EXPECT_EQ(b_.Get("b"), "NOT_FOUND/BATCH_NOT_FOUND");
  EXPECT_EQ(b_.Close("b"), "NOT_FOUND/BATCH_NOT_FOUND");
  EXPECT_EQ(b_.Join("b", "c"), "NOT_FOUND/BATCH_NOT_FOUND");
  EXPECT_EQ(b_.List(10), "open");
  h_.Restart();
  EXPECT_EQ(b_.Get("b"), "NOT_FOUND/BATCH_NOT_FOUND");
  EXPECT_EQ(b_.List(10), "open");
  // The id is free again, also before compaction has come by.
  EXPECT_EQ(b_.Create("b"), "OPEN 0+0/0");
  EXPECT_EQ(b_.Close("b"), "COMPLETE 0+0/0");
}

TEST_F(BatchTest, CompactionDropsBothRowsOfAForgottenBatch) {
  b_.CreateFull("full");
  b_.Create("bare");
  b_.Create("open");
  EXPECT_EQ(BatchRows(), 4u);
  b_.Close("full");
  b_.Close("bare");
  std::vector<std::string> dropped;
  const auto drop_at = [&](absl::Time now) {
    dropped.clear();
    EXPECT_TRUE(h_.driver()
                    .store()
                    .Scan(std::string(1, kBatchRow), RowsEnd(kBatchRow),
                          [&](std::string_view key, std::string_view value) {
                            if (IsDroppableRow(key, value, now, 0))
                              dropped.emplace_back(key);
                            return true;
                          })
                    .ok());
  };
  drop_at(h_.now() + absl::Hours(23));
  EXPECT_THAT(dropped, testing::IsEmpty());
  drop_at(h_.now() + absl::Hours(24));
  EXPECT_THAT(
      dropped,
      testing::UnorderedElementsAre(
          BatchRowKey(BatchPart::kState, MakeTaskKey("default", "full")),
          BatchRowKey(BatchPart::kCallbacks, MakeTaskKey("default", "full")),
          BatchRowKey(BatchPart::kState, MakeTaskKey("default", "bare"))));
  EXPECT_FALSE(IsDroppableRow("G", "short", absl::InfiniteFuture(), 0));
}

TEST_F(BatchTest, NamespacesAreApart) {
  EngineHarness h({.namespaces = {"default", "other"}});
  BatchCalls b(&h);
  EXPECT_EQ(b.Create("b", {.namespace_name = "other"}), "OPEN 0+0/0");
  EXPECT_EQ(b.Get("b"), "NOT_FOUND/BATCH_NOT_FOUND");
  EXPECT_EQ(b.List(10), "");
  EXPECT_EQ(b.Join("b", "a"), "NOT_FOUND/BATCH_NOT_FOUND");
  EXPECT_EQ(b.Create("b", {.namespace_name = "nowhere"}),
            "NOT_FOUND/NAMESPACE_NOT_FOUND");
  const int get =
      h.Send(GetBatchCommand{.namespace_name = "nowhere", .batch_id = "b"});
  EXPECT_EQ(h.Answers(get), "NOT_FOUND/NAMESPACE_NOT_FOUND");
}

TEST_F(BatchTest, NothingIsMadeWhileSubmitsAreRefused) {
  h_.Post(SetAdmissionCommand{.refusal = absl::ResourceExhaustedError("full")});
  EXPECT_EQ(b_.Create("b"), "RESOURCE_EXHAUSTED");
  h_.Post(SetAdmissionCommand{});
  EXPECT_EQ(b_.Get("b"), "NOT_FOUND/BATCH_NOT_FOUND");
  EXPECT_EQ(b_.Create("b"), "OPEN 0+0/0");
}

TEST_F(BatchTest, ManyBatchesAreReadFromDiskWhereMemoryEnds) {
  EngineHarness h({.batch_window = 2});
  BatchCalls b(&h);
  for (int i = 0; i < 20; ++i) b.CreateFull(absl::StrCat("b", i));
  h.InOneTurn([&] {
    for (int i = 0; i < 20; ++i) {
      for (const char* part : {"x", "y"})
        b.Join(absl::StrCat("b", i), absl::StrCat("t", i, part));
    }
  });
  for (int i = 0; i < 20; ++i) {
    b.Close(absl::StrCat("b", i));
    h.Cancel(absl::StrCat("t", i, "x"));
  }
  h.InOneTurn([&] {
    for (int i = 0; i < 20; ++i) h.Cancel(absl::StrCat("t", i, "y"));
  });
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(b.Get(absl::StrCat("b", i)),
              "COMPLETE 0+2/2 first_failure complete");
  }
  EXPECT_EQ(h.Queue(), "ready=40 scheduled=0 leased=0");
}

}  // namespace
}  // namespace apium::broker
