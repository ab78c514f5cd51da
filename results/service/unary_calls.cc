#include "results/service/unary_calls.h"

#include <utility>

#include "common/rpc/grpc_status.h"

namespace apium::results {

void UnaryCall::Start(std::shared_ptr<UnaryCall> self, ResultCommand command) {
  self_ = self;
  table_->Add(id_, std::move(self));
  absl::Status posted = mailbox_->PushCall(std::move(command));
  if (!posted.ok()) {
    // The table may just have ended the call, with everything else.
    if (auto call = table_->Take(id_)) {
      call->OnEnd(posted);
    }
  }
}

void UnaryCall::OnReply(Reply reply) {
  if (reply.status.ok()) {
    Fill(&reply);
  }
  Finish(ToGrpcStatus(reply.status));
}

void UnaryCall::OnEnd(const absl::Status& status) {
  Finish(ToGrpcStatus(status));
}

void UnaryCall::OnDone() {
  // The last reference, or the table's thread holds it for a moment more.
  const std::shared_ptr<UnaryCall> self = std::move(self_);
}

void WaitCall::OnCancel() {
  // Refused only when the service stops, which ends the call as well.
  mailbox_->Push(CancelWait{.call = id()}).IgnoreError();
}

void ListCall::Fill(Reply* reply) {
  response_->Swap(&std::get<v1::ListResultsResponse>(reply->value));
}

}  // namespace apium::results
