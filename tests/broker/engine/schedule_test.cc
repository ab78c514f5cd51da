#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/time/time.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {
namespace {

TEST(ScheduleTest, ADelayedTaskWaitsForItsTime) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("a", {.delay = absl::Seconds(10)});
  EXPECT_EQ(h.State("a"), "SCHEDULED");
  EXPECT_EQ(h.Task("a").schedule_time, h.now() + absl::Seconds(10));
  EXPECT_EQ(h.Queue(), "ready=0 scheduled=1 leased=0");
  h.Advance(absl::Seconds(10) - absl::Milliseconds(1));
  EXPECT_EQ(h.Delivered("w1"), "");
  h.Advance(absl::Milliseconds(1));
  EXPECT_EQ(h.Delivered("w1"), "a#1");
}

TEST(ScheduleTest, AnEtaIsKeptInTheSameWay) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("a", {.eta = absl::Seconds(10)});
  EXPECT_EQ(h.State("a"), "SCHEDULED");
  h.Advance(absl::Seconds(9));
  EXPECT_EQ(h.Delivered("w1"), "");
  h.Advance(absl::Seconds(1));
  EXPECT_EQ(h.Delivered("w1"), "a#1");
}

TEST(ScheduleTest, AnEtaInThePastIsReadyAtOnce) {
  EngineHarness h;
  h.Submit("a", {.eta = -absl::Seconds(10)});
  EXPECT_EQ(h.State("a"), "QUEUED");
  h.Credit("w1", 1);
  EXPECT_EQ(h.Delivered("w1"), "a#1");
}

TEST(ScheduleTest, ADelayOfZeroIsReadyAtOnce) {
  EngineHarness h;
  h.Submit("a", {.delay = absl::ZeroDuration()});
  EXPECT_EQ(h.State("a"), "QUEUED");
}

TEST(ScheduleTest, IsNeverEarlyByAFractionOfAMillisecond) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("a", {.eta = absl::Microseconds(1500)});
  h.Jump(absl::Microseconds(1499));
  EXPECT_EQ(h.Delivered("w1"), "");
  h.Advance(absl::Milliseconds(1));
  EXPECT_EQ(h.Delivered("w1"), "a#1");
}

TEST(ScheduleTest, BecomesReadyInTheOrderOfTheTimes) {
  EngineHarness h;
  h.Submit("third", {.delay = absl::Seconds(3)});
  h.Submit("first", {.delay = absl::Seconds(1)});
  h.Submit("second", {.delay = absl::Seconds(2)});
  h.Advance(absl::Seconds(10));
  h.Credit("w1", 3);
  EXPECT_EQ(h.Delivered("w1"), "first#1 second#1 third#1");
}

TEST(ScheduleTest, BecomesReadyInTheOrderOfTheTimesAfterALongSleep) {
  EngineHarness h;
  h.Submit("third", {.delay = absl::Seconds(3)});
  h.Submit("first", {.delay = absl::Seconds(1)});
  h.Submit("second", {.delay = absl::Seconds(2)});
  h.Jump(absl::Seconds(10));
  h.Credit("w1", 3);
  EXPECT_EQ(h.Delivered("w1"), "first#1 second#1 third#1");
}

TEST(ScheduleTest, AsksForATurnWhenTheTimeComes) {
  EngineHarness h;
  h.Submit("a", {.delay = absl::Seconds(10)});
  EXPECT_LE(h.driver().next_turn_time(), h.now() + absl::Seconds(10));
  h.Cancel("a");
  EXPECT_EQ(h.State("a"), "CANCELLED");
}

TEST(ScheduleTest, SurvivesARestart) {
  EngineHarness h;
  h.Submit("a", {.delay = absl::Seconds(10)});
  h.Restart();
  EXPECT_EQ(h.State("a"), "SCHEDULED");
  EXPECT_EQ(h.Queue(), "ready=0 scheduled=1 leased=0");
  h.Credit("w1", 1);
  h.Advance(absl::Seconds(10) - absl::Milliseconds(1));
  EXPECT_EQ(h.Delivered("w1"), "");
  h.Advance(absl::Milliseconds(1));
  EXPECT_EQ(h.Delivered("w1"), "a#1");
}

