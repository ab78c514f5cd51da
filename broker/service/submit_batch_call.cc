#include "broker/service/submit_batch_call.h"

#include <memory>
#include <utility>

#include "broker/service/task_from_proto.h"
#include "broker/service/task_to_proto.h"
#include "common/clock.h"

namespace apium::broker {

grpc::ServerUnaryReactor* SubmitBatchCall::Start(
    const ServiceContext* context, const std::string& namespace_name,
    v1::SubmitTasksRequest* request, v1::SubmitTasksResponse* response) {
  const size_t count = request->specs_size();
  auto call = std::make_shared<SubmitBatchCall>(count, response);
  call->HoldUntilDone();
  grpc::ServerUnaryReactor* const reactor = call.get();
  const absl::Time now = context->clock->Now();
  std::vector<QueuedCommand> commands;
  commands.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    SubmitCommand command;
    call->answers_[i].status =
        SubmitFromProto(context->limits, namespace_name, now,
                        request->mutable_specs(static_cast<int>(i)), &command);
    if (!call->answers_[i].status.ok()) continue;
    command.reply = {call, i};
    const size_t bytes = ContentBytes(*command.content);
    commands.push_back({std::move(command), 1, bytes});
  }
  call->awaited_ = commands.size();
  if (commands.empty()) {
    call->AnswerAll();
    return reactor;
  }
  const absl::Status pushed =
      context->mailbox->PushAll(&commands, MailboxShare::kOrdinary);
  if (!pushed.ok() && call->Claim()) call->Finish(ToGrpcStatus(pushed));
  return reactor;
}

void SubmitBatchCall::Take(uint64_t tag, Reply&& reply) {
  SubmitReply* const body = std::get_if<SubmitReply>(&reply.body);
  APIUM_CHECK(body != nullptr) << "reply of another kind";
  answers_[tag] = {std::move(body->status), std::move(body->task_id),
                   body->attached, std::move(body->copy_task_ids)};
  if (--awaited_ == 0) AnswerAll();
}

void SubmitBatchCall::AnswerAll() {
  if (!Claim()) return;
  for (Answer& answer : answers_) {
    v1::SubmitTasksResult* const result = response_->add_results();
    if (answer.status.ok()) {
      result->set_task_id(std::move(answer.task_id));
      result->set_attached(answer.attached);
      for (std::string& id : answer.copy_task_ids) {
        result->add_copy_task_ids(std::move(id));
      }
    } else {
      ItemErrorToProto(answer.status, result->mutable_error());
    }
  }
  Finish(grpc::Status::OK);
}

}  // namespace apium::broker
