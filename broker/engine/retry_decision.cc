#include "broker/engine/retry_decision.h"

#include <algorithm>

#include "common/retry_backoff.h"

namespace apium::broker {

std::optional<absl::Duration> DecideRetry(
    const RetryPolicy& policy, const Failure& failure, uint32_t failures,
    std::optional<absl::Duration> asked_delay, absl::BitGenRef random) {
  if (failure.non_retryable || failures >= policy.max_attempts)
    return std::nullopt;
  const auto& final_types = policy.non_retryable_types;
  if (std::find(final_types.begin(), final_types.end(), failure.type) !=
      final_types.end())
    return std::nullopt;
  if (asked_delay.has_value()) return asked_delay;
  return BackoffDelay({.initial = policy.initial_delay,
                       .multiplier = policy.multiplier,
                       .max = policy.max_delay,
                       .jitter = policy.jitter},
                      static_cast<int>(failures), random);
}

}  // namespace apium::broker
