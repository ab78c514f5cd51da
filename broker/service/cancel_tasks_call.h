#ifndef APIUM_BROKER_SERVICE_CANCEL_TASKS_CALL_H_
#define APIUM_BROKER_SERVICE_CANCEL_TASKS_CALL_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "apium/v1/task_service.pb.h"
#include "broker/engine/command.h"
#include "broker/service/engine_call.h"
#include "broker/service/service_context.h"

namespace apium::broker {

// One CancelTasks call: the engine cancels; what it does not know (any more) is
// looked up in the result service, so that "ended" and "unknown" are told
// apart.
class CancelTasksCall final : public SharedUnaryCall, public ReplySink {
 public:
  static grpc::ServerUnaryReactor* Start(const ServiceContext* context,
                                         absl::Time deadline,
                                         CancelTasksCommand command,
                                         v1::CancelTasksResponse* response);

  CancelTasksCall(const ServiceContext* context, absl::Time deadline,
                  const CancelTasksCommand& command,
                  v1::CancelTasksResponse* response);

  void Take(uint64_t tag, Reply&& reply) override;

 private:
  // Asks for the next task that the engine does not know, if there is one.
  void AskNext() ABSL_LOCKS_EXCLUDED(mu_);
  void TakeFound(size_t index, const absl::Status& found)
      ABSL_LOCKS_EXCLUDED(mu_);
  void Answer(const absl::Status& status);

  const ServiceContext* const context_;
  const absl::Time deadline_;
  const std::string namespace_name_;
  const std::vector<std::string> task_ids_;
  v1::CancelTasksResponse* const response_;

  absl::Mutex mu_;
  CancelTasksReply reply_ ABSL_GUARDED_BY(mu_);
  // Places of reply_.results that the result service is asked about.
  std::vector<size_t> unknown_ ABSL_GUARDED_BY(mu_);
  size_t asked_ ABSL_GUARDED_BY(mu_) = 0;
  size_t answered_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Status error_ ABSL_GUARDED_BY(mu_);
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_SERVICE_CANCEL_TASKS_CALL_H_
