#include "tests/crash/platform.h"

#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>
#include <utility>

#include "absl/time/clock.h"
#include "client/connection.h"
#include "client/queue_client.h"
#include "common/listen_address.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "tests/crash/history_file.h"

namespace apium::crash {
namespace {

constexpr absl::Duration kStartTimeout = absl::Seconds(120);

// Longer than any restart of this test takes: a lease is lost only by the death
// of its worker, so that no two executions of a task may overlap.
constexpr char kLeaseDuration[] = "10m";

// A port that stays ours while its server is dead: the system gives those of
// its own range to any socket that connects, and one that dials a dead server
// there can even reach itself.
absl::StatusOr<std::string> FreeAddress() {
  constexpr int kLowest = 10'000;
  int highest = 32'767;
  std::ifstream range("/proc/sys/net/ipv4/ip_local_port_range");
  if (int first = 0; range >> first) highest = std::max(first - 1, kLowest);
  std::random_device random;
  std::uniform_int_distribution<int> ports(kLowest, highest);
  absl::Status refused;
  for (int tries = 0; tries < 100; ++tries) {
    const HostPort address{.host = "127.0.0.1", .port = ports(random)};
    refused = CheckCanListen(address);
    if (refused.ok()) return FormatHostPort(address);
  }
  return refused;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Platform>> Platform::Start(
    PlatformOptions options) {
  std::unique_ptr<Platform> platform(new Platform(std::move(options)));
  APIUM_RETURN_IF_ERROR(platform->StartAll());
  return platform;
}

Platform::Platform(PlatformOptions options) : options_(std::move(options)) {}

absl::Status Platform::StartAll() {
  std::filesystem::create_directories(options_.folder);
  APIUM_ASSIGN_OR_RETURN(broker_address_, FreeAddress());
  do {
    APIUM_ASSIGN_OR_RETURN(results_address_, FreeAddress());
  } while (results_address_ == broker_address_);
  const auto server = [this](const std::string& binary,
                             const std::string& address,
                             const std::string& data) {
    return std::vector<std::string>{
        binary,
        StrCat("--listen=", address),
        StrCat("--data=", options_.folder, "/", data),
        "--http-listen=127.0.0.1:0",
        "--log-level=info",
        "--log-format=text"};
  };
  std::vector<std::string> broker =
      server(options_.broker_binary, broker_address_, "broker");
  broker.insert(broker.end(), {StrCat("--results=", results_address_),
                               StrCat("--lease-duration=", kLeaseDuration),
                               StrCat("--reattach-grace=", kLeaseDuration)});
  broker.insert(broker.end(), options_.broker_flags.begin(),
                options_.broker_flags.end());
  processes_.push_back({ProcessKind::kBroker, "broker", std::move(broker)});
  processes_.push_back(
      {ProcessKind::kResults, "results",
       server("results/apium-results", results_address_, "results")});
  APIUM_RETURN_IF_ERROR(StartDead());
  APIUM_RETURN_IF_ERROR(AwaitServing(kStartTimeout));
  APIUM_RETURN_IF_ERROR(MakeQueues());

  if (options_.builtin_worker) {
    processes_.push_back(
        {ProcessKind::kBuiltinWorker,
         "builtin",
         {"worker/apium-worker", StrCat("--broker=", broker_address_),
          StrCat("--queues=", kBuiltinQueue), "--worker-id=builtin",
          "--concurrency=2", "--http-listen=127.0.0.1:0"}});
  }
  for (size_t i = 0; i < options_.workers; ++i) {
    const std::string name = StrCat("worker-", i);
    processes_.push_back(
        {ProcessKind::kWorker,
         name,
         {"tests/crash/history_worker", StrCat("--broker=", broker_address_),
          StrCat("--queues=", kQueue), StrCat("--worker-id=", name),
          "--concurrency=4", "--prefetch=2"}});
  }
  return StartDead();
}

absl::Status Platform::MakeQueues() {
  ClientOptions options;
  options.addresses = {broker_address_};
  APIUM_ASSIGN_OR_RETURN(auto connection, Connection::Open(options));
  QueueClient client(connection);
  for (const char* name : {kQueue, kBuiltinQueue}) {
    v1::Queue queue;
    queue.set_name(name);
    APIUM_RETURN_IF_ERROR(client.Create(std::move(queue)).status());
  }
  return absl::OkStatus();
}

std::string Platform::NameOf(const Process& process) {
  return StrCat(process.name, ".", process.starts);
}

std::string Platform::PortFile(const Process& process) const {
  return StrCat(options_.folder, "/", NameOf(process), ".port");
}

absl::Status Platform::StartProcess(Process* process) {
  ++process->starts;
  process->serving = false;
  ChildProcess::Options child{
      .arguments = process->arguments,
      .output_file = StrCat(options_.folder, "/", process->name, ".log")};
  std::string history;
  if (process->kind == ProcessKind::kWorker) {
    history = StrCat(options_.folder, "/", NameOf(*process), ".history");
    child.arguments.push_back(StrCat("--history=", history));
  } else {
    child.arguments.push_back(StrCat("--port-file=", PortFile(*process)));
  }
  APIUM_ASSIGN_OR_RETURN(process->child, ChildProcess::Start(child));
  if (!history.empty()) {
    histories_.push_back({std::move(history), NameOf(*process)});
  }
  return absl::OkStatus();
}

absl::Status Platform::StartDead() {
  for (Process& process : processes_) {
    if (process.child == nullptr) {
      APIUM_RETURN_IF_ERROR(StartProcess(&process));
    }
  }
  return absl::OkStatus();
}

absl::Status Platform::AwaitServing(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  for (const size_t place : {kBroker, kResults}) {
    Process& process = processes_[place];
    if (process.serving) continue;
    const auto ports =
        AwaitPortFile(process.child.get(), PortFile(process),
                      std::max(absl::ZeroDuration(), deadline - absl::Now()));
    if (!ports.ok()) {
      return absl::Status(
          ports.status().code(),
          StrCat(process.name, ": ", ports.status().message(), "; see ",
                 options_.folder, "/", process.name, ".log"));
    }
    process.serving = true;
  }
  return absl::OkStatus();
}

void Platform::Kill(const std::vector<size_t>& processes, size_t round) {
  const Moment sent = MonotonicNow();
  for (const size_t place : processes) {
    processes_[place].child->Signal(SIGKILL);
  }
  for (const size_t place : processes) {
    Process& process = processes_[place];
    process.child->Wait();
    kills_.push_back({.kind = process.kind,
                      .process = NameOf(process),
                      .round = round,
                      .sent = sent,
                      .dead = MonotonicNow(),
                      .dead_time = absl::Now()});
    process.child.reset();
  }
}

absl::Status Platform::CheckAlive() {
  for (const Process& process : processes_) {
    if (process.child == nullptr || !process.child->HasEnded()) continue;
    return absl::FailedPreconditionError(
        StrCat(process.name, " ended by itself; see ", options_.folder, "/",
               process.name, ".log"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<ExecutionRecord>> Platform::ReadExecutions() const {
  std::vector<ExecutionRecord> executions;
  for (const HistoryFile& file : histories_) {
    APIUM_ASSIGN_OR_RETURN(std::vector<ExecutionRecord> read,
                           ReadHistoryFile(file.path, file.worker));
    executions.insert(executions.end(), read.begin(), read.end());
  }
  return executions;
}

}  // namespace apium::crash
