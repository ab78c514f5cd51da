// apium-results: reads flags, starts the result service, waits for a signal.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "common/limits.h"
#include "common/log.h"
#include "common/port_file.h"
#include "common/process_init.h"
#include "common/server_flags.h"
#include "common/shutdown.h"
#include "common/strings.h"
#include "results/result_server.h"

namespace apium::results {
namespace {

// Calls that still run then are cancelled.
constexpr absl::Duration kShutdownGrace = absl::Seconds(5);

int Run(const ServerFlags& flags, ResultServerConfig config) {
  ShutdownSignal shutdown;
  config.listen_address = flags.listen;
  config.http_listen_address = flags.http_listen;
  config.data_dir = flags.data_dir;
  config.on_failure = [&shutdown](const absl::Status& status) {
    shutdown.Request(StrCat("failure: ", StdView(status.message())));
  };
  auto server = ResultServer::Start(std::move(config));
  if (!server.ok()) {
    LogError("cannot start", {{"error", server.status()}});
    return EXIT_FAILURE;
  }
  if (!flags.port_file.empty()) {
    const absl::Status written = WritePortFile(
        flags.port_file,
        {.grpc = (*server)->port(), .http = (*server)->http_port()});
    if (!written.ok()) {
      LogError("cannot write the port file", {{"error", written}});
      return EXIT_FAILURE;
    }
  }
  LogInfo("serving", {{"grpc", (*server)->local_target()},
                      {"http_port", (*server)->http_port()},
                      {"data", flags.data_dir}});
  shutdown.Wait();
  LogInfo("stopping", {{"reason", shutdown.reason()}});
  (*server)->Shutdown(kShutdownGrace);
  const absl::Status failure = (*server)->failure();
  LogInfo("stopped", {{"status", failure}});
  return failure.ok() ? EXIT_SUCCESS : EXIT_FAILURE;
}

int Main(int argc, char** argv) {
  CLI::App app("Keeps the outcomes of finished tasks and gives them to readers",
               "apium-results");
  ServerFlags flags;
  AddServerFlags(&app,
                 {.service = "results",
                  .listen = StrCat("0.0.0.0:", kResultsPort),
                  .http_listen = StrCat("0.0.0.0:", kResultsHttpPort),
                  .data_dir = "/var/lib/apium/results"},
                 &flags);
  ResultServerConfig config;
  app.add_option("--namespace", config.namespaces,
                 "Namespace that readers may name; repeatable")
      ->envname(FlagEnvironmentName("results", "namespace"))
      ->capture_default_str();
  AddDurationFlag(&app, "result-ttl", &config.result_ttl, absl::Seconds(1),
                  kResultTtlMax,
                  "How long results are kept whose tasks do not say")
      ->envname(FlagEnvironmentName("results", "result-ttl"));
  app.add_option("--waiters-max", config.waiters_max,
                 "Calls that may wait for a result at the same time")
      ->envname(FlagEnvironmentName("results", "waiters-max"))
      ->capture_default_str();
  app.add_option("--watchers-max", config.watchers_max,
                 "Watches that may be open at the same time")
      ->envname(FlagEnvironmentName("results", "watchers-max"))
      ->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // 2: wrong usage; CLI11 has a code of its own for each kind.
    return app.exit(error) == 0 ? EXIT_SUCCESS : 2;
  }
  InitProcess({.service = "apium-results",
               .level = flags.log_level,
               .format = flags.log_format});
  return Run(flags, std::move(config));
}

}  // namespace
}  // namespace apium::results

int main(int argc, char** argv) { return apium::results::Main(argc, argv); }
