#ifndef APIUM_WORKER_WORKER_METRICS_H_
#define APIUM_WORKER_WORKER_METRICS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "prometheus/collectable.h"
#include "prometheus/metric_family.h"

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

// The counts of one task type. Plain atomics: every thread of the pool counts
// here for every task, and prometheus::Histogram takes a mutex each time. Any
// thread.
class TaskTypeMetrics {
 public:
  // Seconds; from what a trivial task needs to an hour.
  static constexpr std::array<double, 14> kRunSecondsBounds = {
      0.0001, 0.001, 0.005, 0.025, 0.1, 0.5,  1,
      5,      15,    60,    300,   900, 3600, 14400};

  void CountStart() { Add(&started_, 1); }
  // The handler ran.
  void CountEnd(OutcomeKind kind, absl::Duration run_time);
  // It did not.
  void CountNotRun(OutcomeKind kind) {
    Add(&completed_[static_cast<size_t>(kind)], 1);
  }

 private:
  friend class WorkerMetrics;
  using Count = std::atomic<uint64_t>;

  static void Add(Count* count, uint64_t n) {
    count->fetch_add(n, std::memory_order_relaxed);
  }

  Count started_{0};
  std::array<Count, kOutcomeKinds> completed_{};
  // By bucket, not cumulated; the last has no bound.
  std::array<Count, kRunSecondsBounds.size() + 1> runs_{};
  Count run_nanos_{0};
};

// All metrics of one worker. Counters start at 0, so that rates are right from
// the first task on. Any thread.
class WorkerMetrics final : public prometheus::Collectable {
 public:
  WorkerMetrics() = default;

  // Lives as long as this.
  TaskTypeMetrics* ForTaskType(const std::string& task_type)
      ABSL_LOCKS_EXCLUDED(mu_);

  void set_slots(uint32_t slots) { slots_ = slots; }
  // Asked at each scrape; null: nothing runs any more, and the former function
  // is not called after this returns.
  void WatchBusySlots(std::function<uint32_t()> busy) ABSL_LOCKS_EXCLUDED(mu_);
  void CountStreamOpened() { ++streams_open_; }
  void CountStreamClosed() { --streams_open_; }
  // A stream broke or could not be opened, and is tried again.
  void CountReconnect() { ++reconnects_; }

  std::vector<prometheus::MetricFamily> Collect() const override
      ABSL_LOCKS_EXCLUDED(mu_);

 private:
  std::atomic<uint32_t> slots_{0};
  std::atomic<int> streams_open_{0};
  std::atomic<uint64_t> reconnects_{0};
  mutable absl::Mutex mu_;
  std::function<uint32_t()> busy_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, std::unique_ptr<TaskTypeMetrics>> types_
      ABSL_GUARDED_BY(mu_);
};

}  // namespace apium

#endif  // APIUM_WORKER_WORKER_METRICS_H_
