#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {
namespace {

TEST(CancelManyTest, ByIdEachIsAnsweredForItself) {
  EngineHarness h;
  h.Credit("w1", 2);
  h.Submit("running");
  h.Submit("done");
  h.Succeed("w1", "done");
  h.Submit("waiting", {.type = "mail"});
  h.Submit("delayed", {.delay = absl::Hours(1)});
  EXPECT_EQ(h.CancelMany({.task_ids = {"waiting", "running", "done", "nobody",
                                       "delayed", "waiting"}}),
            "CANCELLED REQUESTED ALREADY_ENDED NOT_FOUND CANCELLED "
            "ALREADY_ENDED");
  EXPECT_EQ(h.Told("w1"), "cancel running#1");
  EXPECT_EQ(h.State("waiting"), "CANCELLED");
  EXPECT_EQ(h.CancelMany({.task_ids = {"running"}}), "REQUESTED");
  EXPECT_EQ(h.Told("w1"), "");
}

TEST(CancelManyTest, OneTaskIsToldWhatTheCancelDid) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("running");
  h.Submit("waiting");
  h.Cancel("waiting");
  EXPECT_EQ(h.last_cancel_result(), "CANCELLED");
  h.Cancel("waiting");
  EXPECT_EQ(h.last_cancel_result(), "ALREADY_ENDED");
  h.Cancel("running");
  EXPECT_EQ(h.last_cancel_result(), "REQUESTED");
  h.Cancel("running");
  EXPECT_EQ(h.last_cancel_result(), "REQUESTED");
  h.Cancel("nobody");
  EXPECT_EQ(h.last_cancel_result(), "NOT_FOUND");
}

TEST(CancelManyTest, ByFilterTakesWhatMatchesWhereverItIs) {
  EngineHarness h;
  h.CreateQueue("mail");
  h.Credit("w1", 2);
  h.Submit("running", {.headers = {{"customer", "7"}}});
  h.Submit("other running");
  h.Submit("ready", {.headers = {{"customer", "7"}, {"z", "1"}}});
  h.Submit("other ready", {.headers = {{"customer", "8"}}});
  h.Submit("delayed",
           {.delay = absl::Hours(1), .headers = {{"customer", "7"}}});
  h.Submit("elsewhere", {.queue = "mail", .headers = {{"customer", "7"}}});
  EXPECT_EQ(h.CancelMany({.filter = TaskFilter{.headers = {{"customer", "7"}}},
                          .reason = "left us"}),
            "cancelled 3 requested 1");
  EXPECT_EQ(h.Told("w1"), "cancel running#1");
  EXPECT_EQ(h.State("ready"), "CANCELLED");
  EXPECT_EQ(h.OutcomeOf("delayed").failure.message, "left us");
  EXPECT_EQ(h.State("elsewhere"), "CANCELLED");
  EXPECT_EQ(h.State("other ready"), "QUEUED");
  EXPECT_FALSE(h.Task("other running").cancel_requested);
}

TEST(CancelManyTest, ByFilterTakesWhatIsBlocked) {
  EngineHarness h;
  const Unique latest = {.key = "k",
                         .on_conflict = UniqueConflict::kKeepLatest};
  h.Submit("running", {.unique = latest});
  h.Credit("w1", 1);
  EXPECT_EQ(h.Delivered("w1"), "running#1");
  h.Submit("next", {.headers = {{"customer", "7"}}, .unique = latest});
  EXPECT_EQ(h.State("next"), "BLOCKED");
  EXPECT_EQ(
      h.CancelMany({.filter = TaskFilter{.headers = {{"customer", "7"}}}}),
      "cancelled 1 requested 0");
  EXPECT_EQ(h.State("next"), "CANCELLED");
  h.Succeed("w1", "running");
  h.Submit("later", {.unique = latest});
  EXPECT_EQ(h.State("later"), "QUEUED");
}

TEST(CancelManyTest, EachConditionCounts) {
  EngineHarness h;
  h.CreateQueue("mail");
  h.Submit("old");
  h.Advance(absl::Seconds(10));
  const absl::Time later = h.now();
  h.Submit("a");
  h.Submit("b", {.type = "report"});
  h.Submit("c", {.queue = "mail"});
  h.Submit("d", {.delay = absl::Hours(1)});
  EXPECT_EQ(h.CancelMany({.filter = TaskFilter{.created_before = later}}),
            "cancelled 1 requested 0");
  EXPECT_EQ(h.State("old"), "CANCELLED");
  EXPECT_EQ(h.CancelMany({.filter = TaskFilter{.queue = "mail",
                                               .created_after = later}}),
            "cancelled 1 requested 0");
  EXPECT_EQ(h.CancelMany({.filter = TaskFilter{.type = "report"}}),
            "cancelled 1 requested 0");
  EXPECT_EQ(
      h.CancelMany({.filter = TaskFilter{.states = {TaskState::kScheduled}}}),
      "cancelled 1 requested 0");
  EXPECT_EQ(h.State("a"), "QUEUED");
  EXPECT_EQ(h.CancelMany({.filter = TaskFilter{.queue = "nowhere"}}),
            "NOT_FOUND/QUEUE_NOT_FOUND");
}

TEST(CancelManyTest, ADryRunOnlyCounts) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("running");
  h.Submit("ready");
  h.Submit("delayed", {.delay = absl::Hours(1)});
  EXPECT_EQ(
      h.CancelMany({.filter = TaskFilter{.type = "job"}, .dry_run = true}),
      "cancelled 2 requested 1");
  EXPECT_EQ(h.Told("w1"), "");
  EXPECT_EQ(h.Queue(), "ready=1 scheduled=1 leased=1");
}

