// The queues of a namespace, for operators.

#ifndef APIUM_CLIENT_QUEUE_CLIENT_H_
#define APIUM_CLIENT_QUEUE_CLIENT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apium/v1/queue_service.pb.h"
#include "apium/v1/task.pb.h"

namespace apium {

class Connection;

// Of a pause, for people; both may be empty.
struct QueuePauseOptions {
  std::string paused_by;
  std::string reason;
};

// QueueService of apium/v1/queue_service.proto, whose errors these are. Blocks;
// any thread. What is idempotent is retried within the client's deadline.
class QueueClient {
 public:
  explicit QueueClient(std::shared_ptr<Connection> connection);
  ~QueueClient();

  // Not retried: ALREADY_EXISTS could mean the attempt before.
  absl::StatusOr<v1::Queue> Create(v1::Queue queue);
  absl::StatusOr<v1::Queue> Get(std::string_view name);
  // One page; `page_size` 0 takes the server's default. Empty token: the first
  // page.
  absl::StatusOr<v1::ListQueuesResponse> List(uint32_t page_size = 0,
                                              std::string_view page_token = "");
  // Changes the fields in `paths`. With `queue.etag`, only if the queue still
  // has it: ABORTED / ETAG_MISMATCH. Not retried.
  absl::StatusOr<v1::Queue> Update(v1::Queue queue,
                                   const std::vector<std::string>& paths);
  // Not retried: NOT_FOUND could mean the attempt before.
  absl::Status Delete(std::string_view name);
  absl::StatusOr<v1::Queue> Pause(std::string_view name,
                                  const QueuePauseOptions& options = {});
  absl::StatusOr<v1::Queue> Resume(std::string_view name);
  // The number of tasks that were cancelled; after a retry, those of the last
  // attempt.
  absl::StatusOr<uint64_t> Purge(std::string_view name);

  // The tasks at the head, in order of dispatch; `max_tasks` 0 takes the
  // server's default.
  absl::StatusOr<v1::PeekQueueResponse> Peek(
      std::string_view name, uint32_t max_tasks = 0,
      v1::TaskView view = v1::TASK_VIEW_BASIC);
  // Why tasks of the queue wait, most tasks first.
  absl::StatusOr<v1::ExplainQueueResponse> Explain(std::string_view name);
  // Lets the tasks go on that a failed one of their key blocked. Not retried:
  // ORDERING_KEY_NOT_BLOCKED could mean the attempt before.
  absl::Status ReleaseOrderingKey(std::string_view queue,
                                  std::string_view ordering_key);

 private:
  struct Rpc;

  const std::shared_ptr<Connection> connection_;
  const std::unique_ptr<Rpc> rpc_;
};

}  // namespace apium

#endif  // APIUM_CLIENT_QUEUE_CLIENT_H_
