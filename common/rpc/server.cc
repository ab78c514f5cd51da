#include "common/rpc/server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/impl/server_builder_option.h>
#include <grpcpp/impl/server_builder_plugin.h>
#include <grpcpp/impl/server_initializer.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <chrono>
#include <utility>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "common/check.h"
#include "common/error_reason.h"
#include "common/listen_address.h"
#include "common/metrics/grpc_server_metrics.h"
#include "common/strings.h"

namespace apium {
namespace {

constexpr char kLiveness[] = "liveness";
constexpr char kReadiness[] = "readiness";

// Learns the full names of the registered services, which grpc::Service does
// not tell: the health service answers for each of them.
class ServiceNames : public grpc::ServerBuilderOption {
 public:
  explicit ServiceNames(std::vector<std::string>* names) : names_(names) {}

  void UpdateArguments(grpc::ChannelArguments*) override {}

  void UpdatePlugins(std::vector<std::unique_ptr<grpc::ServerBuilderPlugin>>*
                         plugins) override {
    plugins->push_back(std::make_unique<Plugin>(names_));
  }

 private:
  class Plugin : public grpc::ServerBuilderPlugin {
   public:
    explicit Plugin(std::vector<std::string>* names) : names_(names) {}

    std::string name() override { return "apium_service_names"; }
    void InitServer(grpc::ServerInitializer*) override {}
    void Finish(grpc::ServerInitializer* initializer) override {
      *names_ = *initializer->GetServiceList();
    }
    void ChangeArguments(const std::string&, void*) override {}

   private:
    std::vector<std::string>* const names_;
  };

  std::vector<std::string>* const names_;
};

// What gRPC listens at and what clients of this machine dial, before the port
// is known.
struct Target {
  bool is_unix = false;
  std::string unix_target;
  HostPort address;
};

absl::StatusOr<Target> ParseTarget(const std::string& listen_address) {
  if (absl::StartsWith(listen_address, "unix:")) {
    return Target{.is_unix = true, .unix_target = listen_address};
  }
  absl::StatusOr<HostPort> address = ParseHostPort(listen_address);
  if (!address.ok()) return address.status();
  return Target{.address = *std::move(address)};
}

std::string GrpcAddress(const Target& target) {
  if (target.is_unix) return target.unix_target;
  HostPort address = target.address;
  if (address.host.empty()) address.host = "::";  // gRPC serves IPv4 there too
  return FormatHostPort(address);
}

// gRPC logs why it could not bind, but returns only a null pointer.
absl::Status WhyNotListening(const Target& target) {
  if (!target.is_unix) {
    absl::Status status = CheckCanListen(target.address);
    if (!status.ok()) return status;
  }
  return absl::UnavailableError(StrCat("cannot listen at ", GrpcAddress(target),
                                       ": gRPC refused to start"));
}

void SetChannelArguments(grpc::ServerBuilder* builder) {
  // Two processes on one port would share its connections by chance; a taken
  // port must be an error.
  builder->AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  // Workers and clients ping idle connections; gRPC's default calls more than
  // one ping in 5 minutes abuse.
  builder->AddChannelArgument(
      GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
      static_cast<int>(absl::ToInt64Milliseconds(kKeepalivePingPermitted)));
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  // The server pings as well: a worker behind a dead network must lose its
  // stream.
  builder->AddChannelArgument(
      GRPC_ARG_KEEPALIVE_TIME_MS,
      static_cast<int>(absl::ToInt64Milliseconds(kKeepalivePing)));
  builder->AddChannelArgument(
      GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
      static_cast<int>(absl::ToInt64Milliseconds(kKeepaliveTimeout)));
}

}  // namespace

absl::StatusOr<std::unique_ptr<RpcServer>> RpcServer::Start(
    RpcServerOptions options) {
  absl::StatusOr<Target> target = ParseTarget(options.listen_address);
  if (!target.ok()) return target.status();

  // Before gRPC logs an error of its own, which is hard to read.
  if (!target->is_unix) {
    absl::Status can_listen = CheckCanListen(target->address);
    if (!can_listen.ok()) return can_listen;
  }

  // Both are settings of the process.
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();

  grpc::ServerBuilder builder;
  SetChannelArguments(&builder);
  builder.SetMaxReceiveMessageSize(static_cast<int>(options.max_message_bytes));
  builder.SetMaxSendMessageSize(static_cast<int>(options.max_message_bytes));
  int port = 0;
  builder.AddListeningPort(GrpcAddress(*target),
                           grpc::InsecureServerCredentials(), &port);
  for (grpc::Service* service : options.services)
    builder.RegisterService(service);
  std::vector<std::string> service_names;
  builder.SetOption(std::make_unique<ServiceNames>(&service_names));
  if (options.metrics != nullptr) {
    std::vector<
        std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>>
        interceptors;
    interceptors.push_back(options.metrics->MakeInterceptorFactory());
    builder.experimental().SetInterceptorCreators(std::move(interceptors));
  }
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr || port == 0) return WhyNotListening(*target);

  std::string local_target;
  if (target->is_unix) {
    port = 0;
    local_target = target->unix_target;
  } else {
    HostPort local = LoopbackOf(target->address);
    local.port = port;
    local_target = FormatHostPort(local);
  }
  auto result = std::unique_ptr<RpcServer>(
      new RpcServer(std::move(server), port, std::move(local_target),
                    std::move(service_names)));
  result->server_->GetHealthCheckService()->SetServingStatus(kLiveness, true);
  result->SetReady(false);
  return result;
}

RpcServer::RpcServer(std::unique_ptr<grpc::Server> server, int port,
                     std::string local_target,
                     std::vector<std::string> service_names)
    : server_(std::move(server)),
      port_(port),
      local_target_(std::move(local_target)),
      service_names_(std::move(service_names)) {}

RpcServer::~RpcServer() {
  if (!shut_down_) Shutdown(absl::ZeroDuration());
}

void RpcServer::SetReady(bool ready) {
  grpc::HealthCheckServiceInterface* health = server_->GetHealthCheckService();
  health->SetServingStatus("", ready);
  health->SetServingStatus(kReadiness, ready);
  for (const std::string& name : service_names_)
    health->SetServingStatus(name, ready);
}

std::shared_ptr<grpc::Channel> RpcServer::InProcessChannel() {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(static_cast<int>(kGrpcMessageBytesMax));
  return server_->InProcessChannel(arguments);
}

void RpcServer::Shutdown(absl::Duration grace) {
  APIUM_CHECK(!shut_down_);
  shut_down_ = true;
  // Watchers of our health hear of it before the connection goes.
  SetReady(false);
  server_->Shutdown(absl::ToChronoTime(absl::Now() + grace));
  server_->Wait();
}

}  // namespace apium
