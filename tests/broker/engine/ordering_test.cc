// Ordering keys: tasks with the same key run one at a time, in the order in
// which they were accepted.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "broker/storage/key_format.h"
#include "tests/support/batch_calls.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

class OrderingTest : public ::testing::Test {
 protected:
  OrderingTest() {
    h_.CreateQueue("extra");
    h_.CreateQueue("letters", {.dead_letter = true});
    h_.Connect("w1", {.queues = {"default", "extra", "letters"}, .slots = 100});
  }

  std::string Submit(
      std::string_view id, SubmitOptions options = {},
      OrderingFailurePolicy policy = OrderingFailurePolicy::kSkip) {
    if (!options.placement.has_value()) options.placement.emplace();
    if (options.placement->ordering_key.empty())
      options.placement->ordering_key = "k";
    options.placement->ordering_failure_policy = policy;
    options.retry.max_attempts = 1;
    return h_.Submit(id, options);
  }
  std::string SubmitTo(const std::string& key, std::string_view id) {
    return Submit(id, {.placement = Placement{.ordering_key = key}});
  }
  // A task "a" of the key runs, with `policy`; b, c and d wait behind it.
  void RunAndWait(OrderingFailurePolicy policy,
                  const std::string& queue = "default") {
    ASSERT_EQ(Submit("a", {.queue = queue}, policy), "OK");
    h_.Credit("w1", 10);
    ASSERT_EQ(h_.Delivered("w1"), "a#1");
    for (const char* id : {"b", "c", "d"})
      ASSERT_EQ(Submit(id, {.queue = queue}), "OK");
    ASSERT_EQ(h_.Delivered("w1"), "");
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
  size_t LineRows() { return Rows(kOrderingRow) + Rows(kOrderingMemberRow); }

  EngineHarness h_;
};

TEST_F(OrderingTest, OneAtATimeInOrder) {
  RunAndWait(OrderingFailurePolicy::kSkip);
  EXPECT_EQ(h_.State("b"), "BLOCKED");
  EXPECT_EQ(h_.Queue(), "ready=0 scheduled=0 leased=1 blocked=3");
  h_.Succeed("w1", "a");
  EXPECT_EQ(h_.Delivered("w1"), "b#1") << "in the same turn";
  h_.Succeed("w1", "b");
  EXPECT_EQ(h_.Delivered("w1"), "c#1");
  h_.Succeed("w1", "c");
  EXPECT_EQ(h_.Delivered("w1"), "d#1");
  EXPECT_EQ(h_.Queue(), "ready=0 scheduled=0 leased=1");
  h_.Succeed("w1", "d");
  EXPECT_EQ(LineRows(), 0u);
  EXPECT_EQ(Rows(kBlockedRow), 0u);
}

TEST_F(OrderingTest, KeysQueuesAndTasksWithoutAKeyDoNotWaitForEachOther) {
  SubmitTo("k1", "a");
  SubmitTo("k1", "b");
  SubmitTo("k2", "c");
  Submit("d", {.queue = "extra", .placement = Placement{.ordering_key = "k1"}});
  h_.Submit("e");
  h_.Credit("w1", 10);
  EXPECT_THAT(h_.State("b"), "BLOCKED");
  for (const char* id : {"a", "c", "d", "e"})
    EXPECT_EQ(h_.State(id), "LEASED") << id;
}

TEST_F(OrderingTest, NeitherPriorityNorTimeChangesTheOrder) {
  Submit("a", {.priority = 1, .delay = absl::Seconds(10)});
  Submit("b", {.priority = 200});
  Submit("c", {.priority = 255, .eta = absl::Seconds(20)});
  h_.Credit("w1", 10);
  EXPECT_EQ(h_.Delivered("w1"), "");
  EXPECT_EQ(h_.State("a"), "SCHEDULED");
  h_.Advance(absl::Seconds(10));
  EXPECT_EQ(h_.Delivered("w1"), "a#1");
  h_.Succeed("w1", "a");
  EXPECT_EQ(h_.Delivered("w1"), "b#1");
  h_.Succeed("w1", "b");
  EXPECT_EQ(h_.Delivered("w1"), "") << "the first waits for its time";
  EXPECT_EQ(h_.State("c"), "SCHEDULED");
  h_.Advance(absl::Seconds(10));
  EXPECT_EQ(h_.Delivered("w1"), "c#1");
}

TEST_F(OrderingTest, RetriesReturnsAndCrashesKeepTheHead) {
  ASSERT_EQ(h_.Submit("a", {.placement = Placement{.ordering_key = "k"}}),
            "OK");
  Submit("b");
  h_.Credit("w1", 10);
  EXPECT_EQ(h_.Delivered("w1"), "a#1");
  h_.Fail("w1", "a");
  EXPECT_EQ(h_.State("a"), "SCHEDULED");
  EXPECT_EQ(h_.State("b"), "BLOCKED");
  h_.Advance(absl::Seconds(1));
  EXPECT_EQ(h_.Delivered("w1"), "a#2");
  h_.Return("w1", "a");
  h_.Credit("w1", 1);
  EXPECT_EQ(h_.Delivered("w1"), "a#3");
  h_.Crash("w1", "a");
  h_.Credit("w1", 1);
  EXPECT_EQ(h_.Delivered("w1"), "a#4");
  EXPECT_EQ(h_.State("b"), "BLOCKED");
  h_.Succeed("w1", "a");
  EXPECT_EQ(h_.Delivered("w1"), "b#1");
}

TEST_F(OrderingTest, TheOrderSurvivesRestartsAndCrashes) {
  RunAndWait(OrderingFailurePolicy::kSkip);
  h_.Restart();
  h_.Reconnect("w1");
  Submit("e");
  EXPECT_EQ(h_.Queue(), "ready=0 scheduled=0 leased=1 blocked=4");
  h_.Succeed("w1", "a");
  EXPECT_EQ(h_.Delivered("w1"), "b#1");
  h_.HoldTurns();
  h_.Succeed("w1", "b");
  h_.Crash();
  // The outcome was lost with the power; the worker says it again.
  EXPECT_EQ(h_.State("b"), "LEASED");
  EXPECT_EQ(h_.State("c"), "BLOCKED");
  h_.Reconnect("w1");
  h_.Succeed("w1", "b");
  h_.Credit("w1", 10);
  for (const char* id : {"c", "d", "e"}) {
    EXPECT_EQ(h_.Delivered("w1"), absl::StrCat(id, "#1"));
    h_.Restart();
    h_.Reconnect("w1");
    h_.Credit("w1", 10);
    h_.Succeed("w1", id);
  }
  EXPECT_EQ(LineRows(), 0u);
}

TEST_F(OrderingTest, EveryEndOfTheHeadLetsTheNextGo) {
  RunAndWait(OrderingFailurePolicy::kSkip);
  h_.Fail("w1", "a");
  EXPECT_EQ(h_.State("a"), "FAILED");
  EXPECT_EQ(h_.Delivered("w1"), "b#1");
  h_.Cancel("b");
  EXPECT_EQ(h_.State("c"), "BLOCKED");
  h_.ObeyCancel("w1", "b");
  EXPECT_EQ(h_.Delivered("w1"), "c#1");
  Submit("x", {.expire_after = absl::Seconds(5)});
  Submit("y");
  h_.Pause("default");
  h_.Succeed("w1", "c");
  h_.Cancel("d");
  EXPECT_EQ(h_.State("x"), "QUEUED");
  EXPECT_EQ(h_.State("y"), "BLOCKED");
  h_.Advance(absl::Seconds(5));
  EXPECT_EQ(h_.State("x"), "EXPIRED");
  EXPECT_EQ(h_.State("y"), "QUEUED");
}

TEST_F(OrderingTest, WhoWaitsLeavesTheLine) {
  RunAndWait(OrderingFailurePolicy::kSkip);
  Submit("e", {.expire_after = absl::Seconds(5)});
  Submit("f");
  h_.Cancel("b");
  EXPECT_EQ(h_.State("b"), "CANCELLED");
  h_.Restart();
  h_.Reconnect("w1");
  h_.Cancel("d");
  h_.Advance(absl::Seconds(5));
  EXPECT_EQ(h_.State("e"), "EXPIRED");
  EXPECT_EQ(h_.Queue(), "ready=0 scheduled=0 leased=1 blocked=2");
  h_.Credit("w1", 10);
  h_.Succeed("w1", "a");
  EXPECT_EQ(h_.Delivered("w1"), "c#1");
  h_.Succeed("w1", "c");
  EXPECT_EQ(h_.Delivered("w1"), "f#1");
  h_.Succeed("w1", "f");
  EXPECT_EQ(LineRows(), 0u);
}

TEST_F(OrderingTest, APurgeEndsThoseWhoWait) {
  RunAndWait(OrderingFailurePolicy::kSkip);
  EXPECT_EQ(h_.Purge("default"), "purged 3");
  h_.Succeed("w1", "a");
  EXPECT_EQ(h_.Queue(), "ready=0 scheduled=0 leased=0");
  EXPECT_EQ(LineRows(), 0u);
}

TEST_F(OrderingTest, APurgeMeetsThoseThatWouldBecomeTheHead) {
  RunAndWait(OrderingFailurePolicy::kSkip);
  h_.InOneTurn([&] {
    h_.Purge("default");
    h_.Succeed("w1", "a");
  });
  EXPECT_EQ(h_.Delivered("w1"), "");
  for (const char* id : {"b", "c", "d"})
    EXPECT_EQ(h_.OutcomeOf(id).failure.type, "apium.Purged") << id;
  Submit("e");
  EXPECT_EQ(h_.Delivered("w1"), "e#1");
}

TEST_F(OrderingTest, MoreThanOneTurnCanDropAreLeftToTheNext) {
  Submit("head");
  h_.Credit("w1", 10);
  h_.Delivered("w1");
  for (int i = 0; i < 150; ++i) Submit(absl::StrCat("t", i));
  h_.InOneTurn([&] {
    h_.Purge("default");
    h_.Succeed("w1", "head");
    Submit("next");
  });
  EXPECT_EQ(h_.Delivered("w1"), "next#1");
  EXPECT_EQ(h_.State("t149"), "CANCELLED");
  h_.Succeed("w1", "next");
  EXPECT_EQ(LineRows(), 0u);
}

TEST_F(OrderingTest, AFailedHeadBlocksItsKeyUntilItIsReleased) {
  RunAndWait(OrderingFailurePolicy::kBlock);
  EXPECT_EQ(h_.ReleaseKey("k"), "FAILED_PRECONDITION/ORDERING_KEY_NOT_BLOCKED");
  h_.Fail("w1", "a");
  EXPECT_EQ(h_.State("a"), "FAILED");
  EXPECT_EQ(h_.Delivered("w1"), "");
  EXPECT_EQ(Submit("e"), "OK");
  EXPECT_EQ(h_.State("e"), "BLOCKED");
  EXPECT_EQ(h_.Task("e").waiting_reason,
            "the ordering key k is blocked since task a failed; release it");
  h_.Restart();
  h_.Reconnect("w1");
  h_.Credit("w1", 10);
  EXPECT_EQ(h_.Queue(), "ready=0 scheduled=0 leased=0 blocked=4");
  EXPECT_EQ(h_.ReleaseKey("other"),
            "FAILED_PRECONDITION/ORDERING_KEY_NOT_BLOCKED");
  EXPECT_EQ(h_.ReleaseKey("k", "extra"),
            "FAILED_PRECONDITION/ORDERING_KEY_NOT_BLOCKED");
  EXPECT_EQ(h_.ReleaseKey("k", "nowhere"), "NOT_FOUND/QUEUE_NOT_FOUND");
  EXPECT_EQ(h_.ReleaseKey("k"), "OK");
  EXPECT_EQ(h_.Delivered("w1"), "b#1");
  EXPECT_EQ(h_.ReleaseKey("k"), "FAILED_PRECONDITION/ORDERING_KEY_NOT_BLOCKED");
  // Its own policy counts, which is SKIP.
  h_.Fail("w1", "b");
  EXPECT_EQ(h_.Delivered("w1"), "c#1");
}

TEST_F(OrderingTest, AKeyStaysBlockedWithNobodyBehind) {
  Submit("a", {}, OrderingFailurePolicy::kBlock);
  h_.Credit("w1", 10);
  h_.Fail("w1", "a");
  EXPECT_EQ(LineRows(), 1u);
  h_.Restart();
  h_.Reconnect("w1");
  h_.Credit("w1", 10);
  h_.Delivered("w1");
  Submit("b");
  Submit("c");
  EXPECT_EQ(h_.State("b"), "BLOCKED");
  h_.Cancel("b");
  EXPECT_EQ(h_.ReleaseKey("k"), "OK");
  EXPECT_EQ(h_.Delivered("w1"), "c#1");
  h_.Succeed("w1", "c");
  EXPECT_EQ(LineRows(), 0u);
}

TEST_F(OrderingTest, AReleaseOfAKeyOfNobodyForgetsIt) {
  Submit("a", {}, OrderingFailurePolicy::kBlock);
  h_.Credit("w1", 10);
  h_.Fail("w1", "a");
  EXPECT_EQ(h_.ReleaseKey("k"), "OK");
  EXPECT_EQ(LineRows(), 0u);
}

TEST_F(OrderingTest, OnlyAFailureBlocks) {
  RunAndWait(OrderingFailurePolicy::kBlock);
  h_.Cancel("a");
  h_.ObeyCancel("w1", "a");
  EXPECT_EQ(h_.State("a"), "CANCELLED");
  EXPECT_EQ(h_.Delivered("w1"), "b#1");
}

TEST_F(OrderingTest, ADeletedQueueForgetsItsBlockedKeys) {
  Submit("a", {.queue = "extra"}, OrderingFailurePolicy::kBlock);
  h_.Credit("w1", 10);
  h_.Fail("w1", "a");
  EXPECT_EQ(h_.DeleteQueue("extra"), "OK");
  EXPECT_EQ(LineRows(), 0u);
  h_.Restart();
  h_.CreateQueue("extra");
  Submit("b", {.queue = "extra"});
  EXPECT_EQ(h_.State("b"), "QUEUED");
}

TEST_F(OrderingTest, AFailedHeadFailsThoseThatWait) {
  RunAndWait(OrderingFailurePolicy::kFailRest);
  const int wait = h_.Wait("c");
  h_.InOneTurn([&] {
    h_.Fail("w1", "a");
    Submit("later");
  });
  for (const char* id : {"b", "c", "d"}) {
    EXPECT_EQ(h_.State(id), "FAILED") << id;
    EXPECT_EQ(h_.OutcomeOf(id).failure.type, "apium.OrderingHeadFailed");
    EXPECT_THAT(h_.OutcomeOf(id).failure.message, HasSubstr("task a,"));
  }
  EXPECT_EQ(h_.Answers(wait), "FAILED");
  EXPECT_EQ(h_.Delivered("w1"), "later#1") << "it came after the failure";
  h_.Succeed("w1", "later");
  EXPECT_EQ(LineRows(), 0u);
}

TEST_F(OrderingTest, AFailureWithNobodyBehindFailsNobody) {
  Submit("a", {}, OrderingFailurePolicy::kFailRest);
  h_.Credit("w1", 10);
  h_.Fail("w1", "a");
  EXPECT_EQ(LineRows(), 0u);
  Submit("b");
  EXPECT_EQ(h_.State("b"), "LEASED");
}

TEST_F(OrderingTest, ThoseThatFailAreKeptAsDeadLettersWhereTheQueueKeepsThem) {
  RunAndWait(OrderingFailurePolicy::kFailRest, "letters");
  h_.Fail("w1", "a");
  EXPECT_EQ(h_.State("d"), "DEAD_LETTERED");
  EXPECT_EQ(h_.QueueDetails("letters").dead_letters, 4u);
}

TEST_F(OrderingTest, ManyFailOverManyTurnsAndARestart) {
  constexpr int kTasks = 2500;
  Submit("head", {}, OrderingFailurePolicy::kFailRest);
  h_.Credit("w1", 10);
  for (int i = 0; i < kTasks; ++i) Submit(absl::StrCat("t", i));
  std::string half_way;
  h_.WithoutSettling([&] {
    h_.Fail("w1", "head");
    Submit("later");  // in this turn, the first of them fail
    half_way = h_.Count();
    h_.Crash();
  });
  EXPECT_THAT(half_way, HasSubstr("blocked=501 failed=2001"));
  EXPECT_EQ(h_.Count(), absl::StrCat("default: queued=1 failed=", kTasks + 1));
  h_.Reconnect("w1");
  h_.Credit("w1", 10);
  EXPECT_EQ(h_.Delivered("w1"), "head#1 later#1");
}

TEST_F(OrderingTest, ThoseThatAreToFailCanBeCancelledMeanwhile) {
  constexpr int kTasks = 1010;
  Submit("head", {}, OrderingFailurePolicy::kFailRest);
  h_.Credit("w1", 10);
  for (int i = 0; i < kTasks; ++i) Submit(absl::StrCat("t", i));
  h_.WithoutSettling([&] {
    h_.Fail("w1", "head");
    // In this turn, the first thousand fail.
    h_.InOneTurn([&] {
      for (int i = 1000; i < kTasks; ++i) h_.Cancel(absl::StrCat("t", i));
    });
  });
  EXPECT_EQ(h_.Count(), "default: failed=1001 cancelled=10");
  EXPECT_EQ(LineRows(), 0u);
  Submit("later");
  EXPECT_EQ(h_.State("later"), "LEASED");
}

TEST_F(OrderingTest, ARedrivenTaskGoesToTheEndOfItsLine) {
  RunAndWait(OrderingFailurePolicy::kBlock, "letters");
  h_.Fail("w1", "a");
  EXPECT_EQ(h_.State("a"), "DEAD_LETTERED");
  h_.Answers(h_.Send(RedriveDeadLetterCommand{
      .namespace_name = "default", .queue = "letters", .task_id = "a"}));
  EXPECT_EQ(h_.QueueDetails("letters").blocked, 4u);
  EXPECT_EQ(h_.ReleaseKey("k", "letters"), "OK");
  EXPECT_EQ(h_.Delivered("w1"), "b#1");
  for (const char* id : {"b", "c", "d"}) h_.Succeed("w1", id);
  const std::string delivered = h_.Delivered("w1");
  EXPECT_EQ(delivered.substr(0, 8), "c#1 d#1 ");
  EXPECT_THAT(delivered, EndsWith("#1"));
}

TEST_F(OrderingTest, ARepeatedSubmitIsNotInTheLineTwice) {
  RunAndWait(OrderingFailurePolicy::kSkip);
  EXPECT_EQ(Submit("b"), "OK");
  EXPECT_EQ(h_.Queue(), "ready=0 scheduled=0 leased=1 blocked=3");
  EXPECT_EQ(Rows(kOrderingMemberRow), 3u);
}

TEST_F(OrderingTest, AtomicSubmitsKeepTheirOrder) {
  SubmitAllCommand command;
  for (const char* id : {"z", "y", "x"}) {
    auto content = std::make_shared<TaskContent>();
    content->namespace_name = "default";
    content->task_id = id;
    content->type = "job";
    content->queue = "default";
    content->placement =
        std::make_shared<Placement>(Placement{.ordering_key = "k"});
    command.tasks.push_back({.content = std::move(content)});
  }
  EXPECT_EQ(h_.Answers(h_.Send(std::move(command))), "OK z y x");
  h_.Credit("w1", 10);
  EXPECT_EQ(h_.Delivered("w1"), "z#1");
  h_.Succeed("w1", "z");
  EXPECT_EQ(h_.Delivered("w1"), "y#1");
  h_.Succeed("w1", "y");
  EXPECT_EQ(h_.Delivered("w1"), "x#1");
}

TEST_F(OrderingTest, AOneTurnLineLeavesNothing) {
  h_.Credit("w1", 10);
  h_.InOneTurn([&] {
    Submit("a");
    Submit("b");
    Submit("c");
    h_.Cancel("b");
    h_.Cancel("a");
    h_.Cancel("c");
  });
  EXPECT_EQ(h_.Count(), "default: cancelled=3");
  EXPECT_EQ(LineRows(), 0u);
  EXPECT_EQ(Rows(kBlockedRow), 0u);
}

TEST_F(OrderingTest, BlockedTasksSayWhatTheyWaitFor) {
  RunAndWait(OrderingFailurePolicy::kSkip);
  const TaskSnapshot task = h_.Task("c");
  EXPECT_EQ(task.state, TaskState::kBlocked);
  EXPECT_EQ(task.waiting_reason,
            "waits for those before it that have the ordering key k; the first "
            "is task a");
  h_.Succeed("w1", "a");
  EXPECT_THAT(h_.Task("c").waiting_reason, EndsWith("the first is task b"));
  h_.Succeed("w1", "b");
  EXPECT_EQ(h_.Events("c"), "UNBLOCKED#0");
}

TEST_F(OrderingTest, ATaskThatWaitsCannotBeChangedAndTheHeadCan) {
  Submit("a", {.delay = absl::Hours(1)});
  Submit("b");
  EXPECT_EQ(h_.Update("b", {.priority = 5}),
            "FAILED_PRECONDITION/TASK_NOT_WAITING");
  h_.Credit("w1", 10);
  EXPECT_EQ(h_.Update("a", {.run_now = true}), "QUEUED");
  EXPECT_EQ(h_.Delivered("w1"), "a#1");
  EXPECT_EQ(h_.State("b"), "BLOCKED");
}

// --- With unique keys: a task waits for both. ---

class OrderedUniqueTest : public OrderingTest {
 protected:
  std::string SubmitUnique(std::string_view id, UniqueConflict on_conflict,
                           const std::string& unique_key = "u") {
    return Submit(
        id, {.unique = Unique{.key = unique_key, .on_conflict = on_conflict}});
  }
};

TEST_F(OrderedUniqueTest, ItJoinsTheLineWhenItsUniqueKeyComesToIt) {
  SubmitUnique("a", UniqueConflict::kKeepLatest);
  h_.Credit("w1", 10);
  SubmitUnique("latest", UniqueConflict::kKeepLatest);
  Submit("b");
  EXPECT_EQ(h_.Delivered("w1"), "a#1");
  EXPECT_EQ(h_.Task("latest").waiting_reason,
            "another task holds the unique key u");
  EXPECT_EQ(Rows(kOrderingMemberRow), 1u);
  h_.Succeed("w1", "a");
  EXPECT_EQ(h_.Delivered("w1"), "b#1");
  EXPECT_EQ(h_.State("latest"), "BLOCKED");
  EXPECT_THAT(h_.Task("latest").waiting_reason, HasSubstr("ordering key k"));
  h_.Restart();
  h_.Reconnect("w1");
  h_.Credit("w1", 10);
  EXPECT_EQ(h_.Queue(), "ready=0 scheduled=0 leased=1 blocked=1");
  h_.Succeed("w1", "b");
  EXPECT_EQ(h_.Delivered("w1"), "latest#1");
  h_.Succeed("w1", "latest");
  EXPECT_EQ(LineRows() + Rows(kUniqueRow) + Rows(kBlockedRow), 0u);
}

TEST_F(OrderedUniqueTest, ItIsTheHeadWhereNobodyElseIsThere) {
  SubmitUnique("a", UniqueConflict::kKeepLatest);
  h_.Credit("w1", 10);
  SubmitUnique("latest", UniqueConflict::kKeepLatest);
  h_.Delivered("w1");
  h_.Succeed("w1", "a");
  EXPECT_EQ(h_.Delivered("w1"), "latest#1");
  Submit("b");
  EXPECT_EQ(h_.State("b"), "BLOCKED");
}

TEST_F(OrderedUniqueTest, OneThatWaitsInItsLineIsReplaced) {
  RunAndWait(OrderingFailurePolicy::kSkip);
  SubmitUnique("x", UniqueConflict::kReject);
  EXPECT_EQ(SubmitUnique("y", UniqueConflict::kReject),
            "ALREADY_EXISTS/UNIQUE_KEY_HELD");
  EXPECT_EQ(SubmitUnique("z", UniqueConflict::kReplace), "OK");
  EXPECT_EQ(h_.State("x"), "CANCELLED");
  EXPECT_EQ(Rows(kOrderingMemberRow), 4u);
  for (const char* id : {"a", "b", "c", "d"}) h_.Succeed("w1", id);
  EXPECT_EQ(h_.Delivered("w1"), "b#1 c#1 d#1 z#1");
}

TEST_F(OrderedUniqueTest, TheHeadOfOneKeyWaitsForTheUniqueKeyOfAnother) {
  // "x" waits for the unique key, which a task of another line holds.
  h_.Credit("w1", 10);
  Submit(
      "holder",
      {.unique = Unique{.key = "u", .on_conflict = UniqueConflict::kKeepLatest},
       .placement = Placement{.ordering_key = "other"}});
  SubmitUnique("x", UniqueConflict::kKeepLatest);
  EXPECT_EQ(h_.State("x"), "BLOCKED");
  Submit("b");
  EXPECT_EQ(h_.State("b"), "LEASED") << "x is in no line yet";
  h_.Cancel("x");
  EXPECT_EQ(h_.State("x"), "CANCELLED");
  h_.Succeed("w1", "b");
  h_.Succeed("w1", "holder");
  EXPECT_EQ(LineRows() + Rows(kUniqueRow) + Rows(kBlockedRow), 0u);
}

TEST_F(OrderedUniqueTest, AMemberThatIsReplacedOnItsWayIsPassedOver) {
  RunAndWait(OrderingFailurePolicy::kFailRest);
  SubmitUnique("x", UniqueConflict::kDebounce);
  h_.InOneTurn([&] {
    h_.Fail("w1", "a");
    SubmitUnique("y", UniqueConflict::kReplace);
  });
  EXPECT_EQ(h_.State("x"), "CANCELLED");
  EXPECT_EQ(h_.State("b"), "FAILED");
  EXPECT_EQ(h_.State("y"), "LEASED");
}

TEST_F(OrderingTest, BatchesOfOrderedTasksComplete) {
  BatchCalls batches(&h_);
  batches.CreateFull("g");
  h_.Credit("w1", 10);
  for (const char* id : {"a", "b"}) {
    batches.Join(
        "g", id,
        {.placement = Placement{
             .ordering_key = "k",
             .ordering_failure_policy = OrderingFailurePolicy::kFailRest}});
  }
  batches.Close("g");
  h_.Fail("w1", "a", {.non_retryable = true});
  EXPECT_EQ(h_.State("b"), "FAILED");
  EXPECT_EQ(batches.Get("g").substr(0, 12), "COMPLETE 0+2");
}

TEST_F(OrderingTest, ALineIsNotHeldInMemory) {
  Submit("a");
  h_.Credit("w1", 1);
  for (int i = 0; i < 3000; ++i) Submit(absl::StrCat("t", i));
  EXPECT_EQ(h_.Stats().hot_tasks, 1u);
  EXPECT_EQ(h_.Queue(), "ready=0 scheduled=0 leased=1 blocked=3000");
}

}  // namespace
}  // namespace apium::broker
