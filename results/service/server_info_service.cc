#include "results/service/server_info_service.h"

#include "absl/status/status.h"
#include "common/names.h"
#include "common/rpc/grpc_status.h"
#include "common/rpc/proto_time.h"

namespace apium::results {

grpc::ServerUnaryReactor* ServerInfoService::GetServerInfo(
    grpc::CallbackServerContext* context,
    const v1::GetServerInfoRequest* request,
    v1::GetServerInfoResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  absl::Status status;
  if (!request->namespace_().empty()) {
    status = ValidateNamespace("namespace", request->namespace_());
  }
  if (status.ok()) {
    *response->mutable_server_info() = info_;
    TimeToProto(clock_->Now(),
                response->mutable_server_info()->mutable_server_time());
  }
  reactor->Finish(ToGrpcStatus(status));
  return reactor;
}

}  // namespace apium::results
