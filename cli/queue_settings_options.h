// Options that `apium queue create` and `update` have in common.

#ifndef APIUM_CLI_QUEUE_SETTINGS_OPTIONS_H_
#define APIUM_CLI_QUEUE_SETTINGS_OPTIONS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "apium/v1/queue_service.pb.h"

namespace CLI {
class App;
}

namespace apium::cli {

// What tasks get that do not say it themselves.
struct TaskDefaultsFlags {
  std::optional<uint32_t> priority;
  std::optional<absl::Duration> expires;
  std::optional<uint32_t> attempts_max;
  std::optional<absl::Duration> retry_delay;
  std::optional<uint32_t> crashes_max;
  std::optional<uint32_t> returns_max;
  std::optional<absl::Duration> total_time_limit;
  std::optional<absl::Duration> result_ttl;
  std::optional<absl::Duration> soft_time_limit;
  std::optional<v1::ResultMode> result_mode;
  std::optional<v1::DeliveryMode> delivery_mode;
};

// Each is unset unless it is given.
struct QueueSettingsFlags {
  std::optional<std::string> description;
  std::optional<uint32_t> weight;
  std::optional<uint64_t> max_length;
  std::optional<uint64_t> max_bytes;
  std::optional<v1::OverflowPolicy> overflow_policy;
  std::optional<v1::FairnessMode> fairness_mode;
  std::optional<absl::Duration> priority_aging;    // 0: none
  std::map<std::string, double> fairness_weights;  // 0: none of its own
  TaskDefaultsFlags defaults;
};

// `flags` must outlive the parsing.
void AddQueueSettingsOptions(CLI::App* app, QueueSettingsFlags* flags);

// Changes in `queue` what is given. The names of the fields that were changed.
std::vector<std::string> ApplyQueueSettings(const QueueSettingsFlags& flags,
                                            v1::Queue* queue);

// Whether a part of a field is given, the rest of which is to stay: the queue
// must be read before it is changed.
bool ChangesParts(const QueueSettingsFlags& flags);

}  // namespace apium::cli

#endif  // APIUM_CLI_QUEUE_SETTINGS_OPTIONS_H_
