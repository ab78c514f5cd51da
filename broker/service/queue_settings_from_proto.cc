#include "broker/service/queue_settings_from_proto.h"

#include <string>
#include <utility>

#include "broker/service/field_checks.h"
#include "broker/service/placement_from_proto.h"
#include "broker/service/retry_policy_from_proto.h"
#include "common/error_reason.h"
#include "common/limits.h"
#include "common/names.h"
#include "common/status_macros.h"
#include "common/strings.h"

namespace apium::broker {
namespace {

constexpr size_t kDescriptionBytesMax = 1024;
constexpr uint32_t kWeightMax = 1000;
constexpr size_t kFairnessWeightsMax = 1000;
constexpr absl::Duration kAgingMin = absl::Milliseconds(1);

absl::Status TakeOptionalDuration(const std::string& field, bool is_set,
                                  const google::protobuf::Duration& proto,
                                  std::optional<absl::Duration>* duration) {
  if (!is_set) return absl::OkStatus();
  APIUM_ASSIGN_OR_RETURN(*duration,
                         DurationUpToTenYears(field, proto, Zero::kRefused));
  return absl::OkStatus();
}

absl::Status TakeModes(const v1::TaskDefaults& proto, TaskDefaults* defaults) {
  if (!v1::ResultMode_IsValid(proto.result_mode())) {
    return OutOfRange("queue.task_defaults.result_mode",
                      StrCat(static_cast<int>(proto.result_mode())),
                      "a value of ResultMode");
  }
  if (proto.result_mode() != v1::RESULT_MODE_UNSPECIFIED) {
    defaults->result_mode = static_cast<ResultMode>(proto.result_mode());
  }
  if (!v1::DeliveryMode_IsValid(proto.delivery_mode())) {
    return OutOfRange("queue.task_defaults.delivery_mode",
                      StrCat(static_cast<int>(proto.delivery_mode())),
                      "a value of DeliveryMode");
  }
  if (proto.delivery_mode() != v1::DELIVERY_MODE_UNSPECIFIED) {
    defaults->delivery_mode = static_cast<DeliveryMode>(proto.delivery_mode());
  }
  return absl::OkStatus();
}

absl::Status TakeDefaults(v1::TaskDefaults* proto, TaskDefaults* defaults) {
  if (proto->has_priority()) {
    if (proto->priority() > kPriorityMax) {
      return OutOfRange("queue.task_defaults.priority",
                        StrCat(proto->priority()),
                        StrCat("in [0, ", kPriorityMax, "]"));
    }
    defaults->priority = static_cast<uint8_t>(proto->priority());
  }
  if (proto->has_retry_policy()) {
    APIUM_RETURN_IF_ERROR(RetryPolicyFromProto(
        "queue.task_defaults.retry_policy", proto->mutable_retry_policy(),
        &defaults->retry_policy.emplace()));
  }
  APIUM_RETURN_IF_ERROR(TakeOptionalDuration(
      "queue.task_defaults.expire_after", proto->has_expire_after(),
      proto->expire_after(), &defaults->expire_after));
  APIUM_RETURN_IF_ERROR(TakeOptionalDuration(
      "queue.task_defaults.result_ttl", proto->has_result_ttl(),
      proto->result_ttl(), &defaults->result_ttl));
  if (defaults->result_ttl < absl::Seconds(1) &&
      defaults->result_ttl.has_value()) {
    return OutOfRange("queue.task_defaults.result_ttl",
                      absl::FormatDuration(*defaults->result_ttl),
                      "at least 1s");
  }
  APIUM_RETURN_IF_ERROR(TakeOptionalDuration(
      "queue.task_defaults.soft_time_limit", proto->has_soft_time_limit(),
      proto->soft_time_limit(), &defaults->soft_time_limit));
  return TakeModes(*proto, defaults);
}

absl::Status TakeWeights(const v1::Queue& queue, QueueSettings* settings) {
  if (queue.weight() > kWeightMax) {
    return OutOfRange("queue.weight", StrCat(queue.weight()),
                      StrCat("in [0, ", kWeightMax, "]"));
  }
  if (queue.weight() != 0) settings->weight = queue.weight();
  if (queue.fairness_weights().size() > kFairnessWeightsMax) {
    return OutOfRange("queue.fairness_weights",
                      StrCat(queue.fairness_weights().size(), " long"),
                      StrCat("at most ", kFairnessWeightsMax, " entries"));
  }
  for (const auto& [key, weight] : queue.fairness_weights()) {
    APIUM_RETURN_IF_ERROR(CheckKey("queue.fairness_weights", key));
    // Written so that NaN is refused.
    if (!(weight > 0 && weight <= kFairnessWeightMax)) {
      return OutOfRange(
          StrCat("queue.fairness_weights[", QuoteForMessage(key), "]"),
          StrCat(weight), StrCat("in (0, ", kFairnessWeightMax, "]"));
    }
    settings->fairness_weights[key] = weight;
  }
  return absl::OkStatus();
}

absl::Status TakeOrder(const v1::Queue& queue, QueueSettings* settings) {
  if (!v1::OverflowPolicy_IsValid(queue.overflow_policy())) {
    return OutOfRange("queue.overflow_policy",
                      StrCat(static_cast<int>(queue.overflow_policy())),
                      "a value of OverflowPolicy");
  }
  if (queue.overflow_policy() != v1::OVERFLOW_POLICY_UNSPECIFIED) {
    settings->overflow_policy =
        static_cast<OverflowPolicy>(queue.overflow_policy());
  }
  if (!v1::FairnessMode_IsValid(queue.fairness_mode())) {
    return OutOfRange("queue.fairness_mode",
                      StrCat(static_cast<int>(queue.fairness_mode())),
                      "a value of FairnessMode");
  }
  if (queue.fairness_mode() != v1::FAIRNESS_MODE_UNSPECIFIED) {
    settings->fairness_mode = static_cast<FairnessMode>(queue.fairness_mode());
  }
  if (!queue.has_priority_aging()) return absl::OkStatus();
  APIUM_ASSIGN_OR_RETURN(
      settings->priority_aging,
      DurationUpToTenYears("queue.priority_aging", queue.priority_aging(),
                           Zero::kRefused));
  if (settings->priority_aging >= kAgingMin) return absl::OkStatus();
  return OutOfRange("queue.priority_aging",
                    absl::FormatDuration(settings->priority_aging),
                    "at least 1ms");
}

// Takes over one field; whether there is one of that name.
bool TakeField(const std::string& path, const QueueSettings& settings,
               UpdateQueueCommand* command) {
  const bool all = path == "*";
  bool known = false;
  const auto take = [&](const char* name, const auto& value, auto* field) {
    if (!all && path != name) return;
    *field = value;
    known = true;
  };
  take("description", settings.description, &command->description);
  take("paused", settings.paused, &command->paused);
  take("submit_paused", settings.submit_paused, &command->submit_paused);
  take("dead_letter", settings.dead_letter, &command->dead_letter);
  take("weight", settings.weight, &command->weight);
  take("max_length", settings.max_length, &command->max_length);
  take("max_bytes", settings.max_bytes, &command->max_bytes);
  take("overflow_policy", settings.overflow_policy, &command->overflow_policy);
  take("task_defaults", settings.task_defaults, &command->task_defaults);
  take("fairness_mode", settings.fairness_mode, &command->fairness_mode);
  take("priority_aging", settings.priority_aging, &command->priority_aging);
  take("fairness_weights", settings.fairness_weights,
       &command->fairness_weights);
  return known;
}

constexpr char kMaskFields[] =
    "\"description\", \"paused\", \"submit_paused\", \"dead_letter\", "
    "\"weight\", \"max_length\", \"max_bytes\", \"overflow_policy\", "
    "\"task_defaults\", \"fairness_mode\", \"priority_aging\", "
    "\"fairness_weights\", or \"*\"";

}  // namespace

absl::Status SettingsFromProto(v1::Queue* queue, QueueSettings* settings) {
  APIUM_RETURN_IF_ERROR(CheckTextLength(
      "queue.description", queue->description(), kDescriptionBytesMax));
  settings->description = std::move(*queue->mutable_description());
  settings->paused = queue->paused();
  settings->submit_paused = queue->submit_paused();
  settings->dead_letter = queue->dead_letter();
  settings->max_length = queue->max_length();
  settings->max_bytes = queue->max_bytes();
  settings->broadcast = queue->broadcast();
  APIUM_RETURN_IF_ERROR(TakeWeights(*queue, settings));
  APIUM_RETURN_IF_ERROR(TakeOrder(*queue, settings));
  return TakeDefaults(queue->mutable_task_defaults(), &settings->task_defaults);
}

absl::Status UpdateFromProto(v1::UpdateQueueRequest* request,
                             UpdateQueueCommand* command) {
  QueueSettings settings;
  APIUM_RETURN_IF_ERROR(SettingsFromProto(request->mutable_queue(), &settings));
  command->etag = request->queue().etag();
  if (request->update_mask().paths().empty()) {
    return InvalidField("update_mask",
                        StrCat("is empty; name what to change: ", kMaskFields));
  }
  for (const std::string& path : request->update_mask().paths()) {
    if (TakeField(path, settings, command)) continue;
    return InvalidField("update_mask",
                        StrCat(QuoteForMessage(path),
                               " cannot be changed; it takes ", kMaskFields));
  }
  return absl::OkStatus();
}

}  // namespace apium::broker
