#ifndef APIUM_BROKER_STORAGE_ROUTING_CODEC_H_
#define APIUM_BROKER_STORAGE_ROUTING_CODEC_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "broker/engine/routing.h"

// The values of the rows of exchanges, bindings and route rules: see
// docs/storage_format.md.
namespace apium::broker {

// Without its name, which is in the row's key, and the count of its bindings.
std::string EncodeExchange(const Exchange& exchange);
absl::StatusOr<Exchange> DecodeExchange(std::string_view value);

struct StoredBinding {
  std::string namespace_name;
  Binding binding;
};
std::string EncodeBinding(const StoredBinding& binding);
absl::StatusOr<StoredBinding> DecodeBinding(std::string_view value);

struct StoredRouteRules {
  uint64_t revision = 0;  // 0: there never were any
  std::vector<RouteRule> rules;
};
std::string EncodeRouteRules(const StoredRouteRules& rules);
absl::StatusOr<StoredRouteRules> DecodeRouteRules(std::string_view value);

}  // namespace apium::broker

#endif  // APIUM_BROKER_STORAGE_ROUTING_CODEC_H_
