#ifndef APIUM_TESTS_BROKER_SUPPORT_BROKER_HARNESS_H_
#define APIUM_TESTS_BROKER_SUPPORT_BROKER_HARNESS_H_

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "apium/v1/batch_service.grpc.pb.h"
#include "apium/v1/queue_service.grpc.pb.h"
#include "apium/v1/server_service.grpc.pb.h"
#include "apium/v1/task_service.grpc.pb.h"
#include "apium/v1/worker_service.grpc.pb.h"
#include "broker/broker_server.h"

namespace apium::broker {

// Longer than anything takes on a slow, busy machine.
inline constexpr absl::Duration kTestDeadline = absl::Seconds(120);

// A call's context that ends in time.
struct TestContext : grpc::ClientContext {
  TestContext() {
    set_deadline(absl::ToChronoTime(absl::Now() + kTestDeadline));
  }
};

// A broker of its own on a free port, in memory unless `config` says otherwise,
// and calls to it over TCP. Failing to start fails the test (APIUM_CHECK).
class BrokerHarness {
 public:
  explicit BrokerHarness(BrokerConfig config = {});

  BrokerServer& server() { return *server_; }
  const std::shared_ptr<grpc::Channel>& channel() { return channel_; }
  v1::TaskService::Stub& tasks() { return *tasks_; }
  v1::QueueService::Stub& queues() { return *queues_; }
  v1::BatchService::Stub& batches() { return *batches_; }
  v1::WorkerService::Stub& workers() { return *workers_; }
  v1::ServerService::Stub& info() { return *info_; }

  // In namespace "default".
  absl::StatusOr<std::string> Submit(const v1::TaskSpec& spec);
  absl::StatusOr<v1::Task> Get(const std::string& task_id);
  absl::StatusOr<v1::Task> Wait(const std::string& task_id);
  absl::StatusOr<v1::Task> Cancel(const std::string& task_id);

 private:
  std::unique_ptr<BrokerServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::TaskService::Stub> tasks_;
  std::unique_ptr<v1::QueueService::Stub> queues_;
  std::unique_ptr<v1::BatchService::Stub> batches_;
  std::unique_ptr<v1::WorkerService::Stub> workers_;
  std::unique_ptr<v1::ServerService::Stub> info_;
};

// A spec of `type` with `data`.
v1::TaskSpec Spec(const std::string& type, const std::string& data = "");

// A hello for tasks of `type` in queue "default".
v1::Hello HelloFor(const std::string& worker_id, const std::string& type);

// A worker's stream, by hand.
class TestWorker {
 public:
  explicit TestWorker(BrokerHarness& broker)
      : stream_(broker.workers().Work(&context_)) {}
  // Says hello and reads the welcome.
  TestWorker(BrokerHarness& broker, const v1::Hello& hello);
  ~TestWorker();

  void Send(const v1::WorkRequest& request);
  void Report(const v1::WorkerReport& report);
  void Grant(uint32_t credit);
  void Succeed(const v1::Delivery& delivery, const std::string& result);

  // The next message; nothing when the stream has ended.
  std::optional<v1::WorkResponse> Read();
  // Reads until there are `count` deliveries.
  std::vector<v1::Delivery> Deliveries(size_t count);
  // Reads until an outcome is acknowledged or refused.
  v1::BrokerPush NextVerdict();
  // Reads to the end of the stream, and says how it ended.
  absl::Status End();
  void Cancel() { context_.TryCancel(); }

  const v1::Welcome& welcome() const { return welcome_; }

 private:
  TestContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::WorkRequest, v1::WorkResponse>>
      stream_;
  v1::Welcome welcome_;
  bool ended_ = false;
};

}  // namespace apium::broker

#endif  // APIUM_TESTS_BROKER_SUPPORT_BROKER_HARNESS_H_
