#include "client/async_calls.h"

#include <gtest/gtest.h>

#include <thread>

#include "absl/synchronization/notification.h"

namespace apium {
namespace {

class RecordedCall final : public CancellableCall {
 public:
  void Cancel() override { cancelled.Notify(); }
  absl::Notification cancelled;
};

TEST(AsyncCallsTest, CancelAndWaitCancelsEveryCallAndReturnsOnceAllHaveLeft) {
  AsyncCalls calls;
  RecordedCall first;
  RecordedCall second;
  ASSERT_TRUE(calls.Enter(&first));
  ASSERT_TRUE(calls.Enter(&second));
  absl::Notification returned;
  std::thread closer([&] {
    calls.CancelAndWait();
    returned.Notify();
  });
  first.cancelled.WaitForNotification();
  second.cancelled.WaitForNotification();
  calls.Leave(&first);
  EXPECT_FALSE(returned.HasBeenNotified());
  calls.Leave(&second);
  closer.join();
  EXPECT_TRUE(returned.HasBeenNotified());
}

TEST(AsyncCallsTest, CallsThatComeAfterTheCloseAreTurnedAway) {
  AsyncCalls calls;
  calls.CancelAndWait();
  RecordedCall late;
  EXPECT_FALSE(calls.Enter(&late));
}

TEST(AsyncCallsTest, CallsThatLeftAreNotCancelled) {
  RecordedCall call;
  {
    AsyncCalls calls;
    ASSERT_TRUE(calls.Enter(&call));
    calls.Leave(&call);
  }
  EXPECT_FALSE(call.cancelled.HasBeenNotified());
}

}  // namespace
}  // namespace apium
