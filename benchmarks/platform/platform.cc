#include "benchmarks/platform/platform.h"

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/connection.h"

namespace apium::benchmark {
namespace {

constexpr absl::Duration kStartTimeout = absl::Seconds(60);

[[noreturn]] void Fail(const std::string& what, const absl::Status& status) {
  std::cerr << "benchmark: " << what << ": " << status << "\n";
  std::exit(1);
}

std::string Loopback(int port) { return absl::StrCat("127.0.0.1:", port); }

}  // namespace

std::unique_ptr<ChildProcess> Platform::StartServer(
    const std::string& name, std::vector<std::string> arguments,
    BoundPorts* ports) {
  const std::string port_file =
      absl::StrCat(options_.folder, "/", name, ".ports");
  std::filesystem::remove(port_file);
  arguments.push_back("--http-listen=127.0.0.1:0");
  arguments.push_back("--log-level=warn");
  arguments.push_back(absl::StrCat("--port-file=", port_file));
  auto process = ChildProcess::Start(
      {.arguments = std::move(arguments),
       .output_file = absl::StrCat(options_.folder, "/", name, ".log")});
  if (!process.ok()) Fail(name, process.status());
  absl::StatusOr<BoundPorts> bound =
      AwaitPortFile(process->get(), port_file, kStartTimeout);
  if (!bound.ok()) Fail(name, bound.status());
  *ports = *bound;
  return *std::move(process);
}

void Platform::StartBroker(int port) {
  broker_ = StartServer(
      "broker",
      {options_.broker_program, absl::StrCat("--listen=", Loopback(port)),
       absl::StrCat("--data=", options_.folder, "/broker"),
       absl::StrCat("--results=", Loopback(results_ports_.grpc))},
      &broker_ports_);
}

std::unique_ptr<Platform> Platform::Start(const PlatformOptions& options) {
  std::filesystem::remove_all(options.folder);
  std::filesystem::create_directories(options.folder);
  std::unique_ptr<Platform> platform(new Platform(options));
  platform->result_service_ = platform->StartServer(
      "results",
      {options.results_program, "--listen=127.0.0.1:0",
       absl::StrCat("--data=", options.folder, "/results")},
      &platform->results_ports_);
  platform->StartBroker(0);
  BoundPorts none;
  platform->worker_ = platform->StartServer(
      "worker",
      {options.worker_program,
       absl::StrCat("--broker=", Loopback(platform->broker_ports_.grpc)),
       absl::StrCat("--concurrency=", options.worker_concurrency),
       absl::StrCat("--prefetch=", options.worker_slots)},
      &none);
  ClientOptions to_broker{.addresses = {Loopback(platform->broker_ports_.grpc)},
                          .deadline = absl::Seconds(60)};
  ClientOptions to_results{
      .addresses = {Loopback(platform->results_ports_.grpc)}};
  auto tasks = TaskClient::Connect(to_broker);
  if (!tasks.ok()) Fail("client", tasks.status());
  platform->tasks_ = *std::move(tasks);
  platform->queues_ =
      std::make_unique<QueueClient>(platform->tasks_->connection());
  auto connection = Connection::Open(to_results);
  if (!connection.ok()) Fail("client of results", connection.status());
  platform->results_ = std::make_unique<ResultClient>(*std::move(connection));
  return platform;
}

absl::Duration Platform::RestartBroker() {
  broker_->Kill();
  const absl::Time start = absl::Now();
  StartBroker(broker_ports_.grpc);
  const auto queue = queues_->Get("default");
  if (!queue.ok()) Fail("restart", queue.status());
  return absl::Now() - start;
}

}  // namespace apium::benchmark
