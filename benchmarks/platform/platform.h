#ifndef APIUM_BENCHMARKS_PLATFORM_PLATFORM_H_
#define APIUM_BENCHMARKS_PLATFORM_PLATFORM_H_

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "client/queue_client.h"
#include "client/result_client.h"
#include "client/task_client.h"
#include "tests/support/child_process.h"

namespace apium::benchmark {

struct PlatformOptions {
  std::string broker_program;
  std::string results_program;
  std::string worker_program;
  std::string folder;  // data, port files and logs
  int worker_slots = 4096;
  int worker_concurrency = 2;
};

// The real binaries on loopback with fresh data, and clients of them. Any
// failure to start ends the benchmark with a message.
class Platform {
 public:
  static std::unique_ptr<Platform> Start(const PlatformOptions& options);

  TaskClient& tasks() { return *tasks_; }
  QueueClient& queues() { return *queues_; }
  ResultClient& results() { return *results_; }

  ChildProcess& broker() { return *broker_; }
  ChildProcess& result_service() { return *result_service_; }
  ChildProcess& worker() { return *worker_; }

  // Kills the broker and starts it again on its data; returns how long it took
  // until it answered for its queue.
  absl::Duration RestartBroker();

 private:
  explicit Platform(const PlatformOptions& options) : options_(options) {}
  std::unique_ptr<ChildProcess> StartServer(const std::string& name,
                                            std::vector<std::string> arguments,
                                            BoundPorts* ports);
  void StartBroker(int port);

  const PlatformOptions options_;
  BoundPorts broker_ports_;
  BoundPorts results_ports_;
  std::unique_ptr<ChildProcess> result_service_;
  std::unique_ptr<ChildProcess> broker_;
  std::unique_ptr<ChildProcess> worker_;
  std::unique_ptr<TaskClient> tasks_;
  std::unique_ptr<QueueClient> queues_;
  std::unique_ptr<ResultClient> results_;
};

}  // namespace apium::benchmark

#endif  // APIUM_BENCHMARKS_PLATFORM_PLATFORM_H_
