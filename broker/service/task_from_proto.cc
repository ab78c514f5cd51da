#include "broker/service/task_from_proto.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "apium/v1/task.pb.h"
#include "broker/service/field_checks.h"
#include "broker/service/placement_from_proto.h"
#include "broker/service/retry_policy_from_proto.h"
#include "broker/service/spec_fingerprint.h"
#include "common/error_reason.h"
#include "common/names.h"
#include "common/rpc/proto_time.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "common/utf8.h"

namespace apium::broker {
namespace {

// As documented in apium/v1/task.proto.
constexpr absl::Duration kTenYears = kEtaAheadMax;
constexpr size_t kContentTypeBytes = 255;
constexpr size_t kUniqueKeyBytes = 255;
constexpr size_t kFailureTypeBytes = 255;
constexpr size_t kFailureMessageBytes = 4 * 1024;
constexpr size_t kFailureStackBytes = 32 * 1024;
constexpr size_t kReasonBytes = 1024;

// Fields that no part of the broker carries out yet: refused rather than
// ignored.
absl::Status CheckImplemented(const v1::TaskSpec& spec) {
  const auto refuse = [](const char* field, const char* what) {
    return WithFieldViolation(NotImplemented(StrCat(field, " (", what, ")")),
                              field, "this server does not carry it out yet");
  };
  if (spec.has_hard_time_limit()) {
    return refuse("spec.hard_time_limit", "a hard time limit");
  }
  if (!spec.parent_task_ids().empty()) {
    return refuse("spec.parent_task_ids", "running after other tasks");
  }
  return absl::OkStatus();
}

absl::Status TakeRoute(v1::TaskSpec* spec, TaskContent* content,
                       std::shared_ptr<const Route>* route) {
  if (!spec->queue().empty()) {
    APIUM_RETURN_IF_ERROR(ValidateQueueName("spec.queue", spec->queue()));
    content->queue = std::move(*spec->mutable_queue());
  }
  if (spec->exchange().empty()) {
    if (spec->routing_key().empty()) return absl::OkStatus();
    return InvalidField("spec.routing_key", "is for an exchange; name it");
  }
  if (!content->queue.empty()) {
    return InvalidField("spec.exchange", "excludes queue; set one of them");
  }
  APIUM_RETURN_IF_ERROR(ValidateQueueName("spec.exchange", spec->exchange()));
  APIUM_RETURN_IF_ERROR(
      CheckTextLength("spec.routing_key", spec->routing_key(), kNameBytesMax));
  *route = std::make_shared<Route>(
      Route{.exchange = std::move(*spec->mutable_exchange()),
            .routing_key = std::move(*spec->mutable_routing_key())});
  return absl::OkStatus();
}

absl::Status TakeHeaders(v1::TaskSpec* spec, TaskContent* content) {
  if (spec->headers().empty()) return absl::OkStatus();
  if (spec->headers().size() > kHeadersMax) {
    return OutOfRange("spec.headers", StrCat(spec->headers().size(), " long"),
                      StrCat("at most ", kHeadersMax, " entries"));
  }
  size_t bytes = 0;
  content->headers.reserve(spec->headers().size());
  for (auto& [name, value] : *spec->mutable_headers()) {
    APIUM_RETURN_IF_ERROR(ValidateHeaderName("spec.headers", name));
    bytes += name.size() + value.size();
    content->headers.emplace_back(name, std::move(value));
  }
  if (bytes > kHeadersBytesMax) {
    return OutOfRange("spec.headers", StrCat(bytes, " bytes"),
                      StrCat("at most ", kHeadersBytesMax, " bytes"));
  }
  std::sort(content->headers.begin(), content->headers.end());
  return absl::OkStatus();
}

absl::Status TakeTimes(const v1::TaskSpec& spec, absl::Time now,
                       SubmitCommand* command) {
  TaskContent& content = *command->content;
  if (spec.has_eta()) {
    if (spec.has_delay()) {
      return InvalidField("spec.delay", "excludes eta; set one of them");
    }
    APIUM_ASSIGN_OR_RETURN(content.eta, TimeFromProto("spec.eta", spec.eta()));
    if (content.eta - now > kTenYears) {
      return OutOfRange(
          "spec.eta", StrCat(absl::FormatDuration(content.eta - now), " ahead"),
          StrCat("at most ", absl::FormatDuration(kTenYears), " ahead"));
    }
  }
  if (spec.has_delay()) {
    APIUM_ASSIGN_OR_RETURN(
        command->delay,
        DurationUpToTenYears("spec.delay", spec.delay(), Zero::kAllowed));
  }
  if (spec.has_expire_time()) {
    if (spec.has_expire_after()) {
      return InvalidField("spec.expire_after",
                          "excludes expire_time; set one of them");
    }
    APIUM_ASSIGN_OR_RETURN(
        content.expire_time,
        TimeFromProto("spec.expire_time", spec.expire_time()));
  }
  if (spec.has_expire_after()) {
    APIUM_ASSIGN_OR_RETURN(
        command->expire_after,
        DurationUpToTenYears("spec.expire_after", spec.expire_after(),
                             Zero::kRefused));
  }
  if (spec.has_result_ttl()) {
    APIUM_ASSIGN_OR_RETURN(
        content.result_ttl,
        DurationUpToTenYears("spec.result_ttl", spec.result_ttl(),
                             Zero::kRefused));
    if (content.result_ttl < absl::Seconds(1)) {
      return OutOfRange("spec.result_ttl",
                        absl::FormatDuration(content.result_ttl),
                        "at least 1s");
    }
  }
  if (spec.has_soft_time_limit()) {
    APIUM_ASSIGN_OR_RETURN(
        content.soft_time_limit,
        DurationUpToTenYears("spec.soft_time_limit", spec.soft_time_limit(),
                             Zero::kRefused));
  }
  return absl::OkStatus();
}

// What the way of resolving a conflict says of scope and window; null: nothing.
std::optional<UniqueScope> ImpliedScope(UniqueConflict conflict) {
  switch (conflict) {
    case UniqueConflict::kDebounce:
      return UniqueScope::kUntilStart;
    case UniqueConflict::kThrottle:
      return UniqueScope::kWindow;
    case UniqueConflict::kKeepLatest:
      return UniqueScope::kUntilEnd;
    default:
      return std::nullopt;
  }
}

absl::Status TakeUnique(v1::Unique* proto, TaskContent* content) {
  auto unique = std::make_shared<Unique>();
  if (proto->key().empty() || proto->key().size() > kUniqueKeyBytes ||
      proto->key().find('\0') != std::string::npos) {
    return InvalidField(
        "spec.unique.key",
        StrCat("is ", proto->key().size(), " bytes; must be 1 to ",
               kUniqueKeyBytes, " bytes without a zero byte"));
  }
  unique->key = std::move(*proto->mutable_key());
  if (!v1::UniqueConflict_IsValid(proto->on_conflict())) {
    return OutOfRange("spec.unique.on_conflict", StrCat(proto->on_conflict()),
                      "a value of UniqueConflict");
  }
  if (proto->on_conflict() != v1::UNIQUE_CONFLICT_UNSPECIFIED) {
    unique->on_conflict = static_cast<UniqueConflict>(proto->on_conflict());
  }
  if (!v1::UniqueScope_IsValid(proto->scope())) {
    return OutOfRange("spec.unique.scope", StrCat(proto->scope()),
                      "a value of UniqueScope");
  }
  const std::optional<UniqueScope> implied = ImpliedScope(unique->on_conflict);
  if (implied.has_value()) {
    if (proto->scope() != v1::UNIQUE_SCOPE_UNSPECIFIED &&
        proto->scope() != static_cast<int>(*implied)) {
      return InvalidField("spec.unique.scope",
                          "is implied by on_conflict; leave it unset");
    }
    unique->scope = *implied;
  } else if (proto->scope() != v1::UNIQUE_SCOPE_UNSPECIFIED) {
    unique->scope = static_cast<UniqueScope>(proto->scope());
  }
  const bool wants_window = unique->scope == UniqueScope::kWindow ||
                            unique->on_conflict == UniqueConflict::kDebounce;
  if (wants_window != proto->has_window()) {
    return InvalidField("spec.unique.window",
                        wants_window
                            ? "is required for WINDOW, DEBOUNCE and THROTTLE"
                            : "is for WINDOW, DEBOUNCE and THROTTLE only");
  }
  if (wants_window) {
    APIUM_ASSIGN_OR_RETURN(
        unique->window, DurationUpToTenYears("spec.unique.window",
                                             proto->window(), Zero::kRefused));
  }
  content->unique = std::move(unique);
  return absl::OkStatus();
}

absl::Status TakeModes(const v1::TaskSpec& spec, TaskContent* content) {
  if (!v1::ResultMode_IsValid(spec.result_mode())) {
    return OutOfRange("spec.result_mode", StrCat(spec.result_mode()),
                      "a value of ResultMode");
  }
  if (spec.result_mode() != v1::RESULT_MODE_UNSPECIFIED) {
    content->result_mode = static_cast<ResultMode>(spec.result_mode());
  }
  if (!v1::DeliveryMode_IsValid(spec.delivery_mode())) {
    return OutOfRange("spec.delivery_mode", StrCat(spec.delivery_mode()),
                      "a value of DeliveryMode");
  }
  if (spec.delivery_mode() != v1::DELIVERY_MODE_UNSPECIFIED) {
    content->delivery_mode = static_cast<DeliveryMode>(spec.delivery_mode());
  }
  return absl::OkStatus();
}

absl::Status TakePayload(const TaskLimits& limits, v1::TaskSpec* spec,
                         Payload* payload) {
  if (!spec->has_payload()) return absl::OkStatus();
  const size_t bytes = spec->payload().data().size();
  if (bytes > limits.payload_bytes_max) {
    const std::string description =
        StrCat("is ", bytes, " bytes; the limit is ", limits.payload_bytes_max,
               "; keep larger data elsewhere and send a reference");
    return WithReason(InvalidField("spec.payload.data", description),
                      reason::kPayloadTooLarge);
  }
  return PayloadFromProto("spec.payload", spec->mutable_payload(), payload);
}

}  // namespace

absl::Status PayloadFromProto(const char* field, v1::Payload* proto,
                              Payload* payload) {
  const auto check = [field](const char* part, const std::string& value) {
    if (value.size() <= kContentTypeBytes) return absl::OkStatus();
    return InvalidField(StrCat(field, ".", part),
                        StrCat("is ", value.size(), " bytes; must be at most ",
                               kContentTypeBytes));
  };
  APIUM_RETURN_IF_ERROR(check("content_type", proto->content_type()));
  APIUM_RETURN_IF_ERROR(check("content_encoding", proto->content_encoding()));
  payload->data = std::move(*proto->mutable_data());
  payload->content_type = std::move(*proto->mutable_content_type());
  payload->content_encoding = std::move(*proto->mutable_content_encoding());
  return absl::OkStatus();
}

std::string CutReason(std::string&& text) {
  if (text.size() <= kReasonBytes) return std::move(text);
  return ToValidUtf8(text, kReasonBytes);
}

Failure FailureFromProto(v1::Failure* proto) {
  const auto cut = [](std::string* text, size_t bytes_max) {
    return text->size() <= bytes_max ? std::move(*text)
                                     : ToValidUtf8(*text, bytes_max);
  };
  Failure failure;
  failure.type = cut(proto->mutable_type(), kFailureTypeBytes);
  failure.message = cut(proto->mutable_message(), kFailureMessageBytes);
  failure.stack = cut(proto->mutable_stack(), kFailureStackBytes);
  failure.non_retryable = proto->non_retryable();
  return failure;
}

absl::StatusOr<std::string> NamespaceFromProto(const std::string& value) {
  if (value.empty()) return std::string(kDefaultNamespace);
  APIUM_RETURN_IF_ERROR(ValidateNamespace("namespace", value));
  return value;
}

absl::Status CheckTaskId(const std::string& task_id) {
  return ValidateTaskId("task_id", task_id);
}

size_t ContentBytes(const TaskContent& content) {
  size_t bytes = sizeof(TaskContent) + content.task_id.size() +
                 content.type.size() + content.queue.size() +
                 content.payload.data.size();
  for (const auto& [name, value] : content.headers) {
    bytes += 2 * sizeof(std::string) + name.size() + value.size();
  }
  return bytes;
}

absl::Status SubmitFromProto(const TaskLimits& limits,
                             const std::string& namespace_name, absl::Time now,
                             v1::TaskSpec* spec, SubmitCommand* command) {
  APIUM_RETURN_IF_ERROR(CheckImplemented(*spec));
  APIUM_RETURN_IF_ERROR(ValidateTaskType("spec.type", spec->type()));
  auto content = std::make_shared<TaskContent>();
  if (!spec->task_id().empty()) {
    APIUM_RETURN_IF_ERROR(ValidateTaskId("spec.task_id", spec->task_id()));
    // Only ids that a submitter chose can come again.
    content->fingerprint = SpecFingerprint(*spec);
  }
  APIUM_RETURN_IF_ERROR(TakeRoute(spec, content.get(), &command->route));
  if (spec->has_priority()) {
    if (spec->priority() > kPriorityMax) {
      return OutOfRange("spec.priority", StrCat(spec->priority()),
                        StrCat("in [0, ", kPriorityMax, "]"));
    }
    content->priority = static_cast<uint8_t>(spec->priority());
  }
  APIUM_RETURN_IF_ERROR(TakePayload(limits, spec, &content->payload));
  APIUM_RETURN_IF_ERROR(TakeHeaders(spec, content.get()));
  if (spec->has_retry_policy()) {
    APIUM_RETURN_IF_ERROR(RetryPolicyFromProto("spec.retry_policy",
                                               spec->mutable_retry_policy(),
                                               &content->retry_policy));
  }
  if (spec->has_unique()) {
    APIUM_RETURN_IF_ERROR(TakeUnique(spec->mutable_unique(), content.get()));
  }
  APIUM_RETURN_IF_ERROR(TakeModes(*spec, content.get()));
  if (!spec->batch_id().empty()) {
    APIUM_RETURN_IF_ERROR(ValidateTaskId("spec.batch_id", spec->batch_id()));
    content->batch_id = std::move(*spec->mutable_batch_id());
  }
  APIUM_RETURN_IF_ERROR(PlacementFromProto(spec, &content->placement));
  command->unsaid = {
      .priority = !spec->has_priority(),
      .retry_policy = !spec->has_retry_policy(),
      .result_mode = spec->result_mode() == v1::RESULT_MODE_UNSPECIFIED,
      .delivery_mode = spec->delivery_mode() == v1::DELIVERY_MODE_UNSPECIFIED};
  command->content = std::move(content);
  APIUM_RETURN_IF_ERROR(TakeTimes(*spec, now, command));
  command->content->namespace_name = namespace_name;
  command->content->task_id = std::move(*spec->mutable_task_id());
  command->content->type = std::move(*spec->mutable_type());
  return absl::OkStatus();
}

}  // namespace apium::broker
