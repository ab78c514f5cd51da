#ifndef APIUM_RESULTS_RESULT_METRICS_H_
#define APIUM_RESULTS_RESULT_METRICS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/time/time.h"
#include "prometheus/collectable.h"
#include "prometheus/metric_family.h"

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
class Registry;
}  // namespace prometheus

namespace apium {
class Store;
}  // namespace apium

namespace apium::results {

// What the service says of itself at /metrics. Any thread.
class ResultMetrics final : public prometheus::Collectable {
 public:
  struct Counts {
    size_t waiters = 0;
    size_t watchers = 0;
    size_t publishers = 0;
  };

  ResultMetrics();
  ~ResultMetrics() override;

  // One sync that took `sync_time` and made `outcomes` durable.
  void ObserveCommit(absl::Duration sync_time, size_t outcomes);
  void ShowCounts(const Counts& counts);
  // An expired outcome was dropped from the store.
  void CountExpired();

  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const std::shared_ptr<prometheus::Registry> registry_;
  prometheus::Histogram* sync_seconds_;
  prometheus::Histogram* batch_size_;
  prometheus::Counter* recorded_;
  prometheus::Counter* expired_;
  prometheus::Gauge* waiters_;
  prometheus::Gauge* watchers_;
  prometheus::Gauge* publishers_;
};

// What the store says of itself: apium_results_stored and _bytes (estimates of
// RocksDB, log rows included) and apium_rocksdb_*. Borrows `store`.
class StoreMetrics final : public prometheus::Collectable {
 public:
  explicit StoreMetrics(const Store* store) : store_(store) {}
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const Store* const store_;
};

}  // namespace apium::results

#endif  // APIUM_RESULTS_RESULT_METRICS_H_
