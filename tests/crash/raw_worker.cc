#include "tests/crash/raw_worker.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <utility>

#include "absl/time/clock.h"
#include "common/rpc/grpc_status.h"
#include "common/status_macros.h"
#include "common/strings.h"

namespace apium::crash {

RawWorker::RawWorker(Options options)
    : options_(std::move(options)),
      stub_(v1::WorkerService::NewStub(grpc::CreateChannel(
          options_.broker_address, grpc::InsecureChannelCredentials()))) {}

RawWorker::~RawWorker() {
  if (stream_ == nullptr) return;
  context_->TryCancel();
  stream_->Finish();
}

absl::Status RawWorker::Open() {
  context_ = std::make_unique<grpc::ClientContext>();
  context_->set_wait_for_ready(true);
  context_->set_deadline(absl::ToChronoTime(absl::Now() + options_.timeout));
  stream_ = stub_->Work(context_.get());
  v1::WorkRequest request;
  v1::Hello& hello = *request.mutable_hello();
  hello.set_worker_id(options_.worker_id);
  hello.add_task_types()->set_type(options_.type);
  hello.add_queues()->set_queue(options_.queue);
  hello.set_slots(1);
  APIUM_RETURN_IF_ERROR(Write(request));
  return Read().status();  // the welcome
}

absl::Status RawWorker::Break() {
  context_->TryCancel();
  stream_->Finish();
  stream_.reset();
  const absl::Time deadline = absl::Now() + options_.timeout;
  while (absl::Now() < deadline) {
    grpc::ClientContext context;
    v1::ListWorkersResponse response;
    const grpc::Status status = stub_->ListWorkers(&context, {}, &response);
    if (!status.ok()) return FromGrpcStatus(status);
    bool connected = false;
    for (const v1::Worker& worker : response.workers()) {
      connected |=
          worker.worker_id() == options_.worker_id && worker.connected();
    }
    if (!connected) return absl::OkStatus();
  }
  return absl::DeadlineExceededError("the broker still sees the worker");
}

absl::StatusOr<v1::Delivery> RawWorker::Take() {
  v1::WorkRequest request;
  request.mutable_report()->set_credit(1);
  APIUM_RETURN_IF_ERROR(Write(request));
  while (true) {
    APIUM_ASSIGN_OR_RETURN(const v1::WorkResponse response, Read());
    if (response.push().deliveries_size() > 0) {
      return response.push().deliveries(0);
    }
  }
}

absl::Status RawWorker::Succeed(const v1::Lease& lease,
                                const std::string& result) {
  v1::WorkRequest request;
  v1::ExecutionOutcome& outcome = *request.mutable_report()->add_outcomes();
  *outcome.mutable_lease() = lease;
  outcome.mutable_result()->set_data(result);
  APIUM_RETURN_IF_ERROR(Write(request));
  while (true) {
    APIUM_ASSIGN_OR_RETURN(const v1::WorkResponse response, Read());
    for (const uint64_t epoch : response.push().acknowledged_epochs()) {
      if (epoch == lease.epoch()) return absl::OkStatus();
    }
    for (const v1::RefusedReport& refused : response.push().refused()) {
      if (refused.epoch() != lease.epoch()) continue;
      return absl::FailedPreconditionError(refused.error().reason());
    }
  }
}

absl::Status RawWorker::Write(const v1::WorkRequest& request) {
  return stream_->Write(request) ? absl::OkStatus() : End();
}

absl::StatusOr<v1::WorkResponse> RawWorker::Read() {
  v1::WorkResponse response;
  if (!stream_->Read(&response)) return End();
  return response;
}

absl::Status RawWorker::End() {
  const grpc::Status status = stream_->Finish();
  stream_.reset();
  return absl::UnavailableError(
      StrCat("the stream ended: ", status.error_message()));
}

}  // namespace apium::crash
