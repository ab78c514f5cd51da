#ifndef APIUM_TESTS_CRASH_WORKLOAD_H_
#define APIUM_TESTS_CRASH_WORKLOAD_H_

#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "tests/crash/recorder.h"

namespace apium::crash {

struct WorkloadOptions {
  std::string broker_address;
  uint64_t seed = 1;
  // Accepted tasks without an outcome at which clients wait; those that submit
  // many at a time wait at half of it, so that the others have their turn.
  int64_t backlog_max = 300;
  // How long the clients' calls are repeated before they count as unanswered.
  absl::Duration call_deadline = absl::Seconds(60);
  // Send some tasks to the built-in worker's queue.
  bool builtin_tasks = true;
};

// Clients that submit tasks of all kinds until the recorder is stopped, each on
// a thread:
//   one      single calls, repeated until they are answered: submits, repeated
//            submits, submits of other content under a used id, cancels, waits
//   impatient  the same without repetitions, so that some stay unanswered
//   batch    submits of several tasks
//   stream   a TaskStream that reports outcomes
class Workload {
 public:
  Workload(WorkloadOptions options, Recorder* recorder);
  // The recorder must be stopped. Joins.
  ~Workload();
  Workload(const Workload&) = delete;
  Workload& operator=(const Workload&) = delete;

 private:
  std::vector<std::thread> clients_;
};

}  // namespace apium::crash

#endif  // APIUM_TESTS_CRASH_WORKLOAD_H_
