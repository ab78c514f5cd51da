#include "worker/cancel_signal.h"

#include <utility>

namespace apium {

void CancelSignal::Cancel(CancelCause cause, std::string_view reason) {
  std::vector<std::function<void()>> callbacks;
  {
    absl::MutexLock lock(&mu_);
    const uint32_t before = causes_.fetch_or(static_cast<uint32_t>(cause),
                                             std::memory_order_release);
    if (before != 0) return;
    reason_ = std::string(reason);
    if (callbacks_.empty()) return;
    callbacks.swap(callbacks_);
    running_callbacks_ = true;
  }
  for (const std::function<void()>& callback : callbacks) callback();
  absl::MutexLock lock(&mu_);
  running_callbacks_ = false;
}

std::string CancelSignal::reason() const {
  absl::MutexLock lock(&mu_);
  return reason_;
}

bool CancelSignal::Wait(absl::Duration timeout) const {
  absl::MutexLock lock(&mu_);
  return mu_.AwaitWithTimeout(
      absl::Condition(
          +[](const CancelSignal* self) { return self->IsCancelled(); }, this),
      timeout);
}

void CancelSignal::OnCancel(std::function<void()> callback) {
  {
    absl::MutexLock lock(&mu_);
    if (!IsCancelled()) {
      callbacks_.push_back(std::move(callback));
      has_callbacks_.store(true, std::memory_order_release);
      return;
    }
  }
  callback();
}

void CancelSignal::DropCallbacks() {
  // Most tasks never register one.
  if (!has_callbacks_.load(std::memory_order_acquire)) return;
  absl::MutexLock lock(&mu_);
  callbacks_.clear();
  mu_.Await(absl::Condition(
      +[](bool* running) { return !*running; }, &running_callbacks_));
}

}  // namespace apium
