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

absl::Status Engine::Impl::Apply(CreateExchangeCommand&& command) {
  AddReply(command.reply,
           ExchangeReply{.status = NotImplemented("CreateExchange")});
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(GetExchangeCommand&& command) {
  AddReply(command.reply,
           ExchangeReply{.status = NotImplemented("GetExchange")});
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(ListExchangesCommand&& command) {
  AddReply(command.reply,
           ExchangePageReply{.status = NotImplemented("ListExchanges")});
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(UpdateExchangeCommand&& command) {
  AddReply(command.reply,
           ExchangeReply{.status = NotImplemented("UpdateExchange")});
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(DeleteExchangeCommand&& command) {
  AddReply(command.reply,
           StatusReply{.status = NotImplemented("DeleteExchange")});
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(CreateBindingCommand&& command) {
  AddReply(command.reply,
           StatusReply{.status = NotImplemented("CreateBinding")});
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(DeleteBindingCommand&& command) {
  AddReply(command.reply,
           StatusReply{.status = NotImplemented("DeleteBinding")});
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(ListBindingsCommand&& command) {
  AddReply(command.reply,
           BindingPageReply{.status = NotImplemented("ListBindings")});
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(SetRouteRulesCommand&& command) {
  AddReply(command.reply,
           RouteRulesReply{.status = NotImplemented("SetRouteRules")});
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(GetRouteRulesCommand&& command) {
  AddReply(command.reply,
           RouteRulesReply{.status = NotImplemented("GetRouteRules")});
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(ResolveRouteCommand&& command) {
  AddReply(command.reply,
           ResolveRouteReply{.status = NotImplemented("ResolveRoute")});
  return absl::OkStatus();
}

}  // namespace apium::broker
