#include "client/task_client.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "absl/synchronization/notification.h"
#include "client/item_error.h"
#include "client/subscription.h"
#include "client/task_rpc.h"
#include "client/task_stream.h"
#include "client/unary_call.h"
#include "common/error_reason.h"
#include "common/limits.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "common/uuid.h"

namespace apium {
namespace {

using Stub = v1::TaskService::Stub;
using AsyncStub = class v1::TaskService::Stub::async;

void FillTaskId(v1::TaskSpec* spec) {
  if (spec->task_id().empty()) spec->set_task_id(NewUuidV7(absl::Now()));
}

template <typename Request>
Request RequestFor(const ClientOptions& options, std::string_view task_id) {
  Request request;
  request.set_namespace_(options.namespace_name);
  request.set_task_id(std::string(task_id));
  return request;
}

v1::SubmitTaskRequest SubmitRequest(const ClientOptions& options,
                                    v1::TaskSpec spec, std::string request_id) {
  // Either makes a retry safe. An id of the task's own does not where the
  // answer may be another task's.
  if (request_id.empty() && spec.has_unique())
    request_id = NewUuidV7(absl::Now());
  if (request_id.empty()) FillTaskId(&spec);
  v1::SubmitTaskRequest request;
  request.set_request_id(std::move(request_id));
  request.set_namespace_(options.namespace_name);
  request.mutable_spec()->Swap(&spec);
  return request;
}

template <typename Response>
TaskHandle::Origin OriginOf(const Response& response) {
  return response.attached() ? TaskHandle::Origin::kAttached
                             : TaskHandle::Origin::kSubmitted;
}

template <typename Response>
TaskHandle HandleOf(TaskClient* client, Response* response) {
  const auto& copies = response->copy_task_ids();
  return TaskHandle(client, std::move(*response->mutable_task_id()),
                    OriginOf(*response), {copies.begin(), copies.end()});
}

// For the responses that carry one task.
template <typename Response>
std::function<void(absl::StatusOr<Response>)> TaskCallback(
    TaskClient::Callback<v1::Task> done) {
  return [done = std::move(done)](absl::StatusOr<Response> response) {
    if (!response.ok()) return done(response.status());
    done(std::move(*response->mutable_task()));
  };
}

// A wait that ran out tells so in the same words, whichever side noticed.
absl::Status DescribeWaitEnd(const absl::Status& status,
                             std::string_view task_id, absl::Duration timeout) {
  if (status.code() != absl::StatusCode::kDeadlineExceeded) return status;
  return WithReason(absl::DeadlineExceededError(
                        StrCat("task ", task_id, " was not finished within ",
                               absl::FormatDuration(timeout))),
                    "WAIT_TIMEOUT");
}

// Splits off as many specs as one call may carry.
v1::SubmitTasksRequest TakeChunk(const ClientOptions& options,
                                 std::vector<v1::TaskSpec>* specs,
                                 size_t begin) {
  v1::SubmitTasksRequest request;
  request.set_namespace_(options.namespace_name);
  size_t bytes = 0;
  for (size_t i = begin;
       i < specs->size() &&
       request.specs_size() < static_cast<int>(kBatchTasksMax);
       ++i) {
    v1::TaskSpec& spec = (*specs)[i];
    FillTaskId(&spec);
    const size_t spec_bytes = spec.ByteSizeLong();
    if (bytes > 0 && bytes + spec_bytes > kBatchBytesTarget) break;
    bytes += spec_bytes;
    request.add_specs()->Swap(&spec);
  }
  return request;
}

}  // namespace

absl::StatusOr<v1::Task> TaskHandle::Get() const { return client_->Get(id_); }
absl::StatusOr<v1::Task> TaskHandle::Wait(absl::Duration timeout) const {
  return client_->Wait(id_, timeout);
}
absl::StatusOr<v1::Task> TaskHandle::Cancel(std::string_view reason) const {
  return client_->Cancel(id_, reason);
}
absl::Status TaskHandle::Watch(
    absl::FunctionRef<bool(const v1::Task&)> on_change,
    absl::Duration timeout) const {
  return client_->Watch(id_, on_change, timeout);
}
void TaskHandle::WaitAsync(
    absl::Duration timeout,
    std::function<void(absl::StatusOr<v1::Task>)> done) const {
  client_->WaitAsync(id_, timeout, std::move(done));
}

absl::StatusOr<v1::Payload> TaskHandle::Result(absl::Duration timeout) const {
  APIUM_ASSIGN_OR_RETURN(v1::Task task, Wait(timeout));
  APIUM_RETURN_IF_ERROR(OutcomeStatus(task.outcome()));
  return std::move(*task.mutable_outcome()->mutable_result());
}

absl::Status OutcomeStatus(const v1::TaskOutcome& outcome) {
  if (outcome.state() == v1::TASK_STATE_SUCCEEDED) return absl::OkStatus();
  std::string_view end = "FAILED";
  if (outcome.state() == v1::TASK_STATE_CANCELLED) end = "CANCELLED";
  if (outcome.state() == v1::TASK_STATE_EXPIRED) end = "EXPIRED";
  if (outcome.state() == v1::TASK_STATE_DEAD_LETTERED) end = "DEAD_LETTERED";
  const v1::Failure& failure = outcome.failure();
  return WithReason(
      absl::AbortedError(
          StrCat("task ", outcome.task_id(), " ended ", end,
                 failure.type().empty() ? "" : ": ", failure.type(),
                 failure.message().empty() ? "" : ": ", failure.message())),
      StrCat("TASK_", end), {{"failure_type", failure.type()}});
}

bool IsTerminal(v1::TaskState state) {
  return state >= v1::TASK_STATE_SUCCEEDED;
}

absl::StatusOr<std::unique_ptr<TaskClient>> TaskClient::Connect(
    ClientOptions options) {
  APIUM_ASSIGN_OR_RETURN(std::shared_ptr<Connection> connection,
                         Connection::Open(std::move(options)));
  return std::make_unique<TaskClient>(std::move(connection));
}

TaskClient::TaskClient(std::shared_ptr<Connection> connection)
    : connection_(std::move(connection)),
      rpc_(std::make_unique<Rpc>(*connection_)) {}

TaskClient::~TaskClient() = default;

absl::StatusOr<TaskHandle> TaskClient::Submit(
    const v1::SubmitTaskRequest& request) {
  APIUM_ASSIGN_OR_RETURN(v1::SubmitTaskResponse response,
                         BlockingCall(QuickCall(options()), rpc_->stub.get(),
                                      &Stub::SubmitTask, request));
  return HandleOf(this, &response);
}

absl::StatusOr<TaskHandle> TaskClient::Submit(SubmitOptions submit) {
  std::string request_id = std::move(submit.request_id);
  return Submit(SubmitRequest(options(), ToTaskSpec(std::move(submit)),
                              std::move(request_id)));
}

absl::StatusOr<TaskHandle> TaskClient::Submit(v1::TaskSpec spec) {
  return Submit(SubmitRequest(options(), std::move(spec), ""));
}

void TaskClient::SubmitAsync(v1::SubmitTaskRequest request,
                             Callback<TaskHandle> done) {
  connection_->KeepCallbacksAwake();
  StartAsyncCall(&rpc_->calls, QuickCall(options()), rpc_->async(),
                 &AsyncStub::SubmitTask, std::move(request),
                 [this, done = std::move(done)](
                     absl::StatusOr<v1::SubmitTaskResponse> response) {
                   if (!response.ok()) return done(response.status());
                   done(HandleOf(this, &*response));
                 });
}

void TaskClient::SubmitAsync(SubmitOptions submit, Callback<TaskHandle> done) {
  std::string request_id = std::move(submit.request_id);
  SubmitAsync(SubmitRequest(options(), ToTaskSpec(std::move(submit)),
                            std::move(request_id)),
              std::move(done));
}

void TaskClient::SubmitAsync(v1::TaskSpec spec, Callback<TaskHandle> done) {
  SubmitAsync(SubmitRequest(options(), std::move(spec), ""), std::move(done));
}

std::vector<absl::StatusOr<TaskHandle>> TaskClient::SubmitMany(
    std::vector<v1::TaskSpec> specs) {
  std::vector<absl::StatusOr<TaskHandle>> handles;
  handles.reserve(specs.size());
  while (handles.size() < specs.size()) {
    const v1::SubmitTasksRequest request =
        TakeChunk(options(), &specs, handles.size());
    absl::StatusOr<v1::SubmitTasksResponse> response = BlockingCall(
        QuickCall(options()), rpc_->stub.get(), &Stub::SubmitTasks, request);
    if (response.ok() && response->results_size() != request.specs_size()) {
      response = absl::InternalError(
          StrCat("the server gave ", response->results_size(), " answers to ",
                 request.specs_size(), " tasks"));
    }
    for (int i = 0; i < request.specs_size(); ++i) {
      if (!response.ok()) {
        handles.emplace_back(response.status());
      } else if (response->results(i).has_error()) {
        handles.emplace_back(StatusFromItemError(response->results(i).error()));
      } else {
        handles.emplace_back(HandleOf(this, response->mutable_results(i)));
      }
    }
  }
  return handles;
}

absl::StatusOr<std::vector<TaskHandle>> TaskClient::SubmitAtomic(
    std::vector<v1::TaskSpec> specs, std::string request_id) {
  v1::SubmitTasksRequest request;
  request.set_namespace_(options().namespace_name);
  request.set_atomic(true);
  const bool any_unique =
      std::any_of(specs.begin(), specs.end(),
                  [](const v1::TaskSpec& spec) { return spec.has_unique(); });
  if (request_id.empty() && any_unique) request_id = NewUuidV7(absl::Now());
  for (v1::TaskSpec& spec : specs) {
    if (request_id.empty()) FillTaskId(&spec);
    request.add_specs()->Swap(&spec);
  }
  request.set_request_id(std::move(request_id));
  APIUM_ASSIGN_OR_RETURN(v1::SubmitTasksResponse response,
                         BlockingCall(QuickCall(options()), rpc_->stub.get(),
                                      &Stub::SubmitTasks, request));
  if (response.results_size() != request.specs_size()) {
    return absl::InternalError(StrCat("the server gave ",
                                      response.results_size(), " answers to ",
                                      request.specs_size(), " tasks"));
  }
  std::vector<TaskHandle> handles;
  handles.reserve(response.results_size());
  for (v1::SubmitTasksResult& result : *response.mutable_results()) {
    handles.push_back(HandleOf(this, &result));
  }
  return handles;
}

absl::StatusOr<std::unique_ptr<TaskStream>> TaskClient::OpenStream(
    TaskStreamOptions options) {
  return TaskStream::Open(this, std::move(options));
}

absl::StatusOr<v1::Task> TaskClient::Get(std::string_view task_id,
                                         v1::TaskView view) {
  auto request = RequestFor<v1::GetTaskRequest>(options(), task_id);
  request.set_view(view);
  APIUM_ASSIGN_OR_RETURN(v1::GetTaskResponse response,
                         BlockingCall(QuickCall(options()), rpc_->stub.get(),
                                      &Stub::GetTask, request));
  return std::move(*response.mutable_task());
}

void TaskClient::GetAsync(std::string_view task_id, Callback<v1::Task> done) {
  connection_->KeepCallbacksAwake();
  StartAsyncCall(&rpc_->calls, QuickCall(options()), rpc_->async(),
                 &AsyncStub::GetTask,
                 RequestFor<v1::GetTaskRequest>(options(), task_id),
                 TaskCallback<v1::GetTaskResponse>(std::move(done)));
}

absl::StatusOr<v1::Task> TaskClient::Wait(std::string_view task_id,
                                          absl::Duration timeout) {
  absl::StatusOr<v1::WaitTaskResponse> response = BlockingCall(
      WaitingCall(options(), timeout), rpc_->stub.get(), &Stub::WaitTask,
      RequestFor<v1::WaitTaskRequest>(options(), task_id));
  if (!response.ok())
    return DescribeWaitEnd(response.status(), task_id, timeout);
  return std::move(*response->mutable_task());
}

void TaskClient::WaitAsync(std::string_view task_id, absl::Duration timeout,
                           Callback<v1::Task> done) {
  connection_->KeepCallbacksAwake();
  StartAsyncCall(
      &rpc_->calls, WaitingCall(options(), timeout), rpc_->async(),
      &AsyncStub::WaitTask, RequestFor<v1::WaitTaskRequest>(options(), task_id),
      [id = std::string(task_id), timeout,
       done = std::move(done)](absl::StatusOr<v1::WaitTaskResponse> response) {
        if (!response.ok())
          return done(DescribeWaitEnd(response.status(), id, timeout));
        done(std::move(*response->mutable_task()));
      });
}

absl::Status TaskClient::Watch(
    std::string_view task_id,
    absl::FunctionRef<bool(const v1::Task&)> on_change,
    absl::Duration timeout) {
  absl::Status end;
  absl::Notification ended;
  WatchAsync(
      task_id, timeout,
      [on_change](const v1::Task& task) { return on_change(task); },
      [&end, &ended](absl::Status status) {
        end = std::move(status);
        ended.Notify();
      });
  ended.WaitForNotification();
  return end;
}

void TaskClient::WatchAsync(std::string_view task_id, absl::Duration timeout,
                            std::function<bool(const v1::Task&)> on_change,
                            std::function<void(absl::Status)> done) {
  connection_->KeepCallbacksAwake();
  CallPolicy policy = WaitingCall(options(), timeout);
  policy.kind = CallKind::kIdempotent;
  Subscription<v1::WatchTaskRequest, v1::WatchTaskResponse>::Start(
      &rpc_->calls, policy,
      RequestFor<v1::WatchTaskRequest>(options(), task_id),
      [this](grpc::ClientContext* context, const v1::WatchTaskRequest* request,
             grpc::ClientReadReactor<v1::WatchTaskResponse>* reader) {
        rpc_->async()->WatchTask(context, request, reader);
      },
      [on_change = std::move(on_change)](const v1::WatchTaskResponse& response,
                                         v1::WatchTaskRequest*) {
        return on_change(response.task()) &&
               !IsTerminal(response.task().state());
      },
      [id = std::string(task_id), timeout,
       done = std::move(done)](const absl::Status& status) {
        done(DescribeWaitEnd(status, id, timeout));
      });
}

absl::StatusOr<v1::Task> TaskClient::Follow(
    std::string_view task_id, uint64_t from,
    absl::FunctionRef<bool(const v1::TaskChunk&)> on_chunk,
    absl::Duration timeout) {
  absl::StatusOr<v1::Task> end;
  absl::Notification ended;
  FollowAsync(
      task_id, from, timeout,
      [on_chunk](const v1::TaskChunk& chunk) { return on_chunk(chunk); },
      [&end, &ended](absl::StatusOr<v1::Task> task) {
        end = std::move(task);
        ended.Notify();
      });
  ended.WaitForNotification();
  return end;
}

void TaskClient::FollowAsync(std::string_view task_id, uint64_t from,
                             absl::Duration timeout,
                             std::function<bool(const v1::TaskChunk&)> on_chunk,
                             Callback<v1::Task> done) {
  connection_->KeepCallbacksAwake();
  CallPolicy policy = WaitingCall(options(), timeout);
  policy.kind = CallKind::kIdempotent;
  auto request = RequestFor<v1::FollowTaskRequest>(options(), task_id);
  request.set_from(std::max<uint64_t>(1, from));
  const auto last = std::make_shared<std::optional<v1::Task>>();
  Subscription<v1::FollowTaskRequest, v1::FollowTaskResponse>::Start(
      &rpc_->calls, policy, std::move(request),
      [this](grpc::ClientContext* context, const v1::FollowTaskRequest* opened,
             grpc::ClientReadReactor<v1::FollowTaskResponse>* reader) {
        rpc_->async()->FollowTask(context, opened, reader);
      },
      [last, on_chunk = std::move(on_chunk)](
          const v1::FollowTaskResponse& response,
          v1::FollowTaskRequest* resume) {
        for (const v1::TaskChunk& chunk : response.chunks()) {
          if (chunk.position() < resume->from()) continue;
          // A reconnect goes on behind it.
          resume->set_from(chunk.position() + 1);
          if (!on_chunk(chunk)) return false;
        }
        if (response.has_task()) *last = response.task();
        return !response.has_task();
      },
      [last, id = std::string(task_id), timeout,
       done = std::move(done)](const absl::Status& status) {
        if (!status.ok()) return done(DescribeWaitEnd(status, id, timeout));
        if (last->has_value()) return done(**last);
        done(absl::CancelledError("the follower wants no more"));
      });
}

absl::StatusOr<v1::Task> TaskClient::Cancel(std::string_view task_id,
                                            std::string_view reason) {
  auto request = RequestFor<v1::CancelTaskRequest>(options(), task_id);
  request.set_reason(std::string(reason));
  APIUM_ASSIGN_OR_RETURN(v1::CancelTaskResponse response,
                         BlockingCall(QuickCall(options()), rpc_->stub.get(),
                                      &Stub::CancelTask, request));
  return std::move(*response.mutable_task());
}

void TaskClient::CancelAsync(std::string_view task_id, std::string_view reason,
                             Callback<v1::Task> done) {
  connection_->KeepCallbacksAwake();
  auto request = RequestFor<v1::CancelTaskRequest>(options(), task_id);
  request.set_reason(std::string(reason));
  StartAsyncCall(&rpc_->calls, QuickCall(options()), rpc_->async(),
                 &AsyncStub::CancelTask, std::move(request),
                 TaskCallback<v1::CancelTaskResponse>(std::move(done)));
}

absl::StatusOr<v1::ListTasksResponse> TaskClient::List(
    v1::ListTasksRequest request) {
  request.set_namespace_(options().namespace_name);
  return BlockingCall(QuickCall(options()), rpc_->stub.get(), &Stub::ListTasks,
                      request);
}

const ClientOptions& TaskClient::options() const {
  return connection_->options();
}

}  // namespace apium
