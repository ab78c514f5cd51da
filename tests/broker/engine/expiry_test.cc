#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/time/time.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {
namespace {

TEST(ExpiryTest, AWaitingTaskExpires) {
  EngineHarness h;
  h.Submit("a", {.expire_after = absl::Seconds(10)});
  h.Advance(absl::Seconds(10) - absl::Milliseconds(1));
  EXPECT_EQ(h.State("a"), "QUEUED");
  h.Advance(absl::Milliseconds(2));
  EXPECT_EQ(h.State("a"), "EXPIRED");
  EXPECT_EQ(h.Queue(), "ready=0 scheduled=0 leased=0");
  const Outcome outcome = h.OutcomeOf("a");
  EXPECT_EQ(outcome.state, TaskState::kExpired);
  EXPECT_EQ(outcome.attempt, 0u);
  EXPECT_EQ(outcome.start_time, absl::InfinitePast());
  h.Credit("w1", 1);
  EXPECT_EQ(h.Delivered("w1"), "");
}

TEST(ExpiryTest, AScheduledTaskExpiresBeforeItsTime) {
  EngineHarness h;
  h.Submit("a",
           {.delay = absl::Seconds(60), .expire_after = absl::Seconds(10)});
  EXPECT_EQ(h.State("a"), "SCHEDULED");
  h.Advance(absl::Seconds(11));
  EXPECT_EQ(h.State("a"), "EXPIRED");
  EXPECT_EQ(h.Queue(), "ready=0 scheduled=0 leased=0");
  h.Credit("w1", 1);
  h.Advance(absl::Seconds(60));
  EXPECT_EQ(h.Delivered("w1"), "");
  EXPECT_EQ(h.Outbox(), "1: a EXPIRED");
}

TEST(ExpiryTest, ADeliveredTaskDoesNotExpire) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("a", {.expire_after = absl::Seconds(10)});
  EXPECT_EQ(h.Delivered("w1"), "a#1");
  EXPECT_EQ(h.Start("w1", "a"), "");
  h.Advance(absl::Seconds(20));
  EXPECT_EQ(h.State("a"), "STARTED");
  EXPECT_EQ(h.Succeed("w1", "a"), "ack a#1");
  EXPECT_EQ(h.State("a"), "SUCCEEDED");
}

TEST(ExpiryTest, ATaskThatExpiredDuringALongSleepIsNotDelivered) {
  EngineHarness h;
  h.Submit("a", {.expire_after = absl::Seconds(5)});
  h.Jump(absl::Hours(1));
  h.Credit("w1", 1);
  EXPECT_EQ(h.Delivered("w1"), "");
  EXPECT_EQ(h.State("a"), "EXPIRED");
}

TEST(ExpiryTest, ExpiryComesBeforeDispatchInTheSameTurn) {
  EngineHarness h;
  h.Connect("w1");
  h.Submit("a", {.expire_after = absl::Seconds(10)});
  h.driver().set_now(h.now() + absl::Seconds(11));
  h.Credit("w1", 1);
  EXPECT_EQ(h.Delivered("w1"), "");
  EXPECT_EQ(h.State("a"), "EXPIRED");
}

TEST(ExpiryTest, AReturnedTaskExpiresWhenItsExpiryHasPassed) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("a", {.expire_after = absl::Seconds(10)});
  h.Advance(absl::Seconds(11));
  EXPECT_EQ(h.Return("w1", "a"), "ack a#1");
  EXPECT_EQ(h.State("a"), "EXPIRED");
  h.Credit("w1", 1);
  EXPECT_EQ(h.Delivered("w1"), "a#1");
}

TEST(ExpiryTest, ARetryThatCannotStartInTimeExpires) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("a", {.expire_after = absl::Seconds(10)});
  h.Retry("w1", "a", absl::Seconds(15));
  h.Delivered("w1");
  h.Credit("w1", 1);
  h.Advance(absl::Seconds(16));
  EXPECT_EQ(h.Delivered("w1"), "");
  EXPECT_EQ(h.State("a"), "EXPIRED");
  EXPECT_EQ(h.OutcomeOf("a").failures, 1u);
}

TEST(ExpiryTest, SurvivesARestart) {
  EngineHarness h;
  h.Submit("a", {.expire_after = absl::Seconds(10)});
  h.Restart();
  EXPECT_EQ(h.State("a"), "QUEUED");
  h.Advance(absl::Seconds(11));
  EXPECT_EQ(h.State("a"), "EXPIRED");
}

TEST(ExpiryTest, AnExpiryThatPassedWhileTheBrokerWasDownIsKept) {
  EngineHarness h;
  h.Submit("a", {.expire_after = absl::Seconds(10)});
  h.driver().set_now(h.now() + absl::Hours(1));
  h.Restart();
  h.Credit("w1", 1);
  EXPECT_EQ(h.Delivered("w1"), "");
  EXPECT_EQ(h.State("a"), "EXPIRED");
}

TEST(ExpiryTest, AFinishedTaskDoesNotExpireLater) {
  EngineHarness h;
  h.Submit("a", {.expire_after = absl::Seconds(10)});
  h.Cancel("a");
  h.Advance(absl::Seconds(20));
  EXPECT_EQ(h.State("a"), "CANCELLED");
  EXPECT_EQ(h.Outbox(), "1: a CANCELLED");
}

}  // namespace
}  // namespace apium::broker
