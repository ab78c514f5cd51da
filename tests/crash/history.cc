#include "tests/crash/history.h"

#include <time.h>

namespace apium::crash {

Moment MonotonicNow() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return absl::DurationFromTimespec(now);
}

}  // namespace apium::crash
