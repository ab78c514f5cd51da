#include "worker/worker_metrics.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace apium {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

constexpr std::array<const char*, kOutcomeKinds> kOutcomeLabels = {
    "succeeded", "failed", "retried", "cancelled", "returned"};

MetricFamily Family(const char* name, const char* help, MetricType type) {
  MetricFamily family;
  family.name = name;
  family.help = help;
  family.type = type;
  return family;
}

MetricFamily Gauge(const char* name, const char* help, double value) {
  MetricFamily family = Family(name, help, MetricType::Gauge);
  family.metric.emplace_back().gauge.value = value;
  return family;
}

}  // namespace

void TaskTypeMetrics::CountEnd(OutcomeKind kind, absl::Duration run_time) {
  Add(&completed_[static_cast<size_t>(kind)], 1);
  const double seconds = absl::ToDoubleSeconds(run_time);
  const size_t bucket = std::lower_bound(kRunSecondsBounds.begin(),
                                         kRunSecondsBounds.end(), seconds) -
                        kRunSecondsBounds.begin();
  Add(&runs_[bucket], 1);
  Add(&run_nanos_, absl::ToInt64Nanoseconds(run_time));
}

TaskTypeMetrics* WorkerMetrics::ForTaskType(const std::string& task_type) {
  absl::MutexLock lock(&mu_);
  std::unique_ptr<TaskTypeMetrics>& metrics = types_[task_type];
  if (metrics == nullptr) metrics = std::make_unique<TaskTypeMetrics>();
  return metrics.get();
}

void WorkerMetrics::WatchBusySlots(std::function<uint32_t()> busy) {
  absl::MutexLock lock(&mu_);
  busy_ = std::move(busy);
}

std::vector<MetricFamily> WorkerMetrics::Collect() const {
  MetricFamily started =
      Family("apium_worker_tasks_started_total",
             "Attempts whose handler was started.", MetricType::Counter);
  MetricFamily completed =
      Family("apium_worker_tasks_completed_total",
             "Attempts that ended, by outcome.", MetricType::Counter);
  MetricFamily run_seconds = Family(
      "apium_task_run_seconds", "Run time of handlers.", MetricType::Histogram);
  MetricFamily reconnects =
      Family("apium_worker_reconnects_total",
             "Streams that broke or could not be opened; each is tried again.",
             MetricType::Counter);
  reconnects.metric.emplace_back().counter.value = reconnects_;

  absl::MutexLock lock(&mu_);
  for (const auto& [type, counts] : types_) {
    const ClientMetric::Label label = {"task_type", type};
    ClientMetric& start = started.metric.emplace_back();
    start.label = {label};
    start.counter.value = counts->started_;
    for (size_t i = 0; i < kOutcomeKinds; ++i) {
      ClientMetric& end = completed.metric.emplace_back();
      end.label = {{"outcome", kOutcomeLabels[i]}, label};
      end.counter.value = counts->completed_[i];
    }
    ClientMetric& run = run_seconds.metric.emplace_back();
    run.label = {label};
    uint64_t count = 0;
    for (size_t i = 0; i < counts->runs_.size(); ++i) {
      count += counts->runs_[i];
      const double bound = i < TaskTypeMetrics::kRunSecondsBounds.size()
                               ? TaskTypeMetrics::kRunSecondsBounds[i]
                               : std::numeric_limits<double>::infinity();
      run.histogram.bucket.push_back({count, bound});
    }
    run.histogram.sample_count = count;
    run.histogram.sample_sum = counts->run_nanos_ * 1e-9;
  }
  std::vector<MetricFamily> families;
  families.push_back(Gauge("apium_worker_slots",
                           "Tasks that the worker runs at a time.", slots_));
  families.push_back(Gauge("apium_worker_slots_busy", "Tasks that run now.",
                           busy_ ? busy_() : 0));
  families.push_back(Gauge("apium_worker_streams_open",
                           "Brokers that the worker is connected to.",
                           streams_open_));
  families.push_back(std::move(reconnects));
  families.push_back(std::move(started));
  families.push_back(std::move(completed));
  families.push_back(std::move(run_seconds));
  return families;
}

}  // namespace apium
