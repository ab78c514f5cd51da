#ifndef APIUM_BENCHMARKS_PLATFORM_LOADS_H_
#define APIUM_BENCHMARKS_PLATFORM_LOADS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "benchmarks/platform/platform.h"

namespace apium::benchmark {

// What one load measured.
struct Measurement {
  std::string name;
  double per_second = 0;
  // Of single operations; zero where the load has none.
  absl::Duration p50;
  absl::Duration p99;
  // CPU time per task, microseconds.
  double client_cpu = 0;
  double broker_cpu = 0;
  double worker_cpu = 0;
  double results_cpu = 0;
};

// How tasks are submitted. Every submit is answered after an fsync.
enum class Submit {
  kUnarySequential,  // SubmitTask, one after another
  kUnaryInFlight,    // SubmitTask, 64 at a time
  kBatches,          // SubmitTasks of 64, 8 calls at a time
  kStream,           // StreamTasks, messages of at most 64
  kStreamOne,        // StreamTasks, one task a message
};

// Submits no-op tasks with 100-byte payloads to a paused queue for `duration`.
Measurement MeasureSubmit(Platform* platform, Submit how,
                          absl::Duration duration);

// Submits no-op tasks while they are executed, with at most `window` of them
// not yet durable at the result service, whose watch counts them.
Measurement MeasureEndToEnd(Platform* platform, Submit how, size_t window,
                            absl::Duration duration);

// Queues `tasks` and measures how fast they are executed until every outcome is
// durable at the result service.
Measurement MeasureDrain(Platform* platform, size_t tasks);

// One task at a time: from the submit to the outcome, by stream or by
// SubmitTask and WaitTask.
Measurement MeasureSequential(Platform* platform, bool stream,
                              absl::Duration duration);

// Queues `tasks` in the paused queue `queue`, as fast as it goes.
void FillQueue(Platform* platform, const std::string& queue, size_t tasks);

}  // namespace apium::benchmark

#endif  // APIUM_BENCHMARKS_PLATFORM_LOADS_H_
