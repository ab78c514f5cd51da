// What the protos say and the engine does not do yet.

#include <utility>

#include "broker/engine/engine_impl.h"
#include "common/error_reason.h"

namespace apium::broker {

absl::Status Engine::Impl::Apply(ExplainQueueCommand&& command) {
  AddReply(command.reply,
           ExplainReply{.status = NotImplemented("ExplainQueue")});
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(ExplainTaskCommand&& command) {
  AddReply(command.reply,
           ExplainReply{.status = NotImplemented("ExplainTask")});
  return absl::OkStatus();
}

}  // namespace apium::broker
