#ifndef APIUM_WORKER_CHUNK_WINDOW_H_
#define APIUM_WORKER_CHUNK_WINDOW_H_

#include <cstddef>
#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace apium {

// Bytes of chunks that a worker may hold for one broker, sent or not, until
// they are acknowledged: bounds the worker's memory and what the broker has in
// hand. Any thread.
class ChunkWindow {
 public:
  // Until a broker says its own.
  static constexpr size_t kDefaultBytes = 1024 * 1024;

  ChunkWindow() = default;
  ChunkWindow(const ChunkWindow&) = delete;
  ChunkWindow& operator=(const ChunkWindow&) = delete;

  void SetLimit(size_t bytes) ABSL_LOCKS_EXCLUDED(mu_);

  // Takes `bytes`, when there is room or nothing else is taken. Waits for it
  // until `deadline`, DEADLINE_EXCEEDED, or until `stopped`, CANCELLED: whoever
  // changes what `stopped` says calls Wake.
  absl::Status Take(size_t bytes, absl::Time deadline,
                    absl::FunctionRef<bool()> stopped) ABSL_LOCKS_EXCLUDED(mu_);
  void Give(size_t bytes) ABSL_LOCKS_EXCLUDED(mu_);
  void Wake() ABSL_LOCKS_EXCLUDED(mu_);

  size_t taken() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  mutable absl::Mutex mu_;
  absl::CondVar changed_;
  size_t limit_ ABSL_GUARDED_BY(mu_) = kDefaultBytes;
  size_t taken_ ABSL_GUARDED_BY(mu_) = 0;
};

// Bytes that were taken; gives them back.
class ChunkHold {
 public:
  ChunkHold(std::shared_ptr<ChunkWindow> window, size_t bytes)
      : window_(std::move(window)), bytes_(bytes) {}
  ChunkHold(ChunkHold&& other) noexcept = default;
  ChunkHold& operator=(ChunkHold&&) = delete;
  ~ChunkHold() {
    if (window_ != nullptr) window_->Give(bytes_);
  }

 private:
  std::shared_ptr<ChunkWindow> window_;
  size_t bytes_;
};

}  // namespace apium

#endif  // APIUM_WORKER_CHUNK_WINDOW_H_
