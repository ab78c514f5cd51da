#ifndef APIUM_CLIENT_TASK_TYPE_CLIENT_H_
#define APIUM_CLIENT_TASK_TYPE_CLIENT_H_

#include <memory>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apium/v1/task_type_service.pb.h"

namespace apium {

class Connection;

// What holds for all tasks of a type: TaskTypeService of
// apium/v1/task_type_service.proto, whose errors these are. Blocks; any thread.
// Every call is idempotent and is retried within the client's deadline.
class TaskTypeClient {
 public:
  explicit TaskTypeClient(std::shared_ptr<Connection> connection);
  ~TaskTypeClient();

  // The breaker as stored.
  absl::StatusOr<v1::Breaker> SetBreaker(v1::Breaker breaker);
  absl::Status RemoveBreaker(std::string_view type);
  absl::StatusOr<v1::Breaker> GetBreaker(std::string_view type);
  absl::StatusOr<v1::ListBreakersResponse> ListBreakers();
  absl::StatusOr<v1::Breaker> ResetBreaker(std::string_view type);

 private:
  struct Rpc;

  const std::shared_ptr<Connection> connection_;
  const std::unique_ptr<Rpc> rpc_;
};

}  // namespace apium

#endif  // APIUM_CLIENT_TASK_TYPE_CLIENT_H_
