#include "tests/broker/support/broker_harness.h"

#include <grpcpp/create_channel.h>

#include <utility>

#include "common/check.h"
#include "common/rpc/grpc_status.h"

namespace apium::broker {

BrokerHarness::BrokerHarness(BrokerConfig config) {
  config.self_probe = false;
  auto server = BrokerServer::Start(std::move(config));
  APIUM_CHECK_OK(server);
  server_ = *std::move(server);
  channel_ = grpc::CreateChannel(server_->local_target(),
                                 grpc::InsecureChannelCredentials());
  tasks_ = v1::TaskService::NewStub(channel_);
  queues_ = v1::QueueService::NewStub(channel_);
  batches_ = v1::BatchService::NewStub(channel_);
  workers_ = v1::WorkerService::NewStub(channel_);
  info_ = v1::ServerService::NewStub(channel_);
}

absl::StatusOr<std::string> BrokerHarness::Submit(const v1::TaskSpec& spec) {
  TestContext context;
  v1::SubmitTaskRequest request;
  *request.mutable_spec() = spec;
  v1::SubmitTaskResponse response;
  const grpc::Status status = tasks_->SubmitTask(&context, request, &response);
  if (!status.ok()) return FromGrpcStatus(status);
  return response.task_id();
}

absl::StatusOr<v1::Task> BrokerHarness::Get(const std::string& task_id) {
  TestContext context;
  v1::GetTaskRequest request;
  request.set_task_id(task_id);
  v1::GetTaskResponse response;
  const grpc::Status status = tasks_->GetTask(&context, request, &response);
  if (!status.ok()) return FromGrpcStatus(status);
  return response.task();
}

absl::StatusOr<v1::Task> BrokerHarness::Wait(const std::string& task_id) {
  TestContext context;
  v1::WaitTaskRequest request;
  request.set_task_id(task_id);
  v1::WaitTaskResponse response;
  const grpc::Status status = tasks_->WaitTask(&context, request, &response);
  if (!status.ok()) return FromGrpcStatus(status);
  return response.task();
}

absl::StatusOr<v1::Task> BrokerHarness::Cancel(const std::string& task_id) {
  TestContext context;
  v1::CancelTaskRequest request;
  request.set_task_id(task_id);
  v1::CancelTaskResponse response;
  const grpc::Status status = tasks_->CancelTask(&context, request, &response);
  if (!status.ok()) return FromGrpcStatus(status);
  return response.task();
}

v1::TaskSpec Spec(const std::string& type, const std::string& data) {
  v1::TaskSpec spec;
  spec.set_type(type);
  spec.mutable_payload()->set_data(data);
  return spec;
}

v1::Hello HelloFor(const std::string& worker_id, const std::string& type) {
  v1::Hello hello;
  hello.set_worker_id(worker_id);
  hello.add_task_types()->set_type(type);
  hello.set_slots(1);
  return hello;
}

TestWorker::TestWorker(BrokerHarness& broker, const v1::Hello& hello)
    : TestWorker(broker) {
  v1::WorkRequest request;
  *request.mutable_hello() = hello;
  Send(request);
  const std::optional<v1::WorkResponse> response = Read();
  APIUM_CHECK(response.has_value() && response->has_welcome())
      << "no welcome: " << End();
  welcome_ = response->welcome();
}

TestWorker::~TestWorker() {
  context_.TryCancel();
  if (!ended_) End().IgnoreError();
}

void TestWorker::Send(const v1::WorkRequest& request) {
  // A stream that has ended tells so when it is read.
  stream_->Write(request);
}

void TestWorker::Report(const v1::WorkerReport& report) {
  v1::WorkRequest request;
  *request.mutable_report() = report;
  Send(request);
}

void TestWorker::Grant(uint32_t credit) {
  v1::WorkerReport report;
  report.set_credit(credit);
  Report(report);
}

void TestWorker::Succeed(const v1::Delivery& delivery,
                         const std::string& result) {
  v1::WorkerReport report;
  v1::ExecutionOutcome* const outcome = report.add_outcomes();
  *outcome->mutable_lease() = delivery.lease();
  outcome->mutable_result()->set_data(result);
  Report(report);
}

std::optional<v1::WorkResponse> TestWorker::Read() {
  v1::WorkResponse response;
  if (!stream_->Read(&response)) return std::nullopt;
  return response;
}

std::vector<v1::Delivery> TestWorker::Deliveries(size_t count) {
  std::vector<v1::Delivery> deliveries;
  while (deliveries.size() < count) {
    const std::optional<v1::WorkResponse> response = Read();
    if (!response.has_value()) break;
    for (const v1::Delivery& delivery : response->push().deliveries()) {
      deliveries.push_back(delivery);
    }
  }
  return deliveries;
}

v1::BrokerPush TestWorker::NextVerdict() {
  while (true) {
    const std::optional<v1::WorkResponse> response = Read();
    if (!response.has_value()) return {};
    const v1::BrokerPush& push = response->push();
    if (push.acknowledged_epochs_size() + push.refused_size() > 0) return push;
  }
}

absl::Status TestWorker::End() {
  while (Read().has_value()) {
  }
  ended_ = true;
  return FromGrpcStatus(stream_->Finish());
}

}  // namespace apium::broker
