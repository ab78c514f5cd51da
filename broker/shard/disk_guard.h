#ifndef APIUM_BROKER_SHARD_DISK_GUARD_H_
#define APIUM_BROKER_SHARD_DISK_GUARD_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "storage/disk_space.h"

namespace apium::broker {

struct DiskGuardOptions {
  // Below this the broker accepts no submits: a full disk would end the store
  // for good, and finishing what is queued needs space, too.
  uint64_t min_free_bytes = 256 * 1024 * 1024;
  absl::Duration period = absl::Seconds(1);
};

// Watches the free space of the data folder's disk on a thread of its own.
class DiskGuard {
 public:
  // `probe` measures; `set_admission` is called on the guard's thread whenever
  // the verdict changes: RESOURCE_EXHAUSTED / DISK_LOW, or OK again.
  DiskGuard(DiskGuardOptions options,
            std::function<absl::StatusOr<DiskSpace>()> probe,
            std::function<void(absl::Status)> set_admission);
  // Joins.
  ~DiskGuard();
  DiskGuard(const DiskGuard&) = delete;
  DiskGuard& operator=(const DiskGuard&) = delete;

  // Any thread. As last measured.
  uint64_t free_bytes() const { return free_bytes_.load(); }
  bool low() const { return low_.load(); }

 private:
  void Run();
  void Check();

  const DiskGuardOptions options_;
  const std::function<absl::StatusOr<DiskSpace>()> probe_;
  const std::function<void(absl::Status)> set_admission_;
  std::atomic<uint64_t> free_bytes_{0};
  std::atomic<bool> low_{false};
  absl::Mutex mu_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_SHARD_DISK_GUARD_H_
