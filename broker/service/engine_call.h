#ifndef APIUM_BROKER_SERVICE_ENGINE_CALL_H_
#define APIUM_BROKER_SERVICE_ENGINE_CALL_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string_view>
#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "broker/engine/command.h"
#include "broker/engine/effects.h"
#include "broker/shard/mailbox.h"
#include "common/check.h"
#include "common/rpc/grpc_status.h"

namespace apium::broker {

// Ends a call that does not need the engine.
inline grpc::ServerUnaryReactor* FinishNow(grpc::CallbackServerContext* context,
                                           const absl::Status& status) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(ToGrpcStatus(status));
  return reactor;
}

// A unary call whose reactor lives until gRPC and the engine are both done with
// it. Finishes exactly once, whoever comes first: an answer, or the client's
// cancel.
class SharedUnaryCall : public grpc::ServerUnaryReactor,
                        public std::enable_shared_from_this<SharedUnaryCall> {
 public:
  // Any thread. True for the first caller only, who may then fill the response
  // and must call Finish.
  bool Claim() { return !claimed_.exchange(true); }

  void OnCancel() override {
    if (!Claim()) return;
    Finish(grpc::Status(grpc::StatusCode::CANCELLED, "the caller has gone"));
    OnGivenUp();
  }
  void OnDone() override { self_.reset(); }

  // Keeps the call alive until OnDone. Once, before it is given to gRPC.
  void HoldUntilDone() { self_ = shared_from_this(); }

 protected:
  // The client has gone, or its deadline has passed, before there was an
  // answer.
  virtual void OnGivenUp() {}

 private:
  std::atomic<bool> claimed_{false};
  std::shared_ptr<SharedUnaryCall> self_;
};

// A unary call that is one command and one reply.
template <typename Body>
class EngineCall final : public SharedUnaryCall, public ReplySink {
 public:
  // Fills the response from the reply and gives the status of the call.
  using Answer = std::function<absl::Status(Body&& body)>;

  explicit EngineCall(Answer answer) : answer_(std::move(answer)) {}

  void Take(uint64_t, Reply&& reply) override {
    Body* body = std::get_if<Body>(&reply.body);
    APIUM_CHECK(body != nullptr) << "reply of another kind";
    if (!Claim()) return;
    const absl::Status status = answer_(std::move(*body));
    Finish(status.ok() ? grpc::Status::OK : ToGrpcStatus(status));
  }

 private:
  const Answer answer_;
};

// Starts such a call; `command` without its reply address.
template <typename Body, typename CommandType>
grpc::ServerUnaryReactor* StartEngineCall(
    Mailbox* mailbox, MailboxShare share, CommandType&& command, size_t bytes,
    typename EngineCall<Body>::Answer answer) {
  auto call = std::make_shared<EngineCall<Body>>(std::move(answer));
  call->HoldUntilDone();
  grpc::ServerUnaryReactor* const reactor = call.get();
  command.reply = {call, 0};
  const absl::Status pushed = mailbox->Push(std::move(command), share, bytes);
  if (!pushed.ok() && call->Claim()) call->Finish(ToGrpcStatus(pushed));
  return reactor;
}

}  // namespace apium::broker

#endif  // APIUM_BROKER_SERVICE_ENGINE_CALL_H_
