#ifndef APIUM_BROKER_SHARD_COMMIT_METRICS_H_
#define APIUM_BROKER_SHARD_COMMIT_METRICS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "prometheus/collectable.h"
#include "prometheus/metric_family.h"

namespace apium::broker {

// What the commit path says of itself: apium_wal_sync_seconds,
// apium_commit_batch_size, apium_commit_queue_depth. Any thread.
class CommitMetrics final : public prometheus::Collectable {
 public:
  // One sync that took `duration` and made the effects of `items` tasks and
  // reports durable.
  void ObserveCommit(absl::Duration duration, size_t items)
      ABSL_LOCKS_EXCLUDED(mu_);
  // Turns that wait for a sync.
  void SetQueueDepth(size_t turns) ABSL_LOCKS_EXCLUDED(mu_);

  std::vector<prometheus::MetricFamily> Collect() const override
      ABSL_LOCKS_EXCLUDED(mu_);

 private:
  static constexpr std::array<double, 14> kSecondBounds = {
      0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01,
      0.02,   0.05,   0.1,    0.2,   0.5,   1,     5};
  static constexpr std::array<double, 15> kItemBounds = {
      1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384};

  // Counts by upper bound, and of what is above them all.
  template <size_t kBounds>
  struct Histogram {
    std::array<uint64_t, kBounds + 1> counts{};
    double sum = 0;

    void Observe(const std::array<double, kBounds>& bounds, double value);
    prometheus::MetricFamily Render(const std::array<double, kBounds>& bounds,
                                    const char* name, const char* help) const;
  };

  mutable absl::Mutex mu_;
  Histogram<kSecondBounds.size()> sync_seconds_ ABSL_GUARDED_BY(mu_);
  Histogram<kItemBounds.size()> batch_size_ ABSL_GUARDED_BY(mu_);
  size_t queue_depth_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_SHARD_COMMIT_METRICS_H_
