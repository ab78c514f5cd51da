#ifndef APIUM_BENCHMARKS_PLATFORM_DELAYED_H_
#define APIUM_BENCHMARKS_PLATFORM_DELAYED_H_

#include <cstddef>

#include "absl/time/time.h"
#include "benchmarks/platform/platform.h"

namespace apium::benchmark {

// Queues `tasks` no-op tasks with 100-byte payloads whose ETA is an hour ahead,
// as fast as it goes.
void FillDelayed(Platform* platform, size_t tasks);

// Percentiles of some durations.
struct Spread {
  absl::Duration least;
  absl::Duration p50;
  absl::Duration p99;
  absl::Duration most;
};

// Submits `tasks` no-op tasks whose ETAs are spread evenly over `span`, which
// begins when all are submitted, and gives how long after its ETA each started,
// by the worker's clock. Negative: too early.
Spread MeasureLateness(Platform* platform, size_t tasks, absl::Duration span);

// Runs `tasks` sleeping tasks (the worker must have so many slots), cancels
// them one by one, and gives the time from the call to the end that the obeying
// handler's outcome has: an upper bound of when the handler saw it.
Spread MeasureCancel(Platform* platform, size_t tasks);

}  // namespace apium::benchmark

#endif  // APIUM_BENCHMARKS_PLATFORM_DELAYED_H_
