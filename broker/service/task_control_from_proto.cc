#include "broker/service/task_control_from_proto.h"

#include <algorithm>
#include <string>
#include <utility>

#include "apium/v1/task.pb.h"
#include "apium/v1/task_service.pb.h"
#include "broker/service/task_from_proto.h"
#include "common/error_reason.h"
#include "common/limits.h"
#include "common/names.h"
#include "common/rpc/proto_time.h"
#include "common/status_macros.h"
#include "common/strings.h"

namespace apium::broker {
namespace {

// As documented in apium/v1/task_service.proto.
constexpr int kFilterHeadersMax = 16;
constexpr int kCancelIdsMax = 1000;

// For the messages that have headers, created_after and created_before.
// `prefix` is what their fields are below.
template <typename Message>
absl::Status TakeConditions(const Message& message, const std::string& prefix,
                            TaskFilter* filter) {
  if (message.headers().size() > kFilterHeadersMax) {
    return InvalidField(
        prefix + "headers",
        StrCat("has ", message.headers().size(), " entries; at most ",
               kFilterHeadersMax, " can be asked for"));
  }
  for (const auto& [name, value] : message.headers()) {
    APIUM_RETURN_IF_ERROR(ValidateHeaderName(prefix + "headers", name));
    filter->headers.emplace_back(name, value);
  }
  std::sort(filter->headers.begin(), filter->headers.end());
  if (message.has_created_after()) {
    APIUM_ASSIGN_OR_RETURN(
        filter->created_after,
        TimeFromProto(prefix + "created_after", message.created_after()));
  }
  if (message.has_created_before()) {
    APIUM_ASSIGN_OR_RETURN(
        filter->created_before,
        TimeFromProto(prefix + "created_before", message.created_before()));
  }
  return absl::OkStatus();
}

absl::Status TakeLiveStates(const v1::TaskFilter& proto, TaskFilter* filter) {
  for (const int state : proto.states()) {
    if (!v1::TaskState_IsValid(state) || state == v1::TASK_STATE_UNSPECIFIED ||
        IsTerminal(static_cast<TaskState>(state))) {
      return InvalidField("filter.states",
                          StrCat(state, " is not a state of a live task"));
    }
    filter->states.push_back(static_cast<TaskState>(state));
  }
  return absl::OkStatus();
}

absl::StatusOr<TaskFilter> FilterFromProto(const v1::TaskFilter& proto) {
  TaskFilter filter;
  const bool any = !proto.queue().empty() || !proto.type().empty() ||
                   !proto.states().empty() || !proto.headers().empty() ||
                   proto.has_created_after() || proto.has_created_before();
  if (!any) {
    return InvalidField("filter",
                        "has no condition; to cancel all tasks of a queue, "
                        "name the queue");
  }
  if (!proto.queue().empty()) {
    APIUM_RETURN_IF_ERROR(ValidateQueueName("filter.queue", proto.queue()));
    filter.queue = proto.queue();
  }
  if (!proto.type().empty()) {
    APIUM_RETURN_IF_ERROR(ValidateTaskType("filter.type", proto.type()));
    filter.type = proto.type();
  }
  APIUM_RETURN_IF_ERROR(TakeLiveStates(proto, &filter));
  APIUM_RETURN_IF_ERROR(TakeConditions(proto, "filter.", &filter));
  return filter;
}

absl::StatusOr<absl::Duration> DurationAhead(
    const char* field, const google::protobuf::Duration& proto,
    bool zero_allowed) {
  APIUM_ASSIGN_OR_RETURN(const absl::Duration duration,
                         DurationFromProto(field, proto));
  if (duration < absl::ZeroDuration() || duration > kEtaAheadMax ||
      (!zero_allowed && duration == absl::ZeroDuration())) {
    return InvalidField(
        field, StrCat("is ", absl::FormatDuration(duration), "; must be ",
                      zero_allowed ? "in [0, " : "in (0, ",
                      absl::FormatDuration(kEtaAheadMax), "]"));
  }
  return duration;
}

absl::Status TakeTiming(const v1::UpdateTaskRequest& request, absl::Time now,
                        UpdateTaskCommand* command) {
  if (request.has_eta() + request.has_delay() + request.run_now() > 1) {
    return InvalidField(request.run_now() ? "run_now" : "delay",
                        "eta, delay and run_now exclude each other; set one");
  }
  command->run_now = request.run_now();
  if (request.has_eta()) {
    APIUM_ASSIGN_OR_RETURN(command->eta, TimeFromProto("eta", request.eta()));
    if (*command->eta - now > kEtaAheadMax) {
      return InvalidField(
          "eta", StrCat("is ", absl::FormatDuration(*command->eta - now),
                        " ahead; must be at most ",
                        absl::FormatDuration(kEtaAheadMax), " ahead"));
    }
  }
  if (request.has_delay()) {
    APIUM_ASSIGN_OR_RETURN(
        command->delay,
        DurationAhead("delay", request.delay(), /*zero_allowed=*/true));
  }
  return absl::OkStatus();
}

absl::Status TakeExpiry(const v1::UpdateTaskRequest& request,
                        UpdateTaskCommand* command) {
  if (request.has_expire_time() + request.has_expire_after() +
          request.clear_expiry() >
      1) {
    return InvalidField(
        request.clear_expiry() ? "clear_expiry" : "expire_after",
        "expire_time, expire_after and clear_expiry exclude each other; set "
        "one");
  }
  if (request.clear_expiry()) command->expire_time = absl::InfiniteFuture();
  if (request.has_expire_time()) {
    APIUM_ASSIGN_OR_RETURN(command->expire_time,
                           TimeFromProto("expire_time", request.expire_time()));
  }
  if (request.has_expire_after()) {
    APIUM_ASSIGN_OR_RETURN(command->expire_after,
                           DurationAhead("expire_after", request.expire_after(),
                                         /*zero_allowed=*/false));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status TakeFilterConditions(const v1::ListTasksRequest& request,
                                  TaskFilter* filter) {
  return TakeConditions(request, "", filter);
}

absl::Status CancelTasksFromProto(const v1::CancelTasksRequest& request,
                                  CancelTasksCommand* command) {
  APIUM_ASSIGN_OR_RETURN(command->namespace_name,
                         NamespaceFromProto(request.namespace_()));
  command->reason = CutReason(std::string(request.reason()));
  command->dry_run = request.dry_run();
  if (request.has_filter()) {
    if (!request.task_ids().empty()) {
      return InvalidField("filter", "excludes task_ids; set one of them");
    }
    APIUM_ASSIGN_OR_RETURN(command->filter, FilterFromProto(request.filter()));
    command->filter->namespace_name = command->namespace_name;
    return absl::OkStatus();
  }
  if (request.task_ids().empty() || request.task_ids_size() > kCancelIdsMax) {
    return InvalidField("task_ids", StrCat("has ", request.task_ids_size(),
                                           " ids; must be 1 to ", kCancelIdsMax,
                                           ", or else a filter is needed"));
  }
  if (request.dry_run()) {
    return InvalidField("dry_run", "is for a filter, not for task_ids");
  }
  for (int i = 0; i < request.task_ids_size(); ++i) {
    APIUM_RETURN_IF_ERROR(
        ValidateTaskId(StrCat("task_ids[", i, "]"), request.task_ids(i)));
    command->task_ids.push_back(request.task_ids(i));
  }
  return absl::OkStatus();
}

absl::Status UpdateTaskFromProto(const v1::UpdateTaskRequest& request,
                                 absl::Time now, UpdateTaskCommand* command) {
  if (request.has_priority()) {
    if (request.priority() > kPriorityMax) {
      return InvalidField("priority",
                          StrCat("is ", request.priority(), "; must be in [0, ",
                                 kPriorityMax, "]"));
    }
    command->priority = static_cast<uint8_t>(request.priority());
  }
  APIUM_RETURN_IF_ERROR(TakeTiming(request, now, command));
  APIUM_RETURN_IF_ERROR(TakeExpiry(request, command));
  const bool changes = command->priority.has_value() ||
                       command->eta.has_value() || command->delay.has_value() ||
                       command->run_now || command->expire_time.has_value() ||
                       command->expire_after.has_value();
  if (!changes) {
    return InvalidField("priority",
                        "is not set, and nor is any other change; set what is "
                        "to be changed");
  }
  return absl::OkStatus();
}

}  // namespace apium::broker
