// One class for each unary call that the core answers.

#ifndef APIUM_RESULTS_SERVICE_UNARY_CALLS_H_
#define APIUM_RESULTS_SERVICE_UNARY_CALLS_H_

#include <grpcpp/support/server_callback.h>

#include <memory>

#include "absl/status/status.h"
#include "apium/v1/result_service.pb.h"
#include "results/command.h"
#include "results/mailbox.h"
#include "results/service/call_table.h"
#include "results/service/open_call.h"

namespace apium::results {

// From the request to the core's reply. Lives until gRPC is done with it.
class UnaryCall : public grpc::ServerUnaryReactor, public OpenCall {
 public:
  // `table` and `mailbox` outlive the call.
  UnaryCall(CallTable* table, Mailbox* mailbox)
      : table_(table), mailbox_(mailbox), id_(table->NewId()) {}

  CallId id() const { return id_; }
  // Sends `command`, which names id(), to the core. Once, after construction;
  // `self` is this.
  void Start(std::shared_ptr<UnaryCall> self, ResultCommand command);

  void OnReply(Reply reply) override;
  void OnEnd(const absl::Status& status) override;
  void OnDone() override;

 protected:
  // Puts what the core found into the response.
  virtual void Fill(Reply* reply) = 0;

  CallTable* const table_;
  Mailbox* const mailbox_;

 private:
  const CallId id_;
  std::shared_ptr<UnaryCall> self_;
};

// GetResult and WaitResult.
template <typename Response>
class OutcomeCall : public UnaryCall {
 public:
  OutcomeCall(CallTable* table, Mailbox* mailbox, Response* response)
      : UnaryCall(table, mailbox), response_(response) {}

 private:
  void Fill(Reply* reply) override {
    response_->mutable_outcome()->Swap(
        &std::get<v1::TaskOutcome>(reply->value));
  }

  Response* const response_;
};

using GetCall = OutcomeCall<v1::GetResultResponse>;

// Its caller may go away long before there is an answer.
class WaitCall final : public OutcomeCall<v1::WaitResultResponse> {
 public:
  using OutcomeCall::OutcomeCall;
  void OnCancel() override;
};

class ListCall final : public UnaryCall {
 public:
  ListCall(CallTable* table, Mailbox* mailbox,
           v1::ListResultsResponse* response)
      : UnaryCall(table, mailbox), response_(response) {}

 private:
  void Fill(Reply* reply) override;

  v1::ListResultsResponse* const response_;
};

class ForgetCall final : public UnaryCall {
 public:
  using UnaryCall::UnaryCall;

 private:
  void Fill(Reply*) override {}
};

}  // namespace apium::results

#endif  // APIUM_RESULTS_SERVICE_UNARY_CALLS_H_
