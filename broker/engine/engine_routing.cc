// Routing: exchanges, bindings, route rules, and where a submit goes.

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/engine/engine_impl.h"
#include "broker/engine/task_copies.h"
#include "common/error_reason.h"
#include "common/names.h"
#include "common/status_macros.h"

namespace apium::broker {
namespace {

absl::Status ExchangeNotFound(const std::string& name) {
  return WithReason(absl::NotFoundError(absl::StrCat(
                        "exchange ", name, " does not exist; create it first")),
                    "EXCHANGE_NOT_FOUND", {{"exchange", name}});
}

absl::Status EtagMismatch(const std::string& what, const std::string& etag,
                          uint64_t revision) {
  return WithReason(
      absl::AbortedError(absl::StrCat(what, " changed since etag ", etag,
                                      " was read; it is now ", revision)),
      "ETAG_MISMATCH");
}

absl::Status Unroutable(const Route& route) {
  return WithReason(
      absl::FailedPreconditionError(absl::StrCat(
          "no binding of exchange ", route.exchange, " leads routing key \"",
          route.routing_key, "\" to a queue")),
      "UNROUTABLE",
      {{"exchange", route.exchange}, {"routing_key", route.routing_key}});
}

// As a user reads it: "queue mail" or "exchange all".
std::string DestinationOf(const Binding& binding) {
  return binding.queue.empty()
             ? absl::StrCat("exchange ", binding.destination_exchange)
             : absl::StrCat("queue ", binding.queue);
}

// Whether the binding says what an exchange of this type compares, and no more.
absl::Status CheckBindingFits(const Exchange& exchange,
                              const Binding& binding) {
  const bool has_key = exchange.type == ExchangeType::kDirect ||
                       exchange.type == ExchangeType::kTopic;
  if (!has_key && !binding.routing_key.empty())
    return InvalidField("binding.routing_key",
                        "is for exchanges of type DIRECT and TOPIC only");
  if (exchange.type != ExchangeType::kHeaders) {
    if (!binding.headers.empty())
      return InvalidField("binding.headers",
                          "is for exchanges of type HEADERS only");
    if (binding.match_any)
      return InvalidField("binding.match_any",
                          "is for exchanges of type HEADERS only");
  }
  if (binding.match_any && binding.headers.empty())
    return InvalidField("binding.match_any",
                        "without headers no task would match");
  return absl::OkStatus();
}

Exchange Shown(const LiveExchange& exchange) {
  Exchange shown = exchange.settings;
  shown.bindings = static_cast<uint32_t>(exchange.bindings.size());
  return shown;
}

}  // namespace

// --- Where a submit goes ---

std::string Engine::Impl::RuledQueue(const std::string& namespace_name,
                                     const std::string& type) {
  const RouteRule* rule = exchanges_.has_rules()
                              ? exchanges_.RuleFor(namespace_name, type)
                              : nullptr;
  return rule == nullptr ? std::string(kDefaultQueue) : rule->queue;
}

absl::StatusOr<std::set<std::string>> Engine::Impl::QueuesOfRoute(
    const std::string& namespace_name, const Route& route,
    const std::vector<std::pair<std::string, std::string>>& headers) {
  APIUM_ASSIGN_OR_RETURN(LiveExchange * exchange,
                         ExistingExchange(namespace_name, route.exchange));
  std::set<std::string> queues = exchanges_.QueuesFor(
      exchange, {.routing_key = route.routing_key, .headers = headers});
  if (queues.empty()) return Unroutable(route);
  return queues;
}

absl::Status Engine::Impl::Apply(ResolveRouteCommand&& command) {
  ResolveRouteReply reply;
  const std::string& namespace_name = command.namespace_name;
  std::set<std::string> queues;
  if (!command.route.exchange.empty()) {
    absl::StatusOr<std::set<std::string>> found =
        QueuesOfRoute(namespace_name, command.route, command.headers);
    reply.status = found.status();
    if (found.ok()) queues = *std::move(found);
  } else if (!command.queue.empty()) {
    queues.insert(std::move(command.queue));
  } else {
    queues.insert(RuledQueue(namespace_name, command.type));
  }
  for (const std::string& name : queues) {
    if (!reply.status.ok()) break;
    Queue* queue = queues_.Find(namespace_name, name);
    if (queue == nullptr && !(options_.create_queues_on_use &&
                              queues_.HasNamespace(namespace_name))) {
      reply.status = ExistingQueue(namespace_name, name).status();
    } else if (queue != nullptr && queue->stored.settings.broadcast &&
               SubscribersOf(*queue, command.type, nullptr).empty()) {
      reply.status = NoSubscribers(*queue, command.type);
    }
  }
  if (reply.status.ok()) reply.queues.assign(queues.begin(), queues.end());
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

// --- Exchanges ---

absl::StatusOr<LiveExchange*> Engine::Impl::ExistingExchange(
    const std::string& namespace_name, const std::string& name) {
  if (!queues_.HasNamespace(namespace_name))
    return ExistingQueue(namespace_name, "").status();
  LiveExchange* exchange = exchanges_.Find(namespace_name, name);
  if (exchange == nullptr) return ExchangeNotFound(name);
  return exchange;
}

absl::Status Engine::Impl::CheckAlternate(const std::string& namespace_name,
                                          const std::string& alternate) {
  if (alternate.empty()) return absl::OkStatus();
  return ExistingExchange(namespace_name, alternate).status();
}

absl::Status Engine::Impl::Apply(CreateExchangeCommand&& command) {
  ExchangeReply reply;
  const std::string& name = command.exchange.name;
  const absl::StatusOr<LiveExchange*> found =
      ExistingExchange(command.namespace_name, name);
  if (found.ok()) {
    reply.exchange = Shown(**found);
    if (reply.exchange.type != command.exchange.type) {
      reply.status = WithReason(
          absl::AlreadyExistsError(absl::StrCat(
              "exchange ", name, " exists already, with another type")),
          "EXCHANGE_EXISTS", {{"exchange", name}});
    }
    AddReply(command.reply, std::move(reply));
    return absl::OkStatus();
  }
  if (!queues_.HasNamespace(command.namespace_name)) {
    reply.status = found.status();
  } else if (exchanges_.exchange_count() >= options_.max_exchanges) {
    reply.status =
        WithReason(absl::ResourceExhaustedError(absl::StrCat(
                       "the broker already has ", options_.max_exchanges,
                       " exchanges, which is the limit; delete one")),
                   "TOO_MANY_EXCHANGES");
  } else {
    reply.status = CheckAlternate(command.namespace_name,
                                  command.exchange.alternate_exchange);
  }
  if (reply.status.ok()) {
    command.exchange.revision = 1;
    command.exchange.create_time = now_;
    reply.exchange = Shown(
        *exchanges_.Add(command.namespace_name, std::move(command.exchange)));
  }
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(GetExchangeCommand&& command) {
  ExchangeReply reply;
  const absl::StatusOr<LiveExchange*> exchange =
      ExistingExchange(command.namespace_name, command.name);
  reply.status = exchange.status();
  if (exchange.ok()) reply.exchange = Shown(**exchange);
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(ListExchangesCommand&& command) {
  ExchangePageReply reply;
  if (!queues_.HasNamespace(command.namespace_name))
    reply.status = ExistingQueue(command.namespace_name, "").status();
  const ExchangeTable::Exchanges& all =
      exchanges_.ExchangesOf(command.namespace_name);
  for (auto it = all.upper_bound(command.page_token);
       reply.status.ok() && it != all.end(); ++it) {
    if (reply.exchanges.size() == command.page_size) {
      reply.next_page_token = reply.exchanges.back().name;
      break;
    }
    reply.exchanges.push_back(Shown(*it->second));
  }
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(UpdateExchangeCommand&& command) {
  ExchangeReply reply;
  const absl::StatusOr<LiveExchange*> found =
      ExistingExchange(command.namespace_name, command.name);
  reply.status = found.status();
  if (reply.status.ok())
    reply.status =
        CheckAlternate(command.namespace_name, command.alternate_exchange);
  if (reply.status.ok()) {
    Exchange& settings = (*found)->settings;
    const bool changes =
        settings.description != command.description ||
        settings.alternate_exchange != command.alternate_exchange;
    if (!command.etag.empty() &&
        command.etag != absl::StrCat(settings.revision)) {
      reply.status = EtagMismatch(absl::StrCat("exchange ", command.name),
                                  command.etag, settings.revision);
    } else if (changes) {
      settings.description = std::move(command.description);
      settings.alternate_exchange = std::move(command.alternate_exchange);
      ++settings.revision;
      exchanges_.MarkDirty(**found);
    }
    reply.exchange = Shown(**found);
  }
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(DeleteExchangeCommand&& command) {
  StatusReply reply;
  const absl::StatusOr<LiveExchange*> found =
      ExistingExchange(command.namespace_name, command.name);
  reply.status = found.status();
  if (found.ok()) {
    const std::string user = exchanges_.LeadingTo(**found);
    if (user.empty()) {
      exchanges_.Remove(*found);
    } else {
      reply.status =
          WithReason(absl::FailedPreconditionError(absl::StrCat(
                         "exchange ", command.name, " is in use: exchange ",
                         user, " is bound to it, or has it as its alternate")),
                     "EXCHANGE_IN_USE", {{"exchange", user}});
    }
  }
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

// --- Bindings ---

absl::Status Engine::Impl::CheckNewBinding(const std::string& namespace_name,
                                           const Binding& binding) {
  if (exchanges_.binding_count() >= options_.max_bindings) {
    return WithReason(absl::ResourceExhaustedError(absl::StrCat(
                          "the broker already has ", options_.max_bindings,
                          " bindings, which is the limit; delete some")),
                      "TOO_MANY_BINDINGS");
  }
  if (binding.queue.empty())
    return ExistingExchange(namespace_name, binding.destination_exchange)
        .status();
  return MakeReachable(namespace_name, binding.queue);
}

absl::Status Engine::Impl::MakeReachable(const std::string& namespace_name,
                                         const std::string& queue) {
  if (options_.create_queues_on_use && queues_.HasNamespace(namespace_name) &&
      queues_.Find(namespace_name, queue) == nullptr)
    CreateQueue(namespace_name, queue);
  return ExistingQueue(namespace_name, queue).status();
}

absl::Status Engine::Impl::Apply(CreateBindingCommand&& command) {
  StatusReply reply;
  const absl::StatusOr<LiveExchange*> exchange =
      ExistingExchange(command.namespace_name, command.binding.exchange);
  reply.status = exchange.status();
  if (reply.status.ok() && !(*exchange)->bindings.contains(command.binding)) {
    reply.status = CheckBindingFits((*exchange)->settings, command.binding);
    if (reply.status.ok())
      reply.status = CheckNewBinding(command.namespace_name, command.binding);
    if (reply.status.ok())
      exchanges_.AddBinding(*exchange, std::move(command.binding));
  }
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(DeleteBindingCommand&& command) {
  StatusReply reply;
  const absl::StatusOr<LiveExchange*> exchange =
      ExistingExchange(command.namespace_name, command.binding.exchange);
  reply.status = exchange.status();
  if (exchange.ok() && !exchanges_.RemoveBinding(*exchange, command.binding)) {
    reply.status = WithReason(
        absl::NotFoundError(absl::StrCat(
            "exchange ", command.binding.exchange, " has no such binding to ",
            DestinationOf(command.binding),
            "; a binding is named by all of its fields")),
        "BINDING_NOT_FOUND", {{"exchange", command.binding.exchange}});
  }
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(ListBindingsCommand&& command) {
  BindingPageReply reply;
  Binding last;  // of the page before
  if (!command.page_token.empty()) {
    const absl::StatusOr<StoredBinding> decoded =
        DecodeBinding(command.page_token);
    if (decoded.ok()) {
      last = decoded->binding;
    } else {
      reply.status = InvalidField("page_token", "is not from a former answer");
    }
  }
  if (reply.status.ok() && !command.exchange.empty()) {
    reply.status =
        ExistingExchange(command.namespace_name, command.exchange).status();
  } else if (reply.status.ok() &&
             !queues_.HasNamespace(command.namespace_name)) {
    reply.status = ExistingQueue(command.namespace_name, "").status();
  }
  const ExchangeTable::Exchanges& all =
      exchanges_.ExchangesOf(command.namespace_name);
  auto exchange = all.lower_bound(std::max(last.exchange, command.exchange));
  for (; reply.status.ok() && exchange != all.end(); ++exchange) {
    if (!command.exchange.empty() && exchange->first != command.exchange) break;
    const auto& bindings = exchange->second->bindings;
    auto it = bindings.upper_bound(last);
    for (; it != bindings.end() && reply.bindings.size() < command.page_size;
         ++it)
      reply.bindings.push_back(it->first);
    if (it == bindings.end()) continue;
    reply.next_page_token =
        EncodeBinding({.namespace_name = command.namespace_name,
                       .binding = reply.bindings.back()});
    break;
  }
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

// --- Route rules ---

absl::Status Engine::Impl::Apply(SetRouteRulesCommand&& command) {
  RouteRulesReply reply;
  const std::string& namespace_name = command.namespace_name;
  if (!queues_.HasNamespace(namespace_name))
    reply.status = ExistingQueue(namespace_name, "").status();
  const uint64_t revision = exchanges_.RulesOf(namespace_name).revision;
  if (reply.status.ok() && !command.etag.empty() &&
      command.etag != absl::StrCat(revision))
    reply.status = EtagMismatch("the rules", command.etag, revision);
  for (size_t i = 0; reply.status.ok() && i < command.rules.size(); ++i) {
    const absl::Status reached =
        MakeReachable(namespace_name, command.rules[i].queue);
    reply.status = WithFieldViolation(
        reached, absl::StrCat("rules[", i, "].queue"), "does not exist");
  }
  if (reply.status.ok()) {
    if (!(exchanges_.RulesOf(namespace_name).rules == command.rules))
      exchanges_.SetRules(namespace_name, std::move(command.rules));
    const StoredRouteRules& stored = exchanges_.RulesOf(namespace_name);
    reply.rules = stored.rules;
    reply.etag = absl::StrCat(stored.revision);
  }
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(GetRouteRulesCommand&& command) {
  RouteRulesReply reply;
  if (queues_.HasNamespace(command.namespace_name)) {
    const StoredRouteRules& stored = exchanges_.RulesOf(command.namespace_name);
    reply.rules = stored.rules;
    reply.etag = absl::StrCat(stored.revision);
  } else {
    reply.status = ExistingQueue(command.namespace_name, "").status();
  }
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

absl::Status Engine::Impl::CheckUnused(const Queue& queue) {
  const RouteRule* rule = exchanges_.RuleTo(queue.namespace_name, queue.name);
  if (rule == nullptr) return absl::OkStatus();
  return WithReason(
      absl::FailedPreconditionError(absl::StrCat(
          "queue ", queue.name, " is in use: the route rule of type pattern ",
          rule->type_pattern, " leads to it; change the rules first")),
      "QUEUE_IN_USE",
      {{"queue", queue.name}, {"type_pattern", rule->type_pattern}});
}

}  // namespace apium::broker
