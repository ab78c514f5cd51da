#include "broker/metrics/broker_collector.h"

#include <iterator>
#include <memory>
#include <utility>
#include <variant>

#include "absl/synchronization/notification.h"
#include "broker/engine/effects.h"
#include "broker/engine/sinks.h"
#include "broker/metrics/engine_families.h"
#include "broker/outbox/result_forwarder.h"
#include "broker/shard/disk_guard.h"
#include "broker/shard/mailbox.h"
#include "storage/store.h"

namespace apium::broker {
namespace {

// Below the usual time limit of a scrape, 10 s, and above any healthy turn.
constexpr absl::Duration kShardTimeout = absl::Seconds(2);

class StatsSink final : public ReplySink {
 public:
  void Take(uint64_t, Reply&& reply) override {
    if (auto* body = std::get_if<StatsReply>(&reply.body)) {
      stats_ = std::move(body->stats);
    }
    taken_.Notify();
  }

  bool Wait(absl::Duration timeout) {
    return taken_.WaitForNotificationWithTimeout(timeout);
  }
  EngineStats& stats() { return stats_; }

 private:
  EngineStats stats_;
  absl::Notification taken_;
};

void Append(std::vector<prometheus::MetricFamily>&& from,
            std::vector<prometheus::MetricFamily>* to) {
  to->insert(to->end(), std::make_move_iterator(from.begin()),
             std::make_move_iterator(from.end()));
}

}  // namespace

absl::StatusOr<EngineStats> BrokerCollector::AskShard(
    absl::Duration timeout) const {
  auto sink = std::make_shared<StatsSink>();
  const absl::Status pushed =
      mailbox_->Push(GetStatsCommand{{sink, 0}}, MailboxShare::kReserved);
  if (!pushed.ok()) return pushed;
  if (!sink->Wait(timeout)) {
    return absl::DeadlineExceededError("the shard does not answer");
  }
  return std::move(sink->stats());
}

std::vector<prometheus::MetricFamily> BrokerCollector::Collect() const {
  std::vector<prometheus::MetricFamily> families;
  absl::StatusOr<EngineStats> stats = AskShard(kShardTimeout);
  families.push_back(GaugeFamily("apium_engine_up",
                                 "1 when the shard answered this scrape.",
                                 stats.ok() ? 1 : 0));
  if (stats.ok()) Append(EngineFamilies(*stats), &families);
  Append(StoreFamilies(store_->GetStats()), &families);
  families.push_back(GaugeFamily("apium_mailbox_commands",
                                 "Commands that wait for the shard.",
                                 static_cast<double>(mailbox_->commands())));
  if (disk_ != nullptr) {
    families.push_back(GaugeFamily("apium_disk_free_bytes",
                                   "Free space of the data's disk.",
                                   static_cast<double>(disk_->free_bytes())));
  }
  prometheus::MetricFamily backpressure =
      GaugeFamily("apium_backpressure_active",
                  "1 while submits are refused, by reason.", 0);
  backpressure.metric[0].label = {{"reason", "disk"}};
  backpressure.metric[0].gauge.value = disk_ != nullptr && disk_->low() ? 1 : 0;
  backpressure.metric.push_back(backpressure.metric[0]);
  backpressure.metric[1].label = {{"reason", "mailbox"}};
  backpressure.metric[1].gauge.value = mailbox_->full() ? 1 : 0;
  families.push_back(std::move(backpressure));
  if (forwarder_ != nullptr) {
    families.push_back(GaugeFamily("apium_results_connected",
                                   "1 while outcomes can be published.",
                                   forwarder_->status().ok() ? 1 : 0));
  }
  return families;
}

}  // namespace apium::broker
