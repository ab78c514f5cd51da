#include "broker/shard/commit_metrics.h"

#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

namespace apium::broker {
namespace {

prometheus::Histogram* MakeHistogram(
    prometheus::Registry* registry, const char* name, const char* help,
    const prometheus::Histogram::BucketBoundaries& bounds) {
  return &prometheus::BuildHistogram()
              .Name(name)
              .Help(help)
              .Register(*registry)
              .Add({}, bounds);
}

}  // namespace

CommitMetrics::CommitMetrics(prometheus::Registry* registry)
    : sync_seconds_(
          MakeHistogram(registry, "apium_wal_sync_seconds",
                        "Time of a sync of the store's write-ahead log.",
                        {0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01,
                         0.02, 0.05, 0.1, 0.2, 0.5, 1, 5})),
      batch_size_(MakeHistogram(
          registry, "apium_commit_batch_size",
          "Commands, counted in tasks and reports, that one sync made durable.",
          {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192,
           16384})),
      queue_depth_(&prometheus::BuildGauge()
                        .Name("apium_commit_queue_depth")
                        .Help("Turns of the engine that wait for a sync.")
                        .Register(*registry)
                        .Add({})) {}

void CommitMetrics::ObserveSync(double seconds) {
  sync_seconds_->Observe(seconds);
}

void CommitMetrics::ObserveBatch(double items) { batch_size_->Observe(items); }

void CommitMetrics::SetQueueDepth(double turns) { queue_depth_->Set(turns); }

}  // namespace apium::broker
