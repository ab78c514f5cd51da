#include "worker/worker_options.h"

#include <unistd.h>

#include <algorithm>
#include <string_view>
#include <thread>

#include "common/clock.h"
#include "common/error_reason.h"
#include "common/listen_address.h"
#include "common/names.h"
#include "common/status_macros.h"
#include "common/strings.h"

namespace apium {
namespace {

// A broker refuses a worker that sets it.
constexpr std::string_view kWorkerIdLabel = "apium.worker_id";

std::string Hostname() {
  char name[256] = {};
  if (gethostname(name, sizeof(name) - 1) != 0) return "localhost";
  return name;
}

}  // namespace

WorkerOptions WithDefaults(WorkerOptions options) {
  if (options.clock == nullptr) options.clock = SystemClock::Get();
  if (options.namespace_name.empty()) {
    options.namespace_name = std::string(kDefaultNamespace);
  }
  if (options.worker_id.empty()) {
    options.worker_id = StrCat(Hostname(), "-", getpid());
  }
  if (options.slots == 0) {
    options.slots = std::max(1u, std::thread::hardware_concurrency());
  }
  return options;
}

absl::Status ValidateWorkerOptions(const WorkerOptions& options) {
  if (options.brokers.empty() && options.channels.empty()) {
    return InvalidField("brokers", "none is given");
  }
  for (const std::string& broker : options.brokers) {
    absl::StatusOr<HostPort> address = ParseHostPort(broker);
    if (!address.ok()) {
      return InvalidField(
          "brokers", StrCat(QuoteForMessage(broker),
                            " is not host:port: ", address.status().message()));
    }
    if (address->host.empty() || address->port == 0) {
      return InvalidField("brokers", StrCat(QuoteForMessage(broker),
                                            " is not host:port: both parts "
                                            "are needed"));
    }
  }
  APIUM_RETURN_IF_ERROR(ValidateNamespace("namespace", options.namespace_name));
  APIUM_RETURN_IF_ERROR(ValidateWorkerId("worker_id", options.worker_id));
  if (options.queues.size() > kWorkerQueuesMax) {
    return InvalidField("queues",
                        StrCat(options.queues.size(), " queues; at most ",
                               kWorkerQueuesMax, " are allowed"));
  }
  for (const std::string& queue : options.queues) {
    APIUM_RETURN_IF_ERROR(ValidateQueueName("queues", queue));
  }
  for (const auto& [queue, weight] : options.queue_weights) {
    const bool taken = std::find(options.queues.begin(), options.queues.end(),
                                 queue) != options.queues.end();
    if (!taken && !(options.queues.empty() && queue == kDefaultQueue)) {
      return InvalidField(
          "queue_weights",
          StrCat(QuoteForMessage(queue), " is not among the worker's queues"));
    }
    if (weight == 0 || weight > kQueueWeightMax) {
      return InvalidField("queue_weights",
                          StrCat("the weight of ", queue, " is ", weight,
                                 "; must be in [1, ", kQueueWeightMax, "]"));
    }
  }
  if (options.labels.size() > kLabelsMax) {
    return InvalidField(
        "labels", StrCat(options.labels.size(), " labels; at most ", kLabelsMax,
                         " are allowed"));
  }
  for (const auto& [name, value] : options.labels) {
    APIUM_RETURN_IF_ERROR(ValidateLabelName("labels", name));
    if (name == kWorkerIdLabel) {
      return InvalidField(
          "labels", StrCat("has ", name, ", which every worker has by itself"));
    }
    if (value.size() > kLabelValueBytesMax) {
      return InvalidField("labels",
                          StrCat("the value of ", name, " has ", value.size(),
                                 " bytes; the limit is ", kLabelValueBytesMax));
    }
  }
  if (uint64_t{options.slots} + options.prefetch > kWorkerCapacityMax) {
    return InvalidField("slots",
                        StrCat(options.slots, " slots and ", options.prefetch,
                               " prefetch; the limit of both "
                               "together is ",
                               kWorkerCapacityMax));
  }
  return absl::OkStatus();
}

}  // namespace apium
