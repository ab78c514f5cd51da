#include "common/clock.h"

#include <time.h>

#include "absl/time/clock.h"

namespace apium {

const SystemClock* SystemClock::Get() {
  static const SystemClock* const clock = new SystemClock;
  return clock;
}

absl::Time SystemClock::Now() const { return absl::Now(); }

absl::Duration SystemClock::Monotonic() const {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return absl::DurationFromTimespec(now);
}

}  // namespace apium
