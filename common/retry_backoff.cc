#include "common/retry_backoff.h"

#include <algorithm>
#include <cmath>

#include "absl/random/distributions.h"

namespace apium {
namespace {

// `value` in [low, high], and `low` for NaN.
double ClampNumber(double value, double low, double high) {
  return value >= low ? std::min(value, high) : low;
}

}  // namespace

absl::Duration BackoffDelay(const BackoffPolicy& policy, int retry_number,
                            absl::BitGenRef random) {
  const absl::Duration initial = std::max(policy.initial, absl::ZeroDuration());
  const absl::Duration max = std::max(policy.max, initial);
  const double multiplier =
      ClampNumber(policy.multiplier, 1.0, kRetryMultiplierMax);
  const int steps = std::max(retry_number, 1) - 1;
  // In seconds, as a double: pow gives infinity where a Duration would
  // saturate, and min puts it right. 0 * infinity is NaN, hence the test.
  const double grown =
      initial == absl::ZeroDuration()
          ? 0.0
          : absl::ToDoubleSeconds(initial) * std::pow(multiplier, steps);
  const absl::Duration base = std::min(absl::Seconds(grown), max);
  const double jitter = ClampNumber(policy.jitter, 0.0, 1.0);
  if (jitter == 0.0 || base == absl::ZeroDuration()) return base;
  return base * (1.0 - jitter * absl::Uniform<double>(random, 0.0, 1.0));
}

}  // namespace apium
