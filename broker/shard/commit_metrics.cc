#include "broker/shard/commit_metrics.h"

#include <prometheus/client_metric.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace apium::broker {

template <size_t kBounds>
void CommitMetrics::Histogram<kBounds>::Observe(
    const std::array<double, kBounds>& bounds, double value) {
  const auto bound = std::lower_bound(bounds.begin(), bounds.end(), value);
  ++counts[bound - bounds.begin()];
  sum += value;
}

template <size_t kBounds>
prometheus::MetricFamily CommitMetrics::Histogram<kBounds>::Render(
    const std::array<double, kBounds>& bounds, const char* name,
    const char* help) const {
  prometheus::ClientMetric metric;
  uint64_t cumulative = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    cumulative += counts[i];
    metric.histogram.bucket.push_back(
        {cumulative,
         i < kBounds ? bounds[i] : std::numeric_limits<double>::infinity()});
  }
  metric.histogram.sample_count = cumulative;
  metric.histogram.sample_sum = sum;
  return {.name = name,
          .help = help,
          .type = prometheus::MetricType::Histogram,
          .metric = {std::move(metric)}};
}

void CommitMetrics::ObserveCommit(absl::Duration duration, size_t items) {
  absl::MutexLock lock(&mu_);
  sync_seconds_.Observe(kSecondBounds, absl::ToDoubleSeconds(duration));
  batch_size_.Observe(kItemBounds, static_cast<double>(items));
}

void CommitMetrics::SetQueueDepth(size_t turns) {
  absl::MutexLock lock(&mu_);
  queue_depth_ = turns;
}

std::vector<prometheus::MetricFamily> CommitMetrics::Collect() const {
  prometheus::ClientMetric depth;
  absl::MutexLock lock(&mu_);
  depth.gauge.value = static_cast<double>(queue_depth_);
  return {sync_seconds_.Render(kSecondBounds, "apium_wal_sync_seconds",
                               "Time of a sync of the store's write-ahead "
                               "log."),
          batch_size_.Render(kItemBounds, "apium_commit_batch_size",
                             "Tasks and reports whose effects one sync made "
                             "durable."),
          {.name = "apium_commit_queue_depth",
           .help = "Turns of the engine that wait for a sync.",
           .type = prometheus::MetricType::Gauge,
           .metric = {std::move(depth)}}};
}

}  // namespace apium::broker
