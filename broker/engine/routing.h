#ifndef APIUM_BROKER_ENGINE_ROUTING_H_
#define APIUM_BROKER_ENGINE_ROUTING_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"

// Exchanges, bindings and route rules. See apium/v1/routing_service.proto.
namespace apium::broker {

// As apium.v1.ExchangeType, with the same numbers.
enum class ExchangeType : uint8_t {
  kDirect = 1,
  kTopic = 2,
  kFanout = 3,
  kHeaders = 4,
};

// As apium.v1.Exchange.
struct Exchange {
  std::string name;
  ExchangeType type = ExchangeType::kDirect;
  std::string description;
  std::string alternate_exchange;  // empty: none
  uint64_t revision = 1;
  absl::Time create_time;
  uint32_t bindings = 0;  // how many; output only
};

// As apium.v1.Binding. Equal ones are the same binding.
struct Binding {
  std::string exchange;
  // Exactly one of these.
  std::string queue;
  std::string destination_exchange;
  std::string routing_key;
  std::vector<std::pair<std::string, std::string>> headers;  // sorted by name
  bool match_any = false;

  friend auto operator<=>(const Binding&, const Binding&) = default;
};

// As apium.v1.RouteRule.
struct RouteRule {
  std::string type_pattern;
  std::string queue;

  friend bool operator==(const RouteRule&, const RouteRule&) = default;
};

// Which way a task goes that names no queue.
struct Route {
  std::string exchange;
  std::string routing_key;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_ROUTING_H_
