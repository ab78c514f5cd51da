#ifndef APIUM_COMMON_METRICS_GRPC_SERVER_METRICS_H_
#define APIUM_COMMON_METRICS_GRPC_SERVER_METRICS_H_

#include <memory>
#include <vector>

#include "prometheus/collectable.h"
#include "prometheus/metric_family.h"

namespace grpc::experimental {
class ServerInterceptorFactoryInterface;
}

namespace apium {

// Counts and times every call of a gRPC server, under the names of
// go-grpc-prometheus that dashboards know: grpc_server_started_total,
// grpc_server_handled_total{grpc_code} and grpc_server_handling_seconds, each
// with grpc_service, grpc_method and grpc_type. Any thread. Must outlive the
// server.
class GrpcServerMetrics final : public prometheus::Collectable {
 public:
  GrpcServerMetrics();
  ~GrpcServerMetrics() override;

  // For grpc::ServerBuilder; RpcServer does it when it is given the metrics.
  std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>
  MakeInterceptorFactory();

  std::vector<prometheus::MetricFamily> Collect() const override;

  // Counters of all methods; in the .cc.
  class Table;

 private:
  const std::shared_ptr<Table> table_;
};

}  // namespace apium

#endif  // APIUM_COMMON_METRICS_GRPC_SERVER_METRICS_H_
