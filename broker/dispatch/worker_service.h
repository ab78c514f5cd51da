#ifndef APIUM_BROKER_DISPATCH_WORKER_SERVICE_H_
#define APIUM_BROKER_DISPATCH_WORKER_SERVICE_H_

#include <grpcpp/support/byte_buffer.h>

#include "apium/v1/worker_service.grpc.pb.h"
#include "broker/dispatch/worker_session.h"
#include "broker/service/service_context.h"

namespace apium::broker {

// Work reads bytes: see common/rpc/message_bytes.h.
using WorkerServiceBase = v1::WorkerService::WithRawCallbackMethod_Work<
    v1::WorkerService::WithCallbackMethod_ListWorkers<
        v1::WorkerService::WithCallbackMethod_DrainWorker<
            v1::WorkerService::Service>>>;

// apium.v1.WorkerService. Runs on gRPC's callback threads and never blocks.
class WorkerServiceImpl final : public WorkerServiceBase {
 public:
  WorkerServiceImpl(const ServiceContext& context, const SessionTerms& terms)
      : context_(context), terms_(terms) {}

  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* Work(
      grpc::CallbackServerContext* rpc) override;
  grpc::ServerUnaryReactor* ListWorkers(
      grpc::CallbackServerContext* rpc, const v1::ListWorkersRequest* request,
      v1::ListWorkersResponse* response) override;
  grpc::ServerUnaryReactor* DrainWorker(
      grpc::CallbackServerContext* rpc, const v1::DrainWorkerRequest* request,
      v1::DrainWorkerResponse* response) override;

 private:
  const ServiceContext context_;
  const SessionTerms terms_;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_DISPATCH_WORKER_SERVICE_H_
