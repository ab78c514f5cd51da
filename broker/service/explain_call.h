#ifndef APIUM_BROKER_SERVICE_EXPLAIN_CALL_H_
#define APIUM_BROKER_SERVICE_EXPLAIN_CALL_H_

#include <memory>

#include "broker/service/engine_call.h"
#include "broker/service/service_context.h"
#include "broker/service/task_read.h"

namespace apium::v1 {
class ExplainTaskResponse;
}  // namespace apium::v1

namespace apium::broker {

// ExplainTask: the reasons are the engine's; a task that it does not know (any
// more) has none, and its state is the result service's. Any thread.
class ExplainTaskCall final : public SharedUnaryCall, public ReplySink {
 public:
  ExplainTaskCall(const ServiceContext* context, TaskReadRequest request,
                  v1::ExplainTaskResponse* response);

  static grpc::ServerUnaryReactor* Start(const ServiceContext* context,
                                         TaskReadRequest request,
                                         v1::ExplainTaskResponse* response);

  void Take(uint64_t tag, Reply&& reply) override;

 private:
  void AskElsewhere(TaskReply::Elsewhere elsewhere);

  const ServiceContext* const context_;
  const TaskReadRequest request_;
  v1::ExplainTaskResponse* const response_;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_SERVICE_EXPLAIN_CALL_H_
