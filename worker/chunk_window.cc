#include "worker/chunk_window.h"

#include "absl/time/clock.h"

namespace apium {

void ChunkWindow::SetLimit(size_t bytes) {
  absl::MutexLock lock(&mu_);
  limit_ = bytes;
  changed_.SignalAll();
}

absl::Status ChunkWindow::Take(size_t bytes, absl::Time deadline,
                               absl::FunctionRef<bool()> stopped) {
  absl::MutexLock lock(&mu_);
  while (taken_ > 0 && taken_ + bytes > limit_) {
    if (stopped()) return absl::CancelledError("the attempt is to stop");
    if (absl::Now() >= deadline) {
      return absl::DeadlineExceededError(
          "the broker has not acknowledged earlier chunks in time");
    }
    changed_.WaitWithDeadline(&mu_, deadline);
  }
  taken_ += bytes;
  return absl::OkStatus();
}

void ChunkWindow::Give(size_t bytes) {
  absl::MutexLock lock(&mu_);
  taken_ -= bytes;
  changed_.SignalAll();
}

void ChunkWindow::Wake() {
  absl::MutexLock lock(&mu_);
  changed_.SignalAll();
}

size_t ChunkWindow::taken() const {
  absl::MutexLock lock(&mu_);
  return taken_;
}

}  // namespace apium
