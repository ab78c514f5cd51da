#include "client/task_control.h"

#include <grpcpp/channel.h>

#include <utility>

#include "apium/v1/task_service.grpc.pb.h"
#include "client/connection.h"
#include "client/unary_call.h"
#include "common/status_macros.h"

namespace apium {
namespace {

using Stub = v1::TaskService::Stub;

// As documented in apium/v1/task_service.proto.
constexpr size_t kCancelIdsMax = 1000;

template <typename Request>
Request RequestFor(const ClientOptions& options, std::string_view task_id) {
  Request request;
  request.set_namespace_(options.namespace_name);
  request.set_task_id(std::string(task_id));
  return request;
}

}  // namespace

struct TaskControl::Rpc {
  std::unique_ptr<Stub> stub;
};

TaskControl::TaskControl(std::shared_ptr<Connection> connection)
    : connection_(std::move(connection)),
      rpc_(std::make_unique<Rpc>(
          Rpc{v1::TaskService::NewStub(connection_->channel())})) {}

TaskControl::~TaskControl() = default;

absl::StatusOr<v1::CancelTaskResponse> TaskControl::Cancel(
    std::string_view task_id, std::string_view reason) {
  auto request =
      RequestFor<v1::CancelTaskRequest>(connection_->options(), task_id);
  request.set_reason(std::string(reason));
  return BlockingCall(QuickCall(connection_->options()), rpc_->stub.get(),
                      &Stub::CancelTask, request);
}

absl::StatusOr<v1::CancelTasksResponse> TaskControl::Send(
    v1::CancelTasksRequest request, std::string_view reason) {
  request.set_namespace_(connection_->options().namespace_name);
  request.set_reason(std::string(reason));
  return BlockingCall(QuickCall(connection_->options()), rpc_->stub.get(),
                      &Stub::CancelTasks, request);
}

absl::StatusOr<v1::CancelTasksResponse> TaskControl::CancelMany(
    const std::vector<std::string>& task_ids, std::string_view reason) {
  v1::CancelTasksResponse all;
  for (size_t begin = 0; begin < task_ids.size(); begin += kCancelIdsMax) {
    v1::CancelTasksRequest request;
    for (size_t i = begin; i < task_ids.size() && i < begin + kCancelIdsMax;
         ++i) {
      request.add_task_ids(task_ids[i]);
    }
    APIUM_ASSIGN_OR_RETURN(const v1::CancelTasksResponse response,
                           Send(std::move(request), reason));
    all.mutable_results()->MergeFrom(response.results());
    all.set_cancelled(all.cancelled() + response.cancelled());
    all.set_requested(all.requested() + response.requested());
  }
  return all;
}

absl::StatusOr<v1::CancelTasksResponse> TaskControl::CancelMatching(
    v1::TaskFilter filter, std::string_view reason) {
  v1::CancelTasksRequest request;
  request.mutable_filter()->Swap(&filter);
  return Send(std::move(request), reason);
}

absl::StatusOr<v1::CancelTasksResponse> TaskControl::CountMatching(
    v1::TaskFilter filter) {
  v1::CancelTasksRequest request;
  request.mutable_filter()->Swap(&filter);
  request.set_dry_run(true);
  return Send(std::move(request), "");
}

absl::StatusOr<v1::Task> TaskControl::Update(v1::UpdateTaskRequest changes) {
  changes.set_namespace_(connection_->options().namespace_name);
  APIUM_ASSIGN_OR_RETURN(
      v1::UpdateTaskResponse response,
      BlockingCall(QuickCall(connection_->options()), rpc_->stub.get(),
                   &Stub::UpdateTask, changes));
  return std::move(*response.mutable_task());
}

absl::StatusOr<v1::Task> TaskControl::RunNow(std::string_view task_id) {
  v1::UpdateTaskRequest changes;
  changes.set_task_id(std::string(task_id));
  changes.set_run_now(true);
  return Update(std::move(changes));
}

absl::Status TaskControl::Forget(std::string_view task_id) {
  return BlockingCall(
             QuickCall(connection_->options()), rpc_->stub.get(),
             &Stub::ForgetTask,
             RequestFor<v1::ForgetTaskRequest>(connection_->options(), task_id))
      .status();
}

absl::StatusOr<v1::CountTasksResponse> TaskControl::Count(
    std::string_view queue) {
  v1::CountTasksRequest request;
  request.set_namespace_(connection_->options().namespace_name);
  request.set_queue(std::string(queue));
  return BlockingCall(QuickCall(connection_->options()), rpc_->stub.get(),
                      &Stub::CountTasks, request);
}

absl::StatusOr<v1::ExplainTaskResponse> TaskControl::Explain(
    std::string_view task_id) {
  return BlockingCall(
      QuickCall(connection_->options()), rpc_->stub.get(), &Stub::ExplainTask,
      RequestFor<v1::ExplainTaskRequest>(connection_->options(), task_id));
}

}  // namespace apium
