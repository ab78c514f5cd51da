#ifndef APIUM_TESTS_CRASH_CRASH_RUN_H_
#define APIUM_TESTS_CRASH_CRASH_RUN_H_

#include <cstddef>
#include <cstdint>

#include "absl/time/time.h"
#include "tests/crash/history.h"
#include "tests/crash/platform.h"
#include "tests/crash/workload.h"

namespace apium::crash {

struct CrashRunOptions {
  PlatformOptions platform;
  // Address and seed are filled in.
  WorkloadOptions workload;
  uint64_t seed = 1;
  // Moments at which something is killed.
  size_t kills = 100;
  // Kill nothing but the broker.
  bool only_broker = false;
  // Between two kills: up to so many acknowledgements, and as many outcomes.
  uint32_t progress_max = 40;
  // How long the platform may take to make that progress after a kill.
  absl::Duration patience = absl::Minutes(2);
  absl::Duration drain_timeout = absl::Minutes(4);
};

// Starts the platform and its clients, kills and restarts at random moments,
// lets everything drain, and reads the final state. What prevents that is a
// mishap in the history. On a thread that lives on: see Platform.
History RunAndCrash(CrashRunOptions options);

}  // namespace apium::crash

#endif  // APIUM_TESTS_CRASH_CRASH_RUN_H_
