#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {
namespace {

TEST(AttemptHistoryTest, ATaskThatRunsOnceHasNone) {
  EngineHarness h;
  h.Submit("a", {.headers = {{"traceparent", "x"}}});
  h.Credit("w1", 1);
  const absl::Time leased = h.now();
  h.Advance(absl::Seconds(2));
  h.Succeed("w1", "a");
  const Outcome outcome = h.OutcomeOf("a");
  EXPECT_TRUE(outcome.history.events.empty());
  EXPECT_EQ(outcome.lease_time, leased);
  EXPECT_EQ(outcome.returns, 0u);
  ASSERT_EQ(outcome.headers.size(), 1u);
  EXPECT_EQ(outcome.headers[0].second, "x");
}

TEST(AttemptHistoryTest, KeepsTheErrorOfEveryAttempt) {
  EngineHarness h;
  h.Submit("a");
  h.Credit("w1", 1);
  const absl::Time first = h.now();
  h.Fail("w1", "a", {.type = "Boom", .message = "it broke"});
  h.Advance(absl::Seconds(1));
  h.Credit("w2", 1);
  h.Advance(absl::Seconds(1));
  h.Fail("w2", "a", {.type = "Bang"});
  const TaskSnapshot task = h.Task("a");
  ASSERT_EQ(h.Events("a"), "RETRIED#1 RETRIED#2");
  const TaskEvent& event = task.history.events[0];
  EXPECT_EQ(event.time, first);
  EXPECT_EQ(event.lease_time, first);
  EXPECT_EQ(event.start_time, first);
  EXPECT_EQ(event.worker_id, "w1");
  EXPECT_EQ(event.state, TaskState::kScheduled);
  ASSERT_NE(event.failure, nullptr);
  EXPECT_EQ(event.failure->type, "Boom");
  EXPECT_EQ(event.failure->message, "it broke");
  EXPECT_EQ(task.history.events[1].worker_id, "w2");
  EXPECT_EQ(task.history.events[1].lease_time, first + absl::Seconds(1));
  h.Restart();
  EXPECT_EQ(h.Task("a").history.events[1].lease_time, first + absl::Seconds(1));
  EXPECT_EQ(task.history.events[1].failure->type, "Bang");
}

TEST(AttemptHistoryTest, TellsOfCrashesReturnsAndCancels) {
  EngineHarness h;
  h.Submit("a");
  h.Credit("w1", 1);
  h.Return("w1", "a");
  h.Credit("w1", 1);
  h.Lose("w1");
  h.Credit("w2", 1);
  h.Crash("w2", "a", "killed by signal 11");
  h.Credit("w2", 1);
  h.Cancel("a", "enough");
  EXPECT_EQ(h.Events("a"), "RETURNED#1 CRASHED#2 CRASHED#3 CANCEL_REQUESTED#4");
  const TaskHistory history = h.Task("a").history;
  EXPECT_EQ(history.events[0].detail, "not now");
  EXPECT_EQ(history.events[0].state, TaskState::kQueued);
  EXPECT_EQ(history.events[1].failure, nullptr);
  EXPECT_EQ(history.events[1].worker_id, "w1");
  EXPECT_EQ(history.events[2].failure->message, "killed by signal 11");
  EXPECT_EQ(history.events[3].detail, "enough");
  EXPECT_EQ(history.events[3].state, TaskState::kLeased);
  h.ObeyCancel("w2", "a");
  EXPECT_EQ(h.Events("a"), "RETURNED#1 CRASHED#2 CRASHED#3 CANCEL_REQUESTED#4");
}

TEST(AttemptHistoryTest, TheLastEventSaysHowTheTaskEnded) {
  EngineHarness h;
  h.Submit("a", {.retry = {.jitter = 0, .max_crashes = 1}});
  h.Credit("w1", 1);
  h.Lose("w1");
  EXPECT_EQ(h.Events("a"), "CRASHED#1");
  EXPECT_EQ(h.OutcomeOf("a").history.events[0].state, TaskState::kFailed);
}

TEST(AttemptHistoryTest, SurvivesARestart) {
  EngineHarness h;
  h.Submit("a");
  h.Credit("w1", 1);
  h.Fail("w1", "a");
  h.Restart();
  EXPECT_EQ(h.Events("a"), "RETRIED#1");
  h.Advance(absl::Seconds(1));
  h.Credit("w2", 1);
  const absl::Time leased = h.now();
  h.Advance(absl::Seconds(1));
  h.Restart();
  h.Reconnect("w2");
  // The journal knows since when.
  EXPECT_EQ(h.Task("a").lease_time, leased);
  h.Succeed("w2", "a");
  EXPECT_EQ(h.OutcomeOf("a").lease_time, leased);
  EXPECT_EQ(h.Events("a"), "RETRIED#1");
}

TEST(AttemptHistoryTest, IsBounded) {
  EngineHarness h;
  h.Submit("a", {.retry = {.max_attempts = 1000,
                           .initial_delay = absl::ZeroDuration(),
                           .jitter = 0}});
  h.Credit("w1", 100);
  for (int i = 1; i <= 70; ++i) {
    h.Fail("w1", "a", {.type = absl::StrCat("E", i)});
  }
  const TaskHistory history = h.Task("a").history;
  ASSERT_EQ(history.events.size(), 64u);
  EXPECT_EQ(history.dropped, 6u);
  EXPECT_EQ(history.events.front().failure->type, "E7");
  EXPECT_EQ(history.events.back().failure->type, "E70");
}

}  // namespace
}  // namespace apium::broker
