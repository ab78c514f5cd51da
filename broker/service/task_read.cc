#include "broker/service/task_read.h"

#include <utility>

#include "apium/v1/task.pb.h"
#include "broker/service/result_reader.h"
#include "common/error_reason.h"
#include "common/names.h"
#include "common/strings.h"

namespace apium::broker {

absl::Status TaskNotFound(const std::string& namespace_name,
                          const std::string& task_id) {
  return WithReason(
      absl::NotFoundError(StrCat("no task ", QuoteForMessage(task_id),
                                 " in namespace ", namespace_name,
                                 ": never submitted, or its result has "
                                 "expired")),
      reason::kTaskNotFound);
}

void MergeTaskReply(const ServiceContext& context,
                    const TaskReadRequest& request, TaskReply&& reply,
                    std::function<void(absl::StatusOr<v1::Task>)> done) {
  if (!reply.status.ok()) return done(reply.status);
  if (reply.elsewhere == TaskReply::Elsewhere::kNo) {
    v1::Task task;
    SnapshotToProto(reply.task, request.view, &task);
    return done(std::move(task));
  }
  // Without a result service nothing was ever handed to one.
  if (context.results == nullptr)
    return done(TaskNotFound(request.namespace_name, request.task_id));
  context.results->Get(
      request.namespace_name, request.task_id, request.deadline,
      [request,
       done = std::move(done)](absl::StatusOr<v1::TaskOutcome> outcome) {
        if (absl::IsNotFound(outcome.status())) {
          return done(TaskNotFound(request.namespace_name, request.task_id));
        }
        if (!outcome.ok()) return done(outcome.status());
        v1::Task task;
        FinishedTaskToProto(*std::move(outcome), request.view, &task);
        done(std::move(task));
      });
}

TaskReadCall::TaskReadCall(const ServiceContext* context, Kind kind,
                           TaskReadRequest request, TaskReadHooks hooks,
                           v1::Task* task)
    : context_(context),
      kind_(kind),
      request_(std::move(request)),
      hooks_(std::move(hooks)),
      task_(task) {}

void TaskReadCall::Take(uint64_t, Reply&& reply) {
  TaskReply* const body = std::get_if<TaskReply>(&reply.body);
  APIUM_CHECK(body != nullptr) << "reply of another kind";
  if (hooks_.replied) hooks_.replied(*body);
  const bool elsewhere = body->elsewhere != TaskReply::Elsewhere::kNo;
  auto self = std::static_pointer_cast<TaskReadCall>(shared_from_this());
  MergeTaskReply(
      *context_, request_, std::move(*body),
      [self, elsewhere](absl::StatusOr<v1::Task> task) {
        if (elsewhere && task.ok() && self->hooks_.finished_elsewhere) {
          const absl::Status answer = self->hooks_.finished_elsewhere(*task);
          if (!answer.ok()) return self->Conclude(answer);
        }
        self->Conclude(std::move(task));
      });
}

void TaskReadCall::Conclude(absl::StatusOr<v1::Task> task) {
  if (!Claim()) return;
  if (!task.ok()) return Finish(ToGrpcStatus(task.status()));
  *task_ = *std::move(task);
  Finish(grpc::Status::OK);
}

void TaskReadCall::End(const absl::Status& status) {
  if (!Claim()) return;
  // Before Finish, after which this may be gone.
  OnGivenUp();
  Finish(ToGrpcStatus(status));
}

void TaskReadCall::OnGivenUp() {
  if (kind_ == Kind::kQuick) return;
  auto self = std::static_pointer_cast<TaskReadCall>(shared_from_this());
  // Refused only by a mailbox that is closed, whose engine waits for nobody.
  context_->mailbox
      ->Push(ForgetSinkCommand{std::move(self)}, MailboxShare::kUnbounded)
      .IgnoreError();
}

void TaskReadCall::OnDone() {
  if (kind_ == Kind::kLasting) context_->open_calls->Remove(this);
  SharedUnaryCall::OnDone();
}

}  // namespace apium::broker
