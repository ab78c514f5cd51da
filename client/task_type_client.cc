#include "client/task_type_client.h"

#include <grpcpp/channel.h>

#include <string>
#include <utility>

#include "apium/v1/task_type_service.grpc.pb.h"
#include "client/connection.h"
#include "client/unary_call.h"
#include "common/status_macros.h"

namespace apium {
namespace {

using Stub = v1::TaskTypeService::Stub;

template <typename Request>
Request RequestFor(const ClientOptions& options, std::string_view type) {
  Request request;
  request.set_namespace_(options.namespace_name);
  request.set_type(std::string(type));
  return request;
}

}  // namespace

struct TaskTypeClient::Rpc {
  std::unique_ptr<Stub> stub;
};

TaskTypeClient::TaskTypeClient(std::shared_ptr<Connection> connection)
    : connection_(std::move(connection)),
      rpc_(std::make_unique<Rpc>(
          Rpc{v1::TaskTypeService::NewStub(connection_->channel())})) {}

TaskTypeClient::~TaskTypeClient() = default;

absl::StatusOr<v1::Breaker> TaskTypeClient::SetBreaker(v1::Breaker breaker) {
  v1::SetBreakerRequest request;
  request.set_namespace_(connection_->options().namespace_name);
  request.mutable_breaker()->Swap(&breaker);
  APIUM_ASSIGN_OR_RETURN(
      v1::SetBreakerResponse response,
      BlockingCall(QuickCall(connection_->options()), rpc_->stub.get(),
                   &Stub::SetBreaker, request));
  return std::move(*response.mutable_breaker());
}

absl::Status TaskTypeClient::RemoveBreaker(std::string_view type) {
  v1::Breaker none;
  none.set_type(std::string(type));
  return SetBreaker(std::move(none)).status();
}

absl::StatusOr<v1::Breaker> TaskTypeClient::GetBreaker(std::string_view type) {
  APIUM_ASSIGN_OR_RETURN(v1::GetBreakerResponse response,
                         BlockingCall(QuickCall(connection_->options()),
                                      rpc_->stub.get(), &Stub::GetBreaker,
                                      RequestFor<v1::GetBreakerRequest>(
                                          connection_->options(), type)));
  return std::move(*response.mutable_breaker());
}

absl::StatusOr<v1::ListBreakersResponse> TaskTypeClient::ListBreakers() {
  v1::ListBreakersRequest request;
  request.set_namespace_(connection_->options().namespace_name);
  return BlockingCall(QuickCall(connection_->options()), rpc_->stub.get(),
                      &Stub::ListBreakers, request);
}

absl::StatusOr<v1::Breaker> TaskTypeClient::ResetBreaker(
    std::string_view type) {
  APIUM_ASSIGN_OR_RETURN(v1::ResetBreakerResponse response,
                         BlockingCall(QuickCall(connection_->options()),
                                      rpc_->stub.get(), &Stub::ResetBreaker,
                                      RequestFor<v1::ResetBreakerRequest>(
                                          connection_->options(), type)));
  return std::move(*response.mutable_breaker());
}

}  // namespace apium
