#ifndef APIUM_RESULTS_RESULT_METRICS_H_
#define APIUM_RESULTS_RESULT_METRICS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "prometheus/collectable.h"
#include "prometheus/metric_family.h"

namespace apium {
class Store;
}  // namespace apium

namespace apium::results {

// What the service says of itself at /metrics. Plain atomics, because commits
// are counted here. Any thread.
class ResultMetrics final : public prometheus::Collectable {
 public:
  struct Counts {
    size_t waiters = 0;
    size_t watchers = 0;
    size_t publishers = 0;
  };

  // One sync that took `sync_time` and made `outcomes` durable. One thread at a
  // time.
  void ObserveCommit(absl::Duration sync_time, size_t outcomes);
  void ShowCounts(const Counts& counts);
  // An expired outcome was dropped from the store.
  void CountExpired();

  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  template <size_t kBounds>
  struct Histogram {
    // By bucket, not cumulated; the last has no bound.
    std::array<std::atomic<uint64_t>, kBounds + 1> buckets{};
    std::atomic<double> sum{0};
  };
  static constexpr std::array<double, 14> kSyncSecondsBounds = {
      0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01,
      0.02,   0.05,   0.1,    0.2,   0.5,   1,     5};
  static constexpr std::array<double, 15> kBatchSizeBounds = {
      1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384};

  template <size_t kBounds>
  static void Observe(const std::array<double, kBounds>& bounds, double value,
                      Histogram<kBounds>* histogram);
  template <size_t kBounds>
  static prometheus::MetricFamily Family(
      const char* name, const char* help,
      const std::array<double, kBounds>& bounds,
      const Histogram<kBounds>& histogram);

  Histogram<kSyncSecondsBounds.size()> sync_seconds_;
  Histogram<kBatchSizeBounds.size()> batch_size_;
  std::atomic<uint64_t> recorded_{0};
  std::atomic<uint64_t> expired_{0};
  std::atomic<size_t> waiters_{0};
  std::atomic<size_t> watchers_{0};
  std::atomic<size_t> publishers_{0};
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
