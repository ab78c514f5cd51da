#ifndef APIUM_BROKER_SERVICE_BATCH_SERVICE_H_
#define APIUM_BROKER_SERVICE_BATCH_SERVICE_H_

#include "apium/v1/batch_service.grpc.pb.h"
#include "broker/service/service_context.h"

namespace apium::broker {

// apium.v1.BatchService. As TaskServiceImpl.
class BatchServiceImpl final : public v1::BatchService::CallbackService {
 public:
  explicit BatchServiceImpl(const ServiceContext& context)
      : context_(context) {}

  grpc::ServerUnaryReactor* CreateBatch(
      grpc::CallbackServerContext* rpc, const v1::CreateBatchRequest* request,
      v1::CreateBatchResponse* response) override;
  grpc::ServerUnaryReactor* CloseBatch(
      grpc::CallbackServerContext* rpc, const v1::CloseBatchRequest* request,
      v1::CloseBatchResponse* response) override;
  grpc::ServerUnaryReactor* GetBatch(grpc::CallbackServerContext* rpc,
                                     const v1::GetBatchRequest* request,
                                     v1::GetBatchResponse* response) override;
  grpc::ServerUnaryReactor* ListBatches(
      grpc::CallbackServerContext* rpc, const v1::ListBatchesRequest* request,
      v1::ListBatchesResponse* response) override;

 private:
  const ServiceContext context_;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_SERVICE_BATCH_SERVICE_H_
