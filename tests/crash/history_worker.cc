// A worker that tells what it does: for each run of its handler a line in its
// history when it starts and another when it ends, and a result (or failure)
// that no other run has.

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "common/check.h"
#include "common/log.h"
#include "common/process_init.h"
#include "common/shutdown.h"
#include "common/strings.h"
#include "tests/crash/history_file.h"
#include "worker/worker.h"

namespace apium::crash {
namespace {

class HistoryTask {
 public:
  explicit HistoryTask(const std::string& history_path)
      : history_(history_path) {}

  // Runs for `run_ms`. Fails while the task has failed less than `failures`
  // times; a failure is final if `final_failure`. Stops when it is cancelled if
  // `obeys`, else succeeds all the same.
  absl::StatusOr<v1::Payload> Run(const TaskContext& context, int64_t run_ms,
                                  uint32_t failures, bool final_failure,
                                  bool obeys) {
    ExecutionRecord execution{.task_id = context.task_id(),
                              .attempt = context.attempt(),
                              .epoch = context.epoch(),
                              .token = NewToken(context.epoch())};
    history_.Start(&execution);
    const bool cancelled =
        context.WaitForCancellation(absl::Milliseconds(run_ms));
    if (cancelled && obeys) {
      history_.End(ExecutionRecord::End::kCancelled, &execution);
      return context.CancellationStatus();
    }
    if (context.failures() < failures) {
      history_.End(ExecutionRecord::End::kFailed, &execution);
      const absl::Status failure = TaskError("crash.Failure", execution.token);
      return final_failure ? NonRetryable(failure) : failure;
    }
    history_.End(ExecutionRecord::End::kSucceeded, &execution);
    v1::Payload result;
    result.set_data(execution.token);
    return result;
  }

 private:
  std::string NewToken(uint64_t epoch) {
    return StrCat(getpid(), "/", epoch, "/", ++runs_);
  }

  HistoryWriter history_;
  std::atomic<uint64_t> runs_{0};
};

int Main(int argc, char** argv) {
  CLI::App app("Runs crash.work and tells what it does", "history_worker");
  WorkerOptions options;
  std::string history;
  app.add_option("--broker", options.brokers, "host:port")->required();
  app.add_option("--worker-id", options.worker_id, "Its name")->required();
  app.add_option("--queues", options.queues, "Names")->delimiter(',');
  app.add_option("--concurrency", options.slots, "Slots");
  app.add_option("--prefetch", options.prefetch, "Deliveries beyond the slots");
  app.add_option("--history", history, "File to append to")->required();
  CLI11_PARSE(app, argc, argv);
  InitProcess({.service = "history-worker", .format = LogFormat::kText});

  HistoryTask task(history);
  ShutdownSignal shutdown;
  Worker worker(options);
  absl::Status status = worker.Register(
      "crash.work", [&task](TaskContext& context, int64_t run_ms,
                            uint32_t failures, bool final_failure, bool obeys) {
        return task.Run(context, run_ms, failures, final_failure, obeys);
      });
  APIUM_CHECK(status.ok()) << status;
  status = worker.Start();
  APIUM_CHECK(status.ok()) << status;
  shutdown.Wait();
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace apium::crash

int main(int argc, char** argv) { return apium::crash::Main(argc, argv); }
