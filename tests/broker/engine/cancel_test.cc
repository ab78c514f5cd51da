#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/time/time.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {
namespace {

TEST(CancelTest, EndsAWaitingTaskAtOnce) {
  EngineHarness h;
  h.Submit("a");
  EXPECT_EQ(h.Cancel("a", "no longer wanted"), "CANCELLED");
  EXPECT_EQ(h.State("a"), "CANCELLED");
  EXPECT_EQ(h.Queue(), "ready=0 scheduled=0 leased=0");
  EXPECT_EQ(h.OutcomeOf("a").failure.message, "no longer wanted");
  h.Credit("w1", 1);
  EXPECT_EQ(h.Delivered("w1"), "");
}

TEST(CancelTest, EndsAScheduledTaskAtOnce) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("a", {.delay = absl::Seconds(10)});
  EXPECT_EQ(h.Cancel("a"), "CANCELLED");
  EXPECT_EQ(h.Queue(), "ready=0 scheduled=0 leased=0");
  h.Advance(absl::Seconds(20));
  EXPECT_EQ(h.Delivered("w1"), "");
  EXPECT_EQ(h.Outbox(), "1: a CANCELLED");
}

TEST(CancelTest, EndsATaskThatWaitsForItsRetry) {
  EngineHarness h;
  h.Credit("w1", 2);
  h.Submit("a");
  h.Fail("w1", "a");
  EXPECT_EQ(h.Cancel("a"), "CANCELLED");
  h.Delivered("w1");
  h.Advance(absl::Seconds(10));
  EXPECT_EQ(h.Delivered("w1"), "");
  EXPECT_EQ(h.OutcomeOf("a").failures, 1u);
}

TEST(CancelTest, TellsTheWorkerOfARunningTask) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("a");
  h.Start("w1", "a");
  EXPECT_EQ(h.Cancel("a"), "STARTED");
  EXPECT_TRUE(h.Task("a").cancel_requested);
  EXPECT_EQ(h.Told("w1"), "cancel a#1");
  EXPECT_EQ(h.ObeyCancel("w1", "a"), "ack a#1");
  EXPECT_EQ(h.State("a"), "CANCELLED");
  EXPECT_EQ(h.Outbox(), "1: a CANCELLED");
}

TEST(CancelTest, ASecondRequestIsAnsweredTheSame) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("a");
  EXPECT_EQ(h.Cancel("a"), "LEASED");
  EXPECT_EQ(h.Cancel("a"), "LEASED");
  h.Told("w1");
  h.ObeyCancel("w1", "a");
  EXPECT_EQ(h.Cancel("a"), "CANCELLED");
  EXPECT_EQ(h.Outbox(), "1: a CANCELLED");
}

TEST(CancelTest, LeavesAFinishedTaskAsItIs) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("a");
  h.Succeed("w1", "a");
  EXPECT_EQ(h.Cancel("a"), "SUCCEEDED");
  EXPECT_EQ(h.Outbox(), "1: a SUCCEEDED");
}

TEST(CancelTest, ATaskThatSucceedsAnywayHasSucceeded) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("a");
  h.Cancel("a");
  EXPECT_EQ(h.Told("w1"), "cancel a#1");
  EXPECT_EQ(h.Succeed("w1", "a", "done"), "ack a#1");
  EXPECT_EQ(h.State("a"), "SUCCEEDED");
}

TEST(CancelTest, AFailureAfterTheRequestIsNotRetried) {
  EngineHarness h;
  h.Credit("w1", 2);
  h.Submit("a");
  h.Submit("b");
  h.Cancel("a");
  h.Cancel("b");
  h.Told("w1");
  h.Fail("w1", "a");
  EXPECT_EQ(h.State("a"), "CANCELLED");
  h.Retry("w1", "b", absl::Seconds(1));
  EXPECT_EQ(h.State("b"), "CANCELLED");
}

TEST(CancelTest, AReturnAfterTheRequestEndsTheTask) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("a");
  h.Cancel("a");
  h.Told("w1");
  EXPECT_EQ(h.Return("w1", "a"), "ack a#1");
  EXPECT_EQ(h.State("a"), "CANCELLED");
}

TEST(CancelTest, ALeaseLostAfterTheRequestEndsTheTask) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("a");
  h.Cancel("a");
  h.Disconnect("w1");
  h.Advance(absl::Seconds(15));
  EXPECT_EQ(h.State("a"), "CANCELLED");
  EXPECT_EQ(h.OutcomeOf("a").crashes, 1u);
}

TEST(CancelTest, AnUnrequestedCancelIsAFailure) {
  EngineHarness h;
  h.Credit("w1", 2);
  h.Submit("a");
  h.Submit("once", {.retry = {.max_attempts = 1, .jitter = 0}});
  EXPECT_EQ(h.ObeyCancel("w1", "a"), "ack a#1");
  EXPECT_EQ(h.State("a"), "SCHEDULED");
  EXPECT_EQ(h.Task("a").failures, 1u);
  EXPECT_EQ(h.Task("a").last_failure.type, "apium.NotCancelled");
  h.ObeyCancel("w1", "once");
  EXPECT_EQ(h.State("once"), "FAILED");
  EXPECT_EQ(h.OutcomeOf("once").failure.type, "apium.NotCancelled");
}

TEST(CancelTest, TheRequestSurvivesARestart) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("a");
  h.Cancel("a");
  h.Restart();
  EXPECT_TRUE(h.Task("a").cancel_requested);
  EXPECT_THAT(h.Reconnect("w1"), testing::HasSubstr("resumed"));
  EXPECT_EQ(h.ObeyCancel("w1", "a"), "ack a#1");
  EXPECT_EQ(h.State("a"), "CANCELLED");
}

TEST(CancelTest, AWorkerThatComesBackIsToldAgain) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("a");
  h.Disconnect("w1");
  h.Cancel("a");
  EXPECT_EQ(h.Reconnect("w1"), "resumed, cancel a#1");
}

TEST(CancelTest, ADeliveryThatNeverArrivedEndsOnResume) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("a");
  h.Disconnect("w1");
  h.Cancel("a");
  h.ReconnectHolding("w1", {});
  EXPECT_EQ(h.State("a"), "CANCELLED");
}

TEST(CancelTest, AnUnknownTaskIsUnknown) {
  EngineHarness h;
  EXPECT_EQ(h.Cancel("nobody"), "UNKNOWN");
}

TEST(CancelTest, SubmitAndCancelInOneTurnDeliverNothing) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.InOneTurn([&] {
    h.Submit("a");
    h.Cancel("a");
  });
  EXPECT_EQ(h.Delivered("w1"), "");
  EXPECT_EQ(h.State("a"), "CANCELLED");
}

}  // namespace
}  // namespace apium::broker
