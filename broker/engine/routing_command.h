#ifndef APIUM_BROKER_ENGINE_ROUTING_COMMAND_H_
#define APIUM_BROKER_ENGINE_ROUTING_COMMAND_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "broker/engine/routing.h"
#include "broker/engine/sinks.h"

// What can be asked of exchanges, bindings and route rules.
namespace apium::broker {

// Answered by ExchangeReply.
struct CreateExchangeCommand {
  ReplyAddress reply;
  std::string namespace_name;
  Exchange exchange;
};

// Answered by ExchangeReply.
struct GetExchangeCommand {
  ReplyAddress reply;
  std::string namespace_name;
  std::string name;
};

// Answered by ExchangePageReply.
struct ListExchangesCommand {
  ReplyAddress reply;
  std::string namespace_name;
  uint32_t page_size = 100;
  std::string page_token;  // the page is behind this name; empty: the start
};

// Answered by ExchangeReply.
struct UpdateExchangeCommand {
  ReplyAddress reply;
  std::string namespace_name;
  std::string name;
  std::string description;
  std::string alternate_exchange;
  std::string etag;  // empty: whatever it is
};

// Answered by StatusReply.
struct DeleteExchangeCommand {
  ReplyAddress reply;
  std::string namespace_name;
  std::string name;
};

// Answered by StatusReply.
struct CreateBindingCommand {
  ReplyAddress reply;
  std::string namespace_name;
  Binding binding;
};

// Answered by StatusReply.
struct DeleteBindingCommand {
  ReplyAddress reply;
  std::string namespace_name;
  Binding binding;
};

// Answered by BindingPageReply.
struct ListBindingsCommand {
  ReplyAddress reply;
  std::string namespace_name;
  std::string exchange;  // empty: all
  uint32_t page_size = 100;
  std::string page_token;  // from a former BindingPageReply; empty: the start
};

// Answered by RouteRulesReply.
struct SetRouteRulesCommand {
  ReplyAddress reply;
  std::string namespace_name;
  std::vector<RouteRule> rules;
  std::string etag;  // empty: whatever it is
};

// Answered by RouteRulesReply.
struct GetRouteRulesCommand {
  ReplyAddress reply;
  std::string namespace_name;
};

// Answered by ResolveRouteReply.
struct ResolveRouteCommand {
  ReplyAddress reply;
  std::string namespace_name;
  std::string type;
  std::string queue;
  Route route;  // exchange empty: none
  std::vector<std::pair<std::string, std::string>> headers;  // sorted by name
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_ROUTING_COMMAND_H_