TEST(CancelManyTest, OfManyTasksTakesManyTurnsAndLeavesWhatIsNew) {
  EngineHarness h({.lane_window_tasks = 4, .timer_window = 4});
  for (int i = 0; i < 5000; ++i) {
    h.Submit(absl::StrCat("r", i), {.priority = i % 3});
    h.Submit(absl::StrCat("s", i), {.delay = absl::Hours(1)});
    h.Submit(absl::StrCat("k", i), {.type = "kept"});
  }
  int cancel = 0;
  int submits = 0;
  h.WithoutSettling([&] {
    cancel = h.Send(CancelTasksCommand{
        .namespace_name = "default",
        .filter = TaskFilter{.namespace_name = "default", .type = "job"}});
    while (h.driver().wants_turn() && submits < 1000) {
      EXPECT_EQ(h.Submit(absl::StrCat("new", ++submits)), "OK");
    }
  });
  EXPECT_GT(submits, 1) << "15,000 tasks were looked at in a single turn";
  EXPECT_EQ(h.Answers(cancel), "cancelled 10000 requested 0");
  EXPECT_EQ(h.QueueDetails().ready, 5000u + submits);
  EXPECT_EQ(h.QueueDetails().scheduled, 0u);
  h.Credit("w1", 1);
  EXPECT_EQ(h.Delivered("w1"), "new1#1");
}

// A task that leaves its place before the cancel has come there is cancelled
// on the way.
TEST(CancelManyTest, TakesWhatMovesMeanwhile) {
  EngineHarness h;
  h.Pause("default");
  for (int i = 0; i < 5000; ++i) h.Submit(absl::StrCat("r", i));
  h.Submit("due", {.delay = absl::Seconds(10)});
  h.Submit("urgent", {.priority = 200});
  h.Submit("changed");
  h.Credit("w1", 1);
  int cancel = 0;
  h.WithoutSettling([&] {
    cancel = h.Send(CancelTasksCommand{
        .namespace_name = "default",
        .filter = TaskFilter{.namespace_name = "default", .type = "job"}});
    h.Jump(absl::Seconds(10));
    EXPECT_EQ(h.Update("changed", {.priority = 255}),
              "FAILED_PRECONDITION/TASK_NOT_WAITING");
    h.Resume("default");
    EXPECT_TRUE(h.driver().wants_turn());
  });
  EXPECT_EQ(h.Answers(cancel), "cancelled 5003 requested 0");
  EXPECT_EQ(h.Delivered("w1"), "");
  EXPECT_EQ(h.Queue(), "ready=0 scheduled=0 leased=0");
}

TEST(CancelManyTest, WhatWasNotDispatchedYetIsNotDispatched) {
  EngineHarness h;
  h.InOneTurn([&] {
    h.Submit("a");
    h.CancelMany({.filter = TaskFilter{.type = "job"}});
    h.Submit("b");
    h.Credit("w1", 5);
  });
  EXPECT_EQ(h.Delivered("w1"), "b#1");
  EXPECT_EQ(h.State("a"), "CANCELLED");
}

TEST(CancelManyTest, SeveralAtATimeAreAllAnswered) {
  EngineHarness h;
  for (int i = 0; i < 10; ++i) h.Submit(absl::StrCat("a", i));
  for (int i = 0; i < 10; ++i) h.Submit(absl::StrCat("b", i), {.type = "mail"});
  int first = 0;
  int second = 0;
  h.WithoutSettling([&] {
    first = h.Send(CancelTasksCommand{
        .namespace_name = "default",
        .filter = TaskFilter{.namespace_name = "default", .type = "mail"}});
    second = h.Send(
        CancelTasksCommand{.namespace_name = "default",
                           .filter = TaskFilter{.namespace_name = "default"}});
  });
  EXPECT_EQ(h.Answers(first), "cancelled 10 requested 0");
  EXPECT_EQ(h.Answers(second), "cancelled 10 requested 0");
}

TEST(CancelManyTest, TooManyAtATimeAreRefused) {
  EngineHarness h;
  int last = 0;
  h.InOneTurn([&] {
    for (int i = 0; i < 65; ++i) {
      last = h.Send(CancelTasksCommand{
          .namespace_name = "default",
          .filter = TaskFilter{.namespace_name = "default", .type = "job"}});
    }
  });
  EXPECT_EQ(h.Answers(last), "RESOURCE_EXHAUSTED/TOO_MANY_CANCELS");
  EXPECT_EQ(h.Answers(last - 1), "cancelled 0 requested 0");
}

TEST(CancelManyTest, IsDurable) {
  EngineHarness h({.lane_window_tasks = 4, .timer_window = 4});
  h.Credit("w1", 1);
  for (int i = 0; i < 100; ++i) {
    h.Submit(absl::StrCat("r", i));
    h.Submit(absl::StrCat("s", i), {.delay = absl::Seconds(10)});
  }
  EXPECT_EQ(h.CancelMany({.filter = TaskFilter{.type = "job"}}),
            "cancelled 199 requested 1");
  h.Restart();
  EXPECT_EQ(h.Queue(), "ready=0 scheduled=0 leased=1");
  EXPECT_TRUE(h.Task("r0").cancel_requested);
  EXPECT_EQ(h.State("s42"), "CANCELLED");
}

TEST(CancelManyTest, OnePowerCutLosesWhatWasNotAnswered) {
  EngineHarness h;
  for (int i = 0; i < 10; ++i) h.Submit(absl::StrCat("r", i));
  h.HoldTurns();
  h.CancelMany({.filter = TaskFilter{.type = "job"}});
  h.Crash();
  EXPECT_EQ(h.Queue(), "ready=10 scheduled=0 leased=0");
  EXPECT_EQ(h.CancelMany({.filter = TaskFilter{.type = "job"}}),
            "cancelled 10 requested 0");
}

}  // namespace
}  // namespace apium::broker
