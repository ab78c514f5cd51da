#include "broker/service/task_service.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "broker/service/cancel_tasks_call.h"
#include "broker/service/engine_call.h"
#include "broker/service/explain_call.h"
#include "broker/service/follow_task_call.h"
#include "broker/service/forget_task_call.h"
#include "broker/service/list_tasks_call.h"
#include "broker/service/spec_fingerprint.h"
#include "broker/service/submit_all_call.h"
#include "broker/service/submit_batch_call.h"
#include "broker/service/task_control_from_proto.h"
#include "broker/service/task_from_proto.h"
#include "broker/service/task_read.h"
#include "broker/service/task_stream.h"
#include "broker/service/watch_task_call.h"
#include "common/clock.h"
#include "common/error_reason.h"
#include "common/limits.h"
#include "common/names.h"
#include "common/rpc/proto_time.h"
#include "common/status_macros.h"
#include "common/strings.h"

namespace apium::broker {
namespace {

constexpr absl::Duration kWaitTimeoutMax = absl::Hours(24);

// The handler's request is gRPC's own message, made for this call and used by
// nobody else: its strings may be moved out, which saves a copy of the payload.
template <typename Request>
Request* Mutable(const Request* request) {
  return const_cast<Request*>(request);
}

absl::Time DeadlineOf(const grpc::CallbackServerContext& rpc) {
  return absl::FromChrono(rpc.deadline());
}

// For requests that name one task.
template <typename Request>
absl::StatusOr<TaskReadRequest> ReadRequestOf(
    const grpc::CallbackServerContext& rpc, const Request& request) {
  TaskReadRequest read;
  APIUM_ASSIGN_OR_RETURN(read.namespace_name,
                         NamespaceFromProto(request.namespace_()));
  APIUM_RETURN_IF_ERROR(CheckTaskId(request.task_id()));
  read.task_id = request.task_id();
  read.deadline = DeadlineOf(rpc);
  return read;
}

absl::StatusOr<View> ViewFromProto(v1::TaskView view) {
  switch (view) {
    case v1::TASK_VIEW_UNSPECIFIED:
    case v1::TASK_VIEW_FULL:
      return View::kFull;
    case v1::TASK_VIEW_BASIC:
      return View::kBasic;
    default:
      return InvalidField("view", StrCat(static_cast<int>(view),
                                         " is not a view; use BASIC or FULL"));
  }
}

void CountsToProto(const TaskCounts& counts, v1::TaskCounts* proto) {
  proto->set_queue(counts.queue);
  proto->set_blocked(counts.blocked);
  proto->set_scheduled(counts.scheduled);
  proto->set_queued(counts.queued);
  proto->set_leased(counts.leased);
  proto->set_started(counts.started);
  proto->set_succeeded(counts.ended.succeeded);
  proto->set_failed(counts.ended.failed);
  proto->set_cancelled(counts.ended.cancelled);
  proto->set_expired(counts.ended.expired);
  proto->set_dead_lettered(counts.ended.dead_lettered);
  proto->set_dead_letters(counts.dead_letters);
}

// A stream that was refused before it began.
template <typename Response>
class RefusedStream final : public grpc::ServerWriteReactor<Response> {
 public:
  explicit RefusedStream(const absl::Status& status) {
    this->Finish(ToGrpcStatus(status));
  }
  void OnDone() override { delete this; }
};

}  // namespace

grpc::ServerUnaryReactor* TaskServiceImpl::SubmitTask(
    grpc::CallbackServerContext* rpc, const v1::SubmitTaskRequest* request,
    v1::SubmitTaskResponse* response) {
  const absl::StatusOr<std::string> namespace_name =
      NamespaceFromProto(request->namespace_());
  if (!namespace_name.ok()) return FinishNow(rpc, namespace_name.status());
  if (!request->has_spec()) {
    return FinishNow(rpc,
                     InvalidField("spec", "is missing; it says what to run"));
  }
  SubmitCommand command;
  if (!request->request_id().empty()) {
    const absl::Status valid =
        ValidateIdempotencyKey("request_id", request->request_id());
    if (!valid.ok()) return FinishNow(rpc, valid);
    command.request = std::make_shared<RequestIdentity>(
        RequestIdentity{.id = request->request_id(),
                        .fingerprint = RequestFingerprint(request->spec())});
  }
  const absl::Status valid =
      SubmitFromProto(context_.limits, *namespace_name, context_.clock->Now(),
                      Mutable(request)->mutable_spec(), &command);
  if (!valid.ok()) return FinishNow(rpc, valid);
  const size_t bytes = ContentBytes(*command.content);
  return StartEngineCall<SubmitReply>(
      context_.mailbox, MailboxShare::kOrdinary, std::move(command), bytes,
      [response](SubmitReply&& reply) {
        if (!reply.status.ok()) return reply.status;
        response->set_task_id(std::move(reply.task_id));
        TimeToProto(reply.create_time, response->mutable_create_time());
        response->set_attached(reply.attached);
        for (std::string& id : reply.copy_task_ids) {
          response->add_copy_task_ids(std::move(id));
        }
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* TaskServiceImpl::SubmitTasks(
    grpc::CallbackServerContext* rpc, const v1::SubmitTasksRequest* request,
    v1::SubmitTasksResponse* response) {
  const absl::StatusOr<std::string> namespace_name =
      NamespaceFromProto(request->namespace_());
  if (!namespace_name.ok()) return FinishNow(rpc, namespace_name.status());
  const size_t count = request->specs_size();
  if (count == 0 || count > kBatchTasksMax) {
    return FinishNow(rpc, InvalidField("specs", StrCat("has ", count,
                                                       " tasks; must be 1 to ",
                                                       kBatchTasksMax)));
  }
  if (request->atomic()) {
    return StartSubmitAll(rpc, context_, *namespace_name, Mutable(request),
                          response);
  }
  if (!request->request_id().empty()) {
    return FinishNow(rpc, InvalidField("request_id",
                                       "is for atomic submits only; others "
                                       "are idempotent by their task ids"));
  }
  return SubmitBatchCall::Start(&context_, *namespace_name, Mutable(request),
                                response);
}

grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>*
TaskServiceImpl::StreamTasks(grpc::CallbackServerContext* rpc) {
  return TaskStream::Start(&context_, rpc);
}

grpc::ServerUnaryReactor* TaskServiceImpl::GetTask(
    grpc::CallbackServerContext* rpc, const v1::GetTaskRequest* request,
    v1::GetTaskResponse* response) {
  absl::StatusOr<TaskReadRequest> read = ReadRequestOf(*rpc, *request);
  if (!read.ok()) return FinishNow(rpc, read.status());
  const absl::StatusOr<View> view = ViewFromProto(request->view());
  if (!view.ok()) return FinishNow(rpc, view.status());
  read->view = *view;
  return TaskReadCall::Start(&context_, TaskReadCall::Kind::kQuick,
                             MailboxShare::kOrdinary, *std::move(read),
                             GetTaskCommand{}, response->mutable_task());
}

grpc::ServerUnaryReactor* TaskServiceImpl::WaitTask(
    grpc::CallbackServerContext* rpc, const v1::WaitTaskRequest* request,
    v1::WaitTaskResponse* response) {
  absl::StatusOr<TaskReadRequest> read = ReadRequestOf(*rpc, *request);
  if (!read.ok()) return FinishNow(rpc, read.status());
  WaitTaskCommand command;
  command.deadline = read->deadline;
  if (request->has_timeout()) {
    const absl::StatusOr<absl::Duration> timeout =
        DurationFromProto("timeout", request->timeout());
    if (!timeout.ok()) return FinishNow(rpc, timeout.status());
    if (*timeout < absl::ZeroDuration() || *timeout > kWaitTimeoutMax) {
      return FinishNow(
          rpc,
          InvalidField(
              "timeout",
              StrCat("is ", absl::FormatDuration(*timeout), "; must be in [0, ",
                     absl::FormatDuration(kWaitTimeoutMax), "]")));
    }
    command.deadline =
        std::min(command.deadline, context_.clock->Now() + *timeout);
  }
  return TaskReadCall::Start(&context_, TaskReadCall::Kind::kLasting,
                             MailboxShare::kOrdinary, *std::move(read),
                             std::move(command), response->mutable_task());
}

grpc::ServerWriteReactor<v1::WatchTaskResponse>* TaskServiceImpl::WatchTask(
    grpc::CallbackServerContext* rpc, const v1::WatchTaskRequest* request) {
  absl::StatusOr<TaskReadRequest> read = ReadRequestOf(*rpc, *request);
  if (!read.ok())
    return new RefusedStream<v1::WatchTaskResponse>(read.status());
  return WatchTaskCall::Start(&context_, *std::move(read));
}

grpc::ServerUnaryReactor* TaskServiceImpl::ListTasks(
    grpc::CallbackServerContext* rpc, const v1::ListTasksRequest* request,
    v1::ListTasksResponse* response) {
  return ListTasksCall::Start(&context_, DeadlineOf(*rpc), request, response);
}

grpc::ServerUnaryReactor* TaskServiceImpl::CancelTask(
    grpc::CallbackServerContext* rpc, const v1::CancelTaskRequest* request,
    v1::CancelTaskResponse* response) {
  absl::StatusOr<TaskReadRequest> read = ReadRequestOf(*rpc, *request);
  if (!read.ok()) return FinishNow(rpc, read.status());
  CancelTaskCommand command;
  command.reason = CutReason(std::move(*Mutable(request)->mutable_reason()));
  TaskReadHooks hooks;
  hooks.replied = [response](const TaskReply& reply) {
    // One that the engine does not know is unknown, or has ended and the
    // result service knows it.
    response->set_result(reply.cancelled == CancelResult::kNotFound
                             ? v1::CANCEL_RESULT_ALREADY_ENDED
                             : static_cast<v1::CancelResult>(reply.cancelled));
  };
  return TaskReadCall::Start(&context_, TaskReadCall::Kind::kQuick,
                             MailboxShare::kReserved, *std::move(read),
                             std::move(command), response->mutable_task(),
                             std::move(hooks));
}

grpc::ServerUnaryReactor* TaskServiceImpl::CancelTasks(
    grpc::CallbackServerContext* rpc, const v1::CancelTasksRequest* request,
    v1::CancelTasksResponse* response) {
  CancelTasksCommand command;
  const absl::Status valid = CancelTasksFromProto(*request, &command);
  if (!valid.ok()) return FinishNow(rpc, valid);
  return CancelTasksCall::Start(&context_, DeadlineOf(*rpc), std::move(command),
                                response);
}

grpc::ServerUnaryReactor* TaskServiceImpl::UpdateTask(
    grpc::CallbackServerContext* rpc, const v1::UpdateTaskRequest* request,
    v1::UpdateTaskResponse* response) {
  absl::StatusOr<TaskReadRequest> read = ReadRequestOf(*rpc, *request);
  if (!read.ok()) return FinishNow(rpc, read.status());
  UpdateTaskCommand command;
  const absl::Status valid =
      UpdateTaskFromProto(*request, context_.clock->Now(), &command);
  if (!valid.ok()) return FinishNow(rpc, valid);
  TaskReadHooks hooks;
  hooks.finished_elsewhere = [](const v1::Task& task) {
    return WithReason(
        absl::FailedPreconditionError(
            StrCat("task ", task.spec().task_id(),
                   " cannot be changed: it has ended; only a task that waits "
                   "for its time or for a worker can")),
        reason::kTaskNotWaiting);
  };
  return TaskReadCall::Start(&context_, TaskReadCall::Kind::kQuick,
                             MailboxShare::kReserved, *std::move(read),
                             std::move(command), response->mutable_task(),
                             std::move(hooks));
}

grpc::ServerUnaryReactor* TaskServiceImpl::ForgetTask(
    grpc::CallbackServerContext* rpc, const v1::ForgetTaskRequest* request,
    v1::ForgetTaskResponse*) {
  const absl::StatusOr<TaskReadRequest> read = ReadRequestOf(*rpc, *request);
  if (!read.ok()) return FinishNow(rpc, read.status());
  return ForgetTaskCall::Start(&context_, read->deadline, read->namespace_name,
                               read->task_id);
}

grpc::ServerUnaryReactor* TaskServiceImpl::CountTasks(
    grpc::CallbackServerContext* rpc, const v1::CountTasksRequest* request,
    v1::CountTasksResponse* response) {
  CountTasksCommand command;
  absl::StatusOr<std::string> namespace_name =
      NamespaceFromProto(request->namespace_());
  if (!namespace_name.ok()) return FinishNow(rpc, namespace_name.status());
  command.namespace_name = *std::move(namespace_name);
  if (!request->queue().empty()) {
    const absl::Status valid = ValidateQueueName("queue", request->queue());
    if (!valid.ok()) return FinishNow(rpc, valid);
    command.queue = request->queue();
  }
  return StartEngineCall<TaskCountsReply>(
      context_.mailbox, MailboxShare::kReserved, std::move(command), 0,
      [response](TaskCountsReply&& reply) {
        for (TaskCounts& counts : reply.queues) {
          CountsToProto(counts, response->add_queues());
        }
        return reply.status;
      });
}

grpc::ServerUnaryReactor* TaskServiceImpl::ExplainTask(
    grpc::CallbackServerContext* rpc, const v1::ExplainTaskRequest* request,
    v1::ExplainTaskResponse* response) {
  absl::StatusOr<TaskReadRequest> read = ReadRequestOf(*rpc, *request);
  if (!read.ok()) return FinishNow(rpc, read.status());
  return ExplainTaskCall::Start(&context_, *std::move(read), response);
}

grpc::ServerWriteReactor<v1::FollowTaskResponse>* TaskServiceImpl::FollowTask(
    grpc::CallbackServerContext* rpc, const v1::FollowTaskRequest* request) {
  absl::StatusOr<TaskReadRequest> read = ReadRequestOf(*rpc, *request);
  if (!read.ok())
    return new RefusedStream<v1::FollowTaskResponse>(read.status());
  return FollowTaskCall::Start(&context_, *std::move(read), request->from());
}

}  // namespace apium::broker
