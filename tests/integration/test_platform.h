#ifndef APIUM_TESTS_INTEGRATION_TEST_PLATFORM_H_
#define APIUM_TESTS_INTEGRATION_TEST_PLATFORM_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "apium/v1/task.pb.h"
#include "client/batch_client.h"
#include "client/queue_client.h"
#include "client/result_client.h"
#include "client/task_client.h"
#include "client/worker_admin.h"
#include "tests/support/child_process.h"

namespace apium {

class Connection;

// No wait of a test takes that long, however slow the machine is.
inline constexpr absl::Duration kLongTime = absl::Seconds(90);

// The real programs on loopback with fresh data, and clients of them. What
// cannot be started ends the test. One thread.
class TestPlatform {
 public:
  // Starts result service, broker, and a worker with two slots.
  TestPlatform();

  TaskClient& tasks() { return *tasks_; }
  // To the broker, for other clients.
  const std::shared_ptr<Connection>& connection() { return connection_; }
  // A further one, whose calls give up after `deadline`.
  std::shared_ptr<Connection> ConnectToBroker(absl::Duration deadline) const;
  QueueClient& queues() { return *queues_; }
  BatchClient& batches() { return *batches_; }
  WorkerAdmin& workers() { return *workers_; }
  ResultClient& results() { return *results_; }

  // On the data and addresses of before.
  void StartBroker();
  void StartResults();
  // A further worker, with these flags besides its broker's address.
  std::unique_ptr<ChildProcess> StartWorker(
      const std::string& id, const std::vector<std::string>& flags);

  ChildProcess& broker() { return *broker_; }
  ChildProcess& result_service() { return *result_service_; }
  ChildProcess& worker() { return *worker_; }

  // What the program has written so far.
  std::string LogOf(const std::string& name) const;

 private:
  std::unique_ptr<ChildProcess> StartServer(const std::string& name,
                                            std::vector<std::string> arguments);

  const std::string folder_;
  const std::string broker_address_;
  const std::string results_address_;
  std::unique_ptr<ChildProcess> result_service_;
  std::unique_ptr<ChildProcess> broker_;
  std::unique_ptr<ChildProcess> worker_;
  std::shared_ptr<Connection> connection_;
  std::unique_ptr<TaskClient> tasks_;
  std::unique_ptr<QueueClient> queues_;
  std::unique_ptr<BatchClient> batches_;
  std::unique_ptr<WorkerAdmin> workers_;
  std::unique_ptr<ResultClient> results_;
};

// "SUCCEEDED", "QUEUED"; "SUCCEEDED#2" with its attempt, if that is not the
// first; the error where there is none.
std::string Describe(const absl::StatusOr<v1::Task>& task);

// Waits until the task is described so.
bool AwaitDescription(TaskClient* client, std::string_view task_id,
                      std::string_view description);

}  // namespace apium

#endif  // APIUM_TESTS_INTEGRATION_TEST_PLATFORM_H_
