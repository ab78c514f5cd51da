#include "worker/worker_metrics.h"

namespace apium {
namespace {

constexpr std::array<const char*, kOutcomeKinds> kOutcomeLabels = {
    "succeeded", "failed", "retried", "cancelled", "returned"};

// From 100 us, which a trivial task needs, to an hour.
const prometheus::Histogram::BucketBoundaries& RunSecondsBuckets() {
  static const auto* const buckets =
      new prometheus::Histogram::BucketBoundaries{
          0.0001, 0.001, 0.005, 0.025, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600};
  return *buckets;
}

prometheus::Gauge& AddGauge(prometheus::Registry& registry, const char* name,
                            const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add(
      {});
}

}  // namespace

WorkerMetrics::WorkerMetrics()
    : registry_(std::make_shared<prometheus::Registry>()),
      started_(prometheus::BuildCounter()
                   .Name("apium_worker_tasks_started_total")
                   .Help("Attempts whose handler was started.")
                   .Register(*registry_)),
      completed_(prometheus::BuildCounter()
                     .Name("apium_worker_tasks_completed_total")
                     .Help("Attempts that ended, by outcome.")
                     .Register(*registry_)),
      run_seconds_(prometheus::BuildHistogram()
                       .Name("apium_task_run_seconds")
                       .Help("Run time of handlers.")
                       .Register(*registry_)),
      slots_(AddGauge(*registry_, "apium_worker_slots",
                      "Tasks that the worker runs at a time.")),
      slots_busy_(AddGauge(*registry_, "apium_worker_slots_busy",
                           "Tasks that run now.")),
      streams_open_(AddGauge(*registry_, "apium_worker_streams_open",
                             "Brokers that the worker is connected to.")),
      stream_failures_(
          prometheus::BuildCounter()
              .Name("apium_worker_reconnects_total")
              .Help("Streams that broke or could not be opened; each is "
                    "followed by another try.")
              .Register(*registry_)
              .Add({})) {}

TaskTypeMetrics WorkerMetrics::ForTaskType(const std::string& task_type) {
  TaskTypeMetrics metrics;
  metrics.started = &started_.Add({{"task_type", task_type}});
  for (size_t i = 0; i < kOutcomeKinds; ++i) {
    metrics.completed[i] = &completed_.Add(
        {{"task_type", task_type}, {"outcome", kOutcomeLabels[i]}});
  }
  metrics.run_seconds =
      &run_seconds_.Add({{"task_type", task_type}}, RunSecondsBuckets());
  return metrics;
}

}  // namespace apium
