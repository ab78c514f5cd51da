#include "tests/results/result_client.h"

#include "absl/time/clock.h"
#include "common/rpc/grpc_status.h"

namespace apium::results {

v1::TaskOutcome MakeOutcome(const std::string& id) {
  v1::TaskOutcome outcome;
  outcome.set_namespace_("default");
  outcome.set_task_id(id);
  outcome.set_type("t");
  outcome.set_queue("q");
  outcome.set_state(v1::TASK_STATE_SUCCEEDED);
  outcome.mutable_result()->set_data("r-" + id);
  return outcome;
}

void SetDeadline(grpc::ClientContext* context) {
  context->set_deadline(absl::ToChronoTime(absl::Now() + kTestDeadline));
  context->set_wait_for_ready(true);
}

PublishClient::PublishClient(v1::ResultService::Stub* stub) {
  SetDeadline(&context_);
  stream_ = stub->PublishOutcomes(&context_);
}

PublishClient::~PublishClient() {
  if (stream_ != nullptr) {
    context_.TryCancel();
    stream_->Finish();
  }
}

bool PublishClient::Send(const v1::PublishOutcomesRequest& request) {
  return stream_->Write(request);
}

bool PublishClient::Hello(const std::string& shard_id) {
  v1::PublishOutcomesRequest request;
  request.mutable_hello()->set_shard_id(shard_id);
  return Send(request);
}

bool PublishClient::Publish(uint64_t position,
                            const std::vector<v1::TaskOutcome>& outcomes) {
  v1::PublishOutcomesRequest request;
  request.mutable_batch()->set_position(position);
  for (const v1::TaskOutcome& outcome : outcomes) {
    *request.mutable_batch()->add_outcomes() = outcome;
  }
  return Send(request);
}

std::optional<uint64_t> PublishClient::ReadConfirmation() {
  v1::PublishOutcomesResponse response;
  if (!stream_->Read(&response)) {
    return std::nullopt;
  }
  return response.confirmed_position();
}

bool PublishClient::AwaitConfirmation(uint64_t position) {
  while (true) {
    const std::optional<uint64_t> confirmed = ReadConfirmation();
    if (!confirmed.has_value() || *confirmed >= position) {
      return confirmed.has_value();
    }
  }
}

absl::Status PublishClient::Finish() {
  while (ReadConfirmation().has_value()) {
  }
  const grpc::Status status = stream_->Finish();
  stream_.reset();
  return FromGrpcStatus(status);
}

WatchClient::WatchClient(v1::ResultService::Stub* stub,
                         const v1::WatchResultsRequest& request) {
  SetDeadline(&context_);
  stream_ = stub->WatchResults(&context_, request);
}

WatchClient::~WatchClient() {
  if (stream_ != nullptr) {
    context_.TryCancel();
    stream_->Finish();
  }
}

std::vector<std::string> WatchClient::ReadIds(size_t count) {
  std::vector<std::string> ids;
  v1::WatchResultsResponse response;
  while (ids.size() < count && stream_->Read(&response)) {
    cursor_ = response.cursor();
    for (const v1::TaskOutcome& outcome : response.outcomes()) {
      ids.push_back(outcome.task_id());
    }
  }
  return ids;
}

absl::Status WatchClient::Finish() {
  v1::WatchResultsResponse response;
  while (stream_->Read(&response)) {
  }
  const grpc::Status status = stream_->Finish();
  stream_.reset();
  return FromGrpcStatus(status);
}

absl::StatusOr<v1::TaskOutcome> Get(v1::ResultService::Stub* stub,
                                    const std::string& id,
                                    const std::string& name_space) {
  grpc::ClientContext context;
  SetDeadline(&context);
  v1::GetResultRequest request;
  request.set_task_id(id);
  request.set_namespace_(name_space);
  v1::GetResultResponse response;
  const grpc::Status status = stub->GetResult(&context, request, &response);
  if (!status.ok()) {
    return FromGrpcStatus(status);
  }
  return response.outcome();
}

absl::StatusOr<v1::ListResultsResponse> List(
    v1::ResultService::Stub* stub, const v1::ListResultsRequest& request) {
  grpc::ClientContext context;
  SetDeadline(&context);
  v1::ListResultsResponse response;
  const grpc::Status status = stub->ListResults(&context, request, &response);
  if (!status.ok()) {
    return FromGrpcStatus(status);
  }
  return response;
}

absl::StatusOr<v1::TaskOutcome> Wait(v1::ResultService::Stub* stub,
                                     const v1::WaitResultRequest& request) {
  grpc::ClientContext context;
  SetDeadline(&context);
  v1::WaitResultResponse response;
  const grpc::Status status = stub->WaitResult(&context, request, &response);
  if (!status.ok()) {
    return FromGrpcStatus(status);
  }
  return response.outcome();
}

absl::Status Forget(v1::ResultService::Stub* stub, const std::string& id) {
  grpc::ClientContext context;
  SetDeadline(&context);
  v1::ForgetResultRequest request;
  request.set_task_id(id);
  v1::ForgetResultResponse response;
  return FromGrpcStatus(stub->ForgetResult(&context, request, &response));
}

}  // namespace apium::results
