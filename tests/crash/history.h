// What happened in a run, as its clients, its workers and its nemesis saw it:
// the checker's only source besides the final reads.
//
// Two clocks: `Moment` is CLOCK_MONOTONIC, which all processes of a machine
// share and which orders events; absl::Time is the wall clock, which the broker
// holds against ETAs and expiries.

#ifndef APIUM_TESTS_CRASH_HISTORY_H_
#define APIUM_TESTS_CRASH_HISTORY_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "apium/v1/task.pb.h"

namespace apium::crash {

using Moment = absl::Duration;

// Now, by CLOCK_MONOTONIC.
Moment MonotonicNow();

// What a submitter knows of one call for one task.
struct SubmitRecord {
  enum class Verdict {
    kAccepted,  // the broker said that the task is durable
    kRefused,   // the broker said why not
    kUnknown,   // no answer: it may or may not exist
  };

  v1::TaskSpec spec;
  Verdict verdict = Verdict::kUnknown;
  absl::Status status;
  Moment invoked;
  Moment returned;
};

struct CancelRecord {
  std::string task_id;
  Moment invoked;
};

// One run of a handler, from the worker's history.
struct ExecutionRecord {
  enum class End {
    kNone,  // the worker did not live to write it
    kSucceeded,
    kFailed,
    kCancelled,
  };

  std::string task_id;
  uint32_t attempt = 0;
  uint64_t epoch = 0;
  std::string worker;  // see KillRecord
  // Of this run alone; part of what it returns, whether result or failure.
  std::string token;
  Moment start;
  absl::Time start_time;
  End end = End::kNone;
  Moment end_moment;
};

enum class ProcessKind { kBroker, kResults, kWorker, kBuiltinWorker };

// The end of one process by SIGKILL.
struct KillRecord {
  ProcessKind kind = ProcessKind::kBroker;
  // Name and number of its start, as "worker-1.17": the kernel gives the number
  // of a dead process to a new one.
  std::string process;
  size_t round = 0;  // of the nemesis; processes of one round die together
  Moment sent;
  Moment dead;  // the kernel has taken the process away
  absl::Time dead_time;
};

// The answer to one read of one task.
struct ReadRecord {
  absl::Status status;
  v1::TaskState state = v1::TASK_STATE_UNSPECIFIED;
  v1::TaskOutcome outcome;  // if `status` is OK and `state` terminal
};

// A terminal state that a client was told of while the run went on.
struct ObservationRecord {
  v1::TaskOutcome outcome;
  std::string source;  // for messages: "wait", "stream", "watch"
};

struct QueueRecord {
  std::string name;
  uint64_t ready = 0;
  uint64_t scheduled = 0;
  uint64_t leased = 0;
};

struct History {
  // Task types whose executions are in `executions`; of the others only the
  // outcome is known, which is an echo of the payload.
  std::string observed_type_prefix = "crash.";

  std::vector<SubmitRecord> submits;
  std::vector<CancelRecord> cancels;
  std::vector<ObservationRecord> observations;
  std::vector<ExecutionRecord> executions;
  std::vector<KillRecord> kills;

  // After the drain, for each id that was ever submitted.
  std::map<std::string, ReadRecord> at_broker;
  std::map<std::string, ReadRecord> at_results;
  // All that the result service recorded, in order.
  std::vector<v1::TaskOutcome> log;
  // The same by a watch that was open during the run and resumed after each
  // kill.
  std::vector<v1::TaskOutcome> live_log;
  std::vector<QueueRecord> queues;

  // What else went wrong, in words: a process that ended by itself, a history
  // file that cannot be read, no progress after a restart.
  std::vector<std::string> mishaps;
};

}  // namespace apium::crash

#endif  // APIUM_TESTS_CRASH_HISTORY_H_
