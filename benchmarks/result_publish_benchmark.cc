// What an outcome costs the whole result service: a broker in this process
// publishes batches to a service in a child process over loopback and RocksDB,
// with `window` batches unconfirmed. Prints the rate and the child's CPU.
//
//   bazel run //benchmarks:result_publish_benchmark

#include <grpcpp/grpcpp.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <string>
#include <thread>

#include "absl/time/clock.h"
#include "apium/v1/result_service.grpc.pb.h"
#include "common/check.h"
#include "common/process_init.h"
#include "common/shutdown.h"
#include "common/strings.h"
#include "common/uuid.h"
#include "results/result_server.h"

namespace apium::results {
namespace {

// The child: serves until SIGTERM.
int Serve(int port_pipe) {
  InitProcess({.service = "apium-results", .level = LogLevel::kError});
  ShutdownSignal shutdown;
  ResultServerConfig config;
  config.data_dir = "/tmp/apium-result-publish-benchmark";
  std::filesystem::remove_all(config.data_dir);
  auto server = ResultServer::Start(std::move(config));
  APIUM_CHECK_OK(server);
  const int port = (*server)->port();
  APIUM_CHECK(write(port_pipe, &port, sizeof(port)) == sizeof(port));
  shutdown.Wait();
  (*server)->Shutdown(absl::Seconds(1));
  return 0;
}

struct Load {
  int outcomes = 64;  // of a message
  int window = 64;    // messages unconfirmed
  absl::Duration time = absl::Seconds(5);
};

void Fill(const Load& load, uint64_t position, UuidV7Generator* ids,
          v1::PublishOutcomesRequest* request) {
  request->Clear();
  request->mutable_batch()->set_position(position);
  const absl::Time now = absl::Now();
  for (int i = 0; i < load.outcomes; ++i) {
    v1::TaskOutcome* outcome = request->mutable_batch()->add_outcomes();
    outcome->set_namespace_("default");
    outcome->set_task_id(ids->Next(now));
    outcome->set_type("apium.noop");
    outcome->set_queue("default");
    outcome->set_state(v1::TASK_STATE_SUCCEEDED);
    outcome->mutable_result()->set_data(std::string(100, 'x'));
    outcome->set_attempt(1);
    outcome->set_epoch(position);
    outcome->mutable_finish_time()->set_seconds(absl::ToUnixSeconds(now));
    outcome->set_worker_id("worker-1");
  }
}

// Publishes for load.time; returns the outcomes that were confirmed.
uint64_t Publish(int port, const Load& load) {
  auto stub = v1::ResultService::NewStub(grpc::CreateChannel(
      StrCat("127.0.0.1:", port), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  auto stream = stub->PublishOutcomes(&context);
  v1::PublishOutcomesRequest request;
  request.mutable_hello()->set_shard_id("benchmark");
  stream->Write(request);
  v1::PublishOutcomesResponse response;
  APIUM_CHECK(stream->Read(&response));
  const uint64_t first = response.confirmed_position();
  std::atomic<uint64_t> confirmed{first};
  std::thread reader([&] {
    v1::PublishOutcomesResponse confirmation;
    while (stream->Read(&confirmation)) {
      confirmed = confirmation.confirmed_position();
      confirmed.notify_one();
    }
  });
  UuidV7Generator ids;
  uint64_t position = first;
  const absl::Time until = absl::Now() + load.time;
  while (absl::Now() < until) {
    Fill(load, ++position, &ids, &request);
    uint64_t seen = confirmed;
    while (position - seen > static_cast<uint64_t>(load.window)) {
      confirmed.wait(seen);
      seen = confirmed;
    }
    APIUM_CHECK(stream->Write(request));
  }
  stream->WritesDone();
  reader.join();
  APIUM_CHECK(stream->Finish().ok());
  APIUM_CHECK(confirmed == position);
  return (position - first) * static_cast<uint64_t>(load.outcomes);
}

void Measure(const char* name, const Load& load) {
  int port_pipe[2];
  APIUM_CHECK(pipe(port_pipe) == 0);
  const pid_t child = fork();
  if (child == 0) {
    _exit(Serve(port_pipe[1]));
  }
  int port = 0;
  APIUM_CHECK(read(port_pipe[0], &port, sizeof(port)) == sizeof(port));
  const absl::Time begin = absl::Now();
  uint64_t outcomes = 0;
  // gRPC does not survive a fork, so that each client has a process, too.
  int count_pipe[2];
  APIUM_CHECK(pipe(count_pipe) == 0);
  const pid_t client = fork();
  if (client == 0) {
    outcomes = Publish(port, load);
    APIUM_CHECK(write(count_pipe[1], &outcomes, sizeof(outcomes)) ==
                sizeof(outcomes));
    _exit(0);
  }
  APIUM_CHECK(read(count_pipe[0], &outcomes, sizeof(outcomes)) ==
              sizeof(outcomes));
  const double seconds = absl::ToDoubleSeconds(absl::Now() - begin);
  waitpid(client, nullptr, 0);
  kill(child, SIGTERM);
  rusage usage;
  int status = 0;
  wait4(child, &status, 0, &usage);
  const auto micros = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) * 1e6 +
           static_cast<double>(time.tv_usec);
  };
  std::printf("%-28s %10.0f outcomes/s  %6.2f us CPU/outcome (%.2f user)\n",
              name, static_cast<double>(outcomes) / seconds,
              (micros(usage.ru_utime) + micros(usage.ru_stime)) /
                  static_cast<double>(outcomes),
              micros(usage.ru_utime) / static_cast<double>(outcomes));
  std::fflush(stdout);
}

}  // namespace
}  // namespace apium::results

int main() {
  using apium::results::Measure;
  Measure("64 per message, window 64", {.outcomes = 64, .window = 64});
  Measure("64 per message, window 8", {.outcomes = 64, .window = 8});
  Measure("512 per message, window 8", {.outcomes = 512, .window = 8});
  Measure("1 per message, window 256", {.outcomes = 1, .window = 256});
  return 0;
}
