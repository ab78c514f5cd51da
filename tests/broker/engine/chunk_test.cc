// What running tasks append, and who follows it.

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "broker/storage/key_format.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {
namespace {

class ChunkTest : public ::testing::Test {
 protected:
  explicit ChunkTest(const EngineOptions& options = {}) : h_(options) {}

  // Chunks of `id` from `number` on, held by `worker`.
  std::string Append(const std::string& worker, const std::string& id,
                     uint64_t number, const std::vector<std::string>& data) {
    WorkerReportCommand report;
    for (const std::string& text : data) {
      report.chunks.push_back({.lease = h_.Lease(worker, id),
                               .number = number++,
                               .payload = {.data = text}});
    }
    return h_.Report(worker, std::move(report));
  }
  int Follow(const std::string& id, uint64_t from = 1) {
    return h_.Send(FollowTaskCommand{
        .namespace_name = "default", .task_id = id, .from = from});
  }
  std::string FollowNow(const std::string& id, uint64_t from = 1) {
    return h_.Answers(Follow(id, from));
  }
  size_t Rows(char kind) {
    size_t rows = 0;
    EXPECT_TRUE(h_.driver()
                    .store()
                    .Scan(std::string(1, kind), RowsEnd(kind),
                          [&](std::string_view, std::string_view) {
                            return ++rows > 0;
                          })
                    .ok());
    return rows;
  }
  void Run(const std::string& id, const SubmitOptions& options = {}) {
    h_.Submit(id, options);
    h_.Credit("w1", 1);
    h_.Told("w1");
  }

