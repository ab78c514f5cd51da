#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/time/time.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {
namespace {

TEST(SessionTest, OpensWithANewNameEachTime) {
  EngineHarness h;
  EXPECT_EQ(h.Connect("w1"), "opened");
  EXPECT_EQ(h.Connect("w2"), "opened");
  EXPECT_EQ(h.Workers(),
            "w1 connected credit=0 leases=0; w2 connected credit=0 leases=0");
}

TEST(SessionTest, IsRefusedForAQueueThatDoesNotExist) {
  EngineHarness h;
  EXPECT_EQ(h.Connect("w1", {.queues = {"default", "nowhere"}}),
            "closed NOT_FOUND/QUEUE_NOT_FOUND");
  EXPECT_EQ(h.Workers(), "");
}

TEST(SessionTest, IsRefusedForANamespaceThatDoesNotExist) {
  EngineHarness h;
  EXPECT_EQ(h.Connect("w1", {.namespace_name = "nowhere"}),
            "closed NOT_FOUND/NAMESPACE_NOT_FOUND");
}

TEST(SessionTest, ABrokenStreamKeepsItsLeasesForTheGracePeriod) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("a");
  h.Disconnect("w1");
  EXPECT_EQ(h.State("a"), "LEASED");
  h.Advance(absl::Seconds(15) - absl::Milliseconds(1));
  EXPECT_EQ(h.State("a"), "LEASED");
  h.Advance(absl::Milliseconds(1));
  EXPECT_EQ(h.State("a"), "QUEUED");
  EXPECT_EQ(h.Task("a").crashes, 1u);
}

TEST(SessionTest, ABrokenStreamGetsNoDeliveries) {
  EngineHarness h;
  h.Credit("w1", 5);
  h.Disconnect("w1");
  h.Submit("a");
  EXPECT_EQ(h.State("a"), "QUEUED");
  EXPECT_EQ(h.Reconnect("w1"), "resumed");
  // Credit is granted anew on each stream.
  EXPECT_EQ(h.Delivered("w1"), "");
  h.Credit("w1", 1);
  EXPECT_EQ(h.Delivered("w1"), "a#1");
}

TEST(SessionTest, AWorkerThatComesBackKeepsItsLeases) {
  EngineHarness h;
  h.Credit("w1", 2);
  h.Submit("a");
  h.Submit("b");
  h.Start("w1", "a");
  h.Disconnect("w1");
  h.Advance(absl::Seconds(14));
  EXPECT_EQ(h.Reconnect("w1"), "resumed");
  h.Advance(absl::Seconds(20));
  EXPECT_EQ(h.State("a"), "STARTED");
  EXPECT_EQ(h.Succeed("w1", "a"), "ack a#1");
  EXPECT_EQ(h.Succeed("w1", "b"), "ack b#1");
}

TEST(SessionTest, AWorkerThatComesBackLateHasLostItsLeases) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("a");
  h.Disconnect("w1");
  h.Advance(absl::Seconds(15));
  EXPECT_EQ(h.Reconnect("w1"), "opened lost a#1");
  EXPECT_EQ(h.State("a"), "QUEUED");
}

TEST(SessionTest, DeliveriesThatNeverArrivedAreReturnedOnResume) {
  EngineHarness h;
  h.Credit("w1", 2);
  h.Submit("a");
  h.Submit("b");
  h.Delivered("w1");
  h.Disconnect("w1");
  EXPECT_EQ(h.ReconnectHolding("w1", {"a"}), "resumed");
  EXPECT_EQ(h.State("a"), "LEASED");
  EXPECT_EQ(h.State("b"), "QUEUED");
  EXPECT_EQ(h.Task("b").crashes, 0u);
  EXPECT_EQ(h.Task("b").failures, 0u);
  h.Credit("w1", 1);
  EXPECT_EQ(h.Delivered("w1"), "b#2");
}

TEST(SessionTest, AWorkerMayBeResumedWithoutADisconnect) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("a");
  // The old stream is half open: only the new one says that it is gone.
  EXPECT_THAT(h.Reconnect("w1"), testing::HasSubstr("resumed"));
  EXPECT_EQ(h.Succeed("w1", "a"), "ack a#1");
}

TEST(SessionTest, AnOldStreamIsToldThatItWasReplaced) {
  EngineHarness h;
  h.Connect("w1");
  EXPECT_THAT(
      h.Reconnect("w1"),
      testing::HasSubstr("closed FAILED_PRECONDITION/SESSION_REPLACED"));
}

