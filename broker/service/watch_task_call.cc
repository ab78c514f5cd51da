#include "broker/service/watch_task_call.h"

#include <utility>

#include "broker/shard/mailbox.h"
#include "common/rpc/grpc_status.h"

namespace apium::broker {

grpc::ServerWriteReactor<v1::WatchTaskResponse>* WatchTaskCall::Start(
    const ServiceContext* context, TaskReadRequest request) {
  auto call = std::make_shared<WatchTaskCall>(context, std::move(request));
  call->self_ = call;
  context->open_calls->Add(call);
  WatchTaskCommand command;
  command.reply = {call, 0};
  command.namespace_name = call->request_.namespace_name;
  command.task_id = call->request_.task_id;
  const absl::Status pushed =
      context->mailbox->Push(std::move(command), MailboxShare::kOrdinary);
  if (!pushed.ok()) call->Stop(pushed);
  return call.get();
}

WatchTaskCall::WatchTaskCall(const ServiceContext* context,
                             TaskReadRequest request)
    : context_(context), request_(std::move(request)) {}

void WatchTaskCall::Take(uint64_t, Reply&& reply) {
  TaskReply* const body = std::get_if<TaskReply>(&reply.body);
  APIUM_CHECK(body != nullptr) << "reply of another kind";
  MergeTaskReply(*context_, request_, std::move(*body),
                 [self = shared_from_this()](absl::StatusOr<v1::Task> task) {
                   self->Tell(std::move(task));
                 });
}

void WatchTaskCall::Tell(absl::StatusOr<v1::Task> task) {
  {
    absl::MutexLock lock(&mu_);
    if (end_.has_value()) return;
    if (!task.ok()) {
      end_ = task.status();
    } else {
      if (task->has_outcome()) end_ = absl::OkStatus();
      pending_ = *std::move(task);
    }
  }
  Advance();
}

void WatchTaskCall::Stop(const absl::Status& status) {
  {
    absl::MutexLock lock(&mu_);
    if (end_.has_value() && !end_->ok()) return;
    end_ = status;
    pending_.reset();
  }
  Advance();
}

void WatchTaskCall::End(const absl::Status& status) { Stop(status); }

void WatchTaskCall::OnCancel() {
  Stop(absl::CancelledError("the caller has gone"));
}

void WatchTaskCall::OnWriteDone(bool ok) {
  {
    absl::MutexLock lock(&mu_);
    writing_ = false;
  }
  if (!ok) return OnCancel();
  Advance();
}

void WatchTaskCall::Advance() {
  std::optional<absl::Status> end;
  {
    absl::MutexLock lock(&mu_);
    if (writing_ || finished_) return;
    if (pending_.has_value()) {
      response_.mutable_task()->Swap(&*pending_);
      pending_.reset();
      writing_ = true;
    } else if (end_.has_value()) {
      end = end_;
      finished_ = true;
    } else {
      return;
    }
  }
  // Only the thread that has just set writing_ or finished_ comes here.
  if (end.has_value()) {
    Finish(end->ok() ? grpc::Status::OK : ToGrpcStatus(*end));
  } else {
    StartWrite(&response_);
  }
}

void WatchTaskCall::OnDone() {
  context_->open_calls->Remove(this);
  context_->mailbox
      ->Push(ForgetSinkCommand{shared_from_this()}, MailboxShare::kUnbounded)
      .IgnoreError();
  self_.reset();
}

}  // namespace apium::broker
