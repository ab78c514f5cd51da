#include "broker/storage/queue_codec.h"

#include <utility>

#include "apium/storage/v1/record.pb.h"
#include "broker/storage/record_value.h"
#include "broker/storage/retry_policy_codec.h"

namespace apium::broker {
namespace {

namespace pb = ::apium::storage::v1;

void DefaultsToRecord(const TaskDefaults& defaults,
                      pb::TaskDefaultsRecord* record) {
  if (defaults.priority.has_value()) record->set_priority(*defaults.priority);
  if (defaults.retry_policy.has_value()) {
    RetryPolicyToRecord(*defaults.retry_policy, record->mutable_retry_policy());
  }
  if (defaults.expire_after.has_value()) {
    record->set_expire_after_nanos(
        absl::ToInt64Nanoseconds(*defaults.expire_after));
  }
  if (defaults.result_ttl.has_value()) {
    record->set_result_ttl_nanos(
        absl::ToInt64Nanoseconds(*defaults.result_ttl));
  }
  if (defaults.soft_time_limit.has_value()) {
    record->set_soft_time_limit_nanos(
        absl::ToInt64Nanoseconds(*defaults.soft_time_limit));
  }
  if (defaults.result_mode.has_value()) {
    record->set_result_mode(static_cast<uint32_t>(*defaults.result_mode));
  }
  if (defaults.delivery_mode.has_value()) {
    record->set_delivery_mode(static_cast<uint32_t>(*defaults.delivery_mode));
  }
}

TaskDefaults DefaultsFromRecord(pb::TaskDefaultsRecord* record) {
  TaskDefaults defaults;
  if (record->has_priority()) {
    defaults.priority = static_cast<uint8_t>(record->priority());
  }
  if (record->has_retry_policy()) {
    defaults.retry_policy =
        RetryPolicyFromRecord(record->mutable_retry_policy());
  }
  if (record->has_expire_after_nanos()) {
    defaults.expire_after = absl::Nanoseconds(record->expire_after_nanos());
  }
  if (record->has_result_ttl_nanos()) {
    defaults.result_ttl = absl::Nanoseconds(record->result_ttl_nanos());
  }
  if (record->has_soft_time_limit_nanos()) {
    defaults.soft_time_limit =
        absl::Nanoseconds(record->soft_time_limit_nanos());
  }
  if (record->result_mode() != 0) {
    defaults.result_mode = static_cast<ResultMode>(record->result_mode());
  }
  if (record->delivery_mode() != 0) {
    defaults.delivery_mode = static_cast<DeliveryMode>(record->delivery_mode());
  }
  return defaults;
}

QueueSettings SettingsFromRecord(pb::QueueRecord* record) {
  QueueSettings settings;
  settings.description = std::move(*record->mutable_description());
  settings.paused = record->paused();
  settings.submit_paused = record->submit_paused();
  settings.dead_letter = record->dead_letter();
  if (record->weight() != 0) settings.weight = record->weight();
  settings.max_length = record->max_length();
  settings.max_bytes = record->max_bytes();
  if (record->overflow_policy() != 0) {
    settings.overflow_policy =
        static_cast<OverflowPolicy>(record->overflow_policy());
  }
  settings.task_defaults = DefaultsFromRecord(record->mutable_task_defaults());
  if (record->fairness_mode() != 0) {
    settings.fairness_mode = static_cast<FairnessMode>(record->fairness_mode());
  }
  settings.priority_aging = absl::Nanoseconds(record->priority_aging_nanos());
  for (const auto& [key, weight] : record->fairness_weights()) {
    settings.fairness_weights[key] = weight;
  }
  settings.broadcast = record->broadcast();
  return settings;
}

}  // namespace

std::string EncodeQueue(const StoredQueue& queue) {
  const QueueSettings& settings = queue.settings;
  pb::QueueRecord record;
  record.set_queue_id(queue.queue_id);
  record.set_description(settings.description);
  record.set_paused(settings.paused);
  record.set_submit_paused(settings.submit_paused);
  record.set_revision(queue.revision);
  record.set_create_nanos(absl::ToUnixNanos(queue.create_time));
  record.set_dead_letter(settings.dead_letter);
  if (settings.weight != 1) record.set_weight(settings.weight);
  record.set_max_length(settings.max_length);
  record.set_max_bytes(settings.max_bytes);
  if (settings.overflow_policy != OverflowPolicy::kReject) {
    record.set_overflow_policy(static_cast<uint32_t>(settings.overflow_policy));
  }
  if (!(settings.task_defaults == TaskDefaults())) {
    DefaultsToRecord(settings.task_defaults, record.mutable_task_defaults());
  }
  if (settings.fairness_mode != FairnessMode::kPriorityFirst) {
    record.set_fairness_mode(static_cast<uint32_t>(settings.fairness_mode));
  }
  record.set_priority_aging_nanos(
      absl::ToInt64Nanoseconds(settings.priority_aging));
  record.mutable_fairness_weights()->insert(settings.fairness_weights.begin(),
                                            settings.fairness_weights.end());
  record.set_broadcast(settings.broadcast);
  record.set_paused_by(queue.paused_by);
  record.set_pause_reason(queue.pause_reason);
  if (queue.pause_time != absl::InfinitePast()) {
    record.set_pause_nanos(absl::ToUnixNanos(queue.pause_time));
  }
  return record.SerializeAsString();
}

absl::StatusOr<StoredQueue> DecodeQueue(std::string_view value) {
  pb::QueueRecord record;
  if (!ParseRecord(value, &record) || record.queue_id() == 0) {
    return DamagedRow("queue");
  }
  StoredQueue queue;
  queue.queue_id = record.queue_id();
  queue.settings = SettingsFromRecord(&record);
  queue.paused_by = std::move(*record.mutable_paused_by());
  queue.pause_reason = std::move(*record.mutable_pause_reason());
  if (record.pause_nanos() != 0) {
    queue.pause_time = absl::FromUnixNanos(record.pause_nanos());
  }
  queue.revision = record.revision();
  queue.create_time = absl::FromUnixNanos(record.create_nanos());
  return queue;
}

}  // namespace apium::broker
