#include "client/result_client.h"

#include <grpcpp/channel.h>

#include <utility>

#include "absl/synchronization/notification.h"
#include "apium/v1/result_service.grpc.pb.h"
#include "client/async_calls.h"
#include "client/connection.h"
#include "client/subscription.h"
#include "client/unary_call.h"
#include "common/error_reason.h"
#include "common/status_macros.h"
#include "common/strings.h"

namespace apium {
namespace {

using Stub = v1::ResultService::Stub;

template <typename Request>
Request RequestFor(const ClientOptions& options, std::string_view task_id) {
  Request request;
  request.set_namespace_(options.namespace_name);
  request.set_task_id(std::string(task_id));
  return request;
}

}  // namespace

struct ResultClient::Rpc {
  explicit Rpc(const Connection& connection)
      : stub(v1::ResultService::NewStub(connection.channel())) {}

  const std::unique_ptr<Stub> stub;
  // Last, so that it is destroyed first: its calls use the stub.
  AsyncCalls calls;
};

ResultClient::ResultClient(std::shared_ptr<Connection> connection)
    : connection_(std::move(connection)),
      rpc_(std::make_unique<Rpc>(*connection_)) {}

ResultClient::~ResultClient() = default;

absl::StatusOr<v1::TaskOutcome> ResultClient::Get(std::string_view task_id) {
  APIUM_ASSIGN_OR_RETURN(
      v1::GetResultResponse response,
      BlockingCall(
          QuickCall(connection_->options()), rpc_->stub.get(), &Stub::GetResult,
          RequestFor<v1::GetResultRequest>(connection_->options(), task_id)));
  return std::move(*response.mutable_outcome());
}

absl::StatusOr<v1::TaskOutcome> ResultClient::Wait(std::string_view task_id,
                                                   absl::Duration timeout) {
  absl::StatusOr<v1::WaitResultResponse> response = BlockingCall(
      WaitingCall(connection_->options(), timeout), rpc_->stub.get(),
      &Stub::WaitResult,
      RequestFor<v1::WaitResultRequest>(connection_->options(), task_id));
  if (response.status().code() == absl::StatusCode::kDeadlineExceeded) {
    return WithReason(absl::DeadlineExceededError(
                          StrCat("task ", task_id, " had no outcome within ",
                                 absl::FormatDuration(timeout))),
                      "WAIT_TIMEOUT");
  }
  if (!response.ok()) return response.status();
  return std::move(*response->mutable_outcome());
}

absl::StatusOr<v1::ListResultsResponse> ResultClient::List(
    v1::ListResultsRequest request) {
  request.set_namespace_(connection_->options().namespace_name);
  return BlockingCall(QuickCall(connection_->options()), rpc_->stub.get(),
                      &Stub::ListResults, request);
}

absl::Status ResultClient::Forget(std::string_view task_id) {
  return BlockingCall(
             QuickCall(connection_->options(), CallKind::kNotIdempotent),
             rpc_->stub.get(), &Stub::ForgetResult,
             RequestFor<v1::ForgetResultRequest>(connection_->options(),
                                                 task_id))
      .status();
}

absl::Status ResultClient::Watch(
    ResultWatchOptions options,
    absl::FunctionRef<bool(const v1::WatchResultsResponse&)> on_outcomes) {
  absl::Status end;
  absl::Notification ended;
  WatchAsync(
      std::move(options),
      [on_outcomes](const v1::WatchResultsResponse& response) {
        return on_outcomes(response);
      },
      [&end, &ended](absl::Status status) {
        end = std::move(status);
        ended.Notify();
      });
  ended.WaitForNotification();
  return end;
}

void ResultClient::WatchAsync(
    ResultWatchOptions options,
    std::function<bool(const v1::WatchResultsResponse&)> on_outcomes,
    std::function<void(absl::Status)> done) {
  connection_->KeepCallbacksAwake();
  v1::WatchResultsRequest request;
  request.set_namespace_(connection_->options().namespace_name);
  request.set_after_cursor(std::move(options.after_cursor));
  request.mutable_filter()->Swap(&options.filter);
  request.set_view(options.view);
  CallPolicy policy =
      WaitingCall(connection_->options(), absl::InfiniteDuration());
  policy.kind = CallKind::kIdempotent;
  Subscription<v1::WatchResultsRequest, v1::WatchResultsResponse>::Start(
      &rpc_->calls, policy, std::move(request),
      [this](grpc::ClientContext* context,
             const v1::WatchResultsRequest* request,
             grpc::ClientReadReactor<v1::WatchResultsResponse>* reader) {
        rpc_->stub->async()->WatchResults(context, request, reader);
      },
      [on_outcomes = std::move(on_outcomes)](
          const v1::WatchResultsResponse& response,
          v1::WatchResultsRequest* resume) {
        resume->set_after_cursor(response.cursor());
        return on_outcomes(response);
      },
      std::move(done));
}

}  // namespace apium