TEST(ScheduleTest, ATimeThatPassedWhileTheBrokerWasDownIsCaughtUp) {
  EngineHarness h;
  h.Submit("a", {.delay = absl::Seconds(10)});
  h.driver().set_now(h.now() + absl::Hours(1));
  h.Restart();
  h.Credit("w1", 1);
  EXPECT_EQ(h.Delivered("w1"), "a#1");
}

TEST(ScheduleTest, AnEarlierTimeCountsAsTheLast) {
  EngineHarness h;
  h.Submit("a", {.delay = absl::Seconds(10)});
  h.Advance(absl::Seconds(10));
  Effects effects;
  ASSERT_TRUE(
      h.driver().engine().BeginTurn({.now = h.now() - absl::Hours(1)}).ok());
  ASSERT_TRUE(h.driver().engine().EndTurn(&effects).ok());
  EXPECT_EQ(h.State("a"), "QUEUED");
}

TEST(ScheduleTest, AnEtaWaitsForAWallClockThatWasSetBack) {
  EngineHarness h;
  h.Submit("before", {.eta = absl::Seconds(10)});
  h.driver().set_lead(absl::Minutes(1));
  h.Advance(absl::Seconds(10));
  EXPECT_EQ(h.State("before"), "SCHEDULED");
  // Of the wall clock, which is a minute behind h.now().
  h.Submit("after", {.eta = absl::Seconds(-30)});
  EXPECT_EQ(h.State("after"), "SCHEDULED");
  h.Advance(absl::Seconds(30));
  EXPECT_EQ(h.State("after"), "QUEUED");
  EXPECT_EQ(h.State("before"), "SCHEDULED");
  h.Advance(absl::Seconds(30));
  EXPECT_EQ(h.State("before"), "QUEUED");
}

TEST(ScheduleTest, DelaysAndBackOffsGoOnWhenTheWallClockWasSetBack) {
  EngineHarness h;
  h.driver().set_lead(absl::Hours(1));
  h.Submit("delayed", {.type = "other", .delay = absl::Seconds(10)});
  h.Submit("failing",
           {.retry = {.initial_delay = absl::Seconds(5), .jitter = 0}});
  h.Credit("w1", 1);
  h.Fail("w1", "failing");
  EXPECT_EQ(h.State("failing"), "SCHEDULED");
  h.Advance(absl::Seconds(5));
  EXPECT_EQ(h.State("failing"), "QUEUED");
  EXPECT_EQ(h.State("delayed"), "SCHEDULED");
  h.Advance(absl::Seconds(5));
  EXPECT_EQ(h.State("delayed"), "QUEUED");
}

TEST(ScheduleTest, AWaitIsAsLongAsTheWallClockSays) {
  EngineHarness h;
  h.Submit("a");
  h.driver().set_lead(absl::Hours(1));
  // Of the wall clock, as services give it.
  const int wait = h.Wait("a", absl::Seconds(30) - absl::Hours(1));
  EXPECT_EQ(h.Answers(wait), "");
  h.Advance(absl::Seconds(29));
  EXPECT_EQ(h.Answers(wait), "");
  h.Advance(absl::Seconds(1));
  EXPECT_EQ(h.Answers(wait), "DEADLINE_EXCEEDED/WAIT_TIMEOUT");
}

TEST(ScheduleTest, RunNowMeansNowByAClockThatWasSetBack) {
  EngineHarness h;
  h.Submit("a", {.eta = absl::Hours(2)});
  h.driver().set_lead(absl::Hours(1));
  UpdateTaskCommand run_now;
  run_now.run_now = true;
  h.Update("a", run_now);
  EXPECT_EQ(h.State("a"), "QUEUED");
}

TEST(ScheduleTest, AWallClockThatIsSetForwardLosesNoSession) {
  EngineHarness h;
  h.Submit("a");
  h.Credit("w1", 1);
  EXPECT_EQ(h.Delivered("w1"), "a#1");
  const absl::Duration leap = absl::Hours(1);
  h.driver().set_now(h.now() + leap);
  Effects effects;
  ASSERT_TRUE(
      h.driver().engine().BeginTurn({.now = h.now(), .leap = leap}).ok());
  ASSERT_TRUE(h.driver().engine().EndTurn(&effects).ok());
  EXPECT_EQ(h.Succeed("w1", "a"), "ack a#1");
}

}  // namespace
}  // namespace apium::broker
