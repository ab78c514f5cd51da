// Judges a history: was every promise kept? Pure: no process, no clock.

#ifndef APIUM_TESTS_CRASH_HISTORY_CHECKER_H_
#define APIUM_TESTS_CRASH_HISTORY_CHECKER_H_

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "tests/crash/history.h"

namespace apium::crash {

enum class Rule {
  // An acknowledged task has no terminal state.
  kLost,
  // A finished task has no outcome at the broker or at the result service.
  kUnreadable,
  // Two readers were told different outcomes of one task, or the same one
  // changed.
  kOutcomeChanged,
  // The result service recorded a task twice, or told a watcher twice.
  kRecordedTwice,
  // A task that nobody submitted ran or ended.
  kPhantom,
  // Two executions of a task ran at the same time.
  kOverlap,
  // Epochs or attempts of a task do not grow with the order of the starts.
  kEpochOrder,
  // The outcome is not that of the execution with its epoch.
  kForeignOutcome,
  // An execution with a higher epoch than the outcome's has run.
  kStaleOutcome,
  // A terminal state without its cause: CANCELLED without a cancel, and so on.
  kUnexplainedState,
  // More executions, failures or crashes than the task's policy allows, or
  // than the outcome counts.
  kMiscounted,
  // Started before its ETA.
  kEarly,
  // Started after its expiry.
  kLate,
  // A submit was not answered as the first one with its id.
  kNotIdempotent,
  // A queue counts tasks after the drain.
  kQueueNotEmpty,
  // Something that must not happen in a run at all.
  kMishap,
  // Too little happened to tell anything.
  kVacuous,
};

// "LOST", "OVERLAP", ...
std::string_view RuleName(Rule rule);

struct Violation {
  Rule rule = Rule::kMishap;
  std::string task_id;  // empty: not about one task
  std::string message;
};

// What happened, in numbers.
struct Activity {
  size_t accepted = 0;  // tasks, not submits
  size_t unknown = 0;   // submits without an answer
  size_t refused = 0;
  size_t repeated = 0;  // submits of an id that was accepted before
  size_t executions = 0;
  // Executions of a task that an earlier worker took into its grave.
  size_t redeliveries = 0;
  // Executions that began before the broker was killed, and whose outcome was
  // accepted after it: their session was resumed.
  size_t resumed = 0;
  size_t kill_rounds = 0;
  size_t rounds_of_all = 0;  // broker, results and a worker together
  std::map<ProcessKind, size_t> kills;
  std::map<v1::TaskState, size_t> states;
};

struct RequiredActivity {
  size_t accepted = 0;
  size_t redeliveries = 0;
  size_t resumed = 0;
  size_t kill_rounds = 0;
  size_t rounds_of_all = 0;
  size_t kills_of_each_kind = 0;  // broker, results, worker
};

struct CheckerOptions {
  RequiredActivity required;
  // From the worker's own look at the expiry to the handler's first line: the
  // scheduler of a loaded machine may take its time. What the broker recorded
  // as the start is judged without it.
  absl::Duration start_slack = absl::Seconds(5);
};

struct Verdict {
  Activity activity;
  std::vector<Violation> violations;  // by rule, then by task
};

Verdict Check(const CheckerOptions& options, const History& history);

// The numbers, then the violations, at most `violations_max` of each rule.
std::string Describe(const Verdict& verdict, size_t violations_max = 10);

}  // namespace apium::crash

#endif  // APIUM_TESTS_CRASH_HISTORY_CHECKER_H_
