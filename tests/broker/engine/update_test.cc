#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/time/time.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {
namespace {

TEST(UpdateTest, AnotherPriorityPutsItBehindTheOthersOfThat) {
  EngineHarness h;
  h.Submit("a");
  h.Submit("b");
  h.Submit("high", {.priority = 200});
  EXPECT_EQ(h.Update("a", {.priority = 200}), "QUEUED");
  EXPECT_EQ(h.Task("a").content->priority, 200);
  h.Credit("w1", 3);
  EXPECT_EQ(h.Delivered("w1"), "high#1 a#1 b#1");
  EXPECT_EQ(h.Queue(), "ready=0 scheduled=0 leased=3");
}

TEST(UpdateTest, TheSamePriorityKeepsItsPlace) {
  EngineHarness h;
  h.Submit("a");
  h.Submit("b");
  EXPECT_EQ(h.Update("a", {.priority = 100}), "QUEUED");
  h.Credit("w1", 2);
  EXPECT_EQ(h.Delivered("w1"), "a#1 b#1");
}

TEST(UpdateTest, OneBehindTheWindowMovesToo) {
  EngineHarness h({.lane_window_tasks = 2});
  for (const char* id : {"a", "b", "c", "d", "e", "f"}) h.Submit(id);
  EXPECT_EQ(h.Update("e", {.priority = 200}), "QUEUED");
  h.Credit("w1", 6);
  EXPECT_EQ(h.Delivered("w1"), "e#1 a#1 b#1 c#1 d#1 f#1");
}

TEST(UpdateTest, AReadyTaskCanBeDelayed) {
  EngineHarness h;
  h.Submit("a");
  EXPECT_EQ(h.Update("a", {.delay = absl::Seconds(10)}), "SCHEDULED");
  EXPECT_EQ(h.Queue(), "ready=0 scheduled=1 leased=0");
  h.Credit("w1", 1);
  EXPECT_EQ(h.Delivered("w1"), "");
  h.Advance(absl::Seconds(10));
  EXPECT_EQ(h.Delivered("w1"), "a#1");
}

TEST(UpdateTest, ADelayedTaskCanBeRunNow) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("a", {.delay = absl::Hours(1)});
  EXPECT_EQ(h.Update("a", {.run_now = true}), "QUEUED");
  EXPECT_EQ(h.Delivered("w1"), "a#1");
  h.Succeed("w1", "a");
  EXPECT_EQ(h.Queue(), "ready=0 scheduled=0 leased=0");
  h.Advance(absl::Hours(2));
  EXPECT_EQ(h.Outbox(), "1: a SUCCEEDED");
}

TEST(UpdateTest, ATaskThatWaitsForItsRetryCanBeRunNow) {
  EngineHarness h;
  h.Credit("w1", 2);
  h.Submit("a");
  h.Fail("w1", "a");
  h.Delivered("w1");
  EXPECT_EQ(h.State("a"), "SCHEDULED");
  EXPECT_EQ(h.Update("a", {.run_now = true}), "QUEUED");
  EXPECT_EQ(h.Delivered("w1"), "a#2");
}

TEST(UpdateTest, ADelayedTaskCanGetAnotherTime) {
  EngineHarness h;
  h.Credit("w1", 2);
  h.Submit("later", {.delay = absl::Seconds(10)});
  h.Submit("sooner", {.delay = absl::Seconds(10)});
  h.Update("later", {.eta = h.now() + absl::Seconds(20)});
  h.Update("sooner", {.eta = h.now() + absl::Seconds(5)});
  h.Advance(absl::Seconds(5));
  EXPECT_EQ(h.Delivered("w1"), "sooner#1");
  h.Advance(absl::Seconds(10));
  EXPECT_EQ(h.Delivered("w1"), "");
  h.Advance(absl::Seconds(5));
  EXPECT_EQ(h.Delivered("w1"), "later#1");
}

TEST(UpdateTest, ATimeInThePastIsNow) {
  EngineHarness h;
  h.Submit("a", {.delay = absl::Hours(1)});
  EXPECT_EQ(h.Update("a", {.eta = h.now() - absl::Seconds(1)}), "QUEUED");
}

TEST(UpdateTest, RunNowOfAReadyTaskChangesNothing) {
  EngineHarness h;
  h.Submit("a");
  h.Submit("b");
  EXPECT_EQ(h.Update("a", {.run_now = true}), "QUEUED");
  h.Credit("w1", 2);
  EXPECT_EQ(h.Delivered("w1"), "a#1 b#1");
}

