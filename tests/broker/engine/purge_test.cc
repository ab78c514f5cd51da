#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {
namespace {

TEST(PurgeTest, CancelsWhatWaitsAndLeavesWhatRuns) {
  EngineHarness h;
  h.CreateQueue("mail");
  h.Credit("w1", 1);
  h.Submit("running");
  h.Submit("ready");
  h.Submit("scheduled", {.delay = absl::Hours(1)});
  h.Submit("elsewhere", {.queue = "mail"});
  EXPECT_EQ(h.Purge("default"), "purged 2");
  EXPECT_EQ(h.State("ready"), "CANCELLED");
  EXPECT_EQ(h.State("scheduled"), "CANCELLED");
  EXPECT_EQ(h.State("running"), "LEASED");
  EXPECT_EQ(h.State("elsewhere"), "QUEUED");
  EXPECT_EQ(h.Queue(), "ready=0 scheduled=0 leased=1");
  EXPECT_EQ(h.Succeed("w1", "running"), "ack running#1");
}

TEST(PurgeTest, OfAnEmptyQueueIsAnsweredWithZero) {
  EngineHarness h;
  EXPECT_EQ(h.Purge("default"), "purged 0");
}

TEST(PurgeTest, AnswersOnlyWhenAllIsDone) {
  EngineHarness h;
  for (int i = 0; i < 20000; ++i) {
    h.Submit(absl::StrCat("r", i));
    h.Submit(absl::StrCat("s", i), {.delay = absl::Hours(1)});
  }
  EXPECT_EQ(h.Queue(), "ready=20000 scheduled=20000 leased=0");
  EXPECT_EQ(h.Purge("default"), "purged 40000");
  EXPECT_EQ(h.Queue(), "ready=0 scheduled=0 leased=0");
  EXPECT_EQ(h.Submit("after"), "OK");
  EXPECT_EQ(h.Queue(), "ready=1 scheduled=0 leased=0");
}

// Tasks submitted while the purge goes on over many turns survive it.
TEST(PurgeTest, LeavesWhatIsSubmittedMeanwhile) {
  EngineHarness h({.lane_window_tasks = 4, .timer_window = 4});
  for (int i = 0; i < 5000; ++i) {
    h.Submit(absl::StrCat("r", i));
    h.Submit(absl::StrCat("s", i), {.delay = absl::Hours(1)});
  }
  h.InOneTurn([&] {
    h.Submit("old");
    h.Purge("default");
    h.Submit("new");
    h.Submit("new scheduled", {.delay = absl::Seconds(10)});
  });
  EXPECT_EQ(h.Queue(), "ready=1 scheduled=1 leased=0");
  EXPECT_EQ(h.State("old"), "CANCELLED");
  EXPECT_EQ(h.State("new"), "QUEUED");
  EXPECT_EQ(h.State("new scheduled"), "SCHEDULED");
}

TEST(PurgeTest, OtherCommandsAreServedBetweenItsTurns) {
  EngineHarness h({.lane_window_tasks = 4, .timer_window = 4});
  for (int i = 0; i < 20000; ++i) {
    h.Submit(absl::StrCat("r", i));
    h.Submit(absl::StrCat("s", i), {.delay = absl::Hours(1)});
  }
  int purge = 0;
  int submits = 0;
  h.WithoutSettling([&] {
    purge = h.Send(
        PurgeQueueCommand{.namespace_name = "default", .queue = "default"});
    while (h.driver().wants_turn() && submits < 1000) {
      EXPECT_EQ(h.Submit(absl::StrCat("new", ++submits)), "OK");
    }
  });
  EXPECT_GT(submits, 1) << "a purge of 40,000 tasks in a single turn";
  EXPECT_EQ(h.Answers(purge), "purged 40000");
  EXPECT_EQ(h.QueueDetails().ready, static_cast<uint64_t>(submits));
  EXPECT_EQ(h.QueueDetails().scheduled, 0u);
  h.Credit("w1", 1);
  EXPECT_EQ(h.Delivered("w1"), "new1#1");
}

TEST(PurgeTest, TakesTasksWhoseTimeComesWhileItGoesOn) {
  EngineHarness h;
  for (int i = 0; i < 5000; ++i) h.Submit(absl::StrCat("r", i));
  h.Submit("scheduled", {.delay = absl::Seconds(10)});
  h.Credit("w1", 1);
  int purge = 0;
  h.WithoutSettling([&] {
    purge = h.Send(
        PurgeQueueCommand{.namespace_name = "default", .queue = "default"});
    EXPECT_TRUE(h.driver().wants_turn());
    h.Jump(absl::Seconds(10));
  });
  EXPECT_EQ(h.Answers(purge), "purged 5000");
  EXPECT_EQ(h.State("scheduled"), "CANCELLED");
  EXPECT_EQ(h.Queue(), "ready=0 scheduled=0 leased=1");
}

TEST(PurgeTest, TasksThatWaitForTheirRetryAreCancelled) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("a");
  h.Fail("w1", "a");
  EXPECT_EQ(h.Purge("default"), "purged 1");
  EXPECT_EQ(h.State("a"), "CANCELLED");
  EXPECT_EQ(h.OutcomeOf("a").failures, 1u);
}

TEST(PurgeTest, ATaskReturnedAfterwardsSurvives) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("a");
  h.Submit("b");
  EXPECT_EQ(h.Purge("default"), "purged 1");
  h.Return("w1", "a");
  EXPECT_EQ(h.State("a"), "QUEUED");
}

TEST(PurgeTest, WorksOnAPausedQueue) {
  EngineHarness h;
  h.Pause("default");
  h.Submit("a");
  EXPECT_EQ(h.Purge("default"), "purged 1");
}

TEST(PurgeTest, WaitersAreTold) {
  EngineHarness h;
  h.Submit("a");
  const int wait = h.Wait("a");
  h.Purge("default");
  EXPECT_EQ(h.Answers(wait), "CANCELLED");
}

TEST(PurgeTest, IsDurable) {
  EngineHarness h({.lane_window_tasks = 4, .timer_window = 4});
  for (int i = 0; i < 100; ++i) {
    h.Submit(absl::StrCat("r", i));
    h.Submit(absl::StrCat("s", i), {.delay = absl::Seconds(10)});
  }
  EXPECT_EQ(h.Purge("default"), "purged 200");
  h.Restart();
  EXPECT_EQ(h.Queue(), "ready=0 scheduled=0 leased=0");
  h.Credit("w1", 100);
  h.Advance(absl::Seconds(20));
  EXPECT_EQ(h.Delivered("w1"), "");
  EXPECT_EQ(h.State("s42"), "CANCELLED");
}

}  // namespace
}  // namespace apium::broker
