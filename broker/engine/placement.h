#ifndef APIUM_BROKER_ENGINE_PLACEMENT_H_
#define APIUM_BROKER_ENGINE_PLACEMENT_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace apium::broker {

// As apium.v1.OrderingFailurePolicy, with the same numbers.
enum class OrderingFailurePolicy : uint8_t {
  kSkip = 1,
  kBlock = 2,
  kFailRest = 3
};

// What a task says of its place among others and on workers. Most say nothing
// of the kind and have none.
struct Placement {
  using Labels = std::vector<std::pair<std::string, std::string>>;

  std::string fairness_key;
  double fairness_weight = 1;
  std::string ordering_key;
  OrderingFailurePolicy ordering_failure_policy = OrderingFailurePolicy::kSkip;
  Labels required_labels;   // sorted by name
  Labels preferred_labels;  // sorted by name
  std::string sticky_key;
  Labels limit_keys;  // sorted by name
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_PLACEMENT_H_
