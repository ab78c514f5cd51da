#ifndef APIUM_RESULTS_SERVICE_RESULT_SERVICE_H_
#define APIUM_RESULTS_SERVICE_RESULT_SERVICE_H_

#include <grpcpp/support/byte_buffer.h>

#include "apium/v1/result_service.grpc.pb.h"
#include "results/mailbox.h"
#include "results/service/call_table.h"
#include "results/service/publish_stream.h"
#include "results/service/request_check.h"

namespace apium::results {

// PublishOutcomes reads bytes: see common/rpc/message_bytes.h.
using ResultServiceBase =
    v1::ResultService::WithRawCallbackMethod_PublishOutcomes<
        v1::ResultService::WithCallbackMethod_GetResult<
            v1::ResultService::WithCallbackMethod_WaitResult<
                v1::ResultService::WithCallbackMethod_ListResults<
                    v1::ResultService::WithCallbackMethod_WatchResults<
                        v1::ResultService::WithCallbackMethod_ForgetResult<
                            v1::ResultService::Service>>>>>>;

// apium.v1.ResultService at the wire: checks requests, and opens a call of its
// own for each, which the core answers.
class GrpcResultService final : public ResultServiceBase {
 public:
  // All borrowed.
  GrpcResultService(const RequestCheck* check, PublishWindow window,
                    CallTable* table, Mailbox* mailbox)
      : check_(check), window_(window), table_(table), mailbox_(mailbox) {}

  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* PublishOutcomes(
      grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* GetResult(grpc::CallbackServerContext* context,
                                      const v1::GetResultRequest* request,
                                      v1::GetResultResponse* response) override;
  grpc::ServerUnaryReactor* WaitResult(
      grpc::CallbackServerContext* context,
      const v1::WaitResultRequest* request,
      v1::WaitResultResponse* response) override;
  grpc::ServerUnaryReactor* ListResults(
      grpc::CallbackServerContext* context,
      const v1::ListResultsRequest* request,
      v1::ListResultsResponse* response) override;
  grpc::ServerWriteReactor<v1::WatchResultsResponse>* WatchResults(
      grpc::CallbackServerContext* context,
      const v1::WatchResultsRequest* request) override;
  grpc::ServerUnaryReactor* ForgetResult(
      grpc::CallbackServerContext* context,
      const v1::ForgetResultRequest* request,
      v1::ForgetResultResponse* response) override;

 private:
  const RequestCheck* const check_;
  const PublishWindow window_;
  CallTable* const table_;
  Mailbox* const mailbox_;
};

}  // namespace apium::results

#endif  // APIUM_RESULTS_SERVICE_RESULT_SERVICE_H_
