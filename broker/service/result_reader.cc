#include "broker/service/result_reader.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "apium/v1/result_service.grpc.pb.h"
#include "common/error_reason.h"
#include "common/rpc/grpc_status.h"

namespace apium::broker {
namespace {

// Longer than any healthy answer; a caller's own deadline is mostly shorter.
constexpr absl::Duration kTimeoutMax = absl::Seconds(10);

// What the caller of the broker is told of a failed call to the result service.
absl::Status Translate(const grpc::Status& status) {
  absl::Status translated = FromGrpcStatus(status);
  if (translated.ok() || absl::IsNotFound(translated) ||
      absl::IsInvalidArgument(translated)) {
    return translated;
  }
  return WithRetryDelay(
      WithReason(absl::UnavailableError(absl::StrCat(
                     "the result service, which has the finished tasks, does "
                     "not answer: ",
                     translated.message())),
                 reason::kResultsUnavailable),
      absl::Seconds(1));
}

void SetDeadline(absl::Time deadline, grpc::ClientContext* context) {
  context->set_deadline(
      absl::ToChronoTime(std::min(deadline, absl::Now() + kTimeoutMax)));
}

template <typename Request, typename Response>
struct Call {
  grpc::ClientContext context;
  Request request;
  Response response;
};

template <typename Request, typename Response>
std::shared_ptr<Call<Request, Response>> NewCall(absl::Time deadline) {
  auto call = std::make_shared<Call<Request, Response>>();
  SetDeadline(deadline, &call->context);
  return call;
}

class GrpcResultReader final : public ResultReader {
 public:
  explicit GrpcResultReader(std::shared_ptr<grpc::Channel> channel)
      : stub_(v1::ResultService::NewStub(std::move(channel))) {}

  void Get(const std::string& namespace_name, const std::string& task_id,
           absl::Time deadline, GetDone done) override {
    auto call = NewCall<v1::GetResultRequest, v1::GetResultResponse>(deadline);
    call->request.set_namespace_(namespace_name);
    call->request.set_task_id(task_id);
    stub_->async()->GetResult(
        &call->context, &call->request, &call->response,
        [call, done = std::move(done)](const grpc::Status& status) {
          if (status.ok()) {
            done(std::move(*call->response.mutable_outcome()));
          } else {
            done(Translate(status));
          }
        });
  }

  void List(const v1::ListResultsRequest& request, absl::Time deadline,
            ListDone done) override {
    auto call =
        NewCall<v1::ListResultsRequest, v1::ListResultsResponse>(deadline);
    call->request = request;
    stub_->async()->ListResults(
        &call->context, &call->request, &call->response,
        [call, done = std::move(done)](const grpc::Status& status) {
          if (status.ok()) {
            done(std::move(call->response));
          } else {
            done(Translate(status));
          }
        });
  }

  void Forget(const std::string& namespace_name, const std::string& task_id,
              absl::Time deadline, ForgetDone done) override {
    auto call =
        NewCall<v1::ForgetResultRequest, v1::ForgetResultResponse>(deadline);
    call->request.set_namespace_(namespace_name);
    call->request.set_task_id(task_id);
    stub_->async()->ForgetResult(
        &call->context, &call->request, &call->response,
        [call, done = std::move(done)](const grpc::Status& status) {
          done(Translate(status));
        });
  }

 private:
  const std::unique_ptr<v1::ResultService::Stub> stub_;
};

}  // namespace

std::unique_ptr<ResultReader> MakeGrpcResultReader(
    std::shared_ptr<grpc::Channel> channel) {
  return std::make_unique<GrpcResultReader>(std::move(channel));
}

}  // namespace apium::broker
