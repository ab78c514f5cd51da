#include "cli/server_dev.h"

#include <google/protobuf/struct.pb.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <system_error>
#include <utility>

#include "broker/broker_server.h"
#include "cli/exit_code.h"
#include "cli/session.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/names.h"
#include "common/shutdown.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "examples/tasks/count_words.h"
#include "results/result_server.h"
#include "worker/builtin_tasks.h"
#include "worker/worker.h"

namespace apium::cli {
namespace {

// What runs when Ctrl-C comes may finish; a second Ctrl-C ends the process at
// once.
constexpr absl::Duration kDrainGrace = absl::Seconds(10);
// Calls of clients that still wait when everything stops.
constexpr absl::Duration kCallGrace = absl::Seconds(1);

// The folder of one service, made if it is not there; empty: in memory.
absl::StatusOr<std::string> ServiceFolder(const std::string& data_dir,
                                          const std::string& service) {
  if (data_dir.empty()) return std::string();
  const std::filesystem::path folder =
      std::filesystem::path(data_dir) / service;
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    return absl::FailedPreconditionError(
        StrCat("cannot make the folder ", QuoteForMessage(folder.string()),
               ": ", error.message()));
  }
  return folder.string();
}

}  // namespace

// In the order in which they start.
struct DevServer::Services {
  std::unique_ptr<results::ResultServer> results;
  std::unique_ptr<broker::BrokerServer> broker;
  std::unique_ptr<Worker> worker;
};

absl::StatusOr<std::unique_ptr<DevServer>> DevServer::Start(
    const DevServerOptions& options,
    std::function<void(const absl::Status&)> on_failure) {
  auto services = std::make_unique<Services>();

  results::ResultServerConfig results;
  results.listen_address = options.results_listen;
  results.namespaces = options.namespaces;
  results.on_failure = on_failure;
  APIUM_ASSIGN_OR_RETURN(results.data_dir,
                         ServiceFolder(options.data_dir, "results"));
  APIUM_ASSIGN_OR_RETURN(services->results,
                         results::ResultServer::Start(std::move(results)));

  broker::BrokerConfig broker;
  broker.listen_address = options.listen;
  broker.http_listen_address = options.http_listen;
  broker.results_channel = services->results->InProcessChannel();
  broker.engine.namespaces = options.namespaces;
  broker.engine.create_queues_on_use = options.create_queues_on_use;
  broker.on_failure = std::move(on_failure);
  APIUM_ASSIGN_OR_RETURN(broker.data_dir,
                         ServiceFolder(options.data_dir, "broker"));
  APIUM_ASSIGN_OR_RETURN(services->broker,
                         broker::BrokerServer::Start(std::move(broker)));

  if (options.worker) {
    services->worker = std::make_unique<Worker>(
        WorkerOptions{.channels = {services->broker->InProcessChannel()},
                      .namespace_name = options.namespaces.front(),
                      .slots = options.slots});
    APIUM_RETURN_IF_ERROR(RegisterBuiltinTasks(services->worker.get()));
    APIUM_RETURN_IF_ERROR(RegisterCountWords(services->worker.get()));
    APIUM_RETURN_IF_ERROR(services->worker->Start());
  }
  return std::unique_ptr<DevServer>(new DevServer(std::move(services)));
}

DevServer::DevServer(std::unique_ptr<Services> services)
    : services_(std::move(services)) {}

DevServer::~DevServer() = default;

std::string DevServer::broker_address() const {
  return services_->broker->local_target();
}
std::string DevServer::results_address() const {
  return services_->results->local_target();
}
std::string DevServer::http_address() const {
  const int port = services_->broker->http_port();
  return port == 0 ? "" : StrCat("127.0.0.1:", port);
}

void DevServer::Shutdown(absl::Duration grace) {
  if (services_->worker != nullptr) {
    if (absl::Status status = services_->worker->Drain(grace); !status.ok()) {
      LogWarning("not everything could be finished", {{"error", status}});
    }
    services_->worker->Stop();
  }
  services_->broker->Shutdown(kCallGrace);
  services_->results->Shutdown(kCallGrace);
}

