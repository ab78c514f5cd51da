#include "broker/service/forget_task_call.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "broker/service/result_reader.h"
#include "broker/service/task_read.h"
#include "common/clock.h"
#include "common/error_reason.h"

namespace apium::broker {
namespace {

// For the result service to take an outcome that it does not have yet: longer
// than it ever lags while it is well.
constexpr absl::Duration kConfirmTimeMax = absl::Seconds(10);

}  // namespace

grpc::ServerUnaryReactor* ForgetTaskCall::Start(
    const ServiceContext* context, absl::Time deadline,
    const std::string& namespace_name, const std::string& task_id) {
  auto call = std::make_shared<ForgetTaskCall>(context, deadline,
                                               namespace_name, task_id);
  call->HoldUntilDone();
  context->open_calls->Add(call);
  grpc::ServerUnaryReactor* const reactor = call.get();
  const absl::Time now = context->clock->Now();
  const absl::Status pushed = context->mailbox->Push(
      ForgetTaskCommand{
          .reply = {call, 0},
          .namespace_name = namespace_name,
          .task_id = task_id,
          // Without a result service there is nothing to wait for.
          .deadline = context->results == nullptr
                          ? now
                          : std::min(deadline, now + kConfirmTimeMax)},
      MailboxShare::kOrdinary);
  if (!pushed.ok()) call->Answer(pushed);
  return reactor;
}

void ForgetTaskCall::Take(uint64_t, Reply&& reply) {
  StatusReply* const body = std::get_if<StatusReply>(&reply.body);
  APIUM_CHECK(body != nullptr) << "reply of another kind";
  // What the broker no longer knows the result service may still have.
  const bool known = body->status.ok();
  const bool ask = known || ReasonOf(body->status) == reason::kTaskNotFound;
  if (!ask || context_->results == nullptr) return Answer(body->status);
  auto self = std::static_pointer_cast<ForgetTaskCall>(shared_from_this());
  context_->results->Forget(
      namespace_name_, task_id_, deadline_,
      [self, known](const absl::Status& forgotten) {
        if (!absl::IsNotFound(forgotten)) return self->Answer(forgotten);
        self->Answer(known
                         ? absl::OkStatus()
                         : TaskNotFound(self->namespace_name_, self->task_id_));
      });
}

void ForgetTaskCall::Answer(const absl::Status& status) {
  if (!Claim()) return;
  Finish(status.ok() ? grpc::Status::OK : ToGrpcStatus(status));
}

void ForgetTaskCall::End(const absl::Status& status) {
  if (!Claim()) return;
  // Before Finish, after which this may be gone.
  OnGivenUp();
  Finish(ToGrpcStatus(status));
}

void ForgetTaskCall::OnGivenUp() {
  auto self = std::static_pointer_cast<ForgetTaskCall>(shared_from_this());
  // Refused only by a mailbox that is closed, whose engine waits for nobody.
  context_->mailbox
      ->Push(ForgetSinkCommand{std::move(self)}, MailboxShare::kUnbounded)
      .IgnoreError();
}

void ForgetTaskCall::OnDone() {
  context_->open_calls->Remove(this);
  SharedUnaryCall::OnDone();
}

}  // namespace apium::broker
