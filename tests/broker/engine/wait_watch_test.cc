#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {
namespace {

TEST(WaitTest, IsAnsweredWhenTheTaskEnds) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("a");
  const int wait = h.Wait("a");
  h.Start("w1", "a");
  EXPECT_EQ(h.Answers(wait), "");
  h.Succeed("w1", "a");
  EXPECT_EQ(h.Answers(wait), "SUCCEEDED");
  h.Advance(absl::Hours(1));
  EXPECT_EQ(h.Answers(wait), "");
}

TEST(WaitTest, IsAnsweredAtOnceForAFinishedTask) {
  EngineHarness h;
  h.Submit("a");
  h.Cancel("a");
  const int wait = h.Wait("a");
  EXPECT_EQ(h.Answers(wait), "CANCELLED");
}

TEST(WaitTest, IsAnsweredAtOnceForATaskThatIsNotKnown) {
  EngineHarness h;
  EXPECT_EQ(h.Answers(h.Wait("nobody")), "UNKNOWN");
}

TEST(WaitTest, EndsAtItsDeadline) {
  EngineHarness h;
  h.Submit("a");
  const int wait = h.Wait("a", absl::Seconds(5));
  h.Advance(absl::Seconds(5) - absl::Milliseconds(1));
  EXPECT_EQ(h.Answers(wait), "");
  h.Advance(absl::Milliseconds(2));
  EXPECT_EQ(h.Answers(wait), "DEADLINE_EXCEEDED/WAIT_TIMEOUT");
  EXPECT_EQ(h.State("a"), "QUEUED");
  h.Cancel("a");
  EXPECT_EQ(h.Answers(wait), "");
}

TEST(WaitTest, ManyMayWaitForOneTask) {
  EngineHarness h;
  h.Submit("a");
  const int first = h.Wait("a");
  const int second = h.Wait("a", absl::Seconds(50));
  h.Cancel("a");
  EXPECT_EQ(h.Answers(first), "CANCELLED");
  EXPECT_EQ(h.Answers(second), "CANCELLED");
}

TEST(WaitTest, AForgottenCallerIsNotAnswered) {
  EngineHarness h;
  h.Submit("a");
  const int forgotten = h.Wait("a");
  const int other = h.Wait("a");
  h.Forget(forgotten);
  EXPECT_EQ(h.Stats().waiters, 1u);
  h.Cancel("a");
  EXPECT_EQ(h.Answers(forgotten), "");
  EXPECT_EQ(h.Answers(other), "CANCELLED");
}

TEST(WaitTest, ARetryIsNotTheEnd) {
  EngineHarness h;
  h.Credit("w1", 2);
  h.Submit("a");
  const int wait = h.Wait("a");
  h.Fail("w1", "a");
  EXPECT_EQ(h.Answers(wait), "");
  h.Advance(absl::Seconds(1));
  h.Fail("w1", "a", {.non_retryable = true});
  EXPECT_EQ(h.Answers(wait), "FAILED");
}

TEST(WaitTest, TheAnswerCarriesTheOutcome) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("a");
  h.Succeed("w1", "a", "42");
  const TaskSnapshot task = h.Task("a");
  ASSERT_NE(task.outcome, nullptr);
  EXPECT_EQ(task.outcome->result.data, "42");
}

TEST(WaitTest, TooManyWaitersAreRefused) {
  EngineHarness h({.max_waiters = 2});
  h.Submit("a");
  const int first = h.Wait("a");
  const int second = h.Watch("a");
  h.Answers(second);
  EXPECT_EQ(h.Answers(h.Wait("a")), "RESOURCE_EXHAUSTED/TOO_MANY_WAITERS");
  EXPECT_EQ(h.Answers(h.Watch("a")), "RESOURCE_EXHAUSTED/TOO_MANY_WAITERS");
  h.Forget(first);
  const int third = h.Wait("a");
  h.Cancel("a");
  EXPECT_EQ(h.Answers(third), "CANCELLED");
  EXPECT_EQ(h.Stats().waiters, 0u);
}

TEST(WatchTest, TellsEachChange) {
  EngineHarness h;
  h.Submit("a", {.delay = absl::Seconds(1)});
  const int watch = h.Watch("a");
  EXPECT_EQ(h.Answers(watch), "SCHEDULED");
  h.Advance(absl::Seconds(1));
  EXPECT_EQ(h.Answers(watch), "QUEUED");
  h.Credit("w1", 1);
  EXPECT_EQ(h.Answers(watch), "LEASED");
  h.Start("w1", "a");
  EXPECT_EQ(h.Answers(watch), "STARTED");
  h.ReportProgress("w1", "a", {.completed = 1});
  EXPECT_EQ(h.Answers(watch), "STARTED");
  h.Cancel("a");
  EXPECT_EQ(h.Answers(watch), "STARTED");
  h.Succeed("w1", "a");
  EXPECT_EQ(h.Answers(watch), "SUCCEEDED");
  EXPECT_EQ(h.Stats().waiters, 0u);
}

TEST(WatchTest, TellsAFinishedTaskOnce) {
  EngineHarness h;
  h.Submit("a");
  h.Cancel("a");
  EXPECT_EQ(h.Answers(h.Watch("a")), "CANCELLED");
  EXPECT_EQ(h.Stats().waiters, 0u);
}

TEST(WatchTest, TellsNothingAfterItIsForgotten) {
  EngineHarness h;
  h.Submit("a");
  const int watch = h.Watch("a");
  EXPECT_EQ(h.Answers(watch), "QUEUED");
  h.Forget(watch);
  h.Cancel("a");
  EXPECT_EQ(h.Answers(watch), "");
}

TEST(WatchTest, TellsAWaitingTaskThatExpires) {
  EngineHarness h;
  h.Submit("a", {.expire_after = absl::Seconds(1)});
  const int watch = h.Watch("a");
  h.Answers(watch);
  h.Advance(absl::Seconds(2));
  EXPECT_EQ(h.Answers(watch), "EXPIRED");
}

TEST(WatchTest, WatchesATaskThatWaitsOnDisk) {
  EngineHarness h({.lane_window_tasks = 2, .timer_window = 2});
  for (int i = 0; i < 20; ++i) h.Submit(absl::StrCat("t", i));
  const int watch = h.Watch("t19");
  const int wait = h.Wait("t19");
  EXPECT_EQ(h.Answers(watch), "QUEUED");
  h.Credit("w1", 20);
  EXPECT_EQ(h.Answers(watch), "LEASED");
  h.Succeed("w1", "t19");
  EXPECT_EQ(h.Answers(watch), "SUCCEEDED");
  EXPECT_EQ(h.Answers(wait), "SUCCEEDED");
}

}  // namespace
}  // namespace apium::broker
