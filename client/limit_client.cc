#include "client/limit_client.h"

#include <grpcpp/channel.h>

#include <utility>

#include "apium/v1/limit_service.grpc.pb.h"
#include "client/connection.h"
#include "client/unary_call.h"
#include "common/rpc/proto_time.h"
#include "common/status_macros.h"

namespace apium {

using Stub = v1::LimitService::Stub;

struct LimitClient::Rpc {
  std::unique_ptr<Stub> stub;
};

LimitClient::LimitClient(std::shared_ptr<Connection> connection)
    : connection_(std::move(connection)),
      rpc_(std::make_unique<Rpc>(
          Rpc{v1::LimitService::NewStub(connection_->channel())})) {}

LimitClient::~LimitClient() = default;

template <typename Request>
Request LimitClient::NewRequest() const {
  Request request;
  request.set_namespace_(connection_->options().namespace_name);
  return request;
}

absl::StatusOr<v1::Limit> LimitClient::Create(v1::Limit limit) {
  auto request = NewRequest<v1::CreateLimitRequest>();
  request.mutable_limit()->Swap(&limit);
  APIUM_ASSIGN_OR_RETURN(
      v1::CreateLimitResponse response,
      BlockingCall(QuickCall(connection_->options(), CallKind::kNotIdempotent),
                   rpc_->stub.get(), &Stub::CreateLimit, request));
  return std::move(*response.mutable_limit());
}

absl::StatusOr<v1::Limit> LimitClient::Get(std::string_view name) {
  auto request = NewRequest<v1::GetLimitRequest>();
  request.set_name(std::string(name));
  APIUM_ASSIGN_OR_RETURN(
      v1::GetLimitResponse response,
      BlockingCall(QuickCall(connection_->options()), rpc_->stub.get(),
                   &Stub::GetLimit, request));
  return std::move(*response.mutable_limit());
}

absl::StatusOr<v1::ListLimitsResponse> LimitClient::List(
    uint32_t page_size, std::string_view page_token) {
  auto request = NewRequest<v1::ListLimitsRequest>();
  request.set_page_size(page_size);
  request.set_page_token(std::string(page_token));
  return BlockingCall(QuickCall(connection_->options()), rpc_->stub.get(),
                      &Stub::ListLimits, request);
}

absl::StatusOr<v1::Limit> LimitClient::Update(
    v1::Limit limit, const std::vector<std::string>& paths) {
  auto request = NewRequest<v1::UpdateLimitRequest>();
  request.mutable_limit()->Swap(&limit);
  for (const std::string& path : paths)
    request.mutable_update_mask()->add_paths(path);
  APIUM_ASSIGN_OR_RETURN(
      v1::UpdateLimitResponse response,
      BlockingCall(QuickCall(connection_->options(), CallKind::kNotIdempotent),
                   rpc_->stub.get(), &Stub::UpdateLimit, request));
  return std::move(*response.mutable_limit());
}

absl::Status LimitClient::Delete(std::string_view name) {
  auto request = NewRequest<v1::DeleteLimitRequest>();
  request.set_name(std::string(name));
  return BlockingCall(
             QuickCall(connection_->options(), CallKind::kNotIdempotent),
             rpc_->stub.get(), &Stub::DeleteLimit, request)
      .status();
}

absl::StatusOr<v1::ListLimitUsageResponse> LimitClient::Usage(
    std::string_view limit, uint32_t page_size, std::string_view page_token) {
  auto request = NewRequest<v1::ListLimitUsageRequest>();
  request.set_limit(std::string(limit));
  request.set_page_size(page_size);
  request.set_page_token(std::string(page_token));
  return BlockingCall(QuickCall(connection_->options()), rpc_->stub.get(),
                      &Stub::ListLimitUsage, request);
}

absl::StatusOr<v1::LimitUsage> LimitClient::PauseKey(std::string_view limit,
                                                     std::string_view key,
                                                     absl::Duration duration) {
  auto request = NewRequest<v1::PauseLimitKeyRequest>();
  request.set_limit(std::string(limit));
  request.set_key(std::string(key));
  DurationToProto(duration, request.mutable_duration());
  APIUM_ASSIGN_OR_RETURN(
      v1::PauseLimitKeyResponse response,
      BlockingCall(QuickCall(connection_->options()), rpc_->stub.get(),
                   &Stub::PauseLimitKey, request));
  return std::move(*response.mutable_usage());
}

}  // namespace apium
