#ifndef APIUM_BROKER_SERVICE_ROUTING_SERVICE_H_
#define APIUM_BROKER_SERVICE_ROUTING_SERVICE_H_

#include "apium/v1/routing_service.grpc.pb.h"
#include "broker/service/service_context.h"

namespace apium::broker {

// apium.v1.RoutingService. As TaskServiceImpl.
class RoutingServiceImpl final : public v1::RoutingService::CallbackService {
 public:
  explicit RoutingServiceImpl(const ServiceContext& context)
      : context_(context) {}

  grpc::ServerUnaryReactor* CreateExchange(
      grpc::CallbackServerContext* rpc,
      const v1::CreateExchangeRequest* request,
      v1::CreateExchangeResponse* response) override;
  grpc::ServerUnaryReactor* GetExchange(
      grpc::CallbackServerContext* rpc, const v1::GetExchangeRequest* request,
      v1::GetExchangeResponse* response) override;
  grpc::ServerUnaryReactor* ListExchanges(
      grpc::CallbackServerContext* rpc, const v1::ListExchangesRequest* request,
      v1::ListExchangesResponse* response) override;
  grpc::ServerUnaryReactor* UpdateExchange(
      grpc::CallbackServerContext* rpc,
      const v1::UpdateExchangeRequest* request,
      v1::UpdateExchangeResponse* response) override;
  grpc::ServerUnaryReactor* DeleteExchange(
      grpc::CallbackServerContext* rpc,
      const v1::DeleteExchangeRequest* request,
      v1::DeleteExchangeResponse* response) override;
  grpc::ServerUnaryReactor* CreateBinding(
      grpc::CallbackServerContext* rpc, const v1::CreateBindingRequest* request,
      v1::CreateBindingResponse* response) override;
  grpc::ServerUnaryReactor* DeleteBinding(
      grpc::CallbackServerContext* rpc, const v1::DeleteBindingRequest* request,
      v1::DeleteBindingResponse* response) override;
  grpc::ServerUnaryReactor* ListBindings(
      grpc::CallbackServerContext* rpc, const v1::ListBindingsRequest* request,
      v1::ListBindingsResponse* response) override;
  grpc::ServerUnaryReactor* SetRouteRules(
      grpc::CallbackServerContext* rpc, const v1::SetRouteRulesRequest* request,
      v1::SetRouteRulesResponse* response) override;
  grpc::ServerUnaryReactor* GetRouteRules(
      grpc::CallbackServerContext* rpc, const v1::GetRouteRulesRequest* request,
      v1::GetRouteRulesResponse* response) override;
  grpc::ServerUnaryReactor* ResolveRoute(
      grpc::CallbackServerContext* rpc, const v1::ResolveRouteRequest* request,
      v1::ResolveRouteResponse* response) override;

 private:
  const ServiceContext context_;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_SERVICE_ROUTING_SERVICE_H_