TEST(SessionTest, SurvivesARestartOfTheBroker) {
  EngineHarness h;
  h.Credit("w1", 2);
  h.Submit("a");
  h.Submit("b");
  h.Restart();
  EXPECT_EQ(h.State("a"), "LEASED");
  EXPECT_EQ(h.Queue(), "ready=0 scheduled=0 leased=2");
  EXPECT_EQ(h.Reconnect("w1"), "resumed");
  EXPECT_EQ(h.Succeed("w1", "a"), "ack a#1");
  EXPECT_EQ(h.Fail("w1", "b"), "ack b#1");
}

TEST(SessionTest, LeasesAreLostWhenNobodyComesBackAfterARestart) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("a");
  h.Restart();
  h.Advance(absl::Seconds(15) - absl::Milliseconds(1));
  EXPECT_EQ(h.State("a"), "LEASED");
  h.Advance(absl::Milliseconds(1));
  EXPECT_EQ(h.State("a"), "QUEUED");
  EXPECT_EQ(h.Task("a").crashes, 1u);
}

TEST(SessionTest, AResumeAfterARestartReturnsWhatNeverArrived) {
  EngineHarness h;
  h.Credit("w1", 2);
  h.Submit("a");
  h.Submit("b");
  h.Restart();
  EXPECT_EQ(h.ReconnectHolding("w1", {"b"}), "resumed");
  EXPECT_EQ(h.State("a"), "QUEUED");
  EXPECT_EQ(h.State("b"), "LEASED");
  EXPECT_EQ(h.Task("a").crashes, 0u);
}

TEST(SessionTest, AWorkerThatRestartsWithoutItsSessionLosesItsLeasesAtOnce) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("a");
  EXPECT_EQ(h.Delivered("w1"), "a#1");
  h.Disconnect("w1");
  EXPECT_EQ(h.Connect("w1"), "opened");
  EXPECT_EQ(h.State("a"), "QUEUED");
  EXPECT_EQ(h.Task("a").crashes, 1u);
  h.Credit("w1", 1);
  EXPECT_EQ(h.Delivered("w1"), "a#2");
}

TEST(SessionTest, ASilentSessionIsClosed) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("a");
  h.Advance(absl::Seconds(30));
  EXPECT_THAT(h.Told("w1"), testing::StartsWith("closed"));
  EXPECT_EQ(h.Workers(), "");
  // What still comes over the old stream is ignored.
  EXPECT_EQ(h.Succeed("w1", "a"), "");
  EXPECT_EQ(h.State("a"), "QUEUED");
}

TEST(SessionTest, TooMuchCreditClosesTheSession) {
  EngineHarness h({.max_credit = 4});
  h.Credit("w1", 4);
  EXPECT_EQ(h.Told("w1"), "");
  h.Credit("w1", 1);
  EXPECT_THAT(h.Told("w1"), testing::StartsWith("closed INVALID_ARGUMENT"));
  h.Submit("a");
  EXPECT_EQ(h.Delivered("w1"), "");
}

TEST(SessionTest, AnUnknownSessionIsOpenedAnew) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("a");
  EXPECT_EQ(h.Succeed("w1", "a"), "ack a#1");
  h.Disconnect("w1");
  h.Advance(absl::Hours(1));
  EXPECT_EQ(h.Reconnect("w1"), "opened");
}

TEST(SessionTest, AnAcknowledgementThatWasMissedIsToldAsLost) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("a");
  h.Succeed("w1", "a");
  h.Disconnect("w1");
  // The worker did not see the acknowledgement and still holds the lease.
  EXPECT_EQ(h.ReconnectHolding("w1", {"a"}), "resumed lost a#1");
  EXPECT_EQ(h.State("a"), "SUCCEEDED");
}

TEST(SessionTest, ListsWorkersWithWhatTheySaid) {
  EngineHarness h;
  h.Connect("w1", {.types = {"job", "mail"}, .slots = 3});
  h.Credit("w1", 3);
  h.Submit("a");
  EXPECT_EQ(h.Workers(), "w1 connected credit=2 leases=1");
  h.Disconnect("w1");
  EXPECT_THAT(h.Workers(), testing::StartsWith("w1 detached"));
  h.Advance(absl::Seconds(16));
  EXPECT_EQ(h.Workers(), "");
}

}  // namespace
}  // namespace apium::broker
