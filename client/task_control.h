// Control of tasks that were submitted: cancel, change, forget, count, explain.

#ifndef APIUM_CLIENT_TASK_CONTROL_H_
#define APIUM_CLIENT_TASK_CONTROL_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apium/v1/task.pb.h"
#include "apium/v1/task_service.pb.h"

namespace apium {

class Connection;

// The controlling half of TaskService in apium/v1/task_service.proto, whose
// errors these are. Blocks; any thread. Retried within the client's deadline:
// all of it is idempotent, but a change whose answer was lost may be answered
// TASK_NOT_WAITING, because the task runs by now.
class TaskControl {
 public:
  explicit TaskControl(std::shared_ptr<Connection> connection);
  ~TaskControl();

  // What the cancel did, and the task after it.
  absl::StatusOr<v1::CancelTaskResponse> Cancel(std::string_view task_id,
                                                std::string_view reason = "");
  // Each on its own, in calls of up to 1,000: what became of each, in order.
  absl::StatusOr<v1::CancelTasksResponse> CancelMany(
      const std::vector<std::string>& task_ids, std::string_view reason = "");
  // All live tasks that match. After a retry, the numbers are those of the last
  // attempt.
  absl::StatusOr<v1::CancelTasksResponse> CancelMatching(
      v1::TaskFilter filter, std::string_view reason = "");
  // What that would do.
  absl::StatusOr<v1::CancelTasksResponse> CountMatching(v1::TaskFilter filter);

  // FAILED_PRECONDITION / TASK_NOT_WAITING. The namespace is filled in.
  absl::StatusOr<v1::Task> Update(v1::UpdateTaskRequest changes);
  // Makes a task that waits for its time, or for a retry, ready.
  absl::StatusOr<v1::Task> RunNow(std::string_view task_id);

  // Deletes what is kept of a finished task. FAILED_PRECONDITION / TASK_LIVE.
  absl::Status Forget(std::string_view task_id);

  // By queue; an empty `queue` means all.
  absl::StatusOr<v1::CountTasksResponse> Count(std::string_view queue = "");

  // Its state, and everything that holds it up now: nothing, if it runs, has
  // ended, or is about to be dispatched. NOT_FOUND / TASK_NOT_FOUND.
  absl::StatusOr<v1::ExplainTaskResponse> Explain(std::string_view task_id);

 private:
  struct Rpc;

  absl::StatusOr<v1::CancelTasksResponse> Send(v1::CancelTasksRequest request,
                                               std::string_view reason);

  const std::shared_ptr<Connection> connection_;
  const std::unique_ptr<Rpc> rpc_;
};

}  // namespace apium

#endif  // APIUM_CLIENT_TASK_CONTROL_H_
