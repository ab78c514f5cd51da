// The operator's HTTP port of every process: /metrics, /livez, /readyz,
// /healthz, /version.

#ifndef APIUM_COMMON_HTTP_ADMIN_SERVER_H_
#define APIUM_COMMON_HTTP_ADMIN_SERVER_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "prometheus/collectable.h"

namespace apium {

// A named condition. `check` runs on an HTTP thread at each request and should
// answer at once.
struct HealthCheck {
  std::string name;  // "store"
  std::function<absl::Status()> check;
};

struct AdminServerOptions {
  std::string listen_address;  // host:port; port 0 takes a free one
  std::string service;         // "apium-broker", shown by /version
  // Borrowed or shared: collected at each scrape.
  std::vector<std::shared_ptr<prometheus::Collectable>> collectables;
  // Failing ones make /readyz answer 503: take no traffic.
  std::vector<HealthCheck> readiness;
  // Failing ones make /livez answer 503: restart me.
  std::vector<HealthCheck> liveness;
};

// /livez and /readyz answer 200 or 503 with a line for each check ("[+]store
// ok", "[-]results UNAVAILABLE: ..."), as the Kubernetes API server does;
// /healthz is both together. Threads are few and bounded.
class AdminServer {
 public:
  // Binds, then serves on threads of its own. UNAVAILABLE, reason
  // ADDRESS_IN_USE, when the port is taken.
  static absl::StatusOr<std::unique_ptr<AdminServer>> Start(
      AdminServerOptions options);
  // Stops and joins.
  ~AdminServer();
  AdminServer(const AdminServer&) = delete;
  AdminServer& operator=(const AdminServer&) = delete;

  int port() const;

 private:
  class Impl;
  explicit AdminServer(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace apium

#endif  // APIUM_COMMON_HTTP_ADMIN_SERVER_H_
