#ifndef APIUM_WORKER_EXECUTOR_H_
#define APIUM_WORKER_EXECUTOR_H_

#include <cstddef>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "apium/v1/worker_service.pb.h"
#include "common/clock.h"
#include "worker/attempt.h"
#include "worker/task_registry.h"
#include "worker/worker_metrics.h"

namespace apium {

struct ExecutorOptions {
  // All borrowed; outlive the executor. The registry is complete.
  const TaskRegistry* registry = nullptr;
  const Clock* clock = nullptr;
  WorkerMetrics* metrics = nullptr;
  std::string worker_id;
  // A larger result fails the task: no broker could take it.
  size_t result_bytes_max = 0;
};

// Runs one attempt on the calling thread, from handler lookup to outcome: the
// one place where exceptions of handlers are caught. Any thread, many at once.
class Executor {
 public:
  explicit Executor(ExecutorOptions options);
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // Afterwards the attempt has its outcome (without the lease), and its
  // arguments are freed. An attempt that is cancelled already does not run.
  void Execute(Attempt* attempt) const;

 private:
  struct TaskType {
    const TaskHandler* handler = nullptr;
    TaskTypeMetrics* metrics = nullptr;
  };

  absl::Status Call(const TaskHandler& handler, Attempt* attempt) const;
  OutcomeKind WriteOutcome(absl::Status error, Attempt* attempt) const;

  const ExecutorOptions options_;
  // Complete after construction.
  absl::flat_hash_map<std::string, TaskType> types_;
  TaskType unknown_type_;
};

}  // namespace apium

#endif  // APIUM_WORKER_EXECUTOR_H_
