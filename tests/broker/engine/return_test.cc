#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/time/time.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {
namespace {

TEST(ReturnTest, KeepsThePlaceInTheQueue) {
  EngineHarness h;
  h.Submit("a");
  h.Submit("b");
  h.Credit("w1", 1);
  EXPECT_EQ(h.Delivered("w1"), "a#1");
  EXPECT_EQ(h.Return("w1", "a"), "ack a#1");
  EXPECT_EQ(h.State("a"), "QUEUED");
  h.Credit("w2", 2);
  EXPECT_EQ(h.Delivered("w2"), "a#2 b#1");
}

TEST(ReturnTest, CountsNeitherAsFailureNorAsCrash) {
  EngineHarness h;
  h.Submit("a", {.retry = {.max_attempts = 1, .jitter = 0, .max_crashes = 1}});
  for (int i = 1; i <= 20; ++i) {
    h.Credit("w1", 1);
    EXPECT_EQ(h.Delivered("w1"), "a#" + std::to_string(i));
    h.Return("w1", "a");
    h.Advance(absl::Seconds(10));
    h.Heartbeat("w1");
  }
  const TaskSnapshot task = h.Task("a");
  EXPECT_EQ(task.state, TaskState::kQueued);
  EXPECT_EQ(task.attempt, 20u);
  EXPECT_EQ(task.failures, 0u);
  EXPECT_EQ(task.crashes, 0u);
  EXPECT_EQ(task.returns, 20u);
  EXPECT_EQ(h.Outbox(), "");
}

TEST(ReturnTest, FromTheFourthOnEachWaitsTwiceAsLong) {
  EngineHarness h;
  h.Submit("a");
  for (const int millis :
       {0, 0, 0, 100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000}) {
    h.Credit("w1", 1);
    h.Return("w1", "a");
    const TaskSnapshot task = h.Task("a");
    if (millis == 0) {
      EXPECT_EQ(task.state, TaskState::kQueued);
      continue;
    }
    EXPECT_EQ(task.state, TaskState::kScheduled);
    EXPECT_EQ(task.schedule_time, h.now() + absl::Milliseconds(millis));
    h.Jump(absl::Milliseconds(millis));
    EXPECT_EQ(h.State("a"), "QUEUED");
  }
}

TEST(ReturnTest, AWorkerChoosesItsOwnDelay) {
  EngineHarness h;
  h.Submit("a");
  h.Credit("w1", 2);
  EXPECT_EQ(h.ReturnFor("w1", "a", absl::Minutes(1)), "ack a#1");
  EXPECT_EQ(h.Task("a").schedule_time, h.now() + absl::Minutes(1));
  EXPECT_EQ(h.Task("a").returns, 1u);
  h.Cancel("a");
  h.Submit("b");
  for (int i = 1; i <= 10; ++i) {
    EXPECT_EQ(h.State("b"), "LEASED");
    h.InOneTurn([&] {
      h.ReturnFor("w1", "b", absl::ZeroDuration());
      h.Credit("w1", 1);
    });
  }
  EXPECT_EQ(h.Task("b").returns, 10u);
}

TEST(ReturnTest, ADrainingWorkersReturnsDoNotWait) {
  EngineHarness h;
  h.Submit("a");
  for (int i = 1; i <= 8; ++i) {
    const std::string worker = "w" + std::to_string(i);
    h.Credit(worker, 1);
    EXPECT_EQ(h.Delivered(worker), "a#" + std::to_string(i));
    h.SayDraining(worker);
    h.Return(worker, "a");
    EXPECT_EQ(h.State("a"), "QUEUED");
  }
  EXPECT_EQ(h.Task("a").returns, 8u);
}

TEST(ReturnTest, TooManyEndTheTask) {
  EngineHarness h;
  h.Submit("a", {.retry = {.jitter = 0, .max_returns = 3}});
  h.Credit("w1", 3);
  h.Return("w1", "a");
  h.Return("w1", "a");
  EXPECT_EQ(h.State("a"), "LEASED");
  h.Return("w1", "a");
  EXPECT_EQ(h.State("a"), "FAILED");
  const Outcome outcome = h.OutcomeOf("a");
  EXPECT_EQ(outcome.failure.type, "apium.TooManyReturns");
  EXPECT_EQ(outcome.returns, 3u);
  EXPECT_EQ(outcome.failures, 0u);
  EXPECT_EQ(outcome.attempt, 3u);
}

TEST(ReturnTest, ADeliveryThatNeverArrivedCountsAsOne) {
  EngineHarness h;
  h.Submit("a", {.retry = {.jitter = 0, .max_crashes = 1, .max_returns = 2}});
  h.Credit("w1", 1);
  h.Disconnect("w1");
  EXPECT_EQ(h.ReconnectHolding("w1", {}), "resumed");
  EXPECT_EQ(h.State("a"), "QUEUED");
  EXPECT_EQ(h.Task("a").returns, 1u);
  EXPECT_EQ(h.Task("a").crashes, 0u);
  EXPECT_FALSE(h.Task("a").suspect);
  h.Credit("w1", 1);
  h.Disconnect("w1");
  h.ReconnectHolding("w1", {});
  EXPECT_EQ(h.State("a"), "FAILED");
  EXPECT_EQ(h.OutcomeOf("a").failure.type, "apium.TooManyReturns");
}

TEST(ReturnTest, AWorkerThatOverdrawsItsCreditHasNotCrashed) {
  EngineHarness h({.max_credit = 4});
  h.Submit("a");
  h.Credit("w1", 4);
  h.Credit("w1", 4);
  EXPECT_EQ(h.Told("w1"), "closed INVALID_ARGUMENT/CREDIT_EXCEEDED");
  const TaskSnapshot task = h.Task("a");
  EXPECT_EQ(task.state, TaskState::kQueued);
  EXPECT_EQ(task.crashes, 0u);
  EXPECT_EQ(task.returns, 1u);
  EXPECT_FALSE(task.suspect);
}

// Its clock is ahead: to it the task has expired, to the broker it has not.
TEST(ReturnTest, AWorkerThatHandsBackForEverDoesNotKeepTheBrokerBusy) {
  EngineHarness h;
  h.Submit("a", {.expire_after = absl::Seconds(5)});
  int deliveries = 0;
  h.Credit("w1", 1);
  while (h.State("a") != "EXPIRED") {
    if (!h.Delivered("w1").empty()) {
      ++deliveries;
      h.InOneTurn([&] {
        h.Return("w1", "a");
        h.Credit("w1", 1);
      });
    } else {
      h.Advance(absl::Milliseconds(10));
    }
  }
  EXPECT_LT(deliveries, 10);
}

TEST(ReturnTest, IsDurable) {
  EngineHarness h;
  h.Submit("a");
  h.Submit("b");
  h.Credit("w1", 1);
  h.Return("w1", "a");
  h.Restart();
  const TaskSnapshot task = h.Task("a");
  EXPECT_EQ(task.state, TaskState::kQueued);
  EXPECT_EQ(task.attempt, 1u);
  EXPECT_EQ(task.returns, 1u);
  h.Credit("w2", 2);
  EXPECT_EQ(h.Delivered("w2"), "a#2 b#1");
}

TEST(ReturnTest, SeveralReturnsKeepTheOrderAmongThem) {
  EngineHarness h;
  for (const char* id : {"a", "b", "c", "d"}) h.Submit(id);
  h.Credit("w1", 3);
  h.Delivered("w1");
  h.Return("w1", "c");
  h.Return("w1", "a");
  h.Return("w1", "b");
  h.Credit("w2", 4);
  EXPECT_EQ(h.Delivered("w2"), "a#2 b#2 c#2 d#1");
}

}  // namespace
}  // namespace apium::broker
