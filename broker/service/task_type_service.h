#ifndef APIUM_BROKER_SERVICE_TASK_TYPE_SERVICE_H_
#define APIUM_BROKER_SERVICE_TASK_TYPE_SERVICE_H_

#include "apium/v1/task_type_service.grpc.pb.h"
#include "broker/service/service_context.h"

namespace apium::broker {

// apium.v1.TaskTypeService. As TaskServiceImpl.
class TaskTypeServiceImpl final : public v1::TaskTypeService::CallbackService {
 public:
  explicit TaskTypeServiceImpl(const ServiceContext& context)
      : context_(context) {}

  grpc::ServerUnaryReactor* SetBreaker(
      grpc::CallbackServerContext* rpc, const v1::SetBreakerRequest* request,
      v1::SetBreakerResponse* response) override;
  grpc::ServerUnaryReactor* GetBreaker(
      grpc::CallbackServerContext* rpc, const v1::GetBreakerRequest* request,
      v1::GetBreakerResponse* response) override;
  grpc::ServerUnaryReactor* ListBreakers(
      grpc::CallbackServerContext* rpc, const v1::ListBreakersRequest* request,
      v1::ListBreakersResponse* response) override;
  grpc::ServerUnaryReactor* ResetBreaker(
      grpc::CallbackServerContext* rpc, const v1::ResetBreakerRequest* request,
      v1::ResetBreakerResponse* response) override;

 private:
  const ServiceContext context_;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_SERVICE_TASK_TYPE_SERVICE_H_
