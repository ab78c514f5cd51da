// Exponential back-off with jitter: between attempts of a task, and between
// reconnects.

#ifndef APIUM_COMMON_RETRY_BACKOFF_H_
#define APIUM_COMMON_RETRY_BACKOFF_H_

#include "absl/random/bit_gen_ref.h"
#include "absl/time/time.h"
#include "common/limits.h"

namespace apium {

struct BackoffPolicy {
  absl::Duration initial = kReconnectInitial;  // >= 0
  double multiplier = kReconnectMultiplier;    // >= 1
  absl::Duration max = kReconnectMax;          // >= initial
  // Share of the delay that is random: the delay is uniform in [base * (1 -
  // jitter), base]. 0 is exact, 1 is "full jitter".
  double jitter = kReconnectJitter;  // 0..1
};

// The wait before retry `retry_number`, 1 for the first. Never above `max`,
// never negative, never NaN: values outside the ranges above are clamped.
// Consumes one number from `random`, if jitter > 0.
absl::Duration BackoffDelay(const BackoffPolicy& policy, int retry_number,
                            absl::BitGenRef random);

}  // namespace apium

#endif  // APIUM_COMMON_RETRY_BACKOFF_H_
