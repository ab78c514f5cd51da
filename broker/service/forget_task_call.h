#ifndef APIUM_BROKER_SERVICE_FORGET_TASK_CALL_H_
#define APIUM_BROKER_SERVICE_FORGET_TASK_CALL_H_

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "broker/engine/effects.h"
#include "broker/service/engine_call.h"
#include "broker/service/open_calls.h"
#include "broker/service/service_context.h"

namespace apium::broker {

// One ForgetTask call: the engine says when the result service has the outcome,
// then that is told to forget it.
class ForgetTaskCall final : public SharedUnaryCall,
                             public ReplySink,
                             public OpenCall {
 public:
  static grpc::ServerUnaryReactor* Start(const ServiceContext* context,
                                         absl::Time deadline,
                                         const std::string& namespace_name,
                                         const std::string& task_id);

  ForgetTaskCall(const ServiceContext* context, absl::Time deadline,
                 const std::string& namespace_name, const std::string& task_id)
      : context_(context),
        deadline_(deadline),
        namespace_name_(namespace_name),
        task_id_(task_id) {}

  void Take(uint64_t tag, Reply&& reply) override;
  void End(const absl::Status& status) override;
  void OnDone() override;

 private:
  void OnGivenUp() override;
  void Answer(const absl::Status& status);

  const ServiceContext* const context_;
  const absl::Time deadline_;
  const std::string namespace_name_;
  const std::string task_id_;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_SERVICE_FORGET_TASK_CALL_H_
