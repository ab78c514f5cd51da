#ifndef APIUM_BROKER_ENGINE_ENGINE_STATS_H_
#define APIUM_BROKER_ENGINE_ENGINE_STATS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "broker/engine/breaker.h"
#include "broker/engine/wait_reason.h"

namespace apium::broker {

// Counts of durations by fixed bounds, as a Prometheus histogram has them.
// Plain numbers: the shard thread owns it.
class DurationHistogram {
 public:
  // Upper bounds in seconds; a last bucket without a bound follows.
  static constexpr std::array<double, 16> kBounds = {
      0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
      0.5,   1,      2.5,   5,    10,    60,   300, 1800};

  void Record(absl::Duration duration) {
    const double seconds = absl::ToDoubleSeconds(duration);
    size_t bucket = 0;
    while (bucket < kBounds.size() && seconds > kBounds[bucket]) ++bucket;
    ++counts_[bucket];
    sum_seconds_ += seconds;
  }
  // Not cumulative; one more than kBounds.
  const std::array<uint64_t, kBounds.size() + 1>& counts() const {
    return counts_;
  }
  double sum_seconds() const { return sum_seconds_; }

 private:
  std::array<uint64_t, kBounds.size() + 1> counts_{};
  double sum_seconds_ = 0;
};

// What happened to the tasks of a queue since the broker started, and what is
// in it now.
struct QueueStats {
  std::string namespace_name;
  std::string queue;
  bool paused = false;
  uint64_t ready = 0;
  uint64_t scheduled = 0;
  uint64_t leased = 0;
  uint64_t dead_letters = 0;
  uint32_t workers = 0;
  absl::Duration oldest_ready_age = absl::ZeroDuration();
  uint64_t submitted_accepted = 0;
  uint64_t submitted_duplicate = 0;
  uint64_t submitted_rejected = 0;
  uint64_t delivered = 0;
  uint64_t redelivered = 0;
  uint64_t succeeded = 0;
  uint64_t failed = 0;
  uint64_t dead_lettered = 0;
  uint64_t redriven = 0;
  uint64_t retried = 0;
  uint64_t cancelled = 0;
  uint64_t expired = 0;
  uint64_t leases_lost = 0;  // crashes
  uint64_t returned = 0;
  uint64_t stale_reports = 0;
  // Time for which tasks have been waiting for what, summed over the tasks, by
  // the number of WaitReasonKind.
  std::array<double, kWaitReasonNames.size()> blocked_seconds{};
  DurationHistogram queue_wait;  // ready to dispatched
  DurationHistogram run;         // dispatched to outcome
  DurationHistogram end_to_end;  // accepted to outcome
};

// The circuit breaker of a task type, for metrics.
struct BreakerStats {
  std::string namespace_name;
  std::string type;
  BreakerState state = BreakerState::kClosed;
  uint64_t opened = 0;  // times, since the broker started
};

// A copy of the engine's counts, for metrics.
struct EngineStats {
  std::vector<QueueStats> queues;
  std::vector<BreakerStats> breakers;
  uint64_t submits_rejected = 0;  // for want of a queue, or of admission
  uint64_t leases_active = 0;
  uint64_t sessions_connected = 0;
  uint64_t sessions_detached = 0;
  uint64_t worker_slots = 0;
  uint64_t worker_credit = 0;
  uint64_t waiters = 0;
  uint64_t hot_tasks = 0;  // tasks held in memory
  uint64_t hot_bytes = 0;
  uint64_t lanes = 0;  // with a class
  uint64_t timers_in_memory = 0;
  uint64_t outbox_last_position = 0;
  uint64_t outbox_confirmed_position = 0;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_ENGINE_STATS_H_
