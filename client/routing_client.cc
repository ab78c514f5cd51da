#include "client/routing_client.h"

#include <grpcpp/channel.h>

#include <utility>

#include "apium/v1/routing_service.grpc.pb.h"
#include "client/connection.h"
#include "client/unary_call.h"
#include "common/status_macros.h"

namespace apium {

using Stub = v1::RoutingService::Stub;

struct RoutingClient::Rpc {
  std::unique_ptr<Stub> stub;
};

RoutingClient::RoutingClient(std::shared_ptr<Connection> connection)
    : connection_(std::move(connection)),
      rpc_(std::make_unique<Rpc>(
          Rpc{v1::RoutingService::NewStub(connection_->channel())})) {}

RoutingClient::~RoutingClient() = default;

template <typename Request>
Request RoutingClient::NewRequest() const {
  Request request;
  request.set_namespace_(connection_->options().namespace_name);
  return request;
}

absl::StatusOr<v1::Exchange> RoutingClient::CreateExchange(
    v1::Exchange exchange) {
  auto request = NewRequest<v1::CreateExchangeRequest>();
  request.mutable_exchange()->Swap(&exchange);
  APIUM_ASSIGN_OR_RETURN(
      v1::CreateExchangeResponse response,
      BlockingCall(QuickCall(connection_->options()), rpc_->stub.get(),
                   &Stub::CreateExchange, request));
  return std::move(*response.mutable_exchange());
}

absl::StatusOr<v1::Exchange> RoutingClient::GetExchange(std::string_view name) {
  auto request = NewRequest<v1::GetExchangeRequest>();
  request.set_name(std::string(name));
  APIUM_ASSIGN_OR_RETURN(
      v1::GetExchangeResponse response,
      BlockingCall(QuickCall(connection_->options()), rpc_->stub.get(),
                   &Stub::GetExchange, request));
  return std::move(*response.mutable_exchange());
}

absl::StatusOr<v1::ListExchangesResponse> RoutingClient::ListExchanges(
    uint32_t page_size, std::string_view page_token) {
  auto request = NewRequest<v1::ListExchangesRequest>();
  request.set_page_size(page_size);
  request.set_page_token(std::string(page_token));
  return BlockingCall(QuickCall(connection_->options()), rpc_->stub.get(),
                      &Stub::ListExchanges, request);
}

absl::StatusOr<v1::Exchange> RoutingClient::UpdateExchange(
    v1::Exchange exchange) {
  auto request = NewRequest<v1::UpdateExchangeRequest>();
  request.mutable_exchange()->Swap(&exchange);
  APIUM_ASSIGN_OR_RETURN(
      v1::UpdateExchangeResponse response,
      BlockingCall(QuickCall(connection_->options(), CallKind::kNotIdempotent),
                   rpc_->stub.get(), &Stub::UpdateExchange, request));
  return std::move(*response.mutable_exchange());
}

absl::Status RoutingClient::DeleteExchange(std::string_view name) {
  auto request = NewRequest<v1::DeleteExchangeRequest>();
  request.set_name(std::string(name));
  return BlockingCall(
             QuickCall(connection_->options(), CallKind::kNotIdempotent),
             rpc_->stub.get(), &Stub::DeleteExchange, request)
      .status();
}

absl::StatusOr<v1::Binding> RoutingClient::CreateBinding(v1::Binding binding) {
  auto request = NewRequest<v1::CreateBindingRequest>();
  request.mutable_binding()->Swap(&binding);
  APIUM_ASSIGN_OR_RETURN(
      v1::CreateBindingResponse response,
      BlockingCall(QuickCall(connection_->options()), rpc_->stub.get(),
                   &Stub::CreateBinding, request));
  return std::move(*response.mutable_binding());
}

absl::Status RoutingClient::DeleteBinding(v1::Binding binding) {
  auto request = NewRequest<v1::DeleteBindingRequest>();
  request.mutable_binding()->Swap(&binding);
  return BlockingCall(
             QuickCall(connection_->options(), CallKind::kNotIdempotent),
             rpc_->stub.get(), &Stub::DeleteBinding, request)
      .status();
}

absl::StatusOr<v1::ListBindingsResponse> RoutingClient::ListBindings(
    std::string_view exchange, uint32_t page_size,
    std::string_view page_token) {
  auto request = NewRequest<v1::ListBindingsRequest>();
  request.set_exchange(std::string(exchange));
  request.set_page_size(page_size);
  request.set_page_token(std::string(page_token));
  return BlockingCall(QuickCall(connection_->options()), rpc_->stub.get(),
                      &Stub::ListBindings, request);
}

absl::StatusOr<std::string> RoutingClient::SetRouteRules(
    const std::vector<v1::RouteRule>& rules, std::string_view etag) {
  auto request = NewRequest<v1::SetRouteRulesRequest>();
  request.mutable_rules()->Assign(rules.begin(), rules.end());
  request.set_etag(std::string(etag));
  const CallKind kind =
      etag.empty() ? CallKind::kIdempotent : CallKind::kNotIdempotent;
  APIUM_ASSIGN_OR_RETURN(
      v1::SetRouteRulesResponse response,
      BlockingCall(QuickCall(connection_->options(), kind), rpc_->stub.get(),
                   &Stub::SetRouteRules, request));
  return std::move(*response.mutable_etag());
}

absl::StatusOr<v1::GetRouteRulesResponse> RoutingClient::GetRouteRules() {
  return BlockingCall(QuickCall(connection_->options()), rpc_->stub.get(),
                      &Stub::GetRouteRules,
                      NewRequest<v1::GetRouteRulesRequest>());
}

absl::StatusOr<std::vector<std::string>> RoutingClient::Resolve(
    v1::ResolveRouteRequest request) {
  request.set_namespace_(connection_->options().namespace_name);
  APIUM_ASSIGN_OR_RETURN(
      const v1::ResolveRouteResponse response,
      BlockingCall(QuickCall(connection_->options()), rpc_->stub.get(),
                   &Stub::ResolveRoute, request));
  return std::vector<std::string>(response.queues().begin(),
                                  response.queues().end());
}

}  // namespace apium
