#ifndef APIUM_BROKER_ENGINE_WAIT_REASON_H_
#define APIUM_BROKER_ENGINE_WAIT_REASON_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace apium::broker {

// As apium.v1.WaitReasonKind, with the same numbers.
enum class WaitReasonKind : uint8_t {
  kScheduled = 1,
  kUniqueKey = 2,
  kOrdering = 3,
  kOrderingBlocked = 4,
  kPaused = 5,
  kNoWorker = 6,
  kNoWorkerForType = 7,
  kNoWorkerForLabels = 8,
  kBreaker = 9,
  kConcurrencyLimit = 10,
  kRateLimit = 11,
  kLimitPaused = 12,
  kRunsAlone = 13,
  kBusy = 14,
};

// In metrics: by number, the first is of none.
inline constexpr std::array<const char*, 15> kWaitReasonNames = {
    "",
    "scheduled",
    "unique_key",
    "ordering",
    "ordering_blocked",
    "paused",
    "no_worker",
    "no_worker_for_type",
    "no_worker_for_labels",
    "breaker",
    "concurrency_limit",
    "rate_limit",
    "limit_paused",
    "runs_alone",
    "busy"};

// As apium.v1.WaitReason.
struct WaitReason {
  WaitReasonKind kind = WaitReasonKind::kBusy;
  std::string text;
  absl::Time until = absl::InfiniteFuture();  // InfiniteFuture: not known
  absl::Time since = absl::InfinitePast();    // InfinitePast: not known
  std::vector<std::string> task_ids;
  uint64_t ahead = 0;
  bool estimate = false;
  std::string limit;
  std::string limit_key;
  double usage = 0;
  double capacity = 0;
  uint64_t tasks = 0;
  absl::Duration blocked_time;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_WAIT_REASON_H_
