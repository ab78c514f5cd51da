// Submits tasks to a broker, looks at them, waits for them, cancels them.
//
//   absl::StatusOr<std::unique_ptr<TaskClient>> client =
//   TaskClient::Connect({.addresses = {"127.0.0.1:7450"}});
//   absl::StatusOr<TaskHandle> task = (*client)->Submit({.type = "apium.echo",
//   .payload = JsonArguments(1, "x")}); absl::StatusOr<v1::Payload> result =
//   task->Result(absl::Seconds(30));
//
// Errors are the server's, with its reasons (common/error_reason.h): what can
// be repeated safely was repeated within the deadline. Every function is safe
// on any thread. Functions block; those that end in Async return at once and
// run their callback once, on a thread of gRPC's: a callback must not block,
// and must not destroy the client.

#ifndef APIUM_CLIENT_TASK_CLIENT_H_
#define APIUM_CLIENT_TASK_CLIENT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "apium/v1/task.pb.h"
#include "apium/v1/task_service.pb.h"
#include "client/client_options.h"
#include "client/submit_options.h"

namespace apium {

class Connection;
class TaskClient;
class TaskStream;
struct TaskStreamOptions;

// A submitted task. A small value; borrows its client.
class TaskHandle {
 public:
  enum class Origin : uint8_t { kSubmitted, kAttached };

  TaskHandle(TaskClient* client, std::string id,
             Origin origin = Origin::kSubmitted,
             std::vector<std::string> copy_ids = {})
      : client_(client),
        id_(std::move(id)),
        origin_(origin),
        copy_ids_(std::move(copy_ids)) {}

  const std::string& id() const { return id_; }
  // The submit made no task: this is the one that holds the unique key.
  bool attached() const { return origin_ == Origin::kAttached; }
  // Ids of the further tasks that an exchange with several matches, or a
  // broadcast queue, made of it.
  const std::vector<std::string>& copy_ids() const { return copy_ids_; }

  // As the functions of TaskClient with this id.
  absl::StatusOr<v1::Task> Get() const;
  absl::StatusOr<v1::Task> Wait(
      absl::Duration timeout = absl::InfiniteDuration()) const;
  absl::StatusOr<v1::Task> Cancel(std::string_view reason = "") const;
  absl::Status Watch(absl::FunctionRef<bool(const v1::Task&)> on_change,
                     absl::Duration timeout = absl::InfiniteDuration()) const;
  void WaitAsync(absl::Duration timeout,
                 std::function<void(absl::StatusOr<v1::Task>)> done) const;

  // Waits, then the handler's result, or OutcomeStatus.
  absl::StatusOr<v1::Payload> Result(
      absl::Duration timeout = absl::InfiniteDuration()) const;

 private:
  TaskClient* client_;
  std::string id_;
  Origin origin_;
  std::vector<std::string> copy_ids_;
};

// OK if the task succeeded. Else ABORTED, with reason TASK_FAILED,
// TASK_CANCELLED, TASK_EXPIRED or TASK_DEAD_LETTERED, and the failure's type
// and message.
absl::Status OutcomeStatus(const v1::TaskOutcome& outcome);

// Whether a task in this state can still change.
bool IsTerminal(v1::TaskState state);

class TaskClient {
 public:
  template <typename T>
  using Callback = std::function<void(absl::StatusOr<T>)>;

  // Touches no network: the first call connects. INVALID_ARGUMENT names the
  // option that is wrong.
  static absl::StatusOr<std::unique_ptr<TaskClient>> Connect(
      ClientOptions options = {});
  explicit TaskClient(std::shared_ptr<Connection> connection);
  // Calls that are under way end with CANCELLED; returns when their callbacks
  // have returned. Streams must be gone.
  ~TaskClient();
  TaskClient(const TaskClient&) = delete;
  TaskClient& operator=(const TaskClient&) = delete;

  // Returns once the task is durable. ALREADY_EXISTS / TASK_ID_REUSED: the id
  // belongs to another task; UNIQUE_KEY_HELD: see SubmitOptions::unique.
  absl::StatusOr<TaskHandle> Submit(SubmitOptions options);
  absl::StatusOr<TaskHandle> Submit(v1::TaskSpec spec);
  void SubmitAsync(SubmitOptions options, Callback<TaskHandle> done);
  void SubmitAsync(v1::TaskSpec spec, Callback<TaskHandle> done);

