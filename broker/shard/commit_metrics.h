#ifndef APIUM_BROKER_SHARD_COMMIT_METRICS_H_
#define APIUM_BROKER_SHARD_COMMIT_METRICS_H_

#include <memory>

namespace prometheus {
class Gauge;
class Histogram;
class Registry;
}  // namespace prometheus

namespace apium::broker {

// What the commit path says of itself, registered in `registry`, which outlives
// this. Any thread.
class CommitMetrics {
 public:
  explicit CommitMetrics(prometheus::Registry* registry);

  void ObserveSync(double seconds);
  // Items (tasks, reports) whose effects one sync made durable.
  void ObserveBatch(double items);
  void SetQueueDepth(double turns);

 private:
  prometheus::Histogram* const sync_seconds_;
  prometheus::Histogram* const batch_size_;
  prometheus::Gauge* const queue_depth_;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_SHARD_COMMIT_METRICS_H_
