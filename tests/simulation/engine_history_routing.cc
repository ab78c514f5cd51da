// Exchanges and route rules in random histories.

#include <memory>
#include <string>
#include <utility>

#include "tests/simulation/engine_history.h"

namespace apium::broker {
namespace {

struct NamedExchange {
  const char* name;
  ExchangeType type;
};
constexpr NamedExchange kExchanges[] = {{"direct", ExchangeType::kDirect},
                                        {"topic", ExchangeType::kTopic},
                                        {"fanout", ExchangeType::kFanout},
                                        {"headers", ExchangeType::kHeaders}};

}  // namespace

std::string EngineHistory::RandomExchange() {
  return kExchanges[Below(4)].name;
}

std::string EngineHistory::RandomRoutingKey() {
  constexpr const char* kKeys[] = {"", "x", "y", "x.y", "y.x.y"};
  return kKeys[Below(5)];
}

Binding EngineHistory::RandomBinding() {
  const NamedExchange& from = kExchanges[Below(4)];
  Binding binding = {.exchange = from.name};
  if (Chance(75)) {
    binding.queue = Chance(50) ? "default" : "extra";
  } else {
    binding.destination_exchange = RandomExchange();
  }
  constexpr const char* kPatterns[] = {"#", "x.*", "x.#", "*", "#.y"};
  if (from.type == ExchangeType::kDirect) {
    binding.routing_key = RandomRoutingKey();
  } else if (from.type == ExchangeType::kTopic) {
    binding.routing_key = kPatterns[Below(5)];
  } else if (from.type == ExchangeType::kHeaders && Chance(80)) {
    constexpr const char* kColors[] = {"", "red", "blue"};
    binding.headers = {{"color", kColors[Below(3)]}};
    if (Chance(30)) binding.headers.push_back({"shape", ""});
    binding.match_any = Chance(40);
  }
  return binding;
}

void EngineHistory::AddRoute(SubmitCommand* submit) {
  TaskContent& content = *submit->content;
  // The key of an order is one of a queue.
  const bool ordered =
      content.placement != nullptr && !content.placement->ordering_key.empty();
  if (ordered || !Chance(static_cast<int>(routing_percent_))) return;
  content.queue.clear();
  if (Chance(20)) return;
  submit->route = std::make_shared<Route>(
      Route{.exchange = RandomExchange(), .routing_key = RandomRoutingKey()});
}

void EngineHistory::AddRoutingCommand() {
  switch (Below(14)) {
    case 0:
    case 1: {
      const NamedExchange& exchange = kExchanges[Below(4)];
      CreateExchangeCommand create = {.reply = NewCall(),
                                      .namespace_name = "default"};
      create.exchange = {.name = exchange.name, .type = exchange.type};
      if (Chance(30)) create.exchange.alternate_exchange = RandomExchange();
      if (Chance(5)) create.exchange.type = ExchangeType::kFanout;
      Add(std::move(create));
      return;
    }
    case 2:
      Add(UpdateExchangeCommand{
          .reply = NewCall(),
          .namespace_name = "default",
          .name = RandomExchange(),
          .alternate_exchange = Chance(30) ? "" : RandomExchange()});
      return;
    case 3:
      Add(DeleteExchangeCommand{.reply = NewCall(),
                                .namespace_name = "default",
                                .name = RandomExchange()});
      return;
    case 4:
    case 5:
    case 6:
    case 7:
    case 8:
      Add(CreateBindingCommand{.reply = NewCall(),
                               .namespace_name = "default",
                               .binding = RandomBinding()});
      return;
    case 9:
      Add(DeleteBindingCommand{.reply = NewCall(),
                               .namespace_name = "default",
                               .binding = RandomBinding()});
      return;
    case 10: {
      SetRouteRulesCommand set = {.reply = NewCall(),
                                  .namespace_name = "default"};
      for (const char* pattern : {"job", "mail", "*"}) {
        if (Chance(30))
          set.rules.push_back(
              {.type_pattern = pattern, .queue = RandomQueue()});
      }
      Add(std::move(set));
      return;
    }
    case 11:
      Add(ListBindingsCommand{
          .reply = NewCall(), .namespace_name = "default", .page_size = 1000});
      return;
    default: {
      ResolveRouteCommand resolve = {.reply = NewCall(),
                                     .namespace_name = "default",
                                     .type = RandomType()};
      if (Chance(80))
        resolve.route = {.exchange = RandomExchange(),
                         .routing_key = RandomRoutingKey()};
      if (Chance(50))
        resolve.headers = {{"color", Chance(50) ? "red" : "blue"}};
      Add(std::move(resolve));
    }
  }
}

void EngineHistory::AuditRouting() {
  Add(ListBindingsCommand{
      .reply = NewCall(), .namespace_name = "default", .page_size = 1000});
  for (const NamedExchange& exchange : kExchanges) {
    ResolveRouteCommand resolve = {
        .reply = NewCall(), .namespace_name = "default", .type = "job"};
    resolve.route = {.exchange = exchange.name,
                     .routing_key = RandomRoutingKey()};
    Add(std::move(resolve));
  }
}

}  // namespace apium::broker
