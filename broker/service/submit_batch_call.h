#ifndef APIUM_BROKER_SERVICE_SUBMIT_BATCH_CALL_H_
#define APIUM_BROKER_SERVICE_SUBMIT_BATCH_CALL_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "apium/v1/task_service.pb.h"
#include "broker/service/engine_call.h"
#include "broker/service/service_context.h"

namespace apium::broker {

// One SubmitTasks call: a command and an answer for each spec.
class SubmitBatchCall final : public SharedUnaryCall, public ReplySink {
 public:
  // Takes the strings out of `request`.
  static grpc::ServerUnaryReactor* Start(const ServiceContext* context,
                                         const std::string& namespace_name,
                                         v1::SubmitTasksRequest* request,
                                         v1::SubmitTasksResponse* response);

  SubmitBatchCall(size_t count, v1::SubmitTasksResponse* response)
      : answers_(count), response_(response) {}

  void Take(uint64_t tag, Reply&& reply) override;

 private:
  struct Answer {
    absl::Status status;
    std::string task_id;
    bool attached = false;
    std::vector<std::string> copy_task_ids;
  };
  void AnswerAll();

  // Filled before the commands are pushed, then by the releasing thread. The
  // response itself may be gone with a cancelled call.
  std::vector<Answer> answers_;
  size_t awaited_ = 0;
  v1::SubmitTasksResponse* const response_;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_SERVICE_SUBMIT_BATCH_CALL_H_
