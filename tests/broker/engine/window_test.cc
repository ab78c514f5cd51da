#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {
namespace {

// So small that nearly everything waits on disk.
EngineOptions TinyWindows() {
  return {.lease_duration = absl::Hours(10),
          .lane_window_tasks = 3,
          .timer_window = 3};
}

// "t0#1 t1#1 ..." for [from, to).
std::string FirstDeliveries(int from, int to, const std::string& prefix = "t") {
  std::string text;
  for (int i = from; i < to; ++i) {
    absl::StrAppend(&text, text.empty() ? "" : " ", prefix, i, "#1");
  }
  return text;
}

void SubmitMany(EngineHarness& h, int from, int to,
                const SubmitOptions& options = {},
                const std::string& prefix = "t") {
  for (int i = from; i < to; ++i) h.Submit(absl::StrCat(prefix, i), options);
}

TEST(WindowTest, OrderIsExactBeyondTheWindow) {
  EngineHarness h(TinyWindows());
  SubmitMany(h, 0, 50);
  h.Credit("w1", 50);
  EXPECT_EQ(h.Delivered("w1"), FirstDeliveries(0, 50));
}

TEST(WindowTest, OrderIsExactOneByOne) {
  EngineHarness h(TinyWindows());
  SubmitMany(h, 0, 30);
  for (int i = 0; i < 30; ++i) {
    h.Credit("w1", 1);
    ASSERT_EQ(h.Delivered("w1"), FirstDeliveries(i, i + 1));
    // The lane grows while it shrinks.
    h.Submit(absl::StrCat("t", 30 + i));
  }
  h.Credit("w1", 30);
  EXPECT_EQ(h.Delivered("w1"), FirstDeliveries(30, 60));
}

TEST(WindowTest, OrderIsExactWithinATurnOfManySubmits) {
  EngineHarness h(TinyWindows());
  h.InOneTurn([&] { SubmitMany(h, 0, 20); });
  h.InOneTurn([&] { SubmitMany(h, 20, 25); });
  h.Credit("w1", 4);
  EXPECT_EQ(h.Delivered("w1"), FirstDeliveries(0, 4));
  h.InOneTurn([&] { SubmitMany(h, 25, 40); });
  h.Credit("w1", 36);
  EXPECT_EQ(h.Delivered("w1"), FirstDeliveries(4, 40));
}

TEST(WindowTest, PrioritiesHoldBeyondTheWindow) {
  EngineHarness h(TinyWindows());
  SubmitMany(h, 0, 20, {.priority = 1}, "low");
  SubmitMany(h, 0, 20, {.priority = 2}, "high");
  SubmitMany(h, 20, 25, {.priority = 1}, "low");
  h.Credit("w1", 45);
  EXPECT_EQ(h.Delivered("w1"), FirstDeliveries(0, 20, "high") + " " +
                                   FirstDeliveries(0, 25, "low"));
}

TEST(WindowTest, CancelledTasksOnDiskAreNotDelivered) {
  EngineHarness h(TinyWindows());
  SubmitMany(h, 0, 30);
  for (int i = 0; i < 30; ++i) {
    if (i % 3 != 0) {
      EXPECT_EQ(h.Cancel(absl::StrCat("t", i)), "CANCELLED");
    }
  }
  EXPECT_EQ(h.Queue(), "ready=10 scheduled=0 leased=0");
  h.Credit("w1", 30);
  std::string expected;
  for (int i = 0; i < 30; i += 3) {
    absl::StrAppend(&expected, i == 0 ? "" : " ", "t", i, "#1");
  }
  EXPECT_EQ(h.Delivered("w1"), expected);
  EXPECT_EQ(h.Queue(), "ready=0 scheduled=0 leased=10");
}

TEST(WindowTest, ALaneCancelledAsAWholeIsEmpty) {
  EngineHarness h(TinyWindows());
  SubmitMany(h, 0, 30);
  for (int i = 29; i >= 0; --i) h.Cancel(absl::StrCat("t", i));
  EXPECT_EQ(h.Queue(), "ready=0 scheduled=0 leased=0");
  h.Credit("w1", 5);
  SubmitMany(h, 30, 32);
  EXPECT_EQ(h.Delivered("w1"), FirstDeliveries(30, 32));
}

TEST(WindowTest, ReturnedTasksKeepTheirPlaceAheadOfTheDisk) {
  EngineHarness h(TinyWindows());
  SubmitMany(h, 0, 20);
  h.Credit("w1", 10);
  EXPECT_EQ(h.Delivered("w1"), FirstDeliveries(0, 10));
  for (int i = 9; i >= 0; --i) h.Return("w1", absl::StrCat("t", i));
  h.Credit("w2", 20);
  std::string expected;
  for (int i = 0; i < 10; ++i) absl::StrAppend(&expected, "t", i, "#2 ");
  EXPECT_EQ(h.Delivered("w2"), expected + FirstDeliveries(10, 20));
}

TEST(WindowTest, SuspectsRunInOrderAheadOfTheDisk) {
  EngineHarness h(TinyWindows());
  SubmitMany(h, 0, 20);
  h.Credit("w1", 8);
  h.Disconnect("w1");
  h.Advance(absl::Seconds(15));
  EXPECT_EQ(h.Queue(), "ready=20 scheduled=0 leased=0");
  h.Credit("w2", 20);
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(h.Delivered("w2"), absl::StrCat("t", i, "#2"));
    h.Succeed("w2", absl::StrCat("t", i));
  }
  EXPECT_EQ(h.Delivered("w2"), FirstDeliveries(8, 20));
}