  EngineHarness h_;
};

TEST_F(ChunkTest, AreAcknowledgedAndReadInOrder) {
  Run("a");
  EXPECT_EQ(Append("w1", "a", 1, {"x", "y"}), "chunks a#1 2");
  EXPECT_EQ(Append("w1", "a", 3, {"z"}), "chunks a#1 3");
  EXPECT_EQ(FollowNow("a"), "1=x#1 2=y#1 3=z#1");
  EXPECT_EQ(FollowNow("a", 3), "3=z#1");
  EXPECT_EQ(h_.Task("a").chunks, 3u);
}

TEST_F(ChunkTest, AreNotAcknowledgedBeforeTheyAreDurable) {
  Run("a");
  h_.HoldTurns();
  Append("w1", "a", 1, {"x"});
  EXPECT_EQ(h_.Told("w1"), "");
  h_.Release();
  EXPECT_EQ(h_.Told("w1"), "chunks a#1 1");
}

TEST_F(ChunkTest, ARepeatedOneChangesNothing) {
  Run("a");
  Append("w1", "a", 1, {"x", "y"});
  EXPECT_EQ(Append("w1", "a", 2, {"other", "z"}), "chunks a#1 3");
  EXPECT_EQ(FollowNow("a"), "1=x#1 2=y#1 3=z#1");
}

TEST_F(ChunkTest, AGapIsRefused) {
  Run("a");
  EXPECT_EQ(Append("w1", "a", 2, {"y"}),
            "chunks a#1 2 INVALID_ARGUMENT/PROTOCOL_VIOLATION");
  EXPECT_EQ(h_.Task("a").chunks, 0u);
}

TEST_F(ChunkTest, AreRefusedOnceUnderAnOldLease) {
  Run("a");
  h_.Return("w1", "a");
  EXPECT_EQ(Append("w1", "a", 1, {"x", "y"}),
            "refused a#1 FAILED_PRECONDITION/LEASE_LOST");
  EXPECT_EQ(h_.Task("a").chunks, 0u);
}

TEST_F(ChunkTest, PositionsGoOnOverAttempts) {
  Run("a", {.retry = {.initial_delay = absl::ZeroDuration(), .jitter = 0}});
  Append("w1", "a", 1, {"x", "y"});
  h_.Fail("w1", "a");
  h_.Credit("w1", 1);
  Append("w1", "a", 1, {"z"});
  EXPECT_EQ(FollowNow("a"), "1=x#1 2=y#1 3=z#2");
  EXPECT_NE(h_.Trace().find("attempt=2"), std::string::npos);
  EXPECT_NE(h_.Trace().find("failures=1 crashes=0 chunks=2"),
            std::string::npos);
}

TEST_F(ChunkTest, TheWorkerSendsAgainWhatAPowerLossTookBack) {
  Run("a");
  Append("w1", "a", 1, {"x"});
  h_.HoldTurns();
  Append("w1", "a", 2, {"y"});
  h_.Crash();
  EXPECT_EQ(h_.Reconnect("w1"), "resumed");
  EXPECT_EQ(FollowNow("a"), "1=x#1");
  EXPECT_EQ(Append("w1", "a", 1, {"x", "y", "z"}), "chunks a#1 3");
  EXPECT_EQ(FollowNow("a"), "1=x#1 2=y#1 3=z#1");
}

TEST_F(ChunkTest, AFollowerIsToldOfWhatComes) {
  Run("a");
  const int follow = Follow("a");
  EXPECT_EQ(h_.Answers(follow), "");
  Append("w1", "a", 1, {"x"});
  EXPECT_EQ(h_.Answers(follow), "more");
  EXPECT_EQ(FollowNow("a"), "1=x#1");
  const int last = Follow("a", 2);
  EXPECT_EQ(h_.Answers(last), "");
  h_.Succeed("w1", "a");
  EXPECT_EQ(h_.Answers(last), "more");
  EXPECT_EQ(FollowNow("a", 2), "SUCCEEDED");
}

TEST_F(ChunkTest, AFollowerThatWentIsForgotten) {
  Run("a");
  const int follow = Follow("a");
  h_.Forget(follow);
  Append("w1", "a", 1, {"x"});
  EXPECT_EQ(h_.Answers(follow), "");
}

TEST_F(ChunkTest, AskedInTheTurnOfTheChunkIsAskedAgain) {
  Run("a");
  int follow = 0;
  h_.InOneTurn([&] {
    Append("w1", "a", 1, {"x"});
    follow = Follow("a");
  });
  EXPECT_EQ(h_.Answers(follow), "more");
  EXPECT_EQ(FollowNow("a"), "1=x#1");
}

TEST_F(ChunkTest, AnUnknownTaskIsNotFollowed) {
  EXPECT_EQ(FollowNow("a"), "UNKNOWN");
}

TEST_F(ChunkTest, PagesAreBounded) {
  Run("a");
  const std::string big(60000, 'x');
  uint64_t number = 1;
  for (int i = 0; i < 10; ++i) Append("w1", "a", number++, {big});
  const std::string page = FollowNow("a");
  EXPECT_GT(page.size(), 4 * big.size());
  EXPECT_LT(page.size(), 6 * big.size());
}

TEST_F(ChunkTest, StayAfterTheEndOverARestartThenGo) {
  Run("a");
  Append("w1", "a", 1, {"x", "y"});
  h_.Succeed("w1", "a");
  EXPECT_EQ(h_.OutcomeOf("a").chunks, 2u);
  h_.ConfirmOutbox(1);
  h_.Restart();
  EXPECT_EQ(FollowNow("a"), "1=x#1 2=y#1");
  EXPECT_EQ(FollowNow("a", 3), "FINISHED");
  h_.Advance(absl::Hours(24) - absl::Seconds(1));
  EXPECT_EQ(FollowNow("a"), "1=x#1 2=y#1");
  h_.Advance(absl::Seconds(1));
  EXPECT_EQ(Rows(kChunkRow), 0u);
  EXPECT_EQ(Rows(kTimerRow), 0u);
}

TEST_F(ChunkTest, OfAMintedIdAreReadWhenTheEngineHasForgottenIt) {
  h_.Submit("");
  const std::string id = h_.last_task_id();
  h_.Credit("w1", 1);
  h_.Told("w1");
  Append("w1", id, 1, {"x"});
  h_.Succeed("w1", id);
  h_.ConfirmOutbox(1);
  EXPECT_EQ(FollowNow(id), "1=x#1");
  EXPECT_EQ(FollowNow(id, 2), "UNKNOWN");
}

TEST_F(ChunkTest, StayAsLongAsTheResult) {
  Run("a", {.result_ttl = absl::Hours(48)});
  Append("w1", "a", 1, {"x"});
  h_.Succeed("w1", "a");
  h_.Advance(absl::Hours(48) - absl::Seconds(1));
  EXPECT_EQ(Rows(kChunkRow), 2u);
  h_.Advance(absl::Seconds(1));
  EXPECT_EQ(Rows(kChunkRow), 0u);
}

TEST_F(ChunkTest, OfATaskThatIsCancelledWhileItWaitsGo) {
  Run("a");
  Append("w1", "a", 1, {"x"});
  h_.Fail("w1", "a");
  h_.Restart();
  h_.Cancel("a");
  EXPECT_EQ(h_.OutcomeOf("a").chunks, 1u);
  EXPECT_EQ(FollowNow("a"), "1=x#1");
  h_.Advance(absl::Hours(24));
  EXPECT_EQ(Rows(kChunkRow), 0u);
}

class ChunkLimitTest : public ChunkTest {
 protected:
  ChunkLimitTest()
      : ChunkTest({.chunk_bytes_max = 10,
                   .task_chunks_max = 5,
                   .task_chunk_bytes_max = 30}) {}
};

const char kLimit[] = " RESOURCE_EXHAUSTED/CHUNK_LIMIT";

TEST_F(ChunkLimitTest, OneThatIsTooLargeEndsTheAppending) {
  Run("a");
  EXPECT_EQ(Append("w1", "a", 1, {"1234567890", "12345678901", "x"}),
            absl::StrCat("chunks a#1 1, chunks a#1 3", kLimit));
  EXPECT_EQ(Append("w1", "a", 4, {"x"}), absl::StrCat("chunks a#1 4", kLimit));
  EXPECT_EQ(FollowNow("a"), "1=1234567890#1");
}

TEST_F(ChunkLimitTest, ATaskHasSoManyOverAllAttempts) {
  Run("a");
  Append("w1", "a", 1, {"1", "2", "3"});
  h_.Return("w1", "a");
  h_.Restart();
  h_.Credit("w2", 1);
  h_.Told("w2");
  EXPECT_EQ(Append("w2", "a", 1, {"4", "5", "6"}),
            absl::StrCat("chunks a#2 2, chunks a#2 3", kLimit));
  EXPECT_EQ(FollowNow("a"), "1=1#1 2=2#1 3=3#1 4=4#2 5=5#2");
}

TEST_F(ChunkLimitTest, ATaskHasSoManyBytes) {
  Run("a");
  EXPECT_EQ(Append("w1", "a", 1, {"1234567890", "1234567890", "1234567890"}),
            "chunks a#1 3");
  EXPECT_EQ(Append("w1", "a", 4, {"x"}), absl::StrCat("chunks a#1 4", kLimit));
}

class ChunkReuseTest : public ChunkTest {
 protected:
  ChunkReuseTest()
      : ChunkTest({.finished_retention = absl::Hours(1),
                   .chunk_retention = absl::Hours(24)}) {}
};

TEST_F(ChunkReuseTest, AnotherTaskOfTheSameIdHasItsOwn) {
  Run("a");
  Append("w1", "a", 1, {"x", "y", "z"});
  h_.Succeed("w1", "a");
  h_.ConfirmOutbox(1);
  h_.Advance(absl::Hours(2));
  h_.Submit("a");
  h_.Credit("w2", 1);
  EXPECT_EQ(h_.Delivered("w2"), "a#1");
  const int follow = Follow("a");
  EXPECT_EQ(h_.Answers(follow), "");
  Append("w2", "a", 1, {"new"});
  EXPECT_EQ(FollowNow("a"), "1=new#1");
  EXPECT_EQ(Rows(kChunkRow), 2u);
  // The timer of the first one is not the second one's.
  h_.Advance(absl::Hours(22));
  EXPECT_EQ(FollowNow("a"), "1=new#1");
}

TEST_F(ChunkTest, ManyAreDeletedOverManyTurns) {
  Run("a");
  std::vector<std::string> data(10000, "x");
  Append("w1", "a", 1, data);
  h_.Succeed("w1", "a");
  size_t largest = 0;
  h_.driver().set_turn_observer([&](const Effects& effects) {
    largest = std::max(largest, effects.writes.count());
  });
  h_.Advance(absl::Hours(24) + absl::Seconds(1));
  EXPECT_EQ(Rows(kChunkRow), 0u);
  EXPECT_EQ(Rows(kTimerRow), 0u);
  EXPECT_LT(largest, 5000u);
}

}  // namespace
}  // namespace apium::broker
