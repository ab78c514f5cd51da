#ifndef APIUM_BROKER_SERVICE_SERVER_INFO_SERVICE_H_
#define APIUM_BROKER_SERVICE_SERVER_INFO_SERVICE_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "apium/v1/server_service.grpc.pb.h"
#include "broker/service/service_context.h"

namespace apium::broker {

// apium.v1.ServerService of the broker.
class ServerInfoServiceImpl final : public v1::ServerService::CallbackService {
 public:
  // `context` as of the other services.
  ServerInfoServiceImpl(const ServiceContext& context, std::string shard_id,
                        std::vector<std::string> namespaces);

  grpc::ServerUnaryReactor* GetServerInfo(
      grpc::CallbackServerContext* rpc, const v1::GetServerInfoRequest* request,
      v1::GetServerInfoResponse* response) override;

 private:
  const ServiceContext context_;
  const std::string shard_id_;
  const std::vector<std::string> namespaces_;
  const absl::Time start_time_;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_SERVICE_SERVER_INFO_SERVICE_H_
