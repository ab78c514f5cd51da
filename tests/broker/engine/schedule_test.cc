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

TEST(ScheduleTest, AClockThatStepsBackChangesNothing) {
  EngineHarness h;
  h.Submit("a", {.delay = absl::Seconds(10)});
  // Later turns with an earlier time count as the last time.
  h.Advance(absl::Seconds(10));
  Effects effects;
  ASSERT_TRUE(h.driver().engine().BeginTurn(h.now() - absl::Hours(1)).ok());
  ASSERT_TRUE(h.driver().engine().EndTurn(&effects).ok());
  EXPECT_EQ(h.State("a"), "QUEUED");
}

}  // namespace
}  // namespace apium::broker