TEST(UpdateTest, TheExpiryCanBeSetMovedAndTakenAway) {
  EngineHarness h;
  h.Submit("set");
  h.Submit("moved", {.expire_after = absl::Seconds(5)});
  h.Submit("cleared", {.expire_after = absl::Seconds(5)});
  h.Submit("delayed", {.delay = absl::Hours(1)});
  h.Update("set", {.expire_after = absl::Seconds(5)});
  h.Update("moved", {.expire_time = h.now() + absl::Seconds(10)});
  h.Update("cleared", {.expire_time = absl::InfiniteFuture()});
  h.Update("delayed", {.expire_after = absl::Seconds(5)});
  h.Advance(absl::Seconds(6));
  EXPECT_EQ(h.State("set"), "EXPIRED");
  EXPECT_EQ(h.State("moved"), "QUEUED");
  EXPECT_EQ(h.State("delayed"), "EXPIRED");
  h.Advance(absl::Hours(1));
  EXPECT_EQ(h.State("moved"), "EXPIRED");
  EXPECT_EQ(h.State("cleared"), "QUEUED");
}

TEST(UpdateTest, AnExpiryInThePastEndsIt) {
  EngineHarness h;
  h.Submit("a");
  EXPECT_EQ(h.Update("a", {.expire_time = h.now() - absl::Seconds(1)}),
            "EXPIRED");
  EXPECT_EQ(h.Queue(), "ready=0 scheduled=0 leased=0");
  EXPECT_EQ(h.Outbox(), "1: a EXPIRED");
}

TEST(UpdateTest, OnlyOfATaskThatWaits) {
  EngineHarness h;
  h.Credit("w1", 2);
  h.Submit("leased");
  h.Submit("started");
  h.Start("w1", "started");
  EXPECT_EQ(h.Update("leased", {.priority = 1}),
            "FAILED_PRECONDITION/TASK_NOT_WAITING");
  EXPECT_EQ(h.Update("started", {.run_now = true}),
            "FAILED_PRECONDITION/TASK_NOT_WAITING");
  h.Succeed("w1", "started");
  EXPECT_EQ(h.Update("started", {.priority = 1}),
            "FAILED_PRECONDITION/TASK_NOT_WAITING");
  EXPECT_EQ(h.Update("nobody", {.priority = 1}), "UNKNOWN");
  EXPECT_EQ(h.Task("leased").content->priority, 100);
}

TEST(UpdateTest, WhatWasDeliveredBeforeIsNotChangedInTheWorkersHands) {
  EngineHarness h;
  h.Submit("a");
  const std::shared_ptr<const TaskContent> before = h.Task("a").content;
  h.Update("a", {.priority = 7});
  EXPECT_EQ(before->priority, 100);
}

TEST(UpdateTest, IsDurable) {
  EngineHarness h({.lane_window_tasks = 2});
  for (const char* id : {"a", "b", "c", "d", "e"}) h.Submit(id);
  h.Submit("delayed", {.delay = absl::Hours(1)});
  h.Submit("clear", {.expire_after = absl::Seconds(5)});
  h.Update("d", {.priority = 200, .expire_after = absl::Seconds(20)});
  h.Update("e", {.delay = absl::Seconds(10)});
  h.Update("delayed", {.run_now = true});
  h.Update("clear", {.expire_time = absl::InfiniteFuture()});
  h.Restart();
  EXPECT_EQ(h.Queue(), "ready=6 scheduled=1 leased=0");
  h.Credit("w1", 10);
  EXPECT_EQ(h.Delivered("w1"), "d#1 a#1 b#1 c#1 clear#1 delayed#1");
  h.Advance(absl::Seconds(10));
  EXPECT_EQ(h.Delivered("w1"), "e#1");
}

TEST(UpdateTest, APowerCutTakesBackWhatWasNotAnswered) {
  EngineHarness h;
  h.Submit("a", {.delay = absl::Hours(1)});
  h.HoldTurns();
  h.Update("a", {.run_now = true});
  h.Crash();
  EXPECT_EQ(h.State("a"), "SCHEDULED");
  EXPECT_EQ(h.Queue(), "ready=0 scheduled=1 leased=0");
}

TEST(UpdateTest, ARepeatedSubmitIsStillTheSame) {
  EngineHarness h;
  h.Submit("a");
  h.Update("a", {.priority = 200});
  EXPECT_EQ(h.Submit("a"), "OK");
}

TEST(UpdateTest, WatchersAreTold) {
  EngineHarness h;
  h.Submit("a");
  const int watch = h.Watch("a");
  EXPECT_EQ(h.Answers(watch), "QUEUED");
  h.Update("a", {.delay = absl::Hours(1)});
  EXPECT_EQ(h.Answers(watch), "SCHEDULED");
}

}  // namespace
}  // namespace apium::broker
