// apium-broker: reads flags, starts the broker, waits for a signal.

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "broker/broker_server.h"
#include "common/limits.h"
#include "common/listen_address.h"
#include "common/log.h"
#include "common/names.h"
#include "common/port_file.h"
#include "common/process_init.h"
#include "common/server_flags.h"
#include "common/shutdown.h"
#include "common/strings.h"

namespace apium::broker {
namespace {

// Calls that still run then are cancelled.
constexpr absl::Duration kShutdownGrace = absl::Seconds(5);

// A gRPC target: host:port, or with a scheme, as "dns:///apium-results:7451".
std::string CheckTarget(const std::string& text) {
  if (text.empty() || absl::StartsWith(text, "unix:") ||
      absl::StrContains(text, "://")) {
    return "";
  }
  const absl::StatusOr<HostPort> address = ParseHostPort(text);
  if (!address.ok()) return std::string(address.status().message());
  if (address->host.empty() || address->port == 0) {
    return StrCat(QuoteForMessage(text), " needs a host and a port");
  }
  return "";
}

int Run(const ServerFlags& flags, BrokerConfig config) {
  ShutdownSignal shutdown;
  config.listen_address = flags.listen;
  config.http_listen_address = flags.http_listen;
  config.on_failure = [&shutdown](const absl::Status& status) {
    shutdown.Request(StrCat("failure: ", StdView(status.message())));
  };
  const std::string data_dir = config.data_dir;
  const std::string results_address = config.results_address;
  auto server = BrokerServer::Start(std::move(config));
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
                      {"data", data_dir.empty() ? "in memory" : data_dir},
                      {"results", results_address},
                      {"shard_id", (*server)->shard_id()}});
  shutdown.Wait();
  LogInfo("stopping", {{"reason", shutdown.reason()}});
  (*server)->Shutdown(kShutdownGrace);
  const absl::Status failure = (*server)->failure();
  LogInfo("stopped", {{"status", failure}});
  return failure.ok() ? EXIT_SUCCESS : EXIT_FAILURE;
}

