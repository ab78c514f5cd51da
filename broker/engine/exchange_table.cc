#include "broker/engine/exchange_table.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "absl/container/flat_hash_set.h"
#include "broker/storage/key_format.h"
#include "broker/storage/record_value.h"
#include "common/glob.h"
#include "common/status_macros.h"

namespace apium::broker {
namespace {

// Types whose rule is remembered: more than an application has, so that the
// rules are looked through once for each.
constexpr size_t kTypesRemembered = 4096;

// Whether a headers exchange takes a task with these headers.
bool TakesHeaders(
    const Binding& binding,
    const std::vector<std::pair<std::string, std::string>>& headers) {
  const auto has = [&](const std::pair<std::string, std::string>& wanted) {
    const auto it =
        std::lower_bound(headers.begin(), headers.end(), wanted.first,
                         [](const auto& header, const std::string& name) {
                           return header.first < name;
                         });
    return it != headers.end() && it->first == wanted.first &&
           (wanted.second.empty() || it->second == wanted.second);
  };
  return binding.match_any
             ? std::any_of(binding.headers.begin(), binding.headers.end(), has)
             : std::all_of(binding.headers.begin(), binding.headers.end(), has);
}

}  // namespace

// --- Exchanges ---

const ExchangeTable::Exchanges& ExchangeTable::ExchangesOf(
    const std::string& namespace_name) const {
  static const Exchanges& none = *new Exchanges();
  const auto it = exchanges_.find(namespace_name);
  return it == exchanges_.end() ? none : it->second;
}

LiveExchange* ExchangeTable::Find(const std::string& namespace_name,
                                  const std::string& name) const {
  const Exchanges& exchanges = ExchangesOf(namespace_name);
  const auto it = exchanges.find(name);
  return it == exchanges.end() ? nullptr : it->second.get();
}

LiveExchange* ExchangeTable::Insert(const std::string& namespace_name,
                                    Exchange settings) {
  auto exchange = std::make_unique<LiveExchange>();
  exchange->namespace_name = namespace_name;
  exchange->settings = std::move(settings);
  LiveExchange* const inserted = exchange.get();
  exchanges_[namespace_name][inserted->settings.name] = std::move(exchange);
  ++exchange_count_;
  return inserted;
}

LiveExchange* ExchangeTable::Add(const std::string& namespace_name,
                                 Exchange settings) {
  LiveExchange* exchange = Insert(namespace_name, std::move(settings));
  MarkDirty(*exchange);
  return exchange;
}

void ExchangeTable::MarkDirty(const LiveExchange& exchange) {
  dirty_exchanges_.emplace(exchange.namespace_name, exchange.settings.name);
}

void ExchangeTable::Remove(LiveExchange* exchange) {
  MarkDirty(*exchange);
  // Not one by one: what finds them goes as a whole.
  for (const auto& [binding, number] : exchange->bindings)
    binding_writes_.Delete(BindingRowKey(number));
  binding_count_ -= exchange->bindings.size();
  --exchange_count_;
  const std::string name = exchange->settings.name;
  exchanges_[exchange->namespace_name].erase(name);
}

std::string ExchangeTable::LeadingTo(const LiveExchange& exchange) const {
  const std::string& target = exchange.settings.name;
  for (const auto& [name, other] : ExchangesOf(exchange.namespace_name)) {
    if (other.get() == &exchange) continue;
    if (other->settings.alternate_exchange == target) return name;
    for (const auto& [binding, number] : other->bindings) {
      if (binding.destination_exchange == target) return name;
    }
  }
  return "";
}

// --- Bindings ---

void ExchangeTable::Insert(LiveExchange* exchange, Binding binding,
                           uint64_t number) {
  const auto it = exchange->bindings.emplace(std::move(binding), number).first;
  const Binding* const inserted = &it->first;
  if (exchange->settings.type == ExchangeType::kDirect)
    exchange->by_key[inserted->routing_key].push_back(inserted);
  if (exchange->settings.type == ExchangeType::kTopic)
    exchange->topics.Add(inserted);
  ++binding_count_;
  last_binding_ = std::max(last_binding_, number);
}

void ExchangeTable::Erase(LiveExchange* exchange,
                          std::map<Binding, uint64_t>::const_iterator binding) {
  const Binding& erased = binding->first;
  if (exchange->settings.type == ExchangeType::kDirect) {
    const auto with_key = exchange->by_key.find(erased.routing_key);
    std::erase(with_key->second, &erased);
    if (with_key->second.empty()) exchange->by_key.erase(with_key);
  }
  if (exchange->settings.type == ExchangeType::kTopic)
    exchange->topics.Remove(&erased);
  --binding_count_;
  binding_writes_.Delete(BindingRowKey(binding->second));
  exchange->bindings.erase(binding);
}

bool ExchangeTable::AddBinding(LiveExchange* exchange, Binding binding) {
  if (exchange->bindings.contains(binding)) return false;
  const uint64_t number = last_binding_ + 1;
  binding_writes_.Put(BindingRowKey(number),
                      EncodeBinding({.namespace_name = exchange->namespace_name,
                                     .binding = binding}));
  Insert(exchange, std::move(binding), number);
  return true;
}

bool ExchangeTable::RemoveBinding(LiveExchange* exchange,
                                  const Binding& binding) {
  const auto it = exchange->bindings.find(binding);
  if (it == exchange->bindings.end()) return false;
  Erase(exchange, it);
  return true;
}

void ExchangeTable::RemoveBindingsTo(const std::string& namespace_name,
                                     const std::string& queue) {
  for (const auto& [name, exchange] : ExchangesOf(namespace_name)) {
    std::vector<Binding> to_queue;
    for (const auto& [binding, number] : exchange->bindings) {
      if (binding.queue == queue) to_queue.push_back(binding);
    }
    for (const Binding& binding : to_queue)
      RemoveBinding(exchange.get(), binding);
  }
}

// --- The way of a task ---

void ExchangeTable::Match(LiveExchange* exchange, const RouteInput& task,
                          std::vector<const Binding*>* matches) {
  switch (exchange->settings.type) {
    case ExchangeType::kDirect: {
      const auto it = exchange->by_key.find(task.routing_key);
      if (it != exchange->by_key.end()) *matches = it->second;
      return;
    }
    case ExchangeType::kTopic:
      exchange->topics.Match(task.routing_key, matches);
      return;
    case ExchangeType::kFanout:
      for (const auto& [binding, number] : exchange->bindings)
        matches->push_back(&binding);
      return;
    case ExchangeType::kHeaders:
      for (const auto& [binding, number] : exchange->bindings) {
        if (TakesHeaders(binding, task.headers)) matches->push_back(&binding);
      }
      return;
  }
}

std::set<std::string> ExchangeTable::QueuesFor(LiveExchange* first,
                                               const RouteInput& task) {
  std::set<std::string> queues;
  absl::flat_hash_set<const LiveExchange*> seen = {first};
  std::vector<LiveExchange*> to_do = {first};
  std::vector<const Binding*> matches;
  const auto go_to = [&](const std::string& name) {
    LiveExchange* exchange = Find(first->namespace_name, name);
    if (exchange != nullptr && seen.insert(exchange).second)
      to_do.push_back(exchange);
  };
  while (!to_do.empty()) {
    LiveExchange* exchange = to_do.back();
    to_do.pop_back();
    matches.clear();
    Match(exchange, task, &matches);
    for (const Binding* binding : matches) {
      if (binding->queue.empty()) {
        go_to(binding->destination_exchange);
      } else {
        queues.insert(binding->queue);
      }
    }
    if (matches.empty()) go_to(exchange->settings.alternate_exchange);
  }
  return queues;
}

// --- Route rules ---

const StoredRouteRules& ExchangeTable::RulesOf(
    const std::string& namespace_name) const {
  static const StoredRouteRules& none = *new StoredRouteRules();
  const auto it = rules_.find(namespace_name);
  return it == rules_.end() ? none : it->second.stored;
}

void ExchangeTable::SetRules(const std::string& namespace_name,
                             std::vector<RouteRule> rules) {
  LiveRules& live = rules_[namespace_name];
  live.by_type.clear();
  live.stored.rules = std::move(rules);
  ++live.stored.revision;
  dirty_rules_.insert(namespace_name);
}

const RouteRule* ExchangeTable::RuleFor(const std::string& namespace_name,
                                        const std::string& type) {
  const auto it = rules_.find(namespace_name);
  if (it == rules_.end() || it->second.stored.rules.empty()) return nullptr;
  LiveRules& live = it->second;
  const auto known = live.by_type.find(type);
  if (known != live.by_type.end()) return known->second;
  const RouteRule* found = nullptr;
  for (const RouteRule& rule : live.stored.rules) {
    if (!GlobMatch(rule.type_pattern, type)) continue;
    found = &rule;
    break;
  }
  if (live.by_type.size() >= kTypesRemembered) live.by_type.clear();
  live.by_type[type] = found;
  return found;
}

const RouteRule* ExchangeTable::RuleTo(const std::string& namespace_name,
                                       const std::string& queue) const {
  for (const RouteRule& rule : RulesOf(namespace_name).rules) {
    if (rule.queue == queue) return &rule;
  }
  return nullptr;
}

// --- Rows ---

absl::Status ExchangeTable::Recover(const StoreReader& reader) {
  APIUM_RETURN_IF_ERROR(RecoverExchanges(reader));
  return RecoverBindings(reader);
}

absl::Status ExchangeTable::RecoverExchanges(const StoreReader& reader) {
  absl::Status visited = absl::OkStatus();
  const auto visit_rules = [&](std::string_view namespace_name,
                               std::string_view value) {
    auto rules = DecodeRouteRules(value);
    visited = rules.status();
    if (rules.ok())
      rules_[std::string(namespace_name)].stored = *std::move(rules);
  };
  const auto visit_exchange = [&](std::string_view key,
                                  std::string_view value) {
    const size_t zero = key.find('\0');
    auto exchange = DecodeExchange(value);
    visited = zero == std::string_view::npos ? DamagedRow("exchange")
                                             : exchange.status();
    if (!visited.ok()) return;
    exchange->name = std::string(key.substr(zero + 1));
    Insert(std::string(key.substr(0, zero)), *std::move(exchange));
  };
  APIUM_RETURN_IF_ERROR(
      reader.Scan(std::string(1, kRoutingRow), RowsEnd(kRoutingRow),
                  [&](std::string_view key, std::string_view value) {
                    const auto exchange = ExchangeOfRow(key);
                    const auto rules_of = NamespaceOfRouteRulesRow(key);
                    if (exchange.has_value()) {
                      visit_exchange(*exchange, value);
                    } else if (rules_of.has_value()) {
                      visit_rules(*rules_of, value);
                    } else {
                      visited = DamagedRow("routing");
                    }
                    return visited.ok();
                  }));
  return visited;
}

absl::Status ExchangeTable::RecoverBindings(const StoreReader& reader) {
  absl::Status visited = absl::OkStatus();
  APIUM_RETURN_IF_ERROR(reader.Scan(
      std::string(1, kBindingRow), RowsEnd(kBindingRow),
      [&](std::string_view key, std::string_view value) {
        const std::optional<uint64_t> number = NumberOfRow(key);
        auto stored = DecodeBinding(value);
        visited = number.has_value() ? stored.status() : DamagedRow("binding");
        if (!visited.ok()) return false;
        LiveExchange* exchange =
            Find(stored->namespace_name, stored->binding.exchange);
        if (exchange == nullptr) {
          visited = DamagedRow("binding");
          return false;
        }
        Insert(exchange, std::move(stored->binding), *number);
        return true;
      }));
  return visited;
}

void ExchangeTable::Flush(StoreBatch* batch) {
  for (const auto& [namespace_name, name] : dirty_exchanges_) {
    const std::string key = ExchangeRowKey(MakeTaskKey(namespace_name, name));
    const LiveExchange* exchange = Find(namespace_name, name);
    if (exchange == nullptr) {
      batch->Delete(key);
    } else {
      batch->Put(key, EncodeExchange(exchange->settings));
    }
  }
  dirty_exchanges_.clear();
  for (const std::string& namespace_name : dirty_rules_) {
    batch->Put(RouteRulesRowKey(namespace_name),
               EncodeRouteRules(RulesOf(namespace_name)));
  }
  dirty_rules_.clear();
  if (binding_writes_.empty()) return;
  batch->Append(binding_writes_);
  binding_writes_.Clear();
}

}  // namespace apium::broker
