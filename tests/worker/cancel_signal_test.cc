#include "worker/cancel_signal.h"

#include <gtest/gtest.h>

#include <thread>

#include "absl/synchronization/notification.h"

namespace apium {
namespace {

TEST(CancelSignalTest, KeepsEveryCauseAndTheFirstReason) {
  CancelSignal signal;
  EXPECT_FALSE(signal.IsCancelled());
  signal.Cancel(CancelCause::kTimeLimit, "too long");
  signal.Cancel(CancelCause::kRequested, "asked");
  EXPECT_TRUE(signal.IsCancelled());
  EXPECT_TRUE(signal.Has(CancelCause::kTimeLimit));
  EXPECT_TRUE(signal.Has(CancelCause::kRequested));
  EXPECT_FALSE(signal.Has(CancelCause::kDraining));
  EXPECT_EQ(signal.reason(), "too long");
}

TEST(CancelSignalTest, WakesAWaiter) {
  CancelSignal signal;
  EXPECT_FALSE(signal.Wait(absl::ZeroDuration()));
  bool cancelled = false;
  std::thread waiter([&] { cancelled = signal.Wait(absl::Seconds(90)); });
  signal.Cancel(CancelCause::kRequested, "");
  waiter.join();
  EXPECT_TRUE(cancelled);
}

TEST(CancelSignalTest, RunsCallbacksOnce) {
  CancelSignal signal;
  int calls = 0;
  signal.OnCancel([&] { ++calls; });
  signal.Cancel(CancelCause::kRequested, "");
  signal.Cancel(CancelCause::kDraining, "");
  EXPECT_EQ(calls, 1);
}

TEST(CancelSignalTest, RunsACallbackAtOnceWhenCancelledAlready) {
  CancelSignal signal;
  signal.Cancel(CancelCause::kRequested, "");
  int calls = 0;
  signal.OnCancel([&] { ++calls; });
  EXPECT_EQ(calls, 1);
}

TEST(CancelSignalTest, RunsNoCallbackThatWasDropped) {
  CancelSignal signal;
  int calls = 0;
  signal.OnCancel([&] { ++calls; });
  signal.DropCallbacks();
  signal.Cancel(CancelCause::kRequested, "");
  EXPECT_EQ(calls, 0);
}

TEST(CancelSignalTest, DropCallbacksWaitsForTheOneThatRuns) {
  CancelSignal signal;
  absl::Notification running;
  absl::Notification go_on;
  std::atomic<bool> ended{false};
  signal.OnCancel([&] {
    running.Notify();
    go_on.WaitForNotification();
    ended = true;
  });
  std::thread canceller([&] { signal.Cancel(CancelCause::kRequested, ""); });
  running.WaitForNotification();
  bool ended_first = false;
  std::thread dropper([&] {
    signal.DropCallbacks();
    ended_first = ended;
  });
  go_on.Notify();
  dropper.join();
  canceller.join();
  EXPECT_TRUE(ended_first);
}

}  // namespace
}  // namespace apium
