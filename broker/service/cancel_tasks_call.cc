#include "broker/service/cancel_tasks_call.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "apium/v1/task.pb.h"
#include "broker/service/result_reader.h"

namespace apium::broker {
namespace {

// Questions to the result service that one call has open at a time.
constexpr size_t kQuestionsAtOnce = 16;

}  // namespace

CancelTasksCall::CancelTasksCall(const ServiceContext* context,
                                 absl::Time deadline,
                                 const CancelTasksCommand& command,
                                 v1::CancelTasksResponse* response)
    : context_(context),
      deadline_(deadline),
      namespace_name_(command.namespace_name),
      task_ids_(command.task_ids),
      response_(response) {}

grpc::ServerUnaryReactor* CancelTasksCall::Start(
    const ServiceContext* context, absl::Time deadline,
    CancelTasksCommand command, v1::CancelTasksResponse* response) {
  auto call =
      std::make_shared<CancelTasksCall>(context, deadline, command, response);
  call->HoldUntilDone();
  grpc::ServerUnaryReactor* const reactor = call.get();
  command.reply = {call, 0};
  size_t bytes = 0;
  for (const std::string& id : command.task_ids) bytes += id.size();
  std::vector<QueuedCommand> commands;
  commands.push_back({.items = static_cast<uint32_t>(
                          std::max<size_t>(1, command.task_ids.size())),
                      .bytes = bytes});
  commands.back().command = std::move(command);
  const absl::Status pushed =
      context->mailbox->PushAll(&commands, MailboxShare::kReserved);
  if (!pushed.ok()) call->Answer(pushed);
  return reactor;
}

void CancelTasksCall::Take(uint64_t, Reply&& reply) {
  CancelTasksReply* const body = std::get_if<CancelTasksReply>(&reply.body);
  APIUM_CHECK(body != nullptr) << "reply of another kind";
  size_t questions = 0;
  {
    absl::MutexLock lock(&mu_);
    reply_ = std::move(*body);
    // Without a result service nothing was ever handed to one.
    for (size_t i = 0;
         context_->results != nullptr && i < reply_.results.size(); ++i) {
      if (reply_.results[i] == CancelResult::kNotFound) unknown_.push_back(i);
    }
    questions = std::min(unknown_.size(), kQuestionsAtOnce);
  }
  if (questions == 0) return Answer(absl::OkStatus());
  for (size_t i = 0; i < questions; ++i) AskNext();
}

void CancelTasksCall::AskNext() {
  size_t index = 0;
  {
    absl::MutexLock lock(&mu_);
    if (asked_ == unknown_.size()) return;
    index = unknown_[asked_++];
  }
  auto self = std::static_pointer_cast<CancelTasksCall>(shared_from_this());
  context_->results->Get(
      namespace_name_, task_ids_[index], deadline_,
      [self, index](const absl::StatusOr<v1::TaskOutcome>& outcome) {
        self->TakeFound(index, outcome.status());
      });
}

void CancelTasksCall::TakeFound(size_t index, const absl::Status& found) {
  bool last = false;
  absl::Status error;
  {
    absl::MutexLock lock(&mu_);
    if (found.ok()) {
      reply_.results[index] = CancelResult::kAlreadyEnded;
    } else if (!absl::IsNotFound(found)) {
      error_ = found;
    }
    last = ++answered_ == unknown_.size();
    error = error_;
  }
  if (last) return Answer(error);
  AskNext();
}

void CancelTasksCall::Answer(const absl::Status& status) {
  if (!Claim()) return;
  absl::Status answer = status;
  {
    absl::MutexLock lock(&mu_);
    if (answer.ok()) answer = reply_.status;
    response_->set_cancelled(reply_.cancelled);
    response_->set_requested(reply_.requested);
    for (const CancelResult result : reply_.results) {
      response_->add_results(static_cast<v1::CancelResult>(result));
      if (result == CancelResult::kCancelled)
        response_->set_cancelled(response_->cancelled() + 1);
      if (result == CancelResult::kRequested)
        response_->set_requested(response_->requested() + 1);
    }
  }
  Finish(answer.ok() ? grpc::Status::OK : ToGrpcStatus(answer));
}

}  // namespace apium::broker
