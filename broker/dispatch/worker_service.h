#ifndef APIUM_BROKER_DISPATCH_WORKER_SERVICE_H_
#define APIUM_BROKER_DISPATCH_WORKER_SERVICE_H_

#include "apium/v1/worker_service.grpc.pb.h"
#include "broker/dispatch/worker_session.h"
#include "broker/service/service_context.h"

namespace apium::broker {

// apium.v1.WorkerService. Runs on gRPC's callback threads and never blocks.
class WorkerServiceImpl final : public v1::WorkerService::CallbackService {
 public:
  WorkerServiceImpl(const ServiceContext& context, const SessionTerms& terms)
      : context_(context), terms_(terms) {}

  grpc::ServerBidiReactor<v1::WorkRequest, v1::WorkResponse>* Work(
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
