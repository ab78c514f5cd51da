#ifndef APIUM_BROKER_SERVICE_QUEUE_SERVICE_H_
#define APIUM_BROKER_SERVICE_QUEUE_SERVICE_H_

#include "apium/v1/queue_service.grpc.pb.h"
#include "broker/service/service_context.h"

namespace apium::broker {

// apium.v1.QueueService. As TaskServiceImpl.
class QueueServiceImpl final : public v1::QueueService::CallbackService {
 public:
  explicit QueueServiceImpl(const ServiceContext& context)
      : context_(context) {}

  grpc::ServerUnaryReactor* CreateQueue(
      grpc::CallbackServerContext* rpc, const v1::CreateQueueRequest* request,
      v1::CreateQueueResponse* response) override;
  grpc::ServerUnaryReactor* GetQueue(grpc::CallbackServerContext* rpc,
                                     const v1::GetQueueRequest* request,
                                     v1::GetQueueResponse* response) override;
  grpc::ServerUnaryReactor* ListQueues(
      grpc::CallbackServerContext* rpc, const v1::ListQueuesRequest* request,
      v1::ListQueuesResponse* response) override;
  grpc::ServerUnaryReactor* UpdateQueue(
      grpc::CallbackServerContext* rpc, const v1::UpdateQueueRequest* request,
      v1::UpdateQueueResponse* response) override;
  grpc::ServerUnaryReactor* DeleteQueue(
      grpc::CallbackServerContext* rpc, const v1::DeleteQueueRequest* request,
      v1::DeleteQueueResponse* response) override;
  grpc::ServerUnaryReactor* PauseQueue(
      grpc::CallbackServerContext* rpc, const v1::PauseQueueRequest* request,
      v1::PauseQueueResponse* response) override;
  grpc::ServerUnaryReactor* ResumeQueue(
      grpc::CallbackServerContext* rpc, const v1::ResumeQueueRequest* request,
      v1::ResumeQueueResponse* response) override;
  grpc::ServerUnaryReactor* PurgeQueue(
      grpc::CallbackServerContext* rpc, const v1::PurgeQueueRequest* request,
      v1::PurgeQueueResponse* response) override;
  grpc::ServerUnaryReactor* PeekQueue(grpc::CallbackServerContext* rpc,
                                      const v1::PeekQueueRequest* request,
                                      v1::PeekQueueResponse* response) override;
  grpc::ServerUnaryReactor* ReleaseOrderingKey(
      grpc::CallbackServerContext* rpc,
      const v1::ReleaseOrderingKeyRequest* request,
      v1::ReleaseOrderingKeyResponse* response) override;
  grpc::ServerUnaryReactor* ExplainQueue(
      grpc::CallbackServerContext* rpc, const v1::ExplainQueueRequest* request,
      v1::ExplainQueueResponse* response) override;

 private:
  const ServiceContext context_;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_SERVICE_QUEUE_SERVICE_H_