void AddBrokerFlags(CLI::App* app, BrokerConfig* config, bool* in_memory) {
  const auto environment = [](const char* flag) {
    return FlagEnvironmentName("broker", flag);
  };
  app->add_flag("--in-memory", *in_memory,
                "Keep everything in memory: all is lost with the process")
      ->envname(environment("in-memory"));
  app->add_option("--results", config->results_address,
                  "gRPC address of the result service; without one, outcomes "
                  "stay in the broker")
      ->envname(environment("results"))
      ->check(CheckTarget, "ADDRESS");
  app->add_option("--namespace", config->engine.namespaces,
                  "Namespace that callers may name; repeatable")
      ->envname(environment("namespace"))
      ->capture_default_str();
  app->add_flag("--create-queues-on-use", config->engine.create_queues_on_use,
                "Make a queue when it is first named by a submit or a worker")
      ->envname(environment("create-queues-on-use"));
  AddDurationFlag(app, "lease-duration", &config->engine.lease_duration,
                  kLeaseMin, kLeaseMax,
                  "How long a worker's leases live after its last sign of life")
      ->envname(environment("lease-duration"));
  AddDurationFlag(app, "reattach-grace", &config->engine.reattach_grace,
                  absl::ZeroDuration(), kLeaseMax,
                  "How long a worker keeps its leases after its stream broke, "
                  "or after a restart of the broker")
      ->envname(environment("reattach-grace"));
  AddDurationFlag(app, "finished-retention", &config->engine.finished_retention,
                  absl::ZeroDuration(), kResultTtlMax,
                  "How long the ids of finished tasks are remembered, for "
                  "submits that repeat them")
      ->envname(environment("finished-retention"));
  app->add_option("--payload-max", config->task_limits.payload_bytes_max,
                  "Bytes of one payload or result, at most 4Mi")
      ->envname(environment("payload-max"))
      ->transform(CLI::AsSizeValue(false))
      ->capture_default_str();
  app->add_option("--chunk-max", config->engine.chunk_bytes_max,
                  "Bytes of one chunk that a task appends, at most 1Mi")
      ->envname(environment("chunk-max"))
      ->transform(CLI::AsSizeValue(false))
      ->check(CLI::Range(size_t{1}, kChunkBytesHardMax))
      ->capture_default_str();
  app->add_option("--task-chunks-max", config->engine.task_chunks_max,
                  "Chunks of one task, over all its attempts")
      ->envname(environment("task-chunks-max"))
      ->capture_default_str();
  app->add_option("--task-chunk-bytes-max", config->engine.task_chunk_bytes_max,
                  "Bytes of the chunks of one task, over all its attempts")
      ->envname(environment("task-chunk-bytes-max"))
      ->transform(CLI::AsSizeValue(false))
      ->capture_default_str();
  app->add_option("--chunk-window", config->chunk_window_bytes,
                  "Bytes of chunks that a worker may send ahead of their "
                  "acknowledgement")
      ->envname(environment("chunk-window"))
      ->transform(CLI::AsSizeValue(false))
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  AddDurationFlag(app, "chunk-retention", &config->engine.chunk_retention,
                  absl::ZeroDuration(), kResultTtlMax,
                  "How long the chunks of a finished task are kept, unless its "
                  "result is kept for longer")
      ->envname(environment("chunk-retention"));
  app->add_option("--exchanges-max", config->engine.max_exchanges,
                  "Exchanges of all namespaces")
      ->envname(environment("exchanges-max"))
      ->capture_default_str();
  app->add_option("--bindings-max", config->engine.max_bindings,
                  "Bindings of all exchanges")
      ->envname(environment("bindings-max"))
      ->capture_default_str();
  AddDurationFlag(app, "broadcast-expiry", &config->engine.broadcast_expiry,
                  absl::Milliseconds(1), kResultTtlMax,
                  "When a copy of a broadcast expires that has no expiry of "
                  "its own")
      ->envname(environment("broadcast-expiry"));
  app->add_option("--mailbox-commands", config->mailbox.commands_max,
                  "Commands that may wait; beyond, callers are refused")
      ->envname(environment("mailbox-commands"))
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app->add_option("--mailbox-bytes", config->mailbox.bytes_max,
                  "Bytes of commands that may wait")
      ->envname(environment("mailbox-bytes"))
      ->transform(CLI::AsSizeValue(false))
      ->capture_default_str();
  app->add_option("--min-free-disk", config->min_free_disk_bytes,
                  "Refuse submits below this much free disk; 0: never")
      ->envname(environment("min-free-disk"))
      ->transform(CLI::AsSizeValue(false))
      ->capture_default_str();
}

int Main(int argc, char** argv) {
  CLI::App app(
      "Accepts tasks, keeps them durably, and dispatches them to workers",
      "apium-broker");
  ServerFlags flags;
  AddServerFlags(&app,
                 {.service = "broker",
                  .listen = StrCat("0.0.0.0:", kBrokerPort),
                  .http_listen = StrCat("0.0.0.0:", kBrokerHttpPort),
                  .data_dir = "/var/lib/apium/broker"},
                 &flags);
  BrokerConfig config;
  bool in_memory = false;
  AddBrokerFlags(&app, &config, &in_memory);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // 2: wrong usage; CLI11 has a code of its own for each kind.
    return app.exit(error) == 0 ? EXIT_SUCCESS : 2;
  }
  if (!in_memory) config.data_dir = flags.data_dir;
  InitProcess({.service = "apium-broker",
               .level = flags.log_level,
               .format = flags.log_format});
  return Run(flags, std::move(config));
}

}  // namespace
}  // namespace apium::broker

int main(int argc, char** argv) { return apium::broker::Main(argc, argv); }
