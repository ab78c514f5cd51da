#ifndef APIUM_RESULTS_SERVICE_SERVER_INFO_SERVICE_H_
#define APIUM_RESULTS_SERVICE_SERVER_INFO_SERVICE_H_

#include "apium/v1/server_service.grpc.pb.h"
#include "common/clock.h"

namespace apium::results {

// apium.v1.ServerService: answers with what it was given, and the time.
class ServerInfoService final : public v1::ServerService::CallbackService {
 public:
  // Borrows `clock`.
  ServerInfoService(v1::ServerInfo info, const Clock* clock)
      : info_(std::move(info)), clock_(clock) {}

  grpc::ServerUnaryReactor* GetServerInfo(
      grpc::CallbackServerContext* context,
      const v1::GetServerInfoRequest* request,
      v1::GetServerInfoResponse* response) override;

 private:
  const v1::ServerInfo info_;
  const Clock* const clock_;
};

}  // namespace apium::results

#endif  // APIUM_RESULTS_SERVICE_SERVER_INFO_SERVICE_H_
