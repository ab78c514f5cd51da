#include "cli/session.h"

#include <CLI/CLI.hpp>
#include <utility>

#include "cli/exit_code.h"
#include "cli/option_values.h"
#include "client/batch_client.h"
#include "client/connection.h"
#include "client/dead_letter_client.h"
#include "client/limit_client.h"
#include "client/queue_client.h"
#include "client/result_client.h"
#include "client/routing_client.h"
#include "client/task_client.h"
#include "client/task_control.h"
#include "client/task_type_client.h"
#include "client/worker_admin.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "common/version.h"

namespace apium::cli {
namespace {

constexpr absl::Duration kCallTimeout = absl::Seconds(10);

// A person waits for the answer: a server that is not there is reported within
// a second or two, but one that is just being restarted is caught. Waits that
// were under way go on as long as they may.
constexpr int kAttemptsMax = 4;

}  // namespace

void AddGlobalOptions(CLI::App* app, GlobalOptions* options) {
  const std::string group = "Global options (before or after the command)";
  app->add_option("--address", options->address,
                  "Broker: host:port or a gRPC target")
      ->envname("APIUM_ADDRESS")
      ->type_name("ADDRESS")
      ->capture_default_str()
      ->group(group);
  app->add_option("--results-address", options->results_address,
                  "Result service")
      ->envname("APIUM_RESULTS_ADDRESS")
      ->type_name("ADDRESS")
      ->capture_default_str()
      ->group(group);
  app->add_option("--namespace", options->namespace_name,
                  "Namespace of tasks, queues and workers")
      ->envname("APIUM_NAMESPACE")
      ->type_name("NAME")
      ->capture_default_str()
      ->group(group);
  app->add_option_function<std::string>(
         "-o,--output",
         [options](const std::string& text) {
           absl::StatusOr<Format> format = ParseFormat(text);
           if (!format.ok())
             throw CLI::ValidationError(
                 "--output", StrCat(text, " is none of table, json, yaml"));
           options->format = *format;
         },
         "Format of what is printed [table]")
      ->envname("APIUM_OUTPUT")
      ->type_name("table|json|yaml")
      ->group(group);
  AddDuration(app, "--timeout", &options->timeout,
              "Time for a call [10s], or for a wait [none]")
      ->group(group);
  app->add_flag("-q,--quiet", options->quiet,
                "No remarks; lists and submits print ids or names only")
      ->group(group);
}

Session::Session(const Environment& environment) : environment_(environment) {}

Session::~Session() = default;

void Session::SetCommand(CLI::App* app, Command command) {
  app->callback([this, command = std::move(command)] { command_ = command; });
}

int Session::Run() {
  output_ = std::make_unique<Output>(
      options_.format, environment_.out_is_terminal && !environment_.no_color,
      options_.quiet, environment_.out, environment_.err);
  const absl::StatusOr<int> result = command_();
  if (result.ok()) return *result;
  output_->PrintError(result.status());
  return ExitCodeFor(result.status());
}

absl::StatusOr<TaskClient*> Session::tasks() {
  if (tasks_ == nullptr) {
    APIUM_ASSIGN_OR_RETURN(std::shared_ptr<Connection> broker, Broker());
    tasks_ = std::make_unique<TaskClient>(std::move(broker));
  }
  return tasks_.get();
}

absl::StatusOr<TaskControl*> Session::control() {
  if (control_ == nullptr) {
    APIUM_ASSIGN_OR_RETURN(std::shared_ptr<Connection> broker, Broker());
    control_ = std::make_unique<TaskControl>(std::move(broker));
  }
  return control_.get();
}

absl::StatusOr<QueueClient*> Session::queues() {
  if (queues_ == nullptr) {
    APIUM_ASSIGN_OR_RETURN(std::shared_ptr<Connection> broker, Broker());
    queues_ = std::make_unique<QueueClient>(std::move(broker));
  }
  return queues_.get();
}

absl::StatusOr<DeadLetterClient*> Session::dead_letters(
    const std::string& queue) {
  APIUM_ASSIGN_OR_RETURN(std::shared_ptr<Connection> broker, Broker());
  dead_letters_ = std::make_unique<DeadLetterClient>(std::move(broker), queue);
  return dead_letters_.get();
}

absl::StatusOr<LimitClient*> Session::limits() {
  if (limits_ == nullptr) {
    APIUM_ASSIGN_OR_RETURN(std::shared_ptr<Connection> broker, Broker());
    limits_ = std::make_unique<LimitClient>(std::move(broker));
  }
  return limits_.get();
}

absl::StatusOr<RoutingClient*> Session::routing() {
  if (routing_ == nullptr) {
    APIUM_ASSIGN_OR_RETURN(std::shared_ptr<Connection> broker, Broker());
    routing_ = std::make_unique<RoutingClient>(std::move(broker));
  }
  return routing_.get();
}

absl::StatusOr<TaskTypeClient*> Session::task_types() {
  if (task_types_ == nullptr) {
    APIUM_ASSIGN_OR_RETURN(std::shared_ptr<Connection> broker, Broker());
    task_types_ = std::make_unique<TaskTypeClient>(std::move(broker));
  }
  return task_types_.get();
}

absl::StatusOr<BatchClient*> Session::batches() {
  if (batches_ == nullptr) {
    APIUM_ASSIGN_OR_RETURN(std::shared_ptr<Connection> broker, Broker());
    batches_ = std::make_unique<BatchClient>(std::move(broker));
  }
  return batches_.get();
}

absl::StatusOr<WorkerAdmin*> Session::workers() {
  if (workers_ == nullptr) {
    APIUM_ASSIGN_OR_RETURN(std::shared_ptr<Connection> broker, Broker());
    workers_ = std::make_unique<WorkerAdmin>(std::move(broker));
  }
  return workers_.get();
}

absl::StatusOr<ResultClient*> Session::results() {
  if (results_ == nullptr) {
    APIUM_ASSIGN_OR_RETURN(std::shared_ptr<Connection> connection,
                           Connect(options_.results_address,
                                   options_.timeout.value_or(kCallTimeout)));
    results_ = std::make_unique<ResultClient>(std::move(connection));
  }
  return results_.get();
}

absl::StatusOr<std::shared_ptr<Connection>> Session::Connect(
    const std::string& address, absl::Duration deadline) const {
  ClientOptions options;
  options.addresses = {address};
  options.namespace_name = options_.namespace_name;
  options.deadline = deadline;
  options.retry.attempts_max = kAttemptsMax;
  options.user_agent = StrCat("apium-cli/", kVersion);
  return Connection::Open(std::move(options));
}

absl::Duration Session::wait_timeout() const {
  return options_.timeout.value_or(absl::InfiniteDuration());
}

absl::StatusOr<bool> Session::Confirm(bool yes,
                                      const std::string& question) const {
  if (yes) return true;
  if (!environment_.in_is_terminal) {
    return absl::InvalidArgumentError(
        "this cannot be undone, and there is no terminal to ask at: give "
        "--yes");
  }
  *environment_.err << question << " [y/N] " << std::flush;
  std::string answer;
  std::getline(*environment_.in, answer);
  if (answer == "y" || answer == "Y" || answer == "yes") return true;
  output_->Note("nothing was changed");
  return false;
}

absl::StatusOr<std::shared_ptr<Connection>> Session::Broker() {
  if (broker_ == nullptr) {
    APIUM_ASSIGN_OR_RETURN(
        broker_,
        Connect(options_.address, options_.timeout.value_or(kCallTimeout)));
  }
  return broker_;
}

}  // namespace apium::cli
