#include "results/result_core.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/rpc/proto_time.h"
#include "common/strings.h"
#include "tests/results/core_harness.h"
#include "tests/support/status_matchers.h"

namespace apium::results {
namespace {

v1::TaskOutcome WithTtl(v1::TaskOutcome outcome, absl::Duration ttl) {
  DurationToProto(ttl, outcome.mutable_result_ttl());
  return outcome;
}

v1::TaskOutcome WithState(v1::TaskOutcome outcome, v1::TaskState state) {
  outcome.set_state(state);
  return outcome;
}

v1::TaskOutcome WithQueue(v1::TaskOutcome outcome, const std::string& queue) {
  outcome.set_queue(queue);
  return outcome;
}

// Publishes each outcome as a group of its own, so that each has a log row.
void Record(CoreHarness* h, const std::vector<v1::TaskOutcome>& outcomes) {
  h->Hello(1, "s1");
  uint64_t position = 0;
  h->on_release = [&](const ResultEffects& effects) {
    position = effects.confirmations.at(0).position;
  };
  h->Step();
  h->on_release = nullptr;
  for (const v1::TaskOutcome& outcome : outcomes) {
    h->Publish(1, ++position, {outcome});
    h->Step();
  }
  h->EndPublish(1);
  h->Step();
}

// --- Publishing ---

TEST(ResultCoreTest, HelloIsAnsweredWithThePositionThatIsRecorded) {
  CoreHarness h;
  h.Hello(1, "s1");
  EXPECT_EQ(h.Step(), "confirm 1: 0 (1 done)\n");
  h.Publish(1, 1, {Outcome("a")});
  h.Publish(1, 2, {Outcome("b"), Outcome("c")});
  EXPECT_EQ(h.Step(), "confirm 1: 2 (2 done)\n");
  h.EndPublish(1);
  h.Hello(2, "s1");
  EXPECT_EQ(h.Step(), "confirm 2: 2 (1 done)\n");
}

TEST(ResultCoreTest, PositionsOfShardsAreApart) {
  CoreHarness h;
  h.Hello(1, "s1");
  h.Hello(2, "s2");
  h.Publish(1, 1, {Outcome("a")});
  h.Publish(1, 2, {Outcome("b")});
  h.Publish(2, 1, {Outcome("c")});
  EXPECT_EQ(h.Step(), "confirm 1: 2 (3 done)\nconfirm 2: 1 (2 done)\n");
}

TEST(ResultCoreTest, BatchThatIsRecordedAlreadyChangesNothing) {
  CoreHarness h;
  h.Hello(1, "s1");
  h.Publish(1, 1, {Outcome("a")});
  h.Step();
  h.Publish(1, 1, {Outcome("b")});
  EXPECT_EQ(h.Step(), "confirm 1: 1 (1 done)\n");
  h.Get(2, "b");
  EXPECT_EQ(h.Step(), "reply 2: NOT_FOUND / RESULT_NOT_FOUND\n");
}

TEST(ResultCoreTest, GapEndsTheStream) {
  CoreHarness h;
  h.Hello(1, "s1");
  h.Publish(1, 1, {Outcome("a")});
  h.Publish(1, 3, {Outcome("c")});
  h.Publish(1, 2, {Outcome("b")});
  EXPECT_EQ(h.Step(), "end 1: INVALID_ARGUMENT / POSITION_GAP\n");
  h.List(2);
  EXPECT_EQ(h.Step(), "reply 2: [a]\n");
  h.Hello(3, "s1");
  EXPECT_EQ(h.Step(), "confirm 3: 1 (1 done)\n");
}

TEST(ResultCoreTest, PositionZeroEndsTheStream) {
  CoreHarness h;
  h.Hello(1, "s1");
  h.Publish(1, 0, {Outcome("a")});
  EXPECT_EQ(h.Step(), "end 1: INVALID_ARGUMENT / POSITION_GAP\n");
}

TEST(ResultCoreTest, WrongOutcomeEndsTheStreamAndNothingOfItsBatchIsRecorded) {
  CoreHarness h;
  h.Hello(1, "s1");
  h.Publish(1, 1,
            {Outcome("a"), WithState(Outcome("b"), v1::TASK_STATE_STARTED)});
  absl::Status status;
  h.on_release = [&](const ResultEffects& effects) {
    status = effects.ends.at(0).status;
  };
  h.Step();
  EXPECT_THAT(status,
              StatusIs(absl::StatusCode::kInvalidArgument,
                       ::testing::HasSubstr("batch.outcomes[1].state")));
  h.on_release = nullptr;
  h.List(2);
  h.Hello(3, "s1");
  EXPECT_EQ(h.Step(), "confirm 3: 0 (1 done)\nreply 2: []\n");
}

TEST(ResultCoreTest, NewestStreamOfAShardWins) {
  CoreHarness h;
  h.Hello(1, "s1");
  h.Publish(1, 1, {Outcome("a")});
  h.Step();
  h.Hello(2, "s1");
  h.Publish(1, 2, {Outcome("old")});
  h.Publish(2, 2, {Outcome("new")});
  EXPECT_EQ(h.Step(),
            "confirm 2: 2 (2 done)\n"
            "end 1: FAILED_PRECONDITION / PUBLISHER_REPLACED\n");
  h.List(3);
  EXPECT_EQ(h.Step(), "reply 3: [new a]\n");
}

TEST(ResultCoreTest, EachNewerStreamReplacesTheOneBeforeOnANewShardToo) {
  CoreHarness h;
  h.Hello(1, "s1");
  h.Step();
  h.Hello(2, "s1");
  EXPECT_EQ(h.Step(),
            "confirm 2: 0 (1 done)\n"
            "end 1: FAILED_PRECONDITION / PUBLISHER_REPLACED\n");
  h.Hello(3, "s1");
  h.Publish(2, 1, {Outcome("old")});
  h.Publish(3, 1, {Outcome("new")});
  EXPECT_EQ(h.Step(),
            "confirm 3: 1 (2 done)\n"
            "end 2: FAILED_PRECONDITION / PUBLISHER_REPLACED\n");
  h.List(4);
  EXPECT_EQ(h.Step(), "reply 4: [new]\n");
}

TEST(ResultCoreTest, EndOfAReplacedStreamDoesNotEndItsSuccessor) {
  CoreHarness h;
  h.Hello(1, "s1");
  h.Hello(2, "s1");
  h.EndPublish(1);
  h.Publish(2, 1, {Outcome("a")});
  EXPECT_EQ(h.Step(),
            "confirm 2: 1 (2 done)\n"
            "end 1: FAILED_PRECONDITION / PUBLISHER_REPLACED\n");
}

TEST(ResultCoreTest, FirstOutcomeOfATaskIsFinal) {
  CoreHarness h;
  h.Watch(9, "");
  h.Hello(1, "s1");
  h.Publish(1, 1,
            {Outcome("a"), WithState(Outcome("a"), v1::TASK_STATE_FAILED)});
  h.Step();
  h.Publish(1, 2, {WithState(Outcome("a"), v1::TASK_STATE_CANCELLED)});
  EXPECT_EQ(h.Step(), "confirm 1: 2 (1 done)\n");
  h.Get(2, "a");
  h.List(3);
  EXPECT_EQ(h.Step(), "reply 2: a SUCCEEDED\nreply 3: [a]\n");
}

TEST(ResultCoreTest, SameIdInAnotherNamespaceIsAnotherTask) {
  CoreHarness h;
  v1::TaskOutcome other = WithState(Outcome("a"), v1::TASK_STATE_FAILED);
  other.set_namespace_("other");
  h.Hello(1, "s1");
  h.Publish(1, 1, {Outcome("a"), other});
  h.Get(2, "a");
  h.Get(3, "a", "other");
  h.Get(4, "a", "third");
  EXPECT_EQ(h.Step(),
            "confirm 1: 1 (2 done)\n"
            "reply 2: a SUCCEEDED\n"
            "reply 3: a FAILED\n"
            "reply 4: NOT_FOUND / RESULT_NOT_FOUND\n");
}

TEST(ResultCoreTest, OutcomeComesBackAsItWasPublished) {
  CoreHarness h;
  v1::TaskOutcome outcome = WithTtl(Outcome("a"), absl::Seconds(90));
  outcome.mutable_failure()->set_message("why");
  outcome.set_attempt(3);
  outcome.set_epoch(17);
  outcome.mutable_finish_time()->set_seconds(1'700'000'000);
  outcome.set_worker_id("w");
  Record(&h, {outcome});
  h.Restart();
  h.on_release = [&](const ResultEffects& effects) {
    EXPECT_EQ(std::get<v1::TaskOutcome>(effects.replies.at(0).value)
                  .SerializeAsString(),
              outcome.SerializeAsString());
  };
  h.Get(2, "a");
  EXPECT_EQ(h.Step(), "reply 2: a SUCCEEDED\n");
}

TEST(ResultCoreTest, GroupMakesOneLogRowPerNamespace) {
  CoreHarness h;
  v1::TaskOutcome other = Outcome("c");
  other.set_namespace_("other");
  h.Hello(1, "s1");
  h.Publish(1, 1, {Outcome("a"), other, Outcome("b")});
  h.Publish(1, 2, {Outcome("d")});
  h.Step();
  int log_rows = 0;
  APIUM_ASSERT_OK(
      h.store().Scan("L", "M", [&](std::string_view, std::string_view) {
        ++log_rows;
        return true;
      }));
  EXPECT_EQ(log_rows, 2);
  h.List(2);
  EXPECT_EQ(h.Step(), "reply 2: [d b a]\n");
}

TEST(ResultCoreTest, WritesComeAsSortedRunsOfOneKind) {
  CoreHarness h;
  Record(&h, {Outcome("old1"), Outcome("old2")});
  h.Hello(1, "s1");
  h.Forget(2, "old2");
  h.Publish(1, 3, {Outcome("c"), Outcome("a"), Outcome("b")});
  h.Forget(3, "old1");
  struct Kinds {
    void Put(std::string_view key, std::string_view) {
      text += StrCat("+", key.substr(0, 1));
      keys.push_back(std::string(key));
    }
    void Delete(std::string_view key) { text += StrCat("-", key.substr(0, 1)); }
    void DeleteRange(std::string_view, std::string_view) { text += "range"; }
    std::string text;
    std::vector<std::string> keys;
  } kinds;
  h.on_release = [&](const ResultEffects& effects) {
    effects.writes.ForEach(kinds);
  };
  h.Step();
  EXPECT_EQ(kinds.text, "+O+O+O-O-O+L+N+C");
  EXPECT_LT(kinds.keys[0], kinds.keys[1]);
  EXPECT_LT(kinds.keys[1], kinds.keys[2]);
}

TEST(ResultCoreTest, CrashLosesOnlyWhatWasNotConfirmed) {
  CoreHarness h;
  h.Hello(1, "s1");
  h.Publish(1, 1, {Outcome("a")});
  h.Step();
  h.Publish(1, 2, {Outcome("b")});
  h.StepAndCrash(0);
  h.Hello(1, "s1");
  h.Get(2, "a");
  h.Get(3, "b");
  EXPECT_EQ(h.Step(),
            "confirm 1: 1 (1 done)\n"
            "reply 2: a SUCCEEDED\n"
            "reply 3: NOT_FOUND / RESULT_NOT_FOUND\n");
  // The broker publishes it again, and this time it survives unsynced.
  h.Publish(1, 2, {Outcome("b")});
  h.StepAndCrash(1);
  h.Hello(1, "s1");
  h.Publish(1, 2, {Outcome("b")});
  h.List(2);
  EXPECT_EQ(h.Step(), "confirm 1: 2 (2 done)\nreply 2: [b a]\n");
}

// --- Waiting ---

TEST(ResultCoreTest, WaitIsAnsweredWhenTheOutcomeComes) {
  CoreHarness h;
  h.Wait(1, "a");
  h.Wait(2, "a");
  h.Wait(3, "b");
  EXPECT_EQ(h.Step(), "");
  EXPECT_EQ(h.core().waiter_count(), 3u);
  h.Hello(4, "s1");
  h.Publish(4, 1, {Outcome("a")});
  EXPECT_EQ(h.Step(),
            "confirm 4: 1 (2 done)\n"
            "reply 1: a SUCCEEDED\nreply 2: a SUCCEEDED\n");
  EXPECT_EQ(h.core().waiter_count(), 1u);
}

TEST(ResultCoreTest, WaitForWhatIsThereIsAnsweredAtOnce) {
  CoreHarness h;
  Record(&h, {Outcome("a")});
  h.Wait(1, "a", absl::ZeroDuration());
  EXPECT_EQ(h.Step(), "reply 1: a SUCCEEDED\n");
}

TEST(ResultCoreTest, WaitTimesOut) {
  CoreHarness h;
  h.Wait(1, "a", absl::Seconds(2));
  h.Wait(2, "a", absl::Seconds(1));
  h.Wait(3, "a", absl::ZeroDuration());
  EXPECT_EQ(h.Step(), "reply 3: DEADLINE_EXCEEDED / WAIT_TIMEOUT\n");
  EXPECT_EQ(h.core().NextWake(), absl::Seconds(1001));
  h.Advance(absl::Seconds(1));
  EXPECT_EQ(h.Step(), "reply 2: DEADLINE_EXCEEDED / WAIT_TIMEOUT\n");
  h.Advance(absl::Seconds(1));
  EXPECT_EQ(h.Step(), "reply 1: DEADLINE_EXCEEDED / WAIT_TIMEOUT\n");
  EXPECT_EQ(h.core().NextWake(), absl::InfiniteDuration());
}

TEST(ResultCoreTest, OutcomeThatComesAtTheTimeoutCounts) {
  CoreHarness h;
  h.Wait(1, "a", absl::Seconds(1));
  h.Hello(2, "s1");
  h.Step();
  h.Advance(absl::Seconds(1));
  h.Publish(2, 1, {Outcome("a")});
  EXPECT_EQ(h.Step(), "confirm 2: 1 (1 done)\nreply 1: a SUCCEEDED\n");
}

TEST(ResultCoreTest, CancelledWaitIsGone) {
  CoreHarness h;
  h.Wait(1, "a");
  h.Step();
  h.CancelWait(1);
  h.CancelWait(1);
  EXPECT_EQ(h.Step(), "reply 1: CANCELLED\n");
  EXPECT_EQ(h.core().waiter_count(), 0u);
  Record(&h, {Outcome("a")});
  EXPECT_EQ(h.Step(), "");
}

TEST(ResultCoreTest, TooManyWaitersAreRefused) {
  CoreHarness h({.waiters_max = 2});
  h.Wait(1, "a");
  h.Wait(2, "b");
  h.Wait(3, "c");
  EXPECT_EQ(h.Step(), "reply 3: RESOURCE_EXHAUSTED / TOO_MANY_WAITERS\n");
  h.CancelWait(1);
  h.Wait(4, "c");
  EXPECT_EQ(h.Step(), "reply 1: CANCELLED\n");
}

// --- Forgetting and expiry ---

TEST(ResultCoreTest, ForgottenIsGoneForEveryReader) {
  CoreHarness h;
  Record(&h, {Outcome("a"), Outcome("b")});
  h.Forget(1, "a");
  h.Forget(2, "a");
  h.Forget(3, "never");
  h.Get(4, "a");
  EXPECT_EQ(h.Step(),
            "reply 1: OK\n"
            "reply 2: NOT_FOUND / RESULT_NOT_FOUND\n"
            "reply 3: NOT_FOUND / RESULT_NOT_FOUND\n"
            "reply 4: NOT_FOUND / RESULT_NOT_FOUND\n");
  h.Restart();
  h.Get(5, "a");
  h.List(6);
  h.Watch(7, "0");
  EXPECT_EQ(h.StepAll(),
            "reply 5: NOT_FOUND / RESULT_NOT_FOUND\n"
            "reply 6: [b]\n"
            "push 7: []\n"
            "push 7: [b]\n");
}

TEST(ResultCoreTest, ForgetWakesNobody) {
  CoreHarness h;
  Record(&h, {Outcome("a")});
  h.Watch(8, "");
  h.Step();
  h.Forget(1, "a");
  h.Wait(2, "a");
  EXPECT_EQ(h.Step(), "reply 1: OK\n");
  EXPECT_EQ(h.core().waiter_count(), 1u);
}

TEST(ResultCoreTest, ForgottenIdCanBePublishedAnewAndIsListedOnce) {
  CoreHarness h;
  Record(&h, {Outcome("a"), Outcome("b")});
  h.Forget(2, "a");
  h.Step();
  Record(&h, {WithState(Outcome("a"), v1::TASK_STATE_FAILED)});
  h.Get(3, "a");
  h.List(4);
  h.Watch(5, "0");
  EXPECT_EQ(h.StepAll(),
            "reply 3: a FAILED\n"
            "reply 4: [a b]\n"
            "push 5: []\n"
            "push 5: [b a]\n");
}

TEST(ResultCoreTest, PublishedForgottenAndPublishedInOneGroup) {
  CoreHarness h;
  h.Watch(9, "");
  h.Step();
  h.Hello(1, "s1");
  h.Publish(1, 1, {Outcome("a"), Outcome("b")});
  h.Forget(2, "a");
  h.Get(3, "a");
  h.Publish(1, 2, {WithState(Outcome("a"), v1::TASK_STATE_FAILED)});
  h.Get(4, "a");
  EXPECT_EQ(h.Step(),
            "confirm 1: 2 (3 done)\n"
            "reply 2: OK\n"
            "reply 3: NOT_FOUND / RESULT_NOT_FOUND\n"
            "reply 4: a FAILED\n"
            "push 9: [b a]\n");
  h.List(5);
  EXPECT_EQ(h.Step(), "reply 5: [a b]\n");
}

TEST(ResultCoreTest, PublishedAndForgottenInOneGroupLeavesNothing) {
  CoreHarness h;
  h.Hello(1, "s1");
  h.Publish(1, 1, {Outcome("a")});
  h.Forget(2, "a");
  h.Step();
  h.List(3);
  EXPECT_EQ(h.Step(), "reply 3: []\n");
}

TEST(ResultCoreTest, ExpiredIsInvisibleAtOnceToEveryReader) {
  CoreHarness h;
  Record(&h, {WithTtl(Outcome("short"), absl::Seconds(10)), Outcome("long")});
  h.Advance(absl::Seconds(10) - absl::Milliseconds(1));
  h.Get(1, "short");
  EXPECT_EQ(h.Step(), "reply 1: short SUCCEEDED\n");
  h.Advance(absl::Milliseconds(1));
  h.Get(1, "short");
  h.Wait(2, "short", absl::ZeroDuration());
  h.Forget(3, "short");
  h.List(4);
  h.Watch(5, "0");
  EXPECT_EQ(h.StepAll(),
            "reply 1: NOT_FOUND / RESULT_NOT_FOUND\n"
            "reply 2: DEADLINE_EXCEEDED / WAIT_TIMEOUT\n"
            "reply 3: NOT_FOUND / RESULT_NOT_FOUND\n"
            "reply 4: [long]\n"
            "push 5: []\n"
            "push 5: [long]\n");
}

TEST(ResultCoreTest, DefaultTtlIsTheServices) {
  CoreHarness h({.result_ttl = absl::Minutes(5)});
  Record(&h, {Outcome("a")});
  h.Advance(absl::Minutes(5) - absl::Milliseconds(1));
  h.Get(1, "a");
  EXPECT_EQ(h.Step(), "reply 1: a SUCCEEDED\n");
  h.Advance(absl::Milliseconds(1));
  h.Get(1, "a");
  EXPECT_EQ(h.Step(), "reply 1: NOT_FOUND / RESULT_NOT_FOUND\n");
}

TEST(ResultCoreTest, TtlOutOfRangeIsTakenToTheEdge) {
  CoreHarness h;
  Record(&h, {WithTtl(Outcome("short"), -absl::Seconds(5)),
              WithTtl(Outcome("long"), absl::Hours(24 * 365 * 100))});
  h.Get(1, "short");
  EXPECT_EQ(h.Step(), "reply 1: short SUCCEEDED\n");
  h.Advance(absl::Seconds(1));
  h.Get(1, "short");
  h.Get(2, "long");
  EXPECT_EQ(h.Step(),
            "reply 1: NOT_FOUND / RESULT_NOT_FOUND\nreply 2: long SUCCEEDED\n");
  h.Advance(kResultTtlMax);
  h.Get(2, "long");
  EXPECT_EQ(h.Step(), "reply 2: NOT_FOUND / RESULT_NOT_FOUND\n");
}

TEST(ResultCoreTest, ExpiredIdCanBePublishedAnew) {
  for (const bool compacted : {false, true}) {
    CoreHarness h;
    Record(&h, {WithTtl(Outcome("a"), absl::Seconds(10)), Outcome("b")});
    h.Advance(absl::Seconds(10));
    if (compacted) {
      h.Compact();
    }
    Record(&h, {WithState(Outcome("a"), v1::TASK_STATE_FAILED)});
    h.Get(2, "a");
    h.List(3);
    EXPECT_EQ(h.Step(), "reply 2: a FAILED\nreply 3: [a b]\n");
  }
}

TEST(ResultCoreTest, ClockThatStepsBackDoesNotBringExpiredBack) {
  CoreHarness h;
  Record(&h, {WithTtl(Outcome("a"), absl::Seconds(10))});
  h.Advance(absl::Seconds(10));
  h.Step();
  h.Advance(-absl::Seconds(5));
  h.Get(1, "a");
  EXPECT_EQ(h.Step(), "reply 1: NOT_FOUND / RESULT_NOT_FOUND\n");
}

TEST(ResultCoreTest, PositionsGoOnWhenAllRowsAreGone) {
  CoreHarness h;
  h.Watch(5, "");
  h.Step();
  Record(&h, {WithTtl(Outcome("a"), absl::Seconds(1))});
  const std::string cursor = h.cursor(5);
  h.EndWatch(5);
  h.Advance(absl::Seconds(2));
  h.Compact();
  h.Restart();
  Record(&h, {Outcome("b")});
  h.Watch(6, cursor);
  EXPECT_EQ(h.StepAll(), "push 6: []\npush 6: [b]\n");
}

// --- Stop ---

TEST(ResultCoreTest, StopEndsAllThatIsOpen) {
  CoreHarness h;
  h.Hello(1, "s1");
  h.Wait(2, "a");
  h.Watch(3, "");
  h.Step();
  EXPECT_EQ(h.Stop(),
            "reply 2: UNAVAILABLE\nend 1: UNAVAILABLE\nend 3: UNAVAILABLE\n");
  EXPECT_EQ(h.core().waiter_count(), 0u);
  EXPECT_EQ(h.core().watcher_count(), 0u);
  EXPECT_EQ(h.core().publisher_count(), 0u);
}

TEST(ResultCoreTest, DamagedRowIsDataLossAndNotAnAnswer) {
  CoreHarness h;
  Record(&h, {Outcome("a")});
  StoreBatch batch;
  batch.Put(OutcomeKey("default", "a"), "short");
  APIUM_ASSERT_OK(h.store().Write(batch));
  ResultEffects effects;
  std::vector<ResultCommand> commands;
  commands.push_back(
      GetResult{.call = CallId{1}, .name_space = "default", .task_id = "a"});
  EXPECT_THAT(h.core().Apply(&commands, {.wall = h.now()}, &effects),
              StatusIs(absl::StatusCode::kDataLoss));
}

TEST(ResultCoreTest, ShardIdsSurviveARestartOnlyWhenTheyPublished) {
  CoreHarness h;
  h.Hello(1, "quiet");
  h.Hello(2, "busy");
  h.Publish(2, 1, {WithQueue(Outcome("a"), "other")});
  h.Step();
  h.Restart();
  h.Hello(3, "quiet");
  h.Hello(4, "busy");
  EXPECT_EQ(h.Step(), "confirm 3: 0 (1 done)\nconfirm 4: 1 (1 done)\n");
}

}  // namespace
}  // namespace apium::results
