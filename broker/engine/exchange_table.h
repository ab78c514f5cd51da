#ifndef APIUM_BROKER_ENGINE_EXCHANGE_TABLE_H_
#define APIUM_BROKER_ENGINE_EXCHANGE_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "broker/engine/routing.h"
#include "broker/engine/topic_match.h"
#include "broker/storage/routing_codec.h"
#include "storage/store.h"
#include "storage/store_batch.h"

namespace apium::broker {

// An exchange in memory, with the bindings that begin at it.
struct LiveExchange {
  std::string namespace_name;
  Exchange settings;                     // without the count of bindings
  std::map<Binding, uint64_t> bindings;  // with the numbers of their rows
  // Finds bindings; which one, the type says. They point into `bindings`.
  absl::flat_hash_map<std::string, std::vector<const Binding*>> by_key;
  TopicIndex topics;
};

// What a task says of its way.
struct RouteInput {
  const std::string& routing_key;
  const std::vector<std::pair<std::string, std::string>>& headers;  // sorted
};

// Exchanges, bindings and route rules of all namespaces: all in memory, their
// numbers are bounded by the engine. Writes their rows. Knows no queues but by
// name.
class ExchangeTable {
 public:
  absl::Status Recover(const StoreReader& reader);

  // Of the shard.
  size_t exchange_count() const { return exchange_count_; }
  size_t binding_count() const { return binding_count_; }

  using Exchanges = std::map<std::string, std::unique_ptr<LiveExchange>>;
  // Of one namespace, by name; empty if there are none.
  const Exchanges& ExchangesOf(const std::string& namespace_name) const;
  // Null if there is none.
  LiveExchange* Find(const std::string& namespace_name,
                     const std::string& name) const;
  LiveExchange* Add(const std::string& namespace_name, Exchange settings);
  // Its settings changed.
  void MarkDirty(const LiveExchange& exchange);
  // With its bindings. Nothing else may lead to it.
  void Remove(LiveExchange* exchange);
  // Another exchange that has a binding to this one, or has it as its
  // alternate; empty: there is none.
  std::string LeadingTo(const LiveExchange& exchange) const;

  // False: it is there already.
  bool AddBinding(LiveExchange* exchange, Binding binding);
  // False: there is none.
  bool RemoveBinding(LiveExchange* exchange, const Binding& binding);
  void RemoveBindingsTo(const std::string& namespace_name,
                        const std::string& queue);

  // Names of the queues that a task which comes to `first` goes to, each once.
  // Follows exchanges that are bound to others, and the alternate of each
  // exchange of which no binding matches; circles are followed once.
  std::set<std::string> QueuesFor(LiveExchange* first, const RouteInput& task);

  // Whether there are rules in any namespace.
  bool has_rules() const { return !rules_.empty(); }
  const StoredRouteRules& RulesOf(const std::string& namespace_name) const;
  void SetRules(const std::string& namespace_name,
                std::vector<RouteRule> rules);
  // The first rule that takes the type; null: none does. Valid until SetRules.
  const RouteRule* RuleFor(const std::string& namespace_name,
                           const std::string& type);
  // A rule that leads to the queue; null: none does.
  const RouteRule* RuleTo(const std::string& namespace_name,
                          const std::string& queue) const;

  void Flush(StoreBatch* batch);

 private:
  struct LiveRules {
    StoredRouteRules stored;
    // What was found for types that were asked for; null: no rule takes it.
    absl::flat_hash_map<std::string, const RouteRule*> by_type;
  };

  absl::Status RecoverExchanges(const StoreReader& reader);
  absl::Status RecoverBindings(const StoreReader& reader);
  LiveExchange* Insert(const std::string& namespace_name, Exchange settings);
  void Insert(LiveExchange* exchange, Binding binding, uint64_t number);
  void Erase(LiveExchange* exchange,
             std::map<Binding, uint64_t>::const_iterator binding);
  // Bindings of the exchange that take the task.
  void Match(LiveExchange* exchange, const RouteInput& task,
             std::vector<const Binding*>* matches);

  std::map<std::string, Exchanges> exchanges_;  // by namespace
  std::map<std::string, LiveRules> rules_;      // by namespace
  size_t exchange_count_ = 0;
  size_t binding_count_ = 0;
  uint64_t last_binding_ = 0;  // number of a row
  std::set<std::pair<std::string, std::string>> dirty_exchanges_;
  std::set<std::string> dirty_rules_;
  StoreBatch binding_writes_;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_EXCHANGE_TABLE_H_
