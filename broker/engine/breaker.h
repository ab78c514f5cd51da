#ifndef APIUM_BROKER_ENGINE_BREAKER_H_
#define APIUM_BROKER_ENGINE_BREAKER_H_

#include <cstdint>
#include <string>

#include "absl/time/time.h"

// What the engine knows of the circuit breaker of a task type.
namespace apium::broker {

// As apium.v1.BreakerState, with the same numbers.
enum class BreakerState : uint8_t { kClosed = 1, kOpen = 2, kHalfOpen = 3 };

// As apium.v1.Breaker, defaults filled in.
struct BreakerSettings {
  double failure_share = 0.5;
  uint32_t min_attempts = 20;
  absl::Duration window = absl::Minutes(1);
  absl::Duration open_duration = absl::Seconds(30);
};

// A breaker as its readers see it.
struct BreakerInfo {
  std::string type;
  BreakerSettings settings;
  BreakerState state = BreakerState::kClosed;
  uint64_t attempts = 0;
  uint64_t failures = 0;
  absl::Time open_time = absl::InfinitePast();  // InfinitePast: never
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_BREAKER_H_
