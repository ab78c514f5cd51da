#include "client/server_client.h"

#include <google/protobuf/empty.pb.h>
#include <google/protobuf/unknown_field_set.h>
#include <grpcpp/channel.h>
#include <grpcpp/impl/codegen/client_unary_call.h>

#include <string>
#include <utility>

#include "apium/v1/server_service.grpc.pb.h"
#include "client/connection.h"
#include "client/unary_call.h"
#include "common/status_macros.h"
#include "common/strings.h"

namespace apium {
namespace {

// grpc.health.v1 without its .proto, which Debian does not carry: the request
// has one string, field 1, and the response one enum, field 1. Empty messages
// keep them as unknown fields.
class HealthStub {
 public:
  explicit HealthStub(std::shared_ptr<grpc::Channel> channel)
      : channel_(std::move(channel)) {}

  grpc::Status Check(grpc::ClientContext* context,
                     const google::protobuf::Empty& request,
                     google::protobuf::Empty* response) {
    return grpc::internal::BlockingUnaryCall<google::protobuf::Empty,
                                             google::protobuf::Empty>(
        channel_.get(),
        grpc::internal::RpcMethod("/grpc.health.v1.Health/Check",
                                  grpc::internal::RpcMethod::NORMAL_RPC),
        context, request, response);
  }

 private:
  std::shared_ptr<grpc::Channel> channel_;
};

constexpr uint64_t kServing = 1;

std::string_view HealthName(uint64_t health) {
  switch (health) {
    case kServing:
      return "SERVING";
    case 2:
      return "NOT_SERVING";
    default:
      return "UNKNOWN";
  }
}

}  // namespace

struct ServerClient::Rpc {
  std::unique_ptr<v1::ServerService::Stub> stub;
  HealthStub health;
};

ServerClient::ServerClient(std::shared_ptr<Connection> connection)
    : connection_(std::move(connection)),
      rpc_(std::make_unique<Rpc>(
          Rpc{v1::ServerService::NewStub(connection_->channel()),
              HealthStub(connection_->channel())})) {}

ServerClient::~ServerClient() = default;

absl::StatusOr<v1::ServerInfo> ServerClient::Info() {
  v1::GetServerInfoRequest request;
  request.set_namespace_(connection_->options().namespace_name);
  APIUM_ASSIGN_OR_RETURN(
      v1::GetServerInfoResponse response,
      BlockingCall(QuickCall(connection_->options()), rpc_->stub.get(),
                   &v1::ServerService::Stub::GetServerInfo, request));
  return std::move(*response.mutable_server_info());
}

absl::Status ServerClient::CheckHealth(std::string_view service) {
  google::protobuf::Empty request;
  if (!service.empty()) {
    request.GetReflection()
        ->MutableUnknownFields(&request)
        ->AddLengthDelimited(1)
        ->assign(service);
  }
  APIUM_ASSIGN_OR_RETURN(
      google::protobuf::Empty response,
      BlockingCall(QuickCall(connection_->options()), &rpc_->health,
                   &HealthStub::Check, request));
  uint64_t health = 0;
  const google::protobuf::UnknownFieldSet& fields =
      response.GetReflection()->GetUnknownFields(response);
  for (int i = 0; i < fields.field_count(); ++i) {
    if (fields.field(i).number() == 1 &&
        fields.field(i).type() == google::protobuf::UnknownField::TYPE_VARINT) {
      health = fields.field(i).varint();
    }
  }
  if (health == kServing) return absl::OkStatus();
  return absl::UnavailableError(StrCat(service.empty() ? "the server" : service,
                                       " says ", HealthName(health)));
}

}  // namespace apium
