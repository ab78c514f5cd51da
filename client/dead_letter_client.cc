#include "client/dead_letter_client.h"

#include <grpcpp/channel.h>

#include <utility>

#include "apium/v1/dead_letter_service.grpc.pb.h"
#include "client/connection.h"
#include "client/unary_call.h"
#include "common/status_macros.h"

namespace apium {

using Stub = v1::DeadLetterService::Stub;

struct DeadLetterClient::Rpc {
  std::unique_ptr<Stub> stub;
};

DeadLetterClient::DeadLetterClient(std::shared_ptr<Connection> connection,
                                   std::string queue)
    : connection_(std::move(connection)),
      queue_(std::move(queue)),
      rpc_(std::make_unique<Rpc>(
          Rpc{v1::DeadLetterService::NewStub(connection_->channel())})) {}

DeadLetterClient::~DeadLetterClient() = default;

template <typename Request>
Request DeadLetterClient::NewRequest() const {
  Request request;
  request.set_namespace_(connection_->options().namespace_name);
  request.set_queue(queue_);
  return request;
}

absl::StatusOr<v1::ListDeadLettersResponse> DeadLetterClient::List(
    const v1::DeadLetterFilter& filter, uint32_t page_size,
    std::string_view page_token) {
  auto request = NewRequest<v1::ListDeadLettersRequest>();
  *request.mutable_filter() = filter;
  request.set_page_size(page_size);
  request.set_page_token(std::string(page_token));
  return BlockingCall(QuickCall(connection_->options()), rpc_->stub.get(),
                      &Stub::ListDeadLetters, request);
}

absl::StatusOr<v1::DeadLetter> DeadLetterClient::Get(std::string_view task_id) {
  auto request = NewRequest<v1::GetDeadLetterRequest>();
  request.set_task_id(std::string(task_id));
  APIUM_ASSIGN_OR_RETURN(
      v1::GetDeadLetterResponse response,
      BlockingCall(QuickCall(connection_->options()), rpc_->stub.get(),
                   &Stub::GetDeadLetter, request));
  return std::move(*response.mutable_dead_letter());
}

absl::StatusOr<std::string> DeadLetterClient::Redrive(
    std::string_view task_id, v1::RedriveDeadLetterRequest edits) {
  edits.set_namespace_(connection_->options().namespace_name);
  edits.set_queue(queue_);
  edits.set_task_id(std::string(task_id));
  APIUM_ASSIGN_OR_RETURN(
      v1::RedriveDeadLetterResponse response,
      BlockingCall(QuickCall(connection_->options(), CallKind::kNotIdempotent),
                   rpc_->stub.get(), &Stub::RedriveDeadLetter, edits));
  return std::move(*response.mutable_task_id());
}

absl::Status DeadLetterClient::Discard(std::string_view task_id) {
  auto request = NewRequest<v1::DiscardDeadLetterRequest>();
  request.set_task_id(std::string(task_id));
  return BlockingCall(QuickCall(connection_->options()), rpc_->stub.get(),
                      &Stub::DiscardDeadLetter, request)
      .status();
}

absl::StatusOr<uint64_t> DeadLetterClient::Purge() {
  APIUM_ASSIGN_OR_RETURN(
      v1::PurgeDeadLettersResponse response,
      BlockingCall(QuickCall(connection_->options()), rpc_->stub.get(),
                   &Stub::PurgeDeadLetters,
                   NewRequest<v1::PurgeDeadLettersRequest>()));
  return response.purged();
}

absl::StatusOr<v1::Redrive> DeadLetterClient::StartRedrive(
    const RedriveOptions& options) {
  auto request = NewRequest<v1::StartRedriveRequest>();
  *request.mutable_filter() = options.filter;
  request.set_max_per_second(options.max_per_second);
  request.set_target_queue(options.target_queue);
  request.set_dry_run(options.dry_run);
  APIUM_ASSIGN_OR_RETURN(
      v1::StartRedriveResponse response,
      BlockingCall(QuickCall(connection_->options(), CallKind::kNotIdempotent),
                   rpc_->stub.get(), &Stub::StartRedrive, request));
  return std::move(*response.mutable_redrive());
}

absl::StatusOr<v1::Redrive> DeadLetterClient::GetRedrive() {
  APIUM_ASSIGN_OR_RETURN(
      v1::GetRedriveResponse response,
      BlockingCall(QuickCall(connection_->options()), rpc_->stub.get(),
                   &Stub::GetRedrive, NewRequest<v1::GetRedriveRequest>()));
  return std::move(*response.mutable_redrive());
}

absl::StatusOr<v1::Redrive> DeadLetterClient::CancelRedrive() {
  APIUM_ASSIGN_OR_RETURN(v1::CancelRedriveResponse response,
                         BlockingCall(QuickCall(connection_->options()),
                                      rpc_->stub.get(), &Stub::CancelRedrive,
                                      NewRequest<v1::CancelRedriveRequest>()));
  return std::move(*response.mutable_redrive());
}

}  // namespace apium
