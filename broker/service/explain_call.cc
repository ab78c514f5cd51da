#include "broker/service/explain_call.h"

#include <utility>

#include "apium/v1/task_service.pb.h"
#include "broker/service/wait_reason_to_proto.h"

namespace apium::broker {

ExplainTaskCall::ExplainTaskCall(const ServiceContext* context,
                                 TaskReadRequest request,
                                 v1::ExplainTaskResponse* response)
    : context_(context), request_(std::move(request)), response_(response) {}

grpc::ServerUnaryReactor* ExplainTaskCall::Start(
    const ServiceContext* context, TaskReadRequest request,
    v1::ExplainTaskResponse* response) {
  ExplainTaskCommand command;
  command.namespace_name = request.namespace_name;
  command.task_id = request.task_id;
  // The state is all that is wanted of a task that has ended.
  request.view = View::kBasic;
  auto call =
      std::make_shared<ExplainTaskCall>(context, std::move(request), response);
  call->HoldUntilDone();
  command.reply = {call, 0};
  const absl::Status pushed =
      context->mailbox->Push(std::move(command), MailboxShare::kReserved);
  if (!pushed.ok() && call->Claim()) call->Finish(ToGrpcStatus(pushed));
  return call.get();
}

void ExplainTaskCall::Take(uint64_t, Reply&& reply) {
  ExplainReply* const body = std::get_if<ExplainReply>(&reply.body);
  APIUM_CHECK(body != nullptr) << "reply of another kind";
  if (body->status.ok() && body->elsewhere != TaskReply::Elsewhere::kNo) {
    return AskElsewhere(body->elsewhere);
  }
  if (!Claim()) return;
  if (!body->status.ok()) return Finish(ToGrpcStatus(body->status));
  response_->set_state(static_cast<v1::TaskState>(body->state));
  for (WaitReason& reason : body->reasons) {
    WaitReasonToProto(std::move(reason), response_->add_reasons());
  }
  Finish(grpc::Status::OK);
}

void ExplainTaskCall::AskElsewhere(TaskReply::Elsewhere elsewhere) {
  TaskReply reply;
  reply.elsewhere = elsewhere;
  auto self = std::static_pointer_cast<ExplainTaskCall>(shared_from_this());
  MergeTaskReply(*context_, request_, std::move(reply),
                 [self](absl::StatusOr<v1::Task> task) {
                   if (!self->Claim()) return;
                   if (!task.ok())
                     return self->Finish(ToGrpcStatus(task.status()));
                   self->response_->set_state(task->state());
                   self->Finish(grpc::Status::OK);
                 });
}

}  // namespace apium::broker
