#include "broker/service/routing_service.h"

#include <algorithm>
#include <string>
#include <utility>

#include "apium/v1/task.pb.h"
#include "broker/service/engine_call.h"
#include "broker/service/field_checks.h"
#include "broker/service/page_token.h"
#include "broker/service/task_from_proto.h"
#include "common/clock.h"
#include "common/error_reason.h"
#include "common/limits.h"
#include "common/names.h"
#include "common/rpc/proto_time.h"
#include "common/status_macros.h"
#include "common/strings.h"

namespace apium::broker {
namespace {

// As documented in apium/v1/routing_service.proto.
constexpr size_t kDescriptionBytesMax = 1024;
constexpr size_t kHeaderValueBytesMax = 255;
constexpr size_t kBindingHeadersMax = 16;
constexpr int kRouteRulesMax = 1000;

// --- From requests ---

absl::Status CheckDescription(const std::string& description) {
  return CheckTextLength("exchange.description", description,
                         kDescriptionBytesMax);
}

absl::Status CheckAlternate(const std::string& name) {
  if (name.empty()) return absl::OkStatus();
  return ValidateQueueName("exchange.alternate_exchange", name);
}

absl::Status TakeExchange(const v1::Exchange& proto, Exchange* exchange) {
  APIUM_RETURN_IF_ERROR(ValidateQueueName("exchange.name", proto.name()));
  if (!v1::ExchangeType_IsValid(proto.type()) ||
      proto.type() == v1::EXCHANGE_TYPE_UNSPECIFIED) {
    return OutOfRange("exchange.type", StrCat(static_cast<int>(proto.type())),
                      "DIRECT, TOPIC, FANOUT or HEADERS");
  }
  APIUM_RETURN_IF_ERROR(CheckDescription(proto.description()));
  APIUM_RETURN_IF_ERROR(CheckAlternate(proto.alternate_exchange()));
  exchange->name = proto.name();
  exchange->type = static_cast<ExchangeType>(proto.type());
  exchange->description = proto.description();
  exchange->alternate_exchange = proto.alternate_exchange();
  return absl::OkStatus();
}

absl::Status TakeBindingHeaders(const v1::Binding& proto, Binding* binding) {
  if (proto.headers().size() > kBindingHeadersMax) {
    return OutOfRange("binding.headers",
                      StrCat(proto.headers().size(), " long"),
                      StrCat("at most ", kBindingHeadersMax, " entries"));
  }
  for (const auto& [name, value] : proto.headers()) {
    APIUM_RETURN_IF_ERROR(ValidateHeaderName("binding.headers", name));
    APIUM_RETURN_IF_ERROR(CheckTextLength(StrCat("binding.headers[", name, "]"),
                                          value, kHeaderValueBytesMax));
    binding->headers.emplace_back(name, value);
  }
  std::sort(binding->headers.begin(), binding->headers.end());
  binding->match_any = proto.match_any();
  return absl::OkStatus();
}

absl::Status TakeBinding(const v1::Binding& proto, Binding* binding) {
  APIUM_RETURN_IF_ERROR(
      ValidateQueueName("binding.exchange", proto.exchange()));
  binding->exchange = proto.exchange();
  switch (proto.destination_case()) {
    case v1::Binding::kQueue:
      APIUM_RETURN_IF_ERROR(ValidateQueueName("binding.queue", proto.queue()));
      binding->queue = proto.queue();
      break;
    case v1::Binding::kDestinationExchange:
      APIUM_RETURN_IF_ERROR(ValidateQueueName("binding.destination_exchange",
                                              proto.destination_exchange()));
      binding->destination_exchange = proto.destination_exchange();
      break;
    case v1::Binding::DESTINATION_NOT_SET:
      return InvalidField("binding",
                          "leads nowhere; set queue or destination_exchange");
  }
  APIUM_RETURN_IF_ERROR(CheckTextLength("binding.routing_key",
                                        proto.routing_key(), kNameBytesMax));
  binding->routing_key = proto.routing_key();
  return TakeBindingHeaders(proto, binding);
}

// Fills the names of a command about one exchange.
template <typename Request, typename CommandType>
absl::Status NameExchange(const Request& request, CommandType* command) {
  APIUM_ASSIGN_OR_RETURN(command->namespace_name,
                         NamespaceFromProto(request.namespace_()));
  APIUM_RETURN_IF_ERROR(ValidateQueueName("name", request.name()));
  command->name = request.name();
  return absl::OkStatus();
}

absl::Status TakeUpdate(const v1::UpdateExchangeRequest& request,
                        UpdateExchangeCommand* command) {
  APIUM_ASSIGN_OR_RETURN(command->namespace_name,
                         NamespaceFromProto(request.namespace_()));
  const v1::Exchange& exchange = request.exchange();
  APIUM_RETURN_IF_ERROR(ValidateQueueName("exchange.name", exchange.name()));
  APIUM_RETURN_IF_ERROR(CheckDescription(exchange.description()));
  APIUM_RETURN_IF_ERROR(CheckAlternate(exchange.alternate_exchange()));
  command->name = exchange.name();
  command->description = exchange.description();
  command->alternate_exchange = exchange.alternate_exchange();
  command->etag = exchange.etag();
  return absl::OkStatus();
}

template <typename Request, typename CommandType>
absl::Status NameBinding(const Request& request, CommandType* command) {
  APIUM_ASSIGN_OR_RETURN(command->namespace_name,
                         NamespaceFromProto(request.namespace_()));
  return TakeBinding(request.binding(), &command->binding);
}

// What a page token of bindings is good for.
std::string ListOf(const ListBindingsCommand& command) {
  return StrCat(command.namespace_name, "/", command.exchange);
}

absl::Status TakeList(const v1::ListBindingsRequest& request,
                      ListBindingsCommand* command) {
  APIUM_ASSIGN_OR_RETURN(command->namespace_name,
                         NamespaceFromProto(request.namespace_()));
  if (!request.exchange().empty()) {
    APIUM_RETURN_IF_ERROR(ValidateQueueName("exchange", request.exchange()));
    command->exchange = request.exchange();
  }
  command->page_size = PageSizeFor(request.page_size());
  if (request.page_token().empty()) return absl::OkStatus();
  APIUM_ASSIGN_OR_RETURN(
      TaskPageToken token,
      DecodePageToken(request.page_token(), ListOf(*command)));
  command->page_token = std::move(token.inner);
  return absl::OkStatus();
}

absl::Status TakeRules(const v1::SetRouteRulesRequest& request,
                       SetRouteRulesCommand* command) {
  APIUM_ASSIGN_OR_RETURN(command->namespace_name,
                         NamespaceFromProto(request.namespace_()));
  if (request.rules_size() > kRouteRulesMax) {
    return OutOfRange("rules", StrCat(request.rules_size(), " long"),
                      StrCat("at most ", kRouteRulesMax, " rules"));
  }
  for (int i = 0; i < request.rules_size(); ++i) {
    const v1::RouteRule& rule = request.rules(i);
    APIUM_RETURN_IF_ERROR(
        CheckGlob(StrCat("rules[", i, "].type_pattern"), rule.type_pattern()));
    APIUM_RETURN_IF_ERROR(
        ValidateQueueName(StrCat("rules[", i, "].queue"), rule.queue()));
    command->rules.push_back(
        {.type_pattern = rule.type_pattern(), .queue = rule.queue()});
  }
  command->etag = request.etag();
  return absl::OkStatus();
}

// Checked as a submit is.
absl::Status TakeRoute(const ServiceContext& context,
                       const v1::ResolveRouteRequest& request,
                       ResolveRouteCommand* command) {
  APIUM_ASSIGN_OR_RETURN(command->namespace_name,
                         NamespaceFromProto(request.namespace_()));
  v1::TaskSpec spec;
  spec.set_type(request.type());
  spec.set_queue(request.queue());
  spec.set_exchange(request.exchange());
  spec.set_routing_key(request.routing_key());
  *spec.mutable_headers() = request.headers();
  SubmitCommand submit;
  absl::Status taken = SubmitFromProto(context.limits, command->namespace_name,
                                       context.clock->Now(), &spec, &submit);
  for (const char* field :
       {"type", "queue", "exchange", "routing_key", "headers"}) {
    taken = WithFieldRoot(taken, StrCat("spec.", field), field);
  }
  APIUM_RETURN_IF_ERROR(taken);
  command->type = std::move(submit.content->type);
  command->queue = std::move(submit.content->queue);
  command->headers = std::move(submit.content->headers);
  if (submit.route != nullptr) command->route = *submit.route;
  return absl::OkStatus();
}

// --- To responses ---

void ExchangeToProto(const Exchange& exchange, v1::Exchange* proto) {
  proto->set_name(exchange.name);
  proto->set_type(static_cast<v1::ExchangeType>(exchange.type));
  proto->set_description(exchange.description);
  proto->set_alternate_exchange(exchange.alternate_exchange);
  proto->set_etag(StrCat(exchange.revision));
  TimeToProto(exchange.create_time, proto->mutable_create_time());
  proto->set_bindings(exchange.bindings);
}

void BindingToProto(const Binding& binding, v1::Binding* proto) {
  proto->set_exchange(binding.exchange);
  if (binding.queue.empty()) {
    proto->set_destination_exchange(binding.destination_exchange);
  } else {
    proto->set_queue(binding.queue);
  }
  proto->set_routing_key(binding.routing_key);
  proto->mutable_headers()->insert(binding.headers.begin(),
                                   binding.headers.end());
  proto->set_match_any(binding.match_any);
}

// Starts a call that is answered with an exchange.
template <typename CommandType, typename Response>
grpc::ServerUnaryReactor* StartExchangeCall(const ServiceContext& context,
                                            CommandType&& command,
                                            Response* response) {
  return StartEngineCall<ExchangeReply>(
      context.mailbox, MailboxShare::kReserved, std::move(command), 0,
      [response](ExchangeReply&& reply) {
        if (reply.status.ok()) {
          ExchangeToProto(reply.exchange, response->mutable_exchange());
        }
        return reply.status;
      });
}

template <typename CommandType>
grpc::ServerUnaryReactor* StartStatusCall(const ServiceContext& context,
                                          CommandType&& command) {
  return StartEngineCall<StatusReply>(
      context.mailbox, MailboxShare::kReserved, std::move(command), 0,
      [](StatusReply&& reply) { return reply.status; });
}

}  // namespace

grpc::ServerUnaryReactor* RoutingServiceImpl::CreateExchange(
    grpc::CallbackServerContext* rpc, const v1::CreateExchangeRequest* request,
    v1::CreateExchangeResponse* response) {
  CreateExchangeCommand command;
  absl::StatusOr<std::string> namespace_name =
      NamespaceFromProto(request->namespace_());
  if (!namespace_name.ok()) return FinishNow(rpc, namespace_name.status());
  command.namespace_name = *std::move(namespace_name);
  const absl::Status taken =
      TakeExchange(request->exchange(), &command.exchange);
  if (!taken.ok()) return FinishNow(rpc, taken);
  return StartExchangeCall(context_, std::move(command), response);
}

grpc::ServerUnaryReactor* RoutingServiceImpl::GetExchange(
    grpc::CallbackServerContext* rpc, const v1::GetExchangeRequest* request,
    v1::GetExchangeResponse* response) {
  GetExchangeCommand command;
  const absl::Status named = NameExchange(*request, &command);
  if (!named.ok()) return FinishNow(rpc, named);
  return StartExchangeCall(context_, std::move(command), response);
}

grpc::ServerUnaryReactor* RoutingServiceImpl::ListExchanges(
    grpc::CallbackServerContext* rpc, const v1::ListExchangesRequest* request,
    v1::ListExchangesResponse* response) {
  ListExchangesCommand command;
  absl::StatusOr<std::string> namespace_name =
      NamespaceFromProto(request->namespace_());
  if (!namespace_name.ok()) return FinishNow(rpc, namespace_name.status());
  if (!request->page_token().empty()) {
    const absl::Status valid =
        ValidateQueueName("page_token", request->page_token());
    if (!valid.ok()) return FinishNow(rpc, valid);
  }
  command.namespace_name = *std::move(namespace_name);
  command.page_size = PageSizeFor(request->page_size());
  command.page_token = request->page_token();
  return StartEngineCall<ExchangePageReply>(
      context_.mailbox, MailboxShare::kReserved, std::move(command), 0,
      [response](ExchangePageReply&& reply) {
        for (const Exchange& exchange : reply.exchanges) {
          ExchangeToProto(exchange, response->add_exchanges());
        }
        response->set_next_page_token(std::move(reply.next_page_token));
        return reply.status;
      });
}

grpc::ServerUnaryReactor* RoutingServiceImpl::UpdateExchange(
    grpc::CallbackServerContext* rpc, const v1::UpdateExchangeRequest* request,
    v1::UpdateExchangeResponse* response) {
  UpdateExchangeCommand command;
  const absl::Status taken = TakeUpdate(*request, &command);
  if (!taken.ok()) return FinishNow(rpc, taken);
  return StartExchangeCall(context_, std::move(command), response);
}

grpc::ServerUnaryReactor* RoutingServiceImpl::DeleteExchange(
    grpc::CallbackServerContext* rpc, const v1::DeleteExchangeRequest* request,
    v1::DeleteExchangeResponse*) {
  DeleteExchangeCommand command;
  const absl::Status named = NameExchange(*request, &command);
  if (!named.ok()) return FinishNow(rpc, named);
  return StartStatusCall(context_, std::move(command));
}

grpc::ServerUnaryReactor* RoutingServiceImpl::CreateBinding(
    grpc::CallbackServerContext* rpc, const v1::CreateBindingRequest* request,
    v1::CreateBindingResponse* response) {
  CreateBindingCommand command;
  const absl::Status named = NameBinding(*request, &command);
  if (!named.ok()) return FinishNow(rpc, named);
  return StartEngineCall<StatusReply>(
      context_.mailbox, MailboxShare::kReserved, std::move(command), 0,
      [binding = command.binding, response](StatusReply&& reply) {
        if (reply.status.ok()) {
          BindingToProto(binding, response->mutable_binding());
        }
        return reply.status;
      });
}

grpc::ServerUnaryReactor* RoutingServiceImpl::DeleteBinding(
    grpc::CallbackServerContext* rpc, const v1::DeleteBindingRequest* request,
    v1::DeleteBindingResponse*) {
  DeleteBindingCommand command;
  const absl::Status named = NameBinding(*request, &command);
  if (!named.ok()) return FinishNow(rpc, named);
  return StartStatusCall(context_, std::move(command));
}

grpc::ServerUnaryReactor* RoutingServiceImpl::ListBindings(
    grpc::CallbackServerContext* rpc, const v1::ListBindingsRequest* request,
    v1::ListBindingsResponse* response) {
  ListBindingsCommand command;
  const absl::Status taken = TakeList(*request, &command);
  if (!taken.ok()) return FinishNow(rpc, taken);
  std::string list = ListOf(command);
  return StartEngineCall<BindingPageReply>(
      context_.mailbox, MailboxShare::kReserved, std::move(command), 0,
      [list = std::move(list), response](BindingPageReply&& reply) {
        for (const Binding& binding : reply.bindings) {
          BindingToProto(binding, response->add_bindings());
        }
        if (!reply.next_page_token.empty()) {
          response->set_next_page_token(EncodePageToken(
              {.inner = std::move(reply.next_page_token)}, list));
        }
        return reply.status;
      });
}

grpc::ServerUnaryReactor* RoutingServiceImpl::SetRouteRules(
    grpc::CallbackServerContext* rpc, const v1::SetRouteRulesRequest* request,
    v1::SetRouteRulesResponse* response) {
  SetRouteRulesCommand command;
  const absl::Status taken = TakeRules(*request, &command);
  if (!taken.ok()) return FinishNow(rpc, taken);
  return StartEngineCall<RouteRulesReply>(
      context_.mailbox, MailboxShare::kReserved, std::move(command), 0,
      [response](RouteRulesReply&& reply) {
        response->set_etag(std::move(reply.etag));
        return reply.status;
      });
}

grpc::ServerUnaryReactor* RoutingServiceImpl::GetRouteRules(
    grpc::CallbackServerContext* rpc, const v1::GetRouteRulesRequest* request,
    v1::GetRouteRulesResponse* response) {
  GetRouteRulesCommand command;
  absl::StatusOr<std::string> namespace_name =
      NamespaceFromProto(request->namespace_());
  if (!namespace_name.ok()) return FinishNow(rpc, namespace_name.status());
  command.namespace_name = *std::move(namespace_name);
  return StartEngineCall<RouteRulesReply>(
      context_.mailbox, MailboxShare::kReserved, std::move(command), 0,
      [response](RouteRulesReply&& reply) {
        for (const RouteRule& rule : reply.rules) {
          v1::RouteRule* proto = response->add_rules();
          proto->set_type_pattern(rule.type_pattern);
          proto->set_queue(rule.queue);
        }
        response->set_etag(std::move(reply.etag));
        return reply.status;
      });
}

grpc::ServerUnaryReactor* RoutingServiceImpl::ResolveRoute(
    grpc::CallbackServerContext* rpc, const v1::ResolveRouteRequest* request,
    v1::ResolveRouteResponse* response) {
  ResolveRouteCommand command;
  const absl::Status taken = TakeRoute(context_, *request, &command);
  if (!taken.ok()) return FinishNow(rpc, taken);
  return StartEngineCall<ResolveRouteReply>(
      context_.mailbox, MailboxShare::kReserved, std::move(command), 0,
      [response](ResolveRouteReply&& reply) {
        for (std::string& queue : reply.queues) {
          response->add_queues(std::move(queue));
        }
        return reply.status;
      });
}

}  // namespace apium::broker
