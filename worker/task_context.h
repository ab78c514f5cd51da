#ifndef APIUM_WORKER_TASK_CONTEXT_H_
#define APIUM_WORKER_TASK_CONTEXT_H_

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "apium/v1/task.pb.h"
#include "common/log.h"

namespace apium {

class Attempt;

// What a handler may know and say about the attempt that it runs. Valid while
// the handler runs, on any of its threads.
class TaskContext {
 public:
  // All outlive the context.
  TaskContext(Attempt* attempt, const std::string* worker_id)
      : attempt_(*attempt), worker_id_(*worker_id) {}
  TaskContext(const TaskContext&) = delete;
  TaskContext& operator=(const TaskContext&) = delete;

  const std::string& task_id() const;
  const std::string& task_type() const;
  const std::string& queue() const;
  // Number of the delivery, from 1.
  uint32_t attempt() const;
  // Attempts that failed before.
  uint32_t failures() const;
  // Crashes of workers that held the task before.
  uint32_t crashes() const;
  // Grows with every lease: a fencing token for the handler's own stores.
  uint64_t epoch() const;
  const std::string& worker_id() const { return worker_id_; }

  // Of the submitter, for example "traceparent". Empty if there is none.
  std::string_view header(std::string_view name) const;
  std::map<std::string, std::string> headers() const;

  // Run time after which the attempt is cancelled; nothing: no limit.
  std::optional<absl::Duration> soft_time_limit() const;
  // The same as a time by the worker's clock; infinite without a limit.
  absl::Time deadline() const;

  // True once the handler should stop: the task was cancelled, its lease is
  // lost, its soft time limit passed, or the worker leaves. A handler that
  // obeys returns CancellationStatus(); one that does not is left alone.
  bool IsCancelled() const;
  // Waits until cancelled, at most `timeout`: a sleep that can be interrupted.
  // True if cancelled.
  bool WaitForCancellation(absl::Duration timeout) const;
  // Calls `callback` once when cancelled, on another thread, or at once on this
  // one if that is so already. It does not run after the handler's end.
  void OnCancel(std::function<void()> callback);
  // OK, or CANCELLED with the reason.
  absl::Status CancellationStatus() const;

  // How far the task is; `total` 0: unknown. Replaces what was said before;
  // sent to the broker some fifty times a second at most. `message` is cut at
  // 1 KiB.
  void SetProgress(double completed, double total = 0,
                   std::string_view message = {});

  // The same, with what the application makes of it: a state of its own, cut at
  // 64 bytes, and details of at most 16 KiB, which those who watch the task see
  // and the next attempt gets if this one does not succeed. Without details,
  // the last ones stay. INVALID_ARGUMENT: details too large; nothing is
  // reported.
  absl::Status SetProgress(v1::Progress progress);
  // Last details that an earlier attempt reported; null: none did.
  const v1::Payload* details() const;

  // Takes `points` of the limit `limit` beyond what the task was charged when
  // it began; below 0: gives back. Sent some fifty times a second at most, at
  // the latest with the outcome; what is under way when the stream to the
  // broker breaks is lost. A limit that does not count this task is ignored.
  // INVALID_ARGUMENT: `limit` is no name, or `points` is not finite.
  // RESOURCE_EXHAUSTED: charges of very many limits wait for the broker.
  absl::Status Charge(std::string_view limit, double points);

  // Appends to what followers of the task read (TaskService.FollowTask). The
  // chunk is kept here and sent again, over reconnects, until it is durable; an
  // outcome goes behind all chunks. Returns once there is room in the window of
  // unacknowledged chunks. DEADLINE_EXCEEDED: not within `timeout`. CANCELLED:
  // the attempt is to stop, and there was no room. RESOURCE_EXHAUSTED /
  // CHUNK_LIMIT: the broker has refused an earlier chunk, and takes no more.
  absl::Status Append(v1::Payload chunk,
                      absl::Duration timeout = absl::InfiniteDuration());
  absl::Status Append(std::string_view data,
                      absl::Duration timeout = absl::InfiniteDuration());
  // Waits until all chunks are durable. Errors as Append.
  absl::Status FlushChunks(absl::Duration timeout = absl::InfiniteDuration());
  // Chunks that earlier attempts appended.
  uint64_t earlier_chunks() const;

  // A log line with the task's id, type and attempt.
  void Log(LogLevel level, std::string_view message,
           std::string_view detail = {}) const;

 private:
  Attempt& attempt_;
  const std::string& worker_id_;
};

}  // namespace apium

#endif  // APIUM_WORKER_TASK_CONTEXT_H_
