#include "results/result_metrics.h"

#include <algorithm>
#include <limits>

#include "storage/store.h"

namespace apium::results {
namespace {

using prometheus::MetricFamily;
using prometheus::MetricType;

MetricFamily Value(MetricType type, const char* name, const char* help,
                   double value) {
  prometheus::ClientMetric metric;
  if (type == MetricType::Counter) {
    metric.counter.value = value;
  } else {
    metric.gauge.value = value;
  }
  return {.name = name, .help = help, .type = type, .metric = {metric}};
}

}  // namespace

template <size_t kBounds>
void ResultMetrics::Observe(const std::array<double, kBounds>& bounds,
                            double value, Histogram<kBounds>* histogram) {
  const size_t bucket =
      std::lower_bound(bounds.begin(), bounds.end(), value) - bounds.begin();
  histogram->buckets[bucket].fetch_add(1, std::memory_order_relaxed);
  histogram->sum.fetch_add(value, std::memory_order_relaxed);
}

template <size_t kBounds>
MetricFamily ResultMetrics::Family(const char* name, const char* help,
                                   const std::array<double, kBounds>& bounds,
                                   const Histogram<kBounds>& histogram) {
  prometheus::ClientMetric metric;
  uint64_t count = 0;
  for (size_t i = 0; i <= kBounds; ++i) {
    count += histogram.buckets[i];
    metric.histogram.bucket.push_back(
        {.cumulative_count = count,
         .upper_bound = i < kBounds ? bounds[i]
                                    : std::numeric_limits<double>::infinity()});
  }
  metric.histogram.sample_count = count;
  metric.histogram.sample_sum = histogram.sum;
  return {.name = name,
          .help = help,
          .type = MetricType::Histogram,
          .metric = {metric}};
}

void ResultMetrics::ObserveCommit(absl::Duration sync_time, size_t outcomes) {
  Observe(kSyncSecondsBounds, absl::ToDoubleSeconds(sync_time), &sync_seconds_);
  if (outcomes > 0) {
    Observe(kBatchSizeBounds, static_cast<double>(outcomes), &batch_size_);
    recorded_.fetch_add(outcomes, std::memory_order_relaxed);
  }
}

void ResultMetrics::ShowCounts(const Counts& counts) {
  waiters_ = counts.waiters;
  watchers_ = counts.watchers;
  publishers_ = counts.publishers;
}

void ResultMetrics::CountExpired() {
  expired_.fetch_add(1, std::memory_order_relaxed);
}

std::vector<MetricFamily> ResultMetrics::Collect() const {
  const auto value = [](MetricType type, const char* name, const char* help,
                        uint64_t count) {
    return Value(type, name, help, static_cast<double>(count));
  };
  return {
      Family("apium_wal_sync_seconds",
             "Time of a sync of the store's write-ahead log.",
             kSyncSecondsBounds, sync_seconds_),
      Family("apium_commit_batch_size", "Outcomes that one sync made durable.",
             kBatchSizeBounds, batch_size_),
      value(MetricType::Counter, "apium_results_recorded_total",
            "Outcomes recorded since the start.", recorded_),
      value(MetricType::Counter, "apium_results_expired_total",
            "Expired outcomes that compaction dropped since the start.",
            expired_),
      value(MetricType::Gauge, "apium_result_waiters",
            "Calls that wait for a result.", waiters_),
      value(MetricType::Gauge, "apium_result_watchers", "Open watches.",
            watchers_),
      value(MetricType::Gauge, "apium_result_publishers",
            "Connected outboxes of brokers.", publishers_),
  };
}

std::vector<prometheus::MetricFamily> StoreMetrics::Collect() const {
  const StoreStats stats = store_->GetStats();
  const auto gauge = [](const char* name, const char* help, double value) {
    return Value(prometheus::MetricType::Gauge, name, help, value);
  };
  const auto number = [](uint64_t value) { return static_cast<double>(value); };
  std::vector<prometheus::MetricFamily> families;
  families.push_back(
      gauge("apium_results_stored",
            "Rows of outcomes and of the log that lists them, estimated.",
            number(stats.estimated_keys)));
  families.push_back(gauge("apium_results_bytes",
                           "Size of what is stored, in files and in memory.",
                           number(stats.sst_bytes + stats.memtable_bytes)));
  families.push_back(gauge("apium_rocksdb_block_cache_usage_bytes",
                           "Memory of blocks read from files.",
                           number(stats.block_cache_bytes)));
  families.push_back(gauge("apium_rocksdb_table_reader_bytes",
                           "Memory of open files beside the block cache.",
                           number(stats.table_reader_bytes)));
  families.push_back(gauge("apium_rocksdb_memtable_bytes",
                           "Memory of rows that are not in a file yet.",
                           number(stats.memtable_bytes)));
  families.push_back(gauge("apium_rocksdb_sst_bytes",
                           "Size of all table files.",
                           number(stats.sst_bytes)));
  families.push_back(gauge("apium_rocksdb_pending_compaction_bytes",
                           "Estimate of what compaction has to rewrite.",
                           number(stats.pending_compaction_bytes)));
  families.push_back(gauge("apium_rocksdb_l0_files", "Files in level 0.",
                           number(stats.l0_files)));
  families.push_back(Value(
      prometheus::MetricType::Counter, "apium_rocksdb_background_errors_total",
      "Failed flushes and compactions.", number(stats.background_errors)));
  families.push_back(Value(prometheus::MetricType::Counter,
                           "apium_rocksdb_stall_seconds_total",
                           "What writes waited for flush or compaction.",
                           absl::ToDoubleSeconds(stats.stall_time)));
  families.push_back(gauge("apium_rocksdb_write_stopped",
                           "1 while writes wait for flush or compaction.",
                           stats.write_stopped ? 1 : 0));
  return families;
}

}  // namespace apium::results
