#include "results/service/result_service.h"

#include <memory>
#include <utility>

#include "common/rpc/grpc_status.h"
#include "results/service/unary_calls.h"
#include "results/service/watch_stream.h"

namespace apium::results {
namespace {

// Opens the unary call that answers `command`, or ends it if the request was
// refused.
template <typename Command>
grpc::ServerUnaryReactor* Open(grpc::CallbackServerContext* context,
                               absl::StatusOr<Command> command,
                               std::shared_ptr<UnaryCall> call) {
  if (!command.ok()) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(ToGrpcStatus(command.status()));
    return reactor;
  }
  command->call = call->id();
  UnaryCall* const reactor = call.get();
  reactor->Start(std::move(call), *std::move(command));
  return reactor;
}

// Ends a watch that was refused.
class RefusedWatch final
    : public grpc::ServerWriteReactor<v1::WatchResultsResponse> {
 public:
  explicit RefusedWatch(const absl::Status& status) {
    Finish(ToGrpcStatus(status));
  }
  void OnDone() override { delete this; }
};

}  // namespace

grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>*
GrpcResultService::PublishOutcomes(grpc::CallbackServerContext* /*context*/) {
  auto stream = std::make_shared<PublishStream>(window_, table_, mailbox_);
  PublishStream* const reactor = stream.get();
  reactor->Start(std::move(stream));
  return reactor;
}

grpc::ServerUnaryReactor* GrpcResultService::GetResult(
    grpc::CallbackServerContext* context, const v1::GetResultRequest* request,
    v1::GetResultResponse* response) {
  return Open(context, check_->Get(*request),
              std::make_shared<GetCall>(table_, mailbox_, response));
}

grpc::ServerUnaryReactor* GrpcResultService::WaitResult(
    grpc::CallbackServerContext* context, const v1::WaitResultRequest* request,
    v1::WaitResultResponse* response) {
  return Open(context, check_->Wait(*request),
              std::make_shared<WaitCall>(table_, mailbox_, response));
}

grpc::ServerUnaryReactor* GrpcResultService::ListResults(
    grpc::CallbackServerContext* context, const v1::ListResultsRequest* request,
    v1::ListResultsResponse* response) {
  return Open(context, check_->List(*request),
              std::make_shared<ListCall>(table_, mailbox_, response));
}

grpc::ServerWriteReactor<v1::WatchResultsResponse>*
GrpcResultService::WatchResults(grpc::CallbackServerContext* /*context*/,
                                const v1::WatchResultsRequest* request) {
  absl::StatusOr<WatchBegin> begin = check_->Watch(*request);
  if (!begin.ok()) {
    return new RefusedWatch(begin.status());
  }
  auto stream = std::make_shared<WatchStream>(table_, mailbox_);
  begin->stream = stream->id();
  WatchStream* const reactor = stream.get();
  reactor->Start(std::move(stream), *std::move(begin));
  return reactor;
}

grpc::ServerUnaryReactor* GrpcResultService::ForgetResult(
    grpc::CallbackServerContext* context,
    const v1::ForgetResultRequest* request,
    v1::ForgetResultResponse* /*response*/) {
  return Open(context, check_->Forget(*request),
              std::make_shared<ForgetCall>(table_, mailbox_));
}

}  // namespace apium::results