TEST(WindowTest, OrderSurvivesARestart) {
  EngineHarness h(TinyWindows());
  SubmitMany(h, 0, 30);
  h.Credit("w1", 7);
  EXPECT_EQ(h.Delivered("w1"), FirstDeliveries(0, 7));
  for (int i = 0; i < 5; ++i) h.Succeed("w1", absl::StrCat("t", i));
  h.Cancel("t20");
  h.Restart();
  EXPECT_EQ(h.Queue(), "ready=22 scheduled=0 leased=2");
  SubmitMany(h, 30, 35);
  h.Credit("w2", 40);
  EXPECT_EQ(h.Delivered("w2"),
            FirstDeliveries(7, 20) + " " + FirstDeliveries(21, 35));
  EXPECT_EQ(h.ReconnectHolding("w1", {"t5", "t6"}), "resumed");
  EXPECT_EQ(h.Succeed("w1", "t5"), "ack t5#1");
}

TEST(WindowTest, TimersFireInOrderBeyondTheWindow) {
  EngineHarness h(TinyWindows());
  for (int i = 39; i >= 0; --i) {
    h.Submit(absl::StrCat("t", i), {.delay = absl::Seconds(i + 1)});
  }
  EXPECT_EQ(h.Queue(), "ready=0 scheduled=40 leased=0");
  h.Credit("w1", 40);
  for (int i = 0; i < 20; ++i) {
    h.Advance(absl::Seconds(1));
    ASSERT_EQ(h.Delivered("w1"), FirstDeliveries(i, i + 1));
  }
  h.Jump(absl::Seconds(20));
  EXPECT_EQ(h.Delivered("w1"), FirstDeliveries(20, 40));
  EXPECT_EQ(h.Queue(), "ready=0 scheduled=0 leased=40");
}

TEST(WindowTest, ANewTimerMayBeSoonerThanThoseInMemory) {
  EngineHarness h(TinyWindows());
  h.Credit("w1", 50);
  SubmitMany(h, 0, 20, {.delay = absl::Seconds(100)});
  h.Submit("soon", {.delay = absl::Seconds(1)});
  h.Submit("sooner", {.delay = absl::Milliseconds(1)});
  h.Advance(absl::Seconds(1));
  EXPECT_EQ(h.Delivered("w1"), "sooner#1 soon#1");
  h.Advance(absl::Seconds(100));
  EXPECT_EQ(h.Queue(), "ready=0 scheduled=0 leased=22");
}

TEST(WindowTest, TimersOnDiskSurviveARestart) {
  EngineHarness h(TinyWindows());
  for (int i = 19; i >= 0; --i) {
    h.Submit(absl::StrCat("t", i), {.delay = absl::Seconds(i + 1)});
  }
  h.Advance(absl::Seconds(5));
  h.Restart();
  EXPECT_EQ(h.Queue(), "ready=5 scheduled=15 leased=0");
  h.Advance(absl::Seconds(15));
  h.Credit("w1", 20);
  EXPECT_EQ(h.Delivered("w1"), FirstDeliveries(0, 20));
}

