#include "client/worker_admin.h"

#include <grpcpp/channel.h>

#include <utility>

#include "apium/v1/worker_service.grpc.pb.h"
#include "client/connection.h"
#include "client/unary_call.h"

namespace apium {

struct WorkerAdmin::Rpc {
  std::unique_ptr<v1::WorkerService::Stub> stub;
};

WorkerAdmin::WorkerAdmin(std::shared_ptr<Connection> connection)
    : connection_(std::move(connection)),
      rpc_(std::make_unique<Rpc>(
          Rpc{v1::WorkerService::NewStub(connection_->channel())})) {}

WorkerAdmin::~WorkerAdmin() = default;

absl::StatusOr<v1::ListWorkersResponse> WorkerAdmin::List() {
  v1::ListWorkersRequest request;
  request.set_namespace_(connection_->options().namespace_name);
  return BlockingCall(QuickCall(connection_->options()), rpc_->stub.get(),
                      &v1::WorkerService::Stub::ListWorkers, request);
}

absl::Status WorkerAdmin::Drain(std::string_view worker_id) {
  v1::DrainWorkerRequest request;
  request.set_namespace_(connection_->options().namespace_name);
  request.set_worker_id(std::string(worker_id));
  return BlockingCall(QuickCall(connection_->options()), rpc_->stub.get(),
                      &v1::WorkerService::Stub::DrainWorker, request)
      .status();
}

}  // namespace apium
