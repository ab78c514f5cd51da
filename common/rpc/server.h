// The gRPC server of every service process.

#ifndef APIUM_COMMON_RPC_SERVER_H_
#define APIUM_COMMON_RPC_SERVER_H_

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/limits.h"

namespace grpc {
class Channel;
class Server;
class Service;
}  // namespace grpc

namespace apium {

class GrpcServerMetrics;

struct RpcServerOptions {
  std::string
      listen_address;  // host:port, port 0 takes a free one; or unix:/path
  // Borrowed; must outlive the server.
  std::vector<grpc::Service*> services;
  size_t max_message_bytes = kGrpcMessageBytesMax;
  // Borrowed, may be null.
  GrpcServerMetrics* metrics = nullptr;
};

// With grpc.health.v1.Health for "" (the process), each service's full name,
// "liveness" and "readiness", and with reflection. Starts not ready: liveness
// is SERVING at once, everything else after SetReady(true).
class RpcServer {
 public:
  // UNAVAILABLE, reason ADDRESS_IN_USE, when the address is taken;
  // INVALID_ARGUMENT when it is not an address.
  static absl::StatusOr<std::unique_ptr<RpcServer>> Start(
      RpcServerOptions options);
  // Shutdown(absl::ZeroDuration()) if it was not called.
  ~RpcServer();
  RpcServer(const RpcServer&) = delete;
  RpcServer& operator=(const RpcServer&) = delete;

  // The TCP port; 0 for a unix socket.
  int port() const { return port_; }
  // Where clients on this machine reach it: "127.0.0.1:PORT", "unix:/path".
  const std::string& local_target() const { return local_target_; }

  // What the health service says of "", "readiness" and every service. Any
  // thread.
  void SetReady(bool ready);

  // A channel that does not go through the network. Any thread.
  std::shared_ptr<grpc::Channel> InProcessChannel();

  // Not ready, no new calls; waits until the running ones end, cancels what is
  // left after `grace`, and returns when no handler runs any more. Once.
  void Shutdown(absl::Duration grace);

 private:
  RpcServer(std::unique_ptr<grpc::Server> server, int port,
            std::string local_target, std::vector<std::string> service_names);

  const std::unique_ptr<grpc::Server> server_;
  const int port_;
  const std::string local_target_;
  const std::vector<std::string> service_names_;
  bool shut_down_ = false;
};

}  // namespace apium

#endif  // APIUM_COMMON_RPC_SERVER_H_
