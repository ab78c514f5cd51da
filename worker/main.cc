// apium-worker: runs the built-in tasks and the examples.

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "common/http/admin_server.h"
#include "common/log.h"
#include "common/metrics/process_collector.h"
#include "common/port_file.h"
#include "common/process_init.h"
#include "common/status_macros.h"
#include "common/version.h"
#include "examples/tasks/count_words.h"
#include "worker/builtin_tasks.h"
#include "worker/stop_signals.h"
#include "worker/worker.h"
#include "worker/worker_flags.h"

namespace apium {
namespace {

// The worker and its HTTP port, from start to the end of the drain.
class WorkerProcess {
 public:
  WorkerProcess(WorkerFlags flags, StopSignals* signals)
      : flags_(std::move(flags)), signals_(*signals), worker_([&] {
          WorkerOptions options = flags_.worker;
          options.on_drain_requested = [signals] { signals->Note(); };
          return options;
        }()) {}

  absl::Status Start() {
    APIUM_RETURN_IF_ERROR(RegisterBuiltinTasks(&worker_));
    APIUM_RETURN_IF_ERROR(RegisterCountWords(&worker_));
    if (!flags_.server.http_listen.empty()) {
      APIUM_ASSIGN_OR_RETURN(
          admin_, AdminServer::Start(
                      {.listen_address = flags_.server.http_listen,
                       .service = "apium-worker",
                       .collectables = {worker_.metrics(),
                                        std::make_shared<ProcessCollector>()},
                       .readiness = {{"broker", [this] { return Ready(); }}},
                       .liveness = {}}));
    }
    APIUM_RETURN_IF_ERROR(worker_.Start());
    if (!flags_.server.port_file.empty()) {
      APIUM_RETURN_IF_ERROR(
          WritePortFile(flags_.server.port_file,
                        {.http = admin_ == nullptr ? 0 : admin_->port()}));
    }
    LogInfo("worker started", {{"worker_id", worker_.worker_id()},
                               {"slots", worker_.slots()},
                               {"prefetch", flags_.worker.prefetch},
                               {"namespace", flags_.worker.namespace_name},
                               {"pid", getpid()}});
    return absl::OkStatus();
  }

  // Until it is told to stop and has drained.
  void RunUntilDrained() {
    const std::string first = signals_.Wait();
    draining_ = true;
    LogInfo("draining",
            {{"reason", first.empty() ? "an operator asked" : first},
             {"grace", flags_.shutdown_grace},
             {"running", worker_.busy_slots()}});
    std::thread drain([this] {
      LogEnd(worker_.Drain(flags_.shutdown_grace));
      drained_ = true;
      signals_.Note();
    });
    while (!drained_) {
      const std::string second = signals_.Wait();
      if (second.empty()) continue;
      LogWarning("leaving at once", {{"reason", second}});
      // Cuts the grace of the one that runs.
      LogEnd(worker_.Drain(absl::ZeroDuration()));
    }
    drain.join();
  }

  // Does not return if a handler ignores its cancellation: its process ends
  // under it.
  void Stop() {
    admin_.reset();
    worker_.Close();
    if (const uint32_t busy = worker_.busy_slots(); busy > 0) {
      LogWarning(
          "leaving while handlers run that did not obey their "
          "cancellation",
          {{"handlers", busy}});
      std::_Exit(EXIT_SUCCESS);
    }
    worker_.Stop();
  }

 private:
  absl::Status Ready() const {
    if (draining_) return absl::UnavailableError("draining");
    return worker_.ConnectionStatus();
  }

  static void LogEnd(const absl::Status& status) {
    if (status.ok()) {
      LogInfo("drained");
    } else {
      LogWarning("not everything could be handed back", {{"error", status}});
    }
  }

  const WorkerFlags flags_;
  StopSignals& signals_;
  std::atomic<bool> draining_{false};
  std::atomic<bool> drained_{false};
  Worker worker_;
  std::unique_ptr<AdminServer> admin_;
};

int Main(int argc, char** argv) {
  CLI::App app("Runs tasks that an Apium broker delivers.", "apium-worker");
  WorkerFlags flags;
  AddWorkerFlags(&app, &flags);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // 2: wrong usage; CLI11 has a code of its own for each kind.
    return app.exit(error) == 0 ? EXIT_SUCCESS : 2;
  }
  StopSignals signals;
  InitProcess({.service = "apium-worker",
               .level = flags.server.log_level,
               .format = flags.server.log_format});
  WorkerProcess process(std::move(flags), &signals);
  if (absl::Status status = process.Start(); !status.ok()) {
    LogError("cannot start", {{"error", status}});
    return EXIT_FAILURE;
  }
  process.RunUntilDrained();
  process.Stop();
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace apium

int main(int argc, char** argv) { return apium::Main(argc, argv); }
