#include "broker/shard/disk_guard.h"

#include <pthread.h>

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/error_reasons.h"
#include "common/error_reason.h"
#include "common/log.h"

namespace apium::broker {

DiskGuard::DiskGuard(DiskGuardOptions options,
                     std::function<absl::StatusOr<DiskSpace>()> probe,
                     std::function<void(absl::Status)> set_admission)
    : options_(options),
      probe_(std::move(probe)),
      set_admission_(std::move(set_admission)),
      thread_([this] { Run(); }) {}

DiskGuard::~DiskGuard() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  thread_.join();
}

void DiskGuard::Run() {
  pthread_setname_np(pthread_self(), "disk-guard");
  while (true) {
    Check();
    absl::MutexLock lock(&mu_);
    if (mu_.AwaitWithTimeout(absl::Condition(&stopping_), options_.period)) {
      return;
    }
  }
}

void DiskGuard::Check() {
  const absl::StatusOr<DiskSpace> space = probe_();
  if (!space.ok()) {
    // Nothing is known, so nothing changes; a disk that is gone fails the next
    // commit.
    static LogEvery every(absl::Minutes(1));
    if (every.Admit()) {
      LogWarning("free disk space cannot be read", {{"error", space.status()}});
    }
    return;
  }
  free_bytes_.store(space->free_bytes);
  const bool low = space->free_bytes < options_.min_free_bytes;
  if (low == low_.exchange(low)) return;
  if (low) {
    LogError("disk space is low; submits are refused",
             {{"free_bytes", space->free_bytes},
              {"min_free_bytes", options_.min_free_bytes}});
    set_admission_(WithRetryDelay(
        WithReason(absl::ResourceExhaustedError(
                       absl::StrCat("the broker's disk has ", space->free_bytes,
                                    " bytes free; it accepts tasks from ",
                                    options_.min_free_bytes, " bytes on")),
                   reason::kDiskLow),
        absl::Seconds(10)));
  } else {
    LogInfo("disk space is sufficient again; submits are accepted",
            {{"free_bytes", space->free_bytes}});
    set_admission_(absl::OkStatus());
  }
}

}  // namespace apium::broker
