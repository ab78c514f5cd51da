#ifndef APIUM_TESTS_COMMON_RPC_ECHO_SERVER_SERVICE_H_
#define APIUM_TESTS_COMMON_RPC_ECHO_SERVER_SERVICE_H_

#include <grpcpp/support/server_callback.h>

#include "absl/status/status.h"
#include "apium/v1/server_service.grpc.pb.h"
#include "common/rpc/grpc_status.h"

namespace apium {

// The smallest service with the callback API: GetServerInfo answers with the
// namespace it was asked with, or with `answer` if that is an error.
class EchoServerService final : public v1::ServerService::CallbackService {
 public:
  explicit EchoServerService(absl::Status answer = absl::OkStatus())
      : answer_(std::move(answer)) {}

  grpc::ServerUnaryReactor* GetServerInfo(
      grpc::CallbackServerContext* context,
      const v1::GetServerInfoRequest* request,
      v1::GetServerInfoResponse* response) override {
    response->mutable_server_info()->set_service(request->namespace_());
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(ToGrpcStatus(answer_));
    return reactor;
  }

 private:
  const absl::Status answer_;
};

}  // namespace apium

#endif  // APIUM_TESTS_COMMON_RPC_ECHO_SERVER_SERVICE_H_
