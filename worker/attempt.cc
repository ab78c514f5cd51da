#include "worker/attempt.h"

#include <utility>

namespace apium {

void Attempt::MarkStarted(absl::Time wall, absl::Duration monotonic) {
  start_time_ = wall;
  start_monotonic_ = monotonic;
  started_.store(true, std::memory_order_release);
}

bool Attempt::StoreProgress(v1::Progress progress) {
  absl::MutexLock lock(&mu_);
  const bool taken = progress_ == nullptr;
  progress_ = std::make_unique<v1::Progress>(std::move(progress));
  return taken;
}

std::optional<v1::Progress> Attempt::TakeProgress() {
  absl::MutexLock lock(&mu_);
  if (progress_ == nullptr) return std::nullopt;
  std::optional<v1::Progress> progress(std::move(*progress_));
  progress_.reset();
  return progress;
}

}  // namespace apium
