#include "broker/service/follow_task_call.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "broker/engine/command.h"
#include "broker/shard/mailbox.h"
#include "common/check.h"
#include "common/rpc/grpc_status.h"

namespace apium::broker {

grpc::ServerWriteReactor<v1::FollowTaskResponse>* FollowTaskCall::Start(
    const ServiceContext* context, TaskReadRequest request, uint64_t from) {
  auto call =
      std::make_shared<FollowTaskCall>(context, std::move(request), from);
  call->self_ = call;
  context->open_calls->Add(call);
  FollowTaskCall* const reactor = call.get();
  reactor->Ask();
  return reactor;
}

FollowTaskCall::FollowTaskCall(const ServiceContext* context,
                               TaskReadRequest request, uint64_t from)
    : context_(context),
      request_(std::move(request)),
      next_(std::max<uint64_t>(1, from)) {}

void FollowTaskCall::Ask() {
  FollowTaskCommand command;
  command.reply = {shared_from_this(), 0};
  command.namespace_name = request_.namespace_name;
  command.task_id = request_.task_id;
  command.from = next_;
  const absl::Status pushed =
      context_->mailbox->Push(std::move(command), MailboxShare::kOrdinary);
  if (!pushed.ok()) Stop(pushed);
}

void FollowTaskCall::Take(uint64_t, Reply&& reply) {
  FollowReply* const body = std::get_if<FollowReply>(&reply.body);
  APIUM_CHECK(body != nullptr) << "reply of another kind";
  if (!body->status.ok()) return Stop(body->status);
  if (body->ended) {
    return MergeTaskReply(
        *context_, request_, std::move(body->task),
        [self = shared_from_this()](absl::StatusOr<v1::Task> task) {
          self->TellEnd(std::move(task));
        });
  }
  if (body->chunks.empty()) {
    // Not after the end: nobody would wait for the answer.
    bool ended;
    {
      absl::MutexLock lock(&mu_);
      ended = end_.has_value();
    }
    if (!ended) Ask();
    return;
  }
  response_.Clear();
  next_ = body->chunks.back().position + 1;
  for (TaskChunk& chunk : body->chunks)
    ChunkToProto(std::move(chunk), response_.add_chunks());
  Write(/*last=*/false);
}

void FollowTaskCall::TellEnd(absl::StatusOr<v1::Task> task) {
  if (!task.ok()) return Stop(task.status());
  response_.Clear();
  *response_.mutable_task() = *std::move(task);
  Write(/*last=*/true);
}

void FollowTaskCall::Write(bool last) {
  {
    absl::MutexLock lock(&mu_);
    if (end_.has_value()) return;
    writing_ = true;
    if (last) end_ = absl::OkStatus();
  }
  StartWrite(&response_);
}

void FollowTaskCall::OnWriteDone(bool ok) {
  std::optional<absl::Status> end;
  {
    absl::MutexLock lock(&mu_);
    writing_ = false;
    if (!ok && !end_.has_value())
      end_ = absl::CancelledError("the caller has gone");
    end = end_;
  }
  if (!end.has_value()) return Ask();
  Finish(end->ok() ? grpc::Status::OK : ToGrpcStatus(*end));
}

void FollowTaskCall::Stop(const absl::Status& status) {
  {
    absl::MutexLock lock(&mu_);
    if (end_.has_value()) return;
    end_ = status;
    if (writing_) return;  // OnWriteDone ends
  }
  Finish(ToGrpcStatus(status));
}

void FollowTaskCall::End(const absl::Status& status) { Stop(status); }

void FollowTaskCall::OnCancel() {
  Stop(absl::CancelledError("the caller has gone"));
}

void FollowTaskCall::OnDone() {
  context_->open_calls->Remove(this);
  context_->mailbox
      ->Push(ForgetSinkCommand{shared_from_this()}, MailboxShare::kUnbounded)
      .IgnoreError();
  self_.reset();
}

}  // namespace apium::broker
