#include "client/batch_client.h"

#include <grpcpp/channel.h>

#include <utility>

#include "apium/v1/batch_service.grpc.pb.h"
#include "client/connection.h"
#include "client/unary_call.h"
#include "common/status_macros.h"
#include "common/uuid.h"

namespace apium {
namespace {

using Stub = v1::BatchService::Stub;

template <typename Request>
Request RequestFor(const ClientOptions& options, std::string_view batch_id) {
  Request request;
  request.set_namespace_(options.namespace_name);
  request.set_batch_id(std::string(batch_id));
  return request;
}

}  // namespace

struct BatchClient::Rpc {
  std::unique_ptr<Stub> stub;
};

BatchClient::BatchClient(std::shared_ptr<Connection> connection)
    : connection_(std::move(connection)),
      rpc_(std::make_unique<Rpc>(
          Rpc{v1::BatchService::NewStub(connection_->channel())})) {}

BatchClient::~BatchClient() = default;

absl::StatusOr<v1::Batch> BatchClient::Create(BatchOptions options) {
  v1::Batch batch;
  batch.set_batch_id(std::move(options.batch_id));
  batch.set_description(std::move(options.description));
  if (options.on_success)
    *batch.mutable_on_success() = ToTaskSpec(*std::move(options.on_success));
  if (options.on_complete)
    *batch.mutable_on_complete() = ToTaskSpec(*std::move(options.on_complete));
  if (options.on_first_failure)
    *batch.mutable_on_first_failure() =
        ToTaskSpec(*std::move(options.on_first_failure));
  return Create(std::move(batch));
}

absl::StatusOr<v1::Batch> BatchClient::Create(v1::Batch batch) {
  if (batch.batch_id().empty()) batch.set_batch_id(NewUuidV7(absl::Now()));
  v1::CreateBatchRequest request;
  request.set_namespace_(connection_->options().namespace_name);
  request.mutable_batch()->Swap(&batch);
  APIUM_ASSIGN_OR_RETURN(
      v1::CreateBatchResponse response,
      BlockingCall(QuickCall(connection_->options()), rpc_->stub.get(),
                   &Stub::CreateBatch, request));
  return std::move(*response.mutable_batch());
}

absl::StatusOr<v1::Batch> BatchClient::Close(std::string_view batch_id) {
  APIUM_ASSIGN_OR_RETURN(v1::CloseBatchResponse response,
                         BlockingCall(QuickCall(connection_->options()),
                                      rpc_->stub.get(), &Stub::CloseBatch,
                                      RequestFor<v1::CloseBatchRequest>(
                                          connection_->options(), batch_id)));
  return std::move(*response.mutable_batch());
}

absl::StatusOr<v1::Batch> BatchClient::Get(std::string_view batch_id) {
  APIUM_ASSIGN_OR_RETURN(
      v1::GetBatchResponse response,
      BlockingCall(
          QuickCall(connection_->options()), rpc_->stub.get(), &Stub::GetBatch,
          RequestFor<v1::GetBatchRequest>(connection_->options(), batch_id)));
  return std::move(*response.mutable_batch());
}

absl::StatusOr<v1::ListBatchesResponse> BatchClient::List(
    uint32_t page_size, std::string_view page_token) {
  v1::ListBatchesRequest request;
  request.set_namespace_(connection_->options().namespace_name);
  request.set_page_size(page_size);
  request.set_page_token(std::string(page_token));
  return BlockingCall(QuickCall(connection_->options()), rpc_->stub.get(),
                      &Stub::ListBatches, request);
}

}  // namespace apium
