#include "results/service/request_check.h"

#include "apium/v1/result_service.pb.h"
#include "apium/v1/task.pb.h"
#include "common/error_reason.h"
#include "common/limits.h"
#include "common/names.h"
#include "common/rpc/proto_time.h"
#include "common/status_macros.h"
#include "common/strings.h"

namespace apium::results {
namespace {

constexpr absl::Duration kWaitTimeoutMax = absl::Hours(24);
constexpr size_t kCursorBytesMax = 256;

// What a name that stands for one result has in common.
template <typename Command>
absl::StatusOr<Command> Named(absl::StatusOr<std::string> name_space,
                              const std::string& task_id) {
  APIUM_RETURN_IF_ERROR(name_space.status());
  APIUM_RETURN_IF_ERROR(ValidateTaskId("task_id", task_id));
  Command command;
  command.name_space = *std::move(name_space);
  command.task_id = task_id;
  return command;
}

absl::StatusOr<bool> WantsData(v1::TaskView view, bool by_default) {
  switch (view) {
    case v1::TASK_VIEW_UNSPECIFIED:
      return by_default;
    case v1::TASK_VIEW_BASIC:
      return false;
    case v1::TASK_VIEW_FULL:
      return true;
    default:
      return InvalidField("view", StrCat(static_cast<int>(view),
                                         " is not a value of "
                                         "apium.v1.TaskView"));
  }
}

absl::Status CheckCursorSize(const char* field, const std::string& text) {
  if (text.size() > kCursorBytesMax) {
    return InvalidField(
        field, StrCat("it has ", text.size(), " bytes; the longest that a ",
                      "server gives out has ", kCursorBytesMax));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<GetResult> RequestCheck::Get(
    const v1::GetResultRequest& request) const {
  return Named<GetResult>(NamespaceOf(request.namespace_()), request.task_id());
}

absl::StatusOr<WaitResult> RequestCheck::Wait(
    const v1::WaitResultRequest& request) const {
  APIUM_ASSIGN_OR_RETURN(
      WaitResult wait,
      Named<WaitResult>(NamespaceOf(request.namespace_()), request.task_id()));
  wait.timeout = absl::InfiniteDuration();
  if (request.has_timeout()) {
    APIUM_ASSIGN_OR_RETURN(wait.timeout,
                           DurationFromProto("timeout", request.timeout()));
    if (wait.timeout < absl::ZeroDuration() || wait.timeout > kWaitTimeoutMax) {
      return InvalidField(
          "timeout",
          StrCat(absl::FormatDuration(wait.timeout), " is not in [0, ",
                 absl::FormatDuration(kWaitTimeoutMax), "]"));
    }
  }
  return wait;
}

absl::StatusOr<ListResults> RequestCheck::List(
    const v1::ListResultsRequest& request) const {
  ListResults list;
  APIUM_ASSIGN_OR_RETURN(list.name_space, NamespaceOf(request.namespace_()));
  if (request.page_size() > kPageSizeMax) {
    return InvalidField(
        "page_size",
        StrCat(request.page_size(), " is above the limit of ", kPageSizeMax));
  }
  list.page_size =
      request.page_size() == 0 ? kPageSizeDefault : request.page_size();
  APIUM_RETURN_IF_ERROR(CheckCursorSize("page_token", request.page_token()));
  list.page_token = request.page_token();
  APIUM_ASSIGN_OR_RETURN(list.filter, ResultFilter::From(request.filter()));
  APIUM_ASSIGN_OR_RETURN(list.with_data,
                         WantsData(request.view(), /*by_default=*/false));
  return list;
}

absl::StatusOr<ForgetResult> RequestCheck::Forget(
    const v1::ForgetResultRequest& request) const {
  return Named<ForgetResult>(NamespaceOf(request.namespace_()),
                             request.task_id());
}

absl::StatusOr<WatchBegin> RequestCheck::Watch(
    const v1::WatchResultsRequest& request) const {
  WatchBegin watch;
  APIUM_ASSIGN_OR_RETURN(watch.name_space, NamespaceOf(request.namespace_()));
  APIUM_RETURN_IF_ERROR(
      CheckCursorSize("after_cursor", request.after_cursor()));
  watch.after_cursor = request.after_cursor();
  APIUM_ASSIGN_OR_RETURN(watch.filter, ResultFilter::From(request.filter()));
  APIUM_ASSIGN_OR_RETURN(watch.with_data,
                         WantsData(request.view(), /*by_default=*/true));
  return watch;
}

absl::StatusOr<std::string> RequestCheck::NamespaceOf(
    const std::string& name) const {
  if (name.empty()) {
    return NamespaceOf(std::string(kDefaultNamespace));
  }
  APIUM_RETURN_IF_ERROR(ValidateNamespace("namespace", name));
  if (!namespaces_.contains(name)) {
    return WithReason(absl::NotFoundError(StrCat(
                          "there is no namespace ", QuoteForMessage(name),
                          " at this service (see --namespace)")),
                      reason::kNamespaceNotFound);
  }
  return name;
}

absl::Status CheckHello(const v1::PublishHello& hello) {
  return ValidateTaskId("hello.shard_id", hello.shard_id());
}

}  // namespace apium::results
