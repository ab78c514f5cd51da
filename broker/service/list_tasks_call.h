#ifndef APIUM_BROKER_SERVICE_LIST_TASKS_CALL_H_
#define APIUM_BROKER_SERVICE_LIST_TASKS_CALL_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "apium/v1/task_service.pb.h"
#include "broker/engine/command.h"
#include "broker/service/engine_call.h"
#include "broker/service/page_token.h"
#include "broker/service/service_context.h"

namespace apium::v1 {
class ListResultsResponse;
}  // namespace apium::v1

namespace apium::broker {

// One ListTasks call: live tasks from the engine, then finished ones from the
// result service.
class ListTasksCall final : public SharedUnaryCall, public ReplySink {
 public:
  static grpc::ServerUnaryReactor* Start(const ServiceContext* context,
                                         absl::Time deadline,
                                         const v1::ListTasksRequest* request,
                                         v1::ListTasksResponse* response);

  ListTasksCall(const ServiceContext* context, absl::Time deadline,
                v1::ListTasksResponse* response)
      : context_(context), deadline_(deadline), response_(response) {}

  void Take(uint64_t tag, Reply&& reply) override;

 private:
  // What a valid request asks for.
  absl::Status Parse(const v1::ListTasksRequest& request);
  absl::Status ParseStates(const v1::ListTasksRequest& request);
  void Begin();
  void ListFinished();
  void TakeFinished(absl::StatusOr<v1::ListResultsResponse> page);
  // Answers with page_, unless the caller has gone.
  void Answer(const absl::Status& status);
  void SetNextPage(TaskPageToken::Section section, std::string inner);

  const ServiceContext* const context_;
  const absl::Time deadline_;
  v1::ListTasksResponse* const response_;

  v1::ListTasksRequest request_;
  uint32_t page_size_ = 0;
  TaskFilter live_filter_;
  bool wants_live_ = true;
  bool wants_finished_ = true;
  std::string filter_;  // the request's, for the page token
  TaskPageToken token_;
  v1::ListTasksResponse page_;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_SERVICE_LIST_TASKS_CALL_H_
