// All services of a platform in this process, for a laptop.

#ifndef APIUM_CLI_SERVER_DEV_H_
#define APIUM_CLI_SERVER_DEV_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace CLI {
class App;
}

namespace apium::cli {

class Session;

struct DevServerOptions {
  std::string listen =
      "127.0.0.1:7450";  // of the broker; port 0 takes a free one
  std::string results_listen = "127.0.0.1:7451";  // of the result service
  std::string http_listen;  // of the broker's /metrics and health; empty: none
  std::string data_dir;     // with a folder for each service; empty: in memory
  std::vector<std::string> namespaces = {"default"};
  bool create_queues_on_use = false;
  uint32_t slots = 0;  // of the worker with the built-in tasks; 0: one per CPU
  bool worker = true;
};

// Broker, results and a worker. Any thread, but Shutdown once.
class DevServer {
 public:
  // Errors are those of BrokerServer, ResultServer and Worker. `on_failure` is
  // called, on any thread, when a service cannot go on.
  static absl::StatusOr<std::unique_ptr<DevServer>> Start(
      const DevServerOptions& options,
      std::function<void(const absl::Status&)> on_failure);
  ~DevServer();
  DevServer(const DevServer&) = delete;
  DevServer& operator=(const DevServer&) = delete;

  // host:port, or empty.
  std::string broker_address() const;
  std::string results_address() const;
  std::string http_address() const;

  // The worker finishes what it runs within `grace`, then everything stops.
  void Shutdown(absl::Duration grace);

 private:
  struct Services;
  explicit DevServer(std::unique_ptr<Services> services);

  const std::unique_ptr<Services> services_;
};

// Adds `dev` to the command `server`.
void AddServerDevCommand(CLI::App* server, Session* session);

}  // namespace apium::cli

#endif  // APIUM_CLI_SERVER_DEV_H_
