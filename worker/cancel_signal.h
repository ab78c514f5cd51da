#ifndef APIUM_WORKER_CANCEL_SIGNAL_H_
#define APIUM_WORKER_CANCEL_SIGNAL_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace apium {

// Why an attempt should stop. Several may hold at once.
enum class CancelCause : uint32_t {
  kRequested = 1,  // somebody cancelled the task
  kLeaseLost = 2,  // the attempt is no longer this worker's
  kDraining = 4,   // the worker leaves; it has not begun, or the grace is over
  kTimeLimit = 8,  // the soft time limit has passed
};

// Tells one attempt to stop. Nothing is stopped by force: the handler looks,
// waits, or registers a callback. Any thread.
class CancelSignal {
 public:
  CancelSignal() = default;
  CancelSignal(const CancelSignal&) = delete;
  CancelSignal& operator=(const CancelSignal&) = delete;

  // Adds a cause. The first one wakes the waiters and runs the callbacks on
  // this thread; its `reason` is kept.
  void Cancel(CancelCause cause, std::string_view reason)
      ABSL_LOCKS_EXCLUDED(mu_);

  bool IsCancelled() const {
    return causes_.load(std::memory_order_acquire) != 0;
  }
  bool Has(CancelCause cause) const {
    return (causes_.load(std::memory_order_acquire) &
            static_cast<uint32_t>(cause)) != 0;
  }
  // Of the first cause, for people; empty before.
  std::string reason() const ABSL_LOCKS_EXCLUDED(mu_);

  // Waits until cancelled, at most `timeout`. True if cancelled.
  bool Wait(absl::Duration timeout) const ABSL_LOCKS_EXCLUDED(mu_);

  // Calls `callback` once, on the cancelling thread; at once on this one if
  // already cancelled. It must be short and must not call DropCallbacks.
  void OnCancel(std::function<void()> callback) ABSL_LOCKS_EXCLUDED(mu_);

  // Forgets the callbacks and returns when none runs any more, so that what
  // they refer to may go. Not at the same time as OnCancel.
  void DropCallbacks() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  std::atomic<uint32_t> causes_{0};  // written under mu_, read without it
  // Set under mu_ once there was a callback, read without it.
  std::atomic<bool> has_callbacks_{false};
  mutable absl::Mutex mu_;
  bool running_callbacks_ ABSL_GUARDED_BY(mu_) = false;
  std::string reason_ ABSL_GUARDED_BY(mu_);
  std::vector<std::function<void()>> callbacks_ ABSL_GUARDED_BY(mu_);
};

}  // namespace apium

#endif  // APIUM_WORKER_CANCEL_SIGNAL_H_
