#ifndef APIUM_WORKER_WORKER_METRICS_H_
#define APIUM_WORKER_WORKER_METRICS_H_

#include <array>
#include <cstddef>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "prometheus/collectable.h"
#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"

namespace apium {

// How an attempt ended, as the label `outcome`.
enum class OutcomeKind {
  kSucceeded,
  kFailed,
  kRetried,
  kCancelled,
  kReturned,
};
inline constexpr size_t kOutcomeKinds = 5;

// The metrics of one task type; counters start at 0 so that rates are right
// from the first task on.
struct TaskTypeMetrics {
  prometheus::Counter* started;
  std::array<prometheus::Counter*, kOutcomeKinds> completed;
  prometheus::Histogram* run_seconds;

  // Any thread.
  void CountEnd(OutcomeKind kind, absl::Duration run_time) const {
    completed[static_cast<size_t>(kind)]->Increment();
    run_seconds->Observe(absl::ToDoubleSeconds(run_time));
  }
  void CountNotRun(OutcomeKind kind) const {
    completed[static_cast<size_t>(kind)]->Increment();
  }
};

// All metrics of one worker. Any thread.
class WorkerMetrics {
 public:
  WorkerMetrics();
  WorkerMetrics(const WorkerMetrics&) = delete;
  WorkerMetrics& operator=(const WorkerMetrics&) = delete;

  // Lives as long as this. The label of types that nobody registered is
  // "unknown", whatever a broker calls them.
  TaskTypeMetrics ForTaskType(const std::string& task_type);

  prometheus::Gauge& slots() { return slots_; }
  prometheus::Gauge& slots_busy() { return slots_busy_; }
  prometheus::Gauge& streams_open() { return streams_open_; }
  prometheus::Counter& stream_failures() { return stream_failures_; }

  std::shared_ptr<prometheus::Collectable> collectable() { return registry_; }

 private:
  const std::shared_ptr<prometheus::Registry> registry_;
  prometheus::Family<prometheus::Counter>& started_;
  prometheus::Family<prometheus::Counter>& completed_;
  prometheus::Family<prometheus::Histogram>& run_seconds_;
  prometheus::Gauge& slots_;
  prometheus::Gauge& slots_busy_;
  prometheus::Gauge& streams_open_;
  prometheus::Counter& stream_failures_;
};

}  // namespace apium

#endif  // APIUM_WORKER_WORKER_METRICS_H_
