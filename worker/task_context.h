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

  // A log line with the task's id, type and attempt.
  void Log(LogLevel level, std::string_view message,
           std::string_view detail = {}) const;

 private:
  Attempt& attempt_;
  const std::string& worker_id_;
};

}  // namespace apium

#endif  // APIUM_WORKER_TASK_CONTEXT_H_
