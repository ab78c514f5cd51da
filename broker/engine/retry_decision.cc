#include "broker/engine/retry_decision.h"

#include <algorithm>

#include "common/retry_backoff.h"

namespace apium::broker {
namespace {

// As documented in apium/v1/task.proto.
constexpr uint32_t kReturnsAtOnce = 3;
constexpr absl::Duration kFirstReturnDelay = absl::Milliseconds(100);
constexpr absl::Duration kReturnDelayMax = absl::Seconds(10);

}  // namespace

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

absl::Time AttemptsEnd(const TaskContent& content) {
  const absl::Duration limit = content.retry_policy.total_time_limit;
  if (limit == absl::InfiniteDuration()) return absl::InfiniteFuture();
  return std::max(content.create_time, content.eta) + limit;
}

absl::Duration ReturnDelay(uint32_t returns) {
  if (returns <= kReturnsAtOnce) return absl::ZeroDuration();
  absl::Duration delay = kFirstReturnDelay;
  for (uint32_t i = kReturnsAtOnce + 1; i < returns && delay < kReturnDelayMax;
       ++i) {
    delay *= 2;
  }
  return std::min(delay, kReturnDelayMax);
}

}  // namespace apium::broker
