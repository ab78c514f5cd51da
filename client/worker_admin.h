// The workers of a namespace, for operators.

#ifndef APIUM_CLIENT_WORKER_ADMIN_H_
#define APIUM_CLIENT_WORKER_ADMIN_H_

#include <memory>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apium/v1/worker_service.pb.h"

namespace apium {

class Connection;

// What operators call of WorkerService in apium/v1/worker_service.proto, whose
// errors these are. Blocks; any thread.
class WorkerAdmin {
 public:
  explicit WorkerAdmin(std::shared_ptr<Connection> connection);
  ~WorkerAdmin();

  // Workers that are connected, or within their grace period, by id.
  absl::StatusOr<v1::ListWorkersResponse> List();
  // Tells a worker to take no more tasks, finish what it holds, and leave.
  // NOT_FOUND / WORKER_NOT_FOUND.
  absl::Status Drain(std::string_view worker_id);

 private:
  struct Rpc;

  const std::shared_ptr<Connection> connection_;
  const std::unique_ptr<Rpc> rpc_;
};

}  // namespace apium

#endif  // APIUM_CLIENT_WORKER_ADMIN_H_