  // One answer for each spec, in order; any of them may be refused on its own.
  // Sent in as few calls as the server's limits allow, each with the client's
  // deadline: a call that fails gives its status to all its specs. A call that
  // is retried because its answer was lost is safe by the tasks' ids, but for
  // specs with a unique key: those may be attached to their own first attempt.
  std::vector<absl::StatusOr<TaskHandle>> SubmitMany(
      std::vector<v1::TaskSpec> specs);

  // All of the tasks or none, in one call: the error names the first that was
  // refused ("specs[3].queue"). 1 to 1,000, in one message of at most 4 MiB.
  // `request_id` makes a call that is repeated later safe where the ids are
  // left to the broker; specs with a unique key get one by themselves.
  absl::StatusOr<std::vector<TaskHandle>> SubmitAtomic(
      std::vector<v1::TaskSpec> specs, std::string request_id = "");

  // The fast lane for many tasks: see client/task_stream.h. Returns once the
  // broker is ready to take tasks. The client must outlive the stream.
  absl::StatusOr<std::unique_ptr<TaskStream>> OpenStream(
      TaskStreamOptions options);

  // For a task that was submitted earlier, or elsewhere. Asks nobody.
  TaskHandle Handle(std::string task_id) {
    return TaskHandle(this, std::move(task_id));
  }

  // NOT_FOUND / TASK_NOT_FOUND: never submitted, or its result has expired.
  absl::StatusOr<v1::Task> Get(std::string_view task_id,
                               v1::TaskView view = v1::TASK_VIEW_FULL);
  void GetAsync(std::string_view task_id, Callback<v1::Task> done);

  // The finished task. DEADLINE_EXCEEDED / WAIT_TIMEOUT: it was not finished in
  // time; that does not cancel it. Survives restarts of the broker. `timeout`
  // >= 0, possibly infinite.
  absl::StatusOr<v1::Task> Wait(
      std::string_view task_id,
      absl::Duration timeout = absl::InfiniteDuration());
  void WaitAsync(std::string_view task_id, absl::Duration timeout,
                 Callback<v1::Task> done);

  // The task as it is now, then after each change, until it is terminal or
  // `on_change` returns false. Changes that come quickly may be told as one;
  // after a reconnect a state may be told twice. `on_change` runs on a thread
  // of gRPC's.
  absl::Status Watch(std::string_view task_id,
                     absl::FunctionRef<bool(const v1::Task&)> on_change,
                     absl::Duration timeout = absl::InfiniteDuration());
  // The same; `done` gets OK after the terminal state, or after `on_change`
  // returned false.
  void WatchAsync(std::string_view task_id, absl::Duration timeout,
                  std::function<bool(const v1::Task&)> on_change,
                  std::function<void(absl::Status)> done);

  // What the task's handler appended, from position `from` (1 is the first) on,
  // and what comes, each chunk exactly once and in order; then the task, in a
  // terminal state. Survives restarts of the broker. CANCELLED: `on_chunk`
  // returned false. DEADLINE_EXCEEDED / WAIT_TIMEOUT; NOT_FOUND as Get.
  // `on_chunk` runs on a thread of gRPC's.
  absl::StatusOr<v1::Task> Follow(
      std::string_view task_id, uint64_t from,
      absl::FunctionRef<bool(const v1::TaskChunk&)> on_chunk,
      absl::Duration timeout = absl::InfiniteDuration());
  void FollowAsync(std::string_view task_id, uint64_t from,
                   absl::Duration timeout,
                   std::function<bool(const v1::TaskChunk&)> on_chunk,
                   Callback<v1::Task> done);

  // The task after the request: CANCELLED, finished already, or running with
  // cancel_requested. Idempotent.
  absl::StatusOr<v1::Task> Cancel(std::string_view task_id,
                                  std::string_view reason = "");
  void CancelAsync(std::string_view task_id, std::string_view reason,
                   Callback<v1::Task> done);

  // One page. The namespace is filled in.
  absl::StatusOr<v1::ListTasksResponse> List(v1::ListTasksRequest request);

  const std::shared_ptr<Connection>& connection() const { return connection_; }

 private:
  friend class TaskStream;
  struct Rpc;

  const ClientOptions& options() const;
  absl::StatusOr<TaskHandle> Submit(const v1::SubmitTaskRequest& request);
  void SubmitAsync(v1::SubmitTaskRequest request, Callback<TaskHandle> done);

  const std::shared_ptr<Connection> connection_;
  const std::unique_ptr<Rpc> rpc_;
};

}  // namespace apium

#endif  // APIUM_CLIENT_TASK_CLIENT_H_
