// Many tasks, fast: one stream to the broker, tasks gathered into messages
// while an earlier one is being written.
//
//   TaskStreamOptions options;
//   options.on_ack = [](const SubmitAck& ack) { if (!ack.status.ok())
//   Complain(ack); }; absl::StatusOr<std::unique_ptr<TaskStream>> stream =
//   client->OpenStream(std::move(options)); for (...) { FillIn(&spec);
//   APIUM_RETURN_IF_ERROR((*stream)->Submit(&spec).status()); }
//   APIUM_RETURN_IF_ERROR((*stream)->Finish());
//
// A stream that breaks is opened again, with back-off, and the tasks that were
// unanswered are submitted again under their ids, which the broker knows if it
// had accepted them: each task gets exactly one SubmitAck.

#ifndef APIUM_CLIENT_TASK_STREAM_H_
#define APIUM_CLIENT_TASK_STREAM_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "apium/v1/task.pb.h"

namespace apium {

class StreamSession;
class TaskClient;

// What became of one task.
struct SubmitAck {
  // As Submit returned it: 1, 2, 3...
  uint64_t sequence = 0;
  // Valid during the callback.
  std::string_view task_id;
  // No task was made: `task_id` is that of the one that holds the unique key.
  bool attached = false;
  // OK: the task is durable. Else why it was refused.
  absl::Status status;
};

// The stream broke and is being opened again.
struct StreamInterruption {
  absl::Status cause;
  // Tasks that were unanswered, oldest first; they are submitted again.
  std::vector<std::string> unanswered_ids;
};

// Callbacks run on threads of gRPC's, one at a time, and must not block: in
// them, TrySubmit instead of Submit, and no Finish. They must not destroy the
// stream.
struct TaskStreamOptions {
  // Tasks that may be unanswered before Submit waits, those included that wait
  // here because the broker's own window is full. 1 to 1,000,000.
  size_t window = 8192;
  // Tasks in one message. 1 to 1,000.
  size_t batch_tasks_max = 256;
  // Once for each task. May be empty.
  std::function<void(const SubmitAck&)> on_ack;
  // If set, the outcome of each accepted task, once; no two tasks may have the
  // same id then. Of a task that others were attached to: at least once.
  // Outcomes that were due while the stream was broken are fetched.
  std::function<void(const v1::TaskOutcome&)> on_outcome;
  std::function<void(const StreamInterruption&)> on_interruption;
  // How long it may take to open the stream again before it is given up. Zero:
  // never opened again.
  absl::Duration reconnect_timeout = absl::Minutes(2);
};

// Any thread. Tasks submitted by one thread are accepted in that order.
class TaskStream {
 public:
  // As TaskClient::OpenStream.
  static absl::StatusOr<std::unique_ptr<TaskStream>> Open(
      TaskClient* client, TaskStreamOptions options);
  // Gives up what is unanswered. No callback runs afterwards.
  ~TaskStream();
  TaskStream(const TaskStream&) = delete;
  TaskStream& operator=(const TaskStream&) = delete;

  // Submits a task, waiting while the window is full. Returns its sequence at
  // once otherwise: the answer comes to on_ack. Takes the content of `*spec`,
  // and leaves there what is cheapest to Clear() and fill again. Without a
  // task_id, one is minted. FAILED_PRECONDITION / STREAM_FINISHED; else why the
  // stream was given up.
  absl::StatusOr<uint64_t> Submit(v1::TaskSpec* spec);
  // All of `specs`, as by Submit, with less work for each. Returns the sequence
  // of the first. If the stream is given up meanwhile, those of them that were
  // taken are among UnansweredIds().
  absl::StatusOr<uint64_t> SubmitMany(absl::Span<v1::TaskSpec> specs);
  // Never waits: RESOURCE_EXHAUSTED / WINDOW_FULL, and `*spec` is as before but
  // for the id that was minted.
  absl::StatusOr<uint64_t> TrySubmit(v1::TaskSpec* spec);

  // Waits until every task is answered and, with on_outcome, every accepted one
  // has its outcome; then closes the stream. DEADLINE_EXCEEDED: not within
  // `timeout`; may be called again. Else why the stream was given up.
  absl::Status Finish(absl::Duration timeout = absl::InfiniteDuration());

  // Tasks without an answer now.
  size_t unanswered() const;
  // Their ids, oldest first: after the stream was given up, what may or may not
  // have been accepted.
  std::vector<std::string> UnansweredIds() const;
  // Accepted tasks without an outcome now. Zero without on_outcome.
  size_t awaiting_outcome() const;

 private:
  explicit TaskStream(std::unique_ptr<StreamSession> session);

  const std::unique_ptr<StreamSession> session_;
};

}  // namespace apium

#endif  // APIUM_CLIENT_TASK_STREAM_H_
