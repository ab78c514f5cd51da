#ifndef APIUM_BROKER_METRICS_BROKER_COLLECTOR_H_
#define APIUM_BROKER_METRICS_BROKER_COLLECTOR_H_

#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "broker/engine/engine_stats.h"
#include "prometheus/collectable.h"
#include "prometheus/metric_family.h"

namespace apium {
class Store;
}  // namespace apium

namespace apium::broker {

class DiskGuard;
class Mailbox;
class ResultForwarder;

// The broker's metrics at each scrape: asks the shard for the engine's counts,
// and the rest directly. Any thread.
class BrokerCollector final : public prometheus::Collectable {
 public:
  // All outlive this; `disk` and `forwarder` may be null.
  BrokerCollector(Mailbox* mailbox, const Store* store, const DiskGuard* disk,
                  const ResultForwarder* forwarder)
      : mailbox_(mailbox), store_(store), disk_(disk), forwarder_(forwarder) {}

  // Without the engine's counts when the shard does not answer in time;
  // apium_engine_up then is 0.
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  // DEADLINE_EXCEEDED when the shard does not answer in `timeout`.
  absl::StatusOr<EngineStats> AskShard(absl::Duration timeout) const;

  Mailbox* const mailbox_;
  const Store* const store_;
  const DiskGuard* const disk_;
  const ResultForwarder* const forwarder_;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_METRICS_BROKER_COLLECTOR_H_
