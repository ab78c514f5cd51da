#include "worker/session_core.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error_reason.h"
#include "tests/support/status_matchers.h"
#include "tests/worker/session_harness.h"
#include "worker/task_error.h"

namespace apium {
namespace {

using ::testing::HasSubstr;

const absl::Status kBroken = absl::UnavailableError("connection lost");

TEST(SessionCoreTest, GrantsItsSlotsAsCredit) {
  SessionHarness h(3);
  EXPECT_EQ(h.Report(), "") << "nothing may be said before the Welcome";
  APIUM_ASSERT_OK(h.Welcome("s1"));
  EXPECT_EQ(h.Report(), "credit=3");
  EXPECT_EQ(h.Report(), "");
}

TEST(SessionCoreTest, ReportsAnOutcomeWithTheCreditOfItsSlot) {
  SessionHarness h(2);
  APIUM_ASSERT_OK(h.Welcome("s1"));
  h.Report();
  APIUM_ASSERT_OK(h.Deliver({1, 2}));
  EXPECT_EQ(h.Effects(), "run 1,2");
  EXPECT_EQ(h.Report(), "") << "both slots are busy";
  h.Finish(2);
  EXPECT_EQ(h.Report(), "outcomes=2 credit=1");
  EXPECT_EQ(h.Report(), "") << "an outcome is said once";
  EXPECT_EQ(h.core().held(), 2u) << "and kept until it is acknowledged";
  APIUM_ASSERT_OK(h.Acknowledge({2}));
  EXPECT_EQ(h.core().held(), 1u);
}

TEST(SessionCoreTest, PutsEverythingThatHappenedIntoOneReport) {
  SessionHarness h(4);
  APIUM_ASSERT_OK(h.Welcome("s1"));
  h.Report();
  APIUM_ASSERT_OK(h.Deliver({1, 2, 3, 4}));
  h.Start(1);
  h.Start(2);
  h.SetProgress(1, 0.5);
  h.SetProgress(1, 0.75);
  h.FinishTogether({2, 3});
  h.Advance(kReportDelay);
  EXPECT_EQ(h.Report(), "started=1 progress=1:0.75 outcomes=2,3 credit=2");
}

TEST(SessionCoreTest, SaysNothingOfTheStartOfAShortTask) {
  SessionHarness h(1);
  APIUM_ASSERT_OK(h.Welcome("s1"));
  h.Report();
  APIUM_ASSERT_OK(h.Deliver({1}));
  h.Start(1);
  EXPECT_EQ(h.Report(), "") << "the start waits for company";
  h.Finish(1);
  h.Advance(kReportDelay);
  EXPECT_EQ(h.Report(), "outcomes=1 credit=1");
}

TEST(SessionCoreTest, SaysTheStartOfATaskThatWaitedForASlot) {
  SessionHarness h(2);
  APIUM_ASSERT_OK(h.Welcome("s1"));
  h.Report();
  APIUM_ASSERT_OK(h.Deliver({1}));
  for (int i = 0; i < 5; ++i) {
    h.Advance(kReportDelay);
    EXPECT_EQ(h.Report(), "");
  }
  h.Start(1);
  h.Advance(kReportDelay);
  EXPECT_EQ(h.Report(), "started=1");
  h.Advance(kReportDelay);
  EXPECT_EQ(h.Report(), "");
}

TEST(SessionCoreTest, SendsAHeartbeatWhenThereIsNothingElse) {
  SessionHarness h(2);
  APIUM_ASSERT_OK(h.Welcome("s1"));
  h.Report();
  APIUM_ASSERT_OK(h.Deliver({1}));
  EXPECT_EQ(h.Report(), "");
  h.Advance(absl::Milliseconds(9999));
  EXPECT_EQ(h.Report(), "");
  h.Advance(absl::Milliseconds(1));
  EXPECT_EQ(h.Report(), "busy=1");
  EXPECT_EQ(h.Report(), "");
  h.Advance(absl::Seconds(10));
  EXPECT_EQ(h.Report(), "busy=1");
}

TEST(SessionCoreTest, AnyReportPutsTheHeartbeatOff) {
  SessionHarness h(2);
  APIUM_ASSERT_OK(h.Welcome("s1"));
  h.Report();
  APIUM_ASSERT_OK(h.Deliver({1}));
  h.Advance(absl::Seconds(8));
  h.Finish(1);
  EXPECT_EQ(h.Report(), "outcomes=1 credit=1");
  h.Advance(absl::Seconds(8));
  EXPECT_EQ(h.Report(), "");
  EXPECT_EQ(h.core().NextTimer(), h.now() + absl::Seconds(2));
}

TEST(SessionCoreTest, AsksForNoTimerWhileItIsNotConnected) {
  SessionHarness h(2);
  EXPECT_EQ(h.core().NextTimer(), absl::InfiniteDuration());
  APIUM_ASSERT_OK(h.Welcome("s1"));
  h.CloseStream(kBroken);
  EXPECT_EQ(h.core().NextTimer(), absl::InfiniteDuration());
}

TEST(SessionCoreTest, ResumesWithEverythingThatItHolds) {
  SessionHarness h(3);
  EXPECT_EQ(h.Hello(), " session=");
  APIUM_ASSERT_OK(h.Welcome("s1"));
  h.Report();
  APIUM_ASSERT_OK(h.Deliver({1, 2, 3}));
  h.Start(1);
  h.Finish(2);
  EXPECT_EQ(h.Report(), "outcomes=2 credit=1");
  h.CloseStream(kBroken);
  h.Finish(3);
  EXPECT_EQ(h.Hello(), "1,2,3 session=s1");
  EXPECT_EQ(h.Report(), "");
  APIUM_ASSERT_OK(h.Welcome("s1", /*resumed=*/true));
  EXPECT_EQ(h.Report(), "outcomes=2,3 credit=2")
      << "unacknowledged outcomes are said again, with credit from zero";
  h.Advance(kReportDelay);
  EXPECT_EQ(h.Report(), "started=1") << "the start may not have arrived";
}

TEST(SessionCoreTest, StopsWhatTheBrokerCallsLost) {
  SessionHarness h(3);
  APIUM_ASSERT_OK(h.Welcome("s1"));
  h.Report();
  APIUM_ASSERT_OK(h.Deliver({1, 2, 3}));
  h.Finish(2);
  h.Effects();
  h.CloseStream(kBroken);
  APIUM_ASSERT_OK(h.Welcome("s1", /*resumed=*/true, /*lost=*/{1, 2}));
  EXPECT_EQ(h.Effects(), "cancel 1 (lost)");
  EXPECT_EQ(h.Report(), "credit=1") << "the lost outcome is dropped";
  h.Finish(1);
  EXPECT_EQ(h.Report(), "credit=1")
      << "its slot is free, its outcome is not said";
  EXPECT_EQ(h.core().held(), 1u);
}

TEST(SessionCoreTest, StopsEverythingWhenTheSessionIsNotResumed) {
  SessionHarness h(2);
  APIUM_ASSERT_OK(h.Welcome("s1"));
  h.Report();
  APIUM_ASSERT_OK(h.Deliver({1, 2}));
  h.Finish(2);
  h.Effects();
  h.CloseStream(kBroken);
  APIUM_ASSERT_OK(h.Welcome("s2"));
  EXPECT_EQ(h.Effects(), "cancel 1 (lost)");
  EXPECT_EQ(h.core().held(), 0u);
  EXPECT_EQ(h.core().session_id(), "s2");
}

TEST(SessionCoreTest, StartsAfreshWhenAnotherStreamTookTheSession) {
  SessionHarness h(2);
  APIUM_ASSERT_OK(h.Welcome("s1"));
  h.Report();
  APIUM_ASSERT_OK(h.Deliver({1}));
  h.Effects();
  h.CloseStream(WithReason(absl::FailedPreconditionError("replaced"),
                           "SESSION_REPLACED"));
  EXPECT_EQ(h.Effects(), "cancel 1 (lost)");
  EXPECT_EQ(h.Hello(), " session=");
}

TEST(SessionCoreTest, StartsAfreshWhenItsHelloIsRefused) {
  SessionHarness h(2);
  APIUM_ASSERT_OK(h.Welcome("s1"));
  h.CloseStream(kBroken);
  EXPECT_EQ(h.Hello(), " session=s1");
  h.CloseStream(absl::InvalidArgumentError("malformed session_id"));
  EXPECT_EQ(h.Hello(), " session=");
}

TEST(SessionCoreTest, DropsARefusedOutcome) {
  SessionHarness h(1);
  APIUM_ASSERT_OK(h.Welcome("s1"));
  h.Report();
  APIUM_ASSERT_OK(h.Deliver({1}));
  h.Finish(1);
  h.Report();
  APIUM_ASSERT_OK(h.Refuse(1, absl::StatusCode::kFailedPrecondition));
  EXPECT_EQ(h.core().held(), 0u);
  EXPECT_EQ(h.Report(), "");
}

TEST(SessionCoreTest, StopsATaskWhoseReportWasRefused) {
  SessionHarness h(1);
  APIUM_ASSERT_OK(h.Welcome("s1"));
  h.Report();
  APIUM_ASSERT_OK(h.Deliver({1}));
  h.Effects();
  APIUM_ASSERT_OK(h.Refuse(1, absl::StatusCode::kFailedPrecondition));
  EXPECT_EQ(h.Effects(), "cancel 1 (lost)");
}

TEST(SessionCoreTest, FailsATaskWhoseOutcomeTheBrokerCannotTake) {
  SessionHarness h(1);
  APIUM_ASSERT_OK(h.Welcome("s1"));
  h.Report();
  APIUM_ASSERT_OK(h.Deliver({1}));
  h.Finish(1);
  h.Report();
  APIUM_ASSERT_OK(h.Refuse(1, absl::StatusCode::kInvalidArgument));
  ASSERT_TRUE(h.BeginReport());
  ASSERT_EQ(h.report().outcomes_size(), 1);
  const v1::ExecutionOutcome& outcome = h.report().outcomes(0);
  EXPECT_EQ(outcome.lease().task_id(), "t1");
  EXPECT_EQ(outcome.failure().type(), failure_type::kBadResult);
  EXPECT_TRUE(outcome.failure().non_retryable());
  h.ReportWritten();
  APIUM_ASSERT_OK(h.Refuse(1, absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(h.core().held(), 0u) << "once is enough";
}

TEST(SessionCoreTest, TellsARunningTaskToStopWhenItsTaskIsCancelled) {
  SessionHarness h(2);
  APIUM_ASSERT_OK(h.Welcome("s1"));
  h.Report();
  APIUM_ASSERT_OK(h.Deliver({1, 2}));
  h.Finish(2);
  h.Effects();
  APIUM_ASSERT_OK(h.Cancel(1, "user"));
  APIUM_ASSERT_OK(h.Cancel(2, "too late"));
  APIUM_ASSERT_OK(h.Cancel(77, "unknown"));
  EXPECT_EQ(h.Effects(), "cancel 1 (requested)");
}

TEST(SessionCoreTest, CancelsAtTheSoftTimeLimitOnce) {
  SessionHarness h(2);
  APIUM_ASSERT_OK(h.Welcome("s1"));
  h.Report();
  APIUM_ASSERT_OK(h.Deliver({1}, absl::Seconds(5)));
  APIUM_ASSERT_OK(h.Deliver({2}, absl::Seconds(3)));
  h.Advance(absl::Seconds(60));
  h.Effects();
  h.Start(1);
  h.Start(2);
  h.Advance(kReportDelay);
  h.Finish(2);
  h.Advance(absl::Seconds(5) - kReportDelay - absl::Nanoseconds(1));
  EXPECT_EQ(h.Effects(), "") << "the limit counts from the start";
  h.Advance(absl::Nanoseconds(1));
  EXPECT_EQ(h.Effects(), "cancel 1 (limit)");
  h.CloseStream(kBroken);
  APIUM_ASSERT_OK(h.Welcome("s1", /*resumed=*/true));
  h.Advance(absl::Seconds(60));
  EXPECT_EQ(h.Effects(), "");
}

TEST(SessionCoreTest, TakesNothingMoreWhenItDrains) {
  SessionHarness h(2);
  APIUM_ASSERT_OK(h.Welcome("s1"));
  h.Report();
  APIUM_ASSERT_OK(h.Deliver({1}));
  h.core().Drain(h.effects());
  h.CarryOut();
  EXPECT_EQ(h.Report(), "draining");
  EXPECT_EQ(h.Report(), "");
  h.Effects();
  APIUM_ASSERT_OK(h.Deliver({2}));
  EXPECT_EQ(h.Effects(), "") << "it was on its way: handed back";
  ASSERT_TRUE(h.BeginReport());
  EXPECT_EQ(h.report().outcomes(0).returned().reason(), "draining");
  EXPECT_EQ(SessionHarness::Describe(h.report()), "outcomes=2");
  h.ReportWritten();
  h.Finish(1);
  EXPECT_EQ(h.Report(), "outcomes=1");
  h.CloseStream(kBroken);
  APIUM_ASSERT_OK(h.Welcome("s1", /*resumed=*/true));
  EXPECT_EQ(h.Report(), "outcomes=1,2 draining")
      << "every stream is told, and nothing is granted";
}

TEST(SessionCoreTest, HandsBackWhatStillRuns) {
  SessionHarness h(2);
  APIUM_ASSERT_OK(h.Welcome("s1"));
  h.Report();
  APIUM_ASSERT_OK(h.Deliver({1, 2}));
  h.Finish(2);
  h.core().Drain(h.effects());
  h.core().ReturnAll("draining");
  ASSERT_TRUE(h.BeginReport());
  EXPECT_EQ(SessionHarness::Describe(h.report()), "outcomes=2,1 draining");
  EXPECT_TRUE(h.report().outcomes(0).has_result());
  EXPECT_EQ(h.report().outcomes(1).returned().reason(), "draining");
  EXPECT_EQ(h.report().outcomes(1).lease().task_id(), "t1");
  h.ReportWritten();
  h.Finish(1);
  EXPECT_EQ(h.Report(), "") << "what the pool finishes late is dropped";
  APIUM_ASSERT_OK(h.Acknowledge({1, 2}));
  EXPECT_EQ(h.core().held(), 0u);
  EXPECT_EQ(h.ledger().held(0), 0u);
}

TEST(SessionCoreTest, AnswersControlCommands) {
  SessionHarness h(1);
  APIUM_ASSERT_OK(h.Welcome("s1"));
  h.Report();
  APIUM_ASSERT_OK(h.Push([](v1::BrokerPush* push) {
    v1::ControlCommand* ping = push->add_controls();
    ping->set_control_id(4);
    ping->mutable_ping();
    v1::ControlCommand* drain = push->add_controls();
    drain->set_control_id(5);
    drain->mutable_drain();
    push->add_controls()->set_control_id(6);
  }));
  EXPECT_EQ(h.Effects(), "drain");
  EXPECT_EQ(h.Report(), "reply=4 reply=5 reply=6(error)");
}

TEST(SessionCoreTest, NeverExceedsTheBrokersBound) {
  SessionHarness h(10);
  APIUM_ASSERT_OK(h.Welcome("s1", false, {}, [](v1::Welcome* welcome) {
    welcome->set_max_credit(4);
  }));
  EXPECT_EQ(h.Report(), "credit=4");
  APIUM_ASSERT_OK(h.Deliver({1, 2, 3}));
  EXPECT_EQ(h.Report(), "") << "three run and one may come";
  h.Finish(1);
  EXPECT_EQ(h.Report(), "outcomes=1 credit=1");
}

TEST(SessionCoreTest, ABrokerThatDoesNotAcknowledgeGetsNoMoreCredit) {
  SessionHarness h(2);
  APIUM_ASSERT_OK(h.Welcome("s1"));
  h.Report();
  uint64_t delivered = 0;
  for (int i = 0; i < 100; ++i) {
    while (h.core().credit() > 0) APIUM_ASSERT_OK(h.Deliver({++delivered}));
    while (!h.pool().empty()) h.Finish(h.pool().begin()->first);
    h.Report();
  }
  EXPECT_EQ(h.core().held(), 4u) << "twice the capacity";
  APIUM_ASSERT_OK(h.Acknowledge({1, 2}));
  EXPECT_EQ(h.Report(), "credit=2");
}

TEST(SessionCoreTest, ReportsStayBelowTheirSize) {
  SessionHarness h(40);
  APIUM_ASSERT_OK(h.Welcome("s1"));
  h.Report();
  std::vector<uint64_t> epochs;
  for (uint64_t epoch = 1; epoch <= 40; ++epoch) epochs.push_back(epoch);
  APIUM_ASSERT_OK(h.Deliver(epochs));
  for (uint64_t epoch : epochs) h.Finish(epoch, 300 * 1024);
  int outcomes = 0;
  int reports = 0;
  while (h.BeginReport()) {
    EXPECT_LE(h.report().ByteSizeLong(), kReportBytesMax);
    outcomes += h.report().outcomes_size();
    ++reports;
    h.ReportWritten();
  }
  EXPECT_EQ(outcomes, 40);
  EXPECT_EQ(reports, 7);
}

TEST(SessionCoreTest, AnOutcomeLargerThanAReportTravelsAlone) {
  SessionHarness h(3);
  APIUM_ASSERT_OK(h.Welcome("s1"));
  h.Report();
  APIUM_ASSERT_OK(h.Deliver({1, 2, 3}));
  h.Finish(1);
  h.Finish(2, 2 * kReportBytesMax);
  h.Finish(3);
  EXPECT_EQ(h.Report(), "outcomes=1 credit=3");
  EXPECT_EQ(h.Report(), "outcomes=2");
  EXPECT_EQ(h.Report(), "outcomes=3");
}

TEST(SessionCoreTest, AnAcknowledgementMayOvertakeTheEndOfTheWrite) {
  SessionHarness h(1);
  APIUM_ASSERT_OK(h.Welcome("s1"));
  h.Report();
  APIUM_ASSERT_OK(h.Deliver({1}));
  h.Finish(1);
  ASSERT_TRUE(h.BeginReport());
  APIUM_ASSERT_OK(h.Acknowledge({1}));
  EXPECT_EQ(h.core().held(), 0u);
  EXPECT_EQ(h.report().outcomes(0).result().data(), "rr")
      << "what is being written lives on";
  h.ReportWritten();
  EXPECT_EQ(h.Report(), "");
}

TEST(SessionCoreTest, HandsBackADeliveryBeyondItsCredit) {
  SessionHarness h(1);
  APIUM_ASSERT_OK(h.Welcome("s1"));
  h.Report();
  APIUM_ASSERT_OK(h.Deliver({1, 2}));
  EXPECT_EQ(h.Effects(), "run 1");
  ASSERT_TRUE(h.BeginReport());
  EXPECT_EQ(h.report().outcomes(0).lease().epoch(), 2u);
  EXPECT_THAT(h.report().outcomes(0).returned().reason(),
              HasSubstr("beyond the credit"));
  h.ReportWritten();
}

TEST(SessionCoreTest, GarbageFromTheBrokerEndsTheStream) {
  const auto violation = StatusIs(absl::StatusCode::kInvalidArgument,
                                  HasSubstr("broke the protocol"));
  SessionHarness h(4);
  EXPECT_THAT(h.Deliver({1}), violation) << "no Welcome yet";
  EXPECT_THAT(h.Respond(std::make_shared<v1::WorkResponse>()), violation);
  EXPECT_THAT(h.Welcome(""), violation);
  EXPECT_THAT(
      h.Welcome("s1", false, {},
                [](v1::Welcome* welcome) { welcome->set_max_credit(0); }),
      violation);
  APIUM_ASSERT_OK(h.Welcome("s1"));
  h.Report();
  EXPECT_THAT(h.Welcome("s1"), violation) << "twice";
  APIUM_ASSERT_OK(h.Deliver({1}));
  EXPECT_THAT(h.Deliver({1}), violation) << "the same epoch twice";
  EXPECT_THAT(h.Acknowledge({1}), violation) << "it still runs";
  EXPECT_THAT(h.Deliver({0}), violation) << "no epoch";
  EXPECT_THAT(h.Push([](v1::BrokerPush* push) {
    push->add_deliveries()->mutable_lease()->set_epoch(9);
  }),
              violation)
      << "no task";
  APIUM_EXPECT_OK(h.Acknowledge({55})) << "may come twice, so it is no error";
  EXPECT_EQ(h.core().held(), 1u);
}

TEST(SessionCoreTest, AnIdleBrokerLeavesSlotsToABusyOne) {
  SessionHarness h(8, 2);
  APIUM_ASSERT_OK(h.Welcome("s1"));
  EXPECT_EQ(h.Report(), "credit=2") << "its share";
  APIUM_ASSERT_OK(h.Deliver({1, 2}));
  EXPECT_EQ(h.Report(), "credit=2") << "busy: more than its share";
  APIUM_ASSERT_OK(h.Deliver({3, 4}));
  EXPECT_EQ(h.Report(), "credit=2");
  APIUM_ASSERT_OK(h.Deliver({5, 6}));
  EXPECT_EQ(h.Report(), "") << "the rest is reserved for the other";
  EXPECT_EQ(h.ledger().Take(1, 100), 2u);
}

}  // namespace
}  // namespace apium
