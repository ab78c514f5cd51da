#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {
namespace {

TEST(CountTest, EachTaskIsInOneState) {
  EngineHarness h;
  h.CreateQueue("mail");
  h.Credit("w1", 2);
  h.Submit("leased");
  h.Submit("started");
  h.Start("w1", "started");
  h.Submit("queued");
  h.Submit("delayed", {.delay = absl::Hours(1)});
  h.Submit("elsewhere", {.queue = "mail"});
  EXPECT_EQ(h.Count(),
            "default: scheduled=1 queued=1 leased=1 started=1; mail: queued=1");
  EXPECT_EQ(h.Count("mail"), "mail: queued=1");
  EXPECT_EQ(h.Count("nowhere"), "NOT_FOUND/QUEUE_NOT_FOUND");
}

TEST(CountTest, ATaskThatStartedAndLeavesIsNoLongerStarted) {
  EngineHarness h;
  h.Credit("w1", 4);
  for (const char* id : {"done", "failed", "returned", "lost"}) {
    h.Submit(id);
    h.Start("w1", id);
    h.Start("w1", id);
  }
  EXPECT_EQ(h.Count(), "default: started=4");
  h.Succeed("w1", "done");
  h.Fail("w1", "failed");
  h.SayDraining("w1");
  h.Return("w1", "returned");
  EXPECT_EQ(h.Count(), "default: scheduled=1 queued=1 started=1 succeeded=1");
  h.Disconnect("w1");
  h.Jump(absl::Seconds(15));
  EXPECT_EQ(h.Count(), "default: queued=3 succeeded=1");
}

TEST(CountTest, EndsAreCountedForEver) {
  EngineHarness h;
  h.Credit("w1", 2);
  h.Submit("a");
  h.Succeed("w1", "a");
  h.Submit("b");
  h.Fail("w1", "b", {.non_retryable = true});
  h.Submit("c");
  h.Cancel("c");
  h.Submit("d", {.expire_after = absl::Seconds(1)});
  h.Advance(absl::Seconds(2));
  const std::string counts =
      "default: succeeded=1 failed=1 cancelled=1 expired=1";
  EXPECT_EQ(h.Count(), counts);
  h.ConfirmOutbox(4);
  h.Restart();
  EXPECT_EQ(h.Count(), counts);
  h.Advance(absl::Hours(48));
  EXPECT_EQ(h.Count(), counts);
}

TEST(CountTest, APowerCutTakesBackOnlyWhatWasNotReleased) {
  EngineHarness h;
  h.Submit("a");
  h.Submit("b");
  h.Cancel("a");
  h.HoldTurns();
  h.Cancel("b");
  h.Crash();
  EXPECT_EQ(h.Count(), "default: queued=1 cancelled=1");
}

TEST(CountTest, AQueueThatIsMadeAnewBeginsAtZero) {
  EngineHarness h;
  h.CreateQueue("mail");
  h.Submit("a", {.queue = "mail"});
  h.Cancel("a");
  EXPECT_EQ(h.Count("mail"), "mail: cancelled=1");
  h.InOneTurn([&] {
    h.Submit("b", {.queue = "mail"});
    h.Cancel("b");
    h.DeleteQueue("mail");
    h.CreateQueue("mail");
  });
  EXPECT_EQ(h.Count("mail"), "mail:");
  h.Restart();
  EXPECT_EQ(h.Count("mail"), "mail:");
}

TEST(CountTest, TasksOnDiskAreCountedExactly) {
  EngineHarness h({.lane_window_tasks = 4, .timer_window = 4});
  h.InOneTurn([&] {
    for (int i = 0; i < 5000; ++i) {
      h.Submit(absl::StrCat("r", i));
      h.Submit(absl::StrCat("s", i), {.delay = absl::Hours(1)});
    }
  });
  EXPECT_EQ(h.Count(), "default: scheduled=5000 queued=5000");
  h.Restart();
  EXPECT_EQ(h.Count(), "default: scheduled=5000 queued=5000");
}

}  // namespace
}  // namespace apium::broker