TEST(WindowTest, CancelledTimersOnDiskDoNotFire) {
  EngineHarness h(TinyWindows());
  h.Credit("w1", 50);
  for (int i = 0; i < 20; ++i) {
    h.Submit(absl::StrCat("t", i), {.delay = absl::Seconds(i + 1)});
  }
  for (int i = 0; i < 20; ++i) {
    if (i != 15) h.Cancel(absl::StrCat("t", i));
  }
  EXPECT_EQ(h.Queue(), "ready=0 scheduled=1 leased=0");
  h.Advance(absl::Seconds(30));
  EXPECT_EQ(h.Delivered("w1"), "t15#1");
}

TEST(WindowTest, ColdTasksExpire) {
  EngineHarness h(TinyWindows());
  for (int i = 0; i < 20; ++i) {
    h.Submit(absl::StrCat("t", i), {.expire_after = absl::Seconds(20 - i)});
  }
  h.Advance(absl::Seconds(10) + absl::Milliseconds(5));
  EXPECT_EQ(h.Queue(), "ready=10 scheduled=0 leased=0");
  h.Credit("w1", 20);
  EXPECT_EQ(h.Delivered("w1"), FirstDeliveries(0, 10));
}

TEST(WindowTest, MemoryStaysBounded) {
  EngineHarness h(
      {.lane_window_tasks = 10, .timer_window = 10, .max_credit = 5});
  for (int i = 0; i < 3000; ++i) {
    h.Submit(absl::StrCat("r", i));
    h.Submit(absl::StrCat("s", i), {.delay = absl::Hours(1)});
  }
  const EngineStats stats = h.Stats();
  EXPECT_LT(stats.hot_tasks, 200u);
  EXPECT_LT(stats.timers_in_memory, 200u);
  h.Restart();
  EXPECT_LT(h.Stats().hot_tasks, 200u);
  EXPECT_EQ(h.Queue(), "ready=3000 scheduled=3000 leased=0");
}

TEST(WindowTest, BytesInMemoryStayBounded) {
  EngineHarness h({.ready_window_bytes = 100000});
  for (int i = 0; i < 500; ++i) {
    h.Submit(absl::StrCat("t", i), {.data = std::string(5000, 'x')});
  }
  EXPECT_LT(h.Stats().hot_bytes, 300000u);
  h.Credit("w1", 500);
  EXPECT_EQ(h.Delivered("w1"), FirstDeliveries(0, 500));
}

TEST(WindowTest, PausedAndUnservedBacklogsDoNotStopOthers) {
  EngineHarness h(TinyWindows());
  h.CreateQueue("paused");
  h.Pause("paused");
  SubmitMany(h, 0, 50, {.queue = "paused"}, "p");
  SubmitMany(h, 0, 50, {.type = "nobody"}, "n");
  SubmitMany(h, 0, 10);
  h.Connect("w1", {.queues = {"default", "paused"}});
  h.Credit("w1", 100);
  EXPECT_EQ(h.Delivered("w1"), FirstDeliveries(0, 10));
  h.Resume("paused");
  EXPECT_EQ(h.Delivered("w1"), FirstDeliveries(0, 50, "p"));
}

TEST(WindowTest, ReadsAndCancelsFindTasksOnDisk) {
  EngineHarness h(TinyWindows());
  SubmitMany(h, 0, 20, {.data = "x"});
  SubmitMany(h, 20, 40, {.delay = absl::Hours(1)});
  EXPECT_EQ(h.State("t19"), "QUEUED");
  EXPECT_EQ(h.State("t39"), "SCHEDULED");
  EXPECT_EQ(h.Task("t19").content->payload.data, "x");
  EXPECT_EQ(h.Submit("t19", {.data = "x"}), "OK");
  EXPECT_EQ(h.Submit("t19"), "ALREADY_EXISTS/TASK_ID_REUSED");
  EXPECT_EQ(h.Queue(), "ready=20 scheduled=20 leased=0");
}

}  // namespace
}  // namespace apium::broker
