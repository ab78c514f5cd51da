#ifndef APIUM_WORKER_WORKER_OPTIONS_H_
#define APIUM_WORKER_WORKER_OPTIONS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/limits.h"

namespace grpc {
class Channel;
}

namespace apium {

class Clock;

// Most that a worker may hold at a time, slots and prefetch together; see
// kHeldLeasesMax.
inline constexpr uint32_t kWorkerCapacityMax = 50'000;

// As QueueSubscription.weight.
inline constexpr uint32_t kQueueWeightMax = 1000;

struct WorkerOptions {
  // host:port of each broker.
  std::vector<std::string> brokers;
  // Further brokers, for example RpcServer::InProcessChannel().
  std::vector<std::shared_ptr<grpc::Channel>> channels;

  // Default "default".
  std::string namespace_name;
  // Unique in the namespace. Default "<hostname>-<pid>".
  std::string worker_id;
  // Queues to take tasks from. Empty: "default".
  std::vector<std::string> queues;
  // Shares of `queues` against each other, by name, times the queue's own
  // weight. 1 to 1,000; those that are not here have 1.
  std::map<std::string, uint32_t> queue_weights;
  // Tasks may require or prefer them; for example zone=eu.
  std::map<std::string, std::string> labels;

  // Tasks that run at a time, each on a thread. 0: one per CPU.
  uint32_t slots = 0;
  // Deliveries to hold beyond those that run, so that a slot need not wait for
  // its next task. Such tasks wait here while another worker may be free.
  uint32_t prefetch = 0;

  // A larger result fails its task.
  size_t result_bytes_max = kPayloadBytesHardMax;

  // Called once, on any thread, when an operator wants the worker to drain;
  // must return at once. Unset: the worker only stops taking tasks.
  std::function<void()> on_drain_requested;

  // Null: the machine's. Outlives the worker.
  const Clock* clock = nullptr;
};

// `options` with every default filled in.
WorkerOptions WithDefaults(WorkerOptions options);

// INVALID_ARGUMENT (reason INVALID_FIELD) names the option that is wrong, its
// value, and what would be right. Defaults are filled in.
absl::Status ValidateWorkerOptions(const WorkerOptions& options);

}  // namespace apium

#endif  // APIUM_WORKER_WORKER_OPTIONS_H_
