#include "client/queue_client.h"

#include <grpcpp/channel.h>

#include <utility>

#include "apium/v1/queue_service.grpc.pb.h"
#include "client/connection.h"
#include "client/unary_call.h"
#include "common/status_macros.h"

namespace apium {
namespace {

using Stub = v1::QueueService::Stub;

template <typename Request>
Request RequestFor(const ClientOptions& options, std::string_view name) {
  Request request;
  request.set_namespace_(options.namespace_name);
  request.set_name(std::string(name));
  return request;
}

}  // namespace

struct QueueClient::Rpc {
  std::unique_ptr<Stub> stub;
};

QueueClient::QueueClient(std::shared_ptr<Connection> connection)
    : connection_(std::move(connection)),
      rpc_(std::make_unique<Rpc>(
          Rpc{v1::QueueService::NewStub(connection_->channel())})) {}

QueueClient::~QueueClient() = default;

absl::StatusOr<v1::Queue> QueueClient::Create(v1::Queue queue) {
  v1::CreateQueueRequest request;
  request.set_namespace_(connection_->options().namespace_name);
  request.mutable_queue()->Swap(&queue);
  APIUM_ASSIGN_OR_RETURN(
      v1::CreateQueueResponse response,
      BlockingCall(QuickCall(connection_->options(), CallKind::kNotIdempotent),
                   rpc_->stub.get(), &Stub::CreateQueue, request));
  return std::move(*response.mutable_queue());
}

absl::StatusOr<v1::Queue> QueueClient::Get(std::string_view name) {
  APIUM_ASSIGN_OR_RETURN(
      v1::GetQueueResponse response,
      BlockingCall(
          QuickCall(connection_->options()), rpc_->stub.get(), &Stub::GetQueue,
          RequestFor<v1::GetQueueRequest>(connection_->options(), name)));
  return std::move(*response.mutable_queue());
}

absl::StatusOr<v1::ListQueuesResponse> QueueClient::List(
    uint32_t page_size, std::string_view page_token) {
  v1::ListQueuesRequest request;
  request.set_namespace_(connection_->options().namespace_name);
  request.set_page_size(page_size);
  request.set_page_token(std::string(page_token));
  return BlockingCall(QuickCall(connection_->options()), rpc_->stub.get(),
                      &Stub::ListQueues, request);
}

absl::StatusOr<v1::Queue> QueueClient::Update(
    v1::Queue queue, const std::vector<std::string>& paths) {
  v1::UpdateQueueRequest request;
  request.set_namespace_(connection_->options().namespace_name);
  request.mutable_queue()->Swap(&queue);
  for (const std::string& path : paths)
    request.mutable_update_mask()->add_paths(path);
  APIUM_ASSIGN_OR_RETURN(
      v1::UpdateQueueResponse response,
      BlockingCall(QuickCall(connection_->options(), CallKind::kNotIdempotent),
                   rpc_->stub.get(), &Stub::UpdateQueue, request));
  return std::move(*response.mutable_queue());
}

absl::Status QueueClient::Delete(std::string_view name) {
  return BlockingCall(
             QuickCall(connection_->options(), CallKind::kNotIdempotent),
             rpc_->stub.get(), &Stub::DeleteQueue,
             RequestFor<v1::DeleteQueueRequest>(connection_->options(), name))
      .status();
}

absl::StatusOr<v1::Queue> QueueClient::Pause(std::string_view name,
                                             const QueuePauseOptions& options) {
  auto request =
      RequestFor<v1::PauseQueueRequest>(connection_->options(), name);
  request.set_paused_by(options.paused_by);
  request.set_reason(options.reason);
  APIUM_ASSIGN_OR_RETURN(
      v1::PauseQueueResponse response,
      BlockingCall(QuickCall(connection_->options()), rpc_->stub.get(),
                   &Stub::PauseQueue, request));
  return std::move(*response.mutable_queue());
}

absl::StatusOr<v1::Queue> QueueClient::Resume(std::string_view name) {
  APIUM_ASSIGN_OR_RETURN(v1::ResumeQueueResponse response,
                         BlockingCall(QuickCall(connection_->options()),
                                      rpc_->stub.get(), &Stub::ResumeQueue,
                                      RequestFor<v1::ResumeQueueRequest>(
                                          connection_->options(), name)));
  return std::move(*response.mutable_queue());
}

absl::StatusOr<uint64_t> QueueClient::Purge(std::string_view name) {
  APIUM_ASSIGN_OR_RETURN(v1::PurgeQueueResponse response,
                         BlockingCall(QuickCall(connection_->options()),
                                      rpc_->stub.get(), &Stub::PurgeQueue,
                                      RequestFor<v1::PurgeQueueRequest>(
                                          connection_->options(), name)));
  return response.purged();
}

absl::StatusOr<v1::PeekQueueResponse> QueueClient::Peek(std::string_view name,
                                                        uint32_t max_tasks,
                                                        v1::TaskView view) {
  auto request = RequestFor<v1::PeekQueueRequest>(connection_->options(), name);
  request.set_max_tasks(max_tasks);
  request.set_view(view);
  return BlockingCall(QuickCall(connection_->options()), rpc_->stub.get(),
                      &Stub::PeekQueue, request);
}

absl::StatusOr<v1::ExplainQueueResponse> QueueClient::Explain(
    std::string_view name) {
  return BlockingCall(
      QuickCall(connection_->options()), rpc_->stub.get(), &Stub::ExplainQueue,
      RequestFor<v1::ExplainQueueRequest>(connection_->options(), name));
}

absl::Status QueueClient::ReleaseOrderingKey(std::string_view queue,
                                             std::string_view ordering_key) {
  v1::ReleaseOrderingKeyRequest request;
  request.set_namespace_(connection_->options().namespace_name);
  request.set_queue(std::string(queue));
  request.set_ordering_key(std::string(ordering_key));
  return BlockingCall(
             QuickCall(connection_->options(), CallKind::kNotIdempotent),
             rpc_->stub.get(), &Stub::ReleaseOrderingKey, request)
      .status();
}

}  // namespace apium
