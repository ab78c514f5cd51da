#ifndef APIUM_BROKER_ENGINE_LIMIT_H_
#define APIUM_BROKER_ENGINE_LIMIT_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/time/time.h"

// Rules of how many tasks run at a time, and how many start in a time. See
// apium/v1/limit_service.proto.
namespace apium::broker {

// As apium.v1.LimitPartition, with the same numbers.
enum class LimitPartition : uint8_t {
  kNone = 1,
  kType = 2,
  kQueue = 3,
  kKey = 4,
  kFairnessKey = 5,
};

// As apium.v1.Rate, defaults filled in.
struct Rate {
  double points = 0;
  absl::Duration period;
  double burst = 0;
  double cost = 1;

  friend bool operator==(const Rate&, const Rate&) = default;
};

// What of a limit its users can change.
struct LimitSettings {
  std::string description;
  std::string type_pattern;      // empty: all
  std::string queue_pattern;     // empty: all
  uint32_t max_concurrency = 0;  // 0: no such limit
  std::optional<Rate> rate;
  bool disabled = false;

  friend bool operator==(const LimitSettings&, const LimitSettings&) = default;
};

// As apium.v1.Limit.
struct Limit {
  std::string name;
  LimitPartition partition = LimitPartition::kNone;
  std::string key;  // with kKey
  LimitSettings settings;
  uint64_t revision = 1;
  absl::Time create_time;
};

// As apium.v1.LimitUsage.
struct LimitUsage {
  std::string key;
  uint32_t running = 0;
  double points = 0;
  uint32_t waiting_lanes = 0;
  absl::Time pause_until = absl::InfinitePast();  // InfinitePast: not paused
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_LIMIT_H_
