#ifndef APIUM_BROKER_SERVICE_LIMIT_SERVICE_H_
#define APIUM_BROKER_SERVICE_LIMIT_SERVICE_H_

#include "apium/v1/limit_service.grpc.pb.h"
#include "broker/service/service_context.h"

namespace apium::broker {

// apium.v1.LimitService. As TaskServiceImpl.
class LimitServiceImpl final : public v1::LimitService::CallbackService {
 public:
  explicit LimitServiceImpl(const ServiceContext& context)
      : context_(context) {}

  grpc::ServerUnaryReactor* CreateLimit(
      grpc::CallbackServerContext* rpc, const v1::CreateLimitRequest* request,
      v1::CreateLimitResponse* response) override;
  grpc::ServerUnaryReactor* GetLimit(grpc::CallbackServerContext* rpc,
                                     const v1::GetLimitRequest* request,
                                     v1::GetLimitResponse* response) override;
  grpc::ServerUnaryReactor* ListLimits(
      grpc::CallbackServerContext* rpc, const v1::ListLimitsRequest* request,
      v1::ListLimitsResponse* response) override;
  grpc::ServerUnaryReactor* UpdateLimit(
      grpc::CallbackServerContext* rpc, const v1::UpdateLimitRequest* request,
      v1::UpdateLimitResponse* response) override;
  grpc::ServerUnaryReactor* DeleteLimit(
      grpc::CallbackServerContext* rpc, const v1::DeleteLimitRequest* request,
      v1::DeleteLimitResponse* response) override;
  grpc::ServerUnaryReactor* ListLimitUsage(
      grpc::CallbackServerContext* rpc,
      const v1::ListLimitUsageRequest* request,
      v1::ListLimitUsageResponse* response) override;
  grpc::ServerUnaryReactor* PauseLimitKey(
      grpc::CallbackServerContext* rpc, const v1::PauseLimitKeyRequest* request,
      v1::PauseLimitKeyResponse* response) override;

 private:
  const ServiceContext context_;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_SERVICE_LIMIT_SERVICE_H_
