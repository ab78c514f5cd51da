// One run of the command line: its global options, what it prints to, and its
// connections.

#ifndef APIUM_CLI_SESSION_H_
#define APIUM_CLI_SESSION_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cli/environment.h"
#include "cli/output.h"

namespace CLI {
class App;
}

namespace apium {
class BatchClient;
class Connection;
class DeadLetterClient;
class LimitClient;
class QueueClient;
class ResultClient;
class RoutingClient;
class TaskClient;
class TaskControl;
class TaskTypeClient;
class WorkerAdmin;
}  // namespace apium

namespace apium::cli {

struct GlobalOptions {
  std::string address = "127.0.0.1:7450";
  std::string results_address = "127.0.0.1:7451";
  std::string namespace_name = "default";
  Format format = Format::kTable;
  // Of one call, or of a wait. Unset: 10 s, or as long as the wait takes.
  std::optional<absl::Duration> timeout;
  bool quiet = false;
};

// Adds the global options to the root command.
void AddGlobalOptions(CLI::App* app, GlobalOptions* options);

// Commands are made while the command line is described, and one of them is run
// after it was parsed.
class Session {
 public:
  // What a command returns: the exit code, or an error to print.
  using Command = std::function<absl::StatusOr<int>()>;

  explicit Session(const Environment& environment);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  GlobalOptions& options() { return options_; }
  const Environment& environment() const { return environment_; }

  // `command` is what `app` does. Both live as long as the session.
  void SetCommand(CLI::App* app, Command command);
  // Runs the command that was chosen, prints its error, returns the exit code.
  // After the parsing.
  int Run();

  // During Run.
  const Output& output() const { return *output_; }
  absl::StatusOr<TaskClient*> tasks();
  absl::StatusOr<TaskControl*> control();
  absl::StatusOr<QueueClient*> queues();
  absl::StatusOr<BatchClient*> batches();
  // Of one queue; empty: the default one.
  absl::StatusOr<DeadLetterClient*> dead_letters(const std::string& queue);
  absl::StatusOr<LimitClient*> limits();
  absl::StatusOr<RoutingClient*> routing();
  absl::StatusOr<TaskTypeClient*> task_types();
  absl::StatusOr<WorkerAdmin*> workers();
  absl::StatusOr<ResultClient*> results();
  // A connection to any server, for calls of at most `deadline`.
  absl::StatusOr<std::shared_ptr<Connection>> Connect(
      const std::string& address, absl::Duration deadline) const;
  // The bound of a wait.
  absl::Duration wait_timeout() const;

  // Asks on the terminal whether to go on; true if `yes`, or if the answer is.
  // Where there is no terminal nobody can be asked: INVALID_ARGUMENT says that
  // --yes is needed.
  absl::StatusOr<bool> Confirm(bool yes, const std::string& question) const;

 private:
  absl::StatusOr<std::shared_ptr<Connection>> Broker();

  const Environment environment_;
  GlobalOptions options_;
  Command command_;
  std::unique_ptr<Output> output_;
  std::shared_ptr<Connection> broker_;
  std::unique_ptr<TaskClient> tasks_;
  std::unique_ptr<TaskControl> control_;
  std::unique_ptr<QueueClient> queues_;
  std::unique_ptr<BatchClient> batches_;
  std::unique_ptr<DeadLetterClient> dead_letters_;
  std::unique_ptr<LimitClient> limits_;
  std::unique_ptr<RoutingClient> routing_;
  std::unique_ptr<TaskTypeClient> task_types_;
  std::unique_ptr<WorkerAdmin> workers_;
  std::unique_ptr<ResultClient> results_;
};

}  // namespace apium::cli

#endif  // APIUM_CLI_SESSION_H_
