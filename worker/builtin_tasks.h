#ifndef APIUM_WORKER_BUILTIN_TASKS_H_
#define APIUM_WORKER_BUILTIN_TASKS_H_

#include "absl/status/status.h"

namespace apium {

class Worker;

// Tasks to try a platform with, and to test and measure it:
//
//   apium.noop                  does nothing; any payload
//   apium.echo                  returns its payload as it is
//   apium.sleep(seconds)        sleeps, reports progress, obeys a cancel
//   apium.count(to, interval_seconds)
//       appends the numbers from 1 to `to` as chunks, one each interval
//       (default 0); another attempt goes on behind the last that was reported
//   apium.fail(message, type, non_retryable, succeed_at_attempt)
//       fails; all arguments may be left out and be given by name. With
//       succeed_at_attempt = N, deliveries from the Nth on return N's number.
//
// ALREADY_EXISTS if one of these types is registered.
absl::Status RegisterBuiltinTasks(Worker* worker);

}  // namespace apium

#endif  // APIUM_WORKER_BUILTIN_TASKS_H_
