// Who a server is, and whether it is well.

#ifndef APIUM_CLIENT_SERVER_CLIENT_H_
#define APIUM_CLIENT_SERVER_CLIENT_H_

#include <memory>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apium/v1/server_service.pb.h"

namespace apium {

class Connection;

// Any server of the platform. Blocks; any thread.
class ServerClient {
 public:
  explicit ServerClient(std::shared_ptr<Connection> connection);
  ~ServerClient();

  absl::StatusOr<v1::ServerInfo> Info();

  // What the server's grpc.health.v1.Health says of `service` ("" is the
  // process as a whole): OK if it serves. UNAVAILABLE: it does not, or cannot
  // be reached. NOT_FOUND: it knows no such service.
  absl::Status CheckHealth(std::string_view service = "");

 private:
  struct Rpc;

  const std::shared_ptr<Connection> connection_;
  const std::unique_ptr<Rpc> rpc_;
};

}  // namespace apium

#endif  // APIUM_CLIENT_SERVER_CLIENT_H_
