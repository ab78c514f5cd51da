#include "common/metrics/grpc_server_metrics.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "apium/v1/server_service.grpc.pb.h"
#include "common/error_reason.h"
#include "common/rpc/server.h"
#include "tests/common/rpc/echo_server_service.h"
#include "tests/support/status_matchers.h"

namespace apium {
namespace {

// Serves until destroyed, so that every call has ended when the metrics are
// read.
class MeasuredServer {
 public:
  explicit MeasuredServer(absl::Status answer) : service_(std::move(answer)) {
    auto server = RpcServer::Start({.listen_address = "127.0.0.1:0",
                                    .services = {&service_},
                                    .metrics = &metrics_});
    EXPECT_THAT(server, IsOk());
    server_ = *std::move(server);
  }

  void Call() {
    grpc::ClientContext context;
    v1::GetServerInfoResponse response;
    v1::ServerService::NewStub(server_->InProcessChannel())
        ->GetServerInfo(&context, v1::GetServerInfoRequest(), &response);
  }

  void Stop() { server_.reset(); }

  // The sample with these labels as text, "" if there is none.
  std::string Sample(const std::string& name,
                     const std::string& code = "") const {
    for (const prometheus::MetricFamily& family : metrics_.Collect()) {
      if (family.name != name) continue;
      for (const prometheus::ClientMetric& metric : family.metric) {
        std::string labels;
        bool code_matches = code.empty();
        for (const auto& label : metric.label) {
          if (label.name == "grpc_code") {
            code_matches = label.value == code;
          } else {
            labels += label.value + " ";
          }
        }
        if (!code_matches) continue;
        const uint64_t value =
            family.type == prometheus::MetricType::Histogram
                ? metric.histogram.sample_count
                : static_cast<uint64_t>(metric.counter.value);
        return labels + std::to_string(value);
      }
    }
    return "";
  }

 private:
  GrpcServerMetrics metrics_;
  EchoServerService service_;
  std::unique_ptr<RpcServer> server_;
};

TEST(GrpcServerMetricsTest, CountsCallsByMethodAndCode) {
  MeasuredServer server(absl::OkStatus());
  for (int i = 0; i < 3; ++i) server.Call();
  server.Stop();
  EXPECT_EQ(server.Sample("grpc_server_started_total"),
            "apium.v1.ServerService GetServerInfo unary 3");
  EXPECT_EQ(server.Sample("grpc_server_handled_total", "OK"),
            "apium.v1.ServerService GetServerInfo unary 3");
  EXPECT_EQ(server.Sample("grpc_server_handling_seconds"),
            "apium.v1.ServerService GetServerInfo unary 3");
}

TEST(GrpcServerMetricsTest, CountsErrorsUnderTheirCode) {
  MeasuredServer server(InvalidField("a", "b"));
  server.Call();
  server.Stop();
  EXPECT_EQ(server.Sample("grpc_server_handled_total", "InvalidArgument"),
            "apium.v1.ServerService GetServerInfo unary 1");
  EXPECT_EQ(server.Sample("grpc_server_handled_total", "OK"),
            "apium.v1.ServerService GetServerInfo unary 0");
  EXPECT_EQ(server.Sample("grpc_server_handled_total", "NotFound"), "");
}

TEST(GrpcServerMetricsTest, HistogramEndsAtInfinity) {
  MeasuredServer server(absl::OkStatus());
  server.Call();
  server.Stop();
  EXPECT_EQ(server.Sample("grpc_server_handling_seconds"),
            "apium.v1.ServerService GetServerInfo unary 1");
}

}  // namespace
}  // namespace apium
