#include "results/result_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include "storage/store.h"

namespace apium::results {
namespace {

prometheus::Gauge* AddGauge(prometheus::Registry* registry, const char* name,
                            const char* help) {
  return &prometheus::BuildGauge()
              .Name(name)
              .Help(help)
              .Register(*registry)
              .Add({});
}

prometheus::Counter* AddCounter(prometheus::Registry* registry,
                                const char* name, const char* help) {
  return &prometheus::BuildCounter()
              .Name(name)
              .Help(help)
              .Register(*registry)
              .Add({});
}

prometheus::Histogram* AddHistogram(
    prometheus::Registry* registry, const char* name, const char* help,
    const prometheus::Histogram::BucketBoundaries& bounds) {
  return &prometheus::BuildHistogram()
              .Name(name)
              .Help(help)
              .Register(*registry)
              .Add({}, bounds);
}

prometheus::MetricFamily Value(prometheus::MetricType type, const char* name,
                               const char* help, double value) {
  prometheus::ClientMetric metric;
  if (type == prometheus::MetricType::Counter) {
    metric.counter.value = value;
  } else {
    metric.gauge.value = value;
  }
  return {.name = name, .help = help, .type = type, .metric = {metric}};
}

}  // namespace

ResultMetrics::ResultMetrics()
    : registry_(std::make_shared<prometheus::Registry>()),
      sync_seconds_(
          AddHistogram(registry_.get(), "apium_wal_sync_seconds",
                       "Time of a sync of the store's write-ahead log.",
                       {0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02,
                        0.05, 0.1, 0.2, 0.5, 1, 5})),
      batch_size_(AddHistogram(registry_.get(), "apium_commit_batch_size",
                               "Outcomes that one sync made durable.",
                               {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024,
                                2048, 4096, 8192, 16384})),
      recorded_(AddCounter(registry_.get(), "apium_results_recorded_total",
                           "Outcomes recorded since the start.")),
      expired_(AddCounter(
          registry_.get(), "apium_results_expired_total",
          "Expired outcomes that compaction dropped since the start.")),
      waiters_(AddGauge(registry_.get(), "apium_result_waiters",
                        "Calls that wait for a result.")),
      watchers_(
          AddGauge(registry_.get(), "apium_result_watchers", "Open watches.")),
      publishers_(AddGauge(registry_.get(), "apium_result_publishers",
                           "Connected outboxes of brokers.")) {}

ResultMetrics::~ResultMetrics() = default;

void ResultMetrics::ObserveCommit(absl::Duration sync_time, size_t outcomes) {
  sync_seconds_->Observe(absl::ToDoubleSeconds(sync_time));
  if (outcomes > 0) {
    batch_size_->Observe(static_cast<double>(outcomes));
    recorded_->Increment(static_cast<double>(outcomes));
  }
}

void ResultMetrics::ShowCounts(const Counts& counts) {
  waiters_->Set(static_cast<double>(counts.waiters));
  watchers_->Set(static_cast<double>(counts.watchers));
  publishers_->Set(static_cast<double>(counts.publishers));
}

void ResultMetrics::CountExpired() { expired_->Increment(); }

std::vector<prometheus::MetricFamily> ResultMetrics::Collect() const {
  return registry_->Collect();
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
