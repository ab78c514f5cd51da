#ifndef APIUM_BROKER_ENGINE_QUEUE_SETTINGS_H_
#define APIUM_BROKER_ENGINE_QUEUE_SETTINGS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "broker/engine/task.h"

namespace apium::broker {

// As apium.v1.OverflowPolicy, with the same numbers.
enum class OverflowPolicy : uint8_t { kReject = 1, kDeadLetterOldest = 2 };

// As apium.v1.FairnessMode, with the same numbers.
enum class FairnessMode : uint8_t { kPriorityFirst = 1, kFairnessFirst = 2 };

// As apium.v1.TaskDefaults. Unset: TaskContent's own default.
struct TaskDefaults {
  std::optional<uint8_t> priority;
  std::optional<RetryPolicy> retry_policy;
  std::optional<absl::Duration> expire_after;
  std::optional<absl::Duration> result_ttl;
  std::optional<absl::Duration> soft_time_limit;
  std::optional<ResultMode> result_mode;
  std::optional<DeliveryMode> delivery_mode;

  friend bool operator==(const TaskDefaults&, const TaskDefaults&) = default;
};

// Settings of a queue that its users can change. As apium.v1.Queue.
struct QueueSettings {
  std::string description;
  bool paused = false;
  bool submit_paused = false;
  bool dead_letter = false;
  uint32_t weight = 1;
  uint64_t max_length = 0;  // 0: no limit
  uint64_t max_bytes = 0;   // 0: no limit
  OverflowPolicy overflow_policy = OverflowPolicy::kReject;
  TaskDefaults task_defaults;
  FairnessMode fairness_mode = FairnessMode::kPriorityFirst;
  absl::Duration priority_aging = absl::ZeroDuration();  // 0: none
  std::map<std::string, double> fairness_weights;
  bool broadcast = false;  // never changes

  friend bool operator==(const QueueSettings&, const QueueSettings&) = default;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_QUEUE_SETTINGS_H_