namespace {

struct DevFlags {
  DevServerOptions options;
  bool no_http = false;
  bool no_worker = false;
  std::string log_level = "warn";
};

void PrintStarted(const DevServer& server, const DevServerOptions& options,
                  Session* session) {
  google::protobuf::Struct started;
  auto& fields = *started.mutable_fields();
  fields["address"].set_string_value(server.broker_address());
  fields["resultsAddress"].set_string_value(server.results_address());
  if (!server.http_address().empty())
    fields["httpAddress"].set_string_value(server.http_address());
  if (!options.data_dir.empty())
    fields["data"].set_string_value(options.data_dir);
  session->output().Print(started, [&] {
    const Output& output = session->output();
    output.Note("Apium is up. Ctrl-C stops it.");
    output.Note(StrCat("  broker   ", server.broker_address()));
    output.Note(StrCat("  results  ", server.results_address()));
    if (!server.http_address().empty())
      output.Note(
          StrCat("  metrics  http://", server.http_address(), "/metrics"));
    output.Note(StrCat("  data     ", options.data_dir.empty()
                                          ? "in memory, lost with this process"
                                          : options.data_dir));
    if (options.worker)
      output.Note(
          "  worker   apium.echo, apium.sleep, apium.fail, apium.noop, "
          "text.count_words");
    output.Note(StrCat("Try:\n  apium --address ", server.broker_address(),
                       " task submit apium.echo hello --wait"));
  });
}

absl::StatusOr<int> RunDevServer(const DevFlags& flags, Session* session) {
  APIUM_ASSIGN_OR_RETURN(LogLevel level, ParseLogLevel(flags.log_level));
  SetLogLevel(level);
  DevServerOptions options = flags.options;
  options.worker = !flags.no_worker;
  if (flags.no_http) options.http_listen.clear();
  const std::string& name = session->options().namespace_name;
  APIUM_RETURN_IF_ERROR(ValidateNamespace("namespace", name));
  // The namespace of the worker is the first one.
  options.namespaces = {name};
  if (name != kDefaultNamespace)
    options.namespaces.emplace_back(kDefaultNamespace);

  // A client that goes away must not end the server.
  signal(SIGPIPE, SIG_IGN);
  ShutdownSignal shutdown;
  APIUM_ASSIGN_OR_RETURN(
      std::unique_ptr<DevServer> server,
      DevServer::Start(options, [&shutdown](const absl::Status& status) {
        LogError("a service cannot go on", {{"error", status}});
        shutdown.Request("failure");
      }));
  PrintStarted(*server, options, session);
  shutdown.Wait();
  session->output().Note("stopping");
  server->Shutdown(kDrainGrace);
  if (shutdown.reason() == "failure")
    return absl::InternalError("a service could not go on; see the log above");
  return kExitOk;
}

}  // namespace

void AddServerDevCommand(CLI::App* server, Session* session) {
  CLI::App* dev =
      server->add_subcommand("dev",
                             "Run a whole platform in this process: broker, "
                             "results, and a worker with the built-in tasks");
  const auto flags = std::make_shared<DevFlags>();
  DevServerOptions& options = flags->options;
  options.http_listen = StrCat("127.0.0.1:", kBrokerHttpPort);
  dev->add_option("--data", options.data_dir, "Folder for the data [in memory]")
      ->type_name("DIR");
  dev->add_option("--listen", options.listen,
                  "Where the broker listens; port 0 takes a free one")
      ->type_name("HOST:PORT")
      ->capture_default_str();
  dev->add_option("--results-listen", options.results_listen,
                  "Where the result service listens")
      ->type_name("HOST:PORT")
      ->capture_default_str();
  dev->add_option("--http-listen", options.http_listen,
                  "Where /metrics and /readyz of the broker are")
      ->type_name("HOST:PORT")
      ->capture_default_str();
  dev->add_flag("--no-http", flags->no_http, "No /metrics");
  dev->add_flag("--no-worker", flags->no_worker, "No worker");
  dev->add_option("--concurrency", options.slots,
                  "Tasks that the worker runs at a time [one per CPU]")
      ->check(CLI::Range(1u, kSlotsMax))
      ->type_name("NUMBER");
  dev->add_flag("--create-queues-on-use", options.create_queues_on_use,
                "Make a queue when it is first named");
  dev->add_option("--log-level", flags->log_level, "Of the services' logs")
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}).description(""))
      ->type_name("debug|info|warn|error")
      ->capture_default_str();
  dev->footer(
      "Examples:\n  apium server dev\n  apium server dev --data ~/.apium "
      "--concurrency 8");
  session->SetCommand(
      dev, [flags, session] { return RunDevServer(*flags, session); });
}

}  // namespace apium::cli
