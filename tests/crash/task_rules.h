#ifndef APIUM_TESTS_CRASH_TASK_RULES_H_
#define APIUM_TESTS_CRASH_TASK_RULES_H_

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "tests/crash/history.h"
#include "tests/crash/history_checker.h"

namespace apium::crash {

// All that a history says of one task. Borrows from the history.
struct TaskHistory {
  std::string id;
  std::vector<const SubmitRecord*> submits;  // in the order of their calls
  bool cancel_asked = false;
  std::vector<const ObservationRecord*> observations;
  std::vector<const ExecutionRecord*> executions;  // in the order of starts
  std::vector<const v1::TaskOutcome*> log;
  std::vector<const v1::TaskOutcome*> live_log;
  const ReadRecord* at_broker = nullptr;
  const ReadRecord* at_results = nullptr;

  // The first submit that the broker accepted; null: none that is known.
  const SubmitRecord* Accepted() const;
  // The outcome that readers of the broker get; null: none.
  const v1::TaskOutcome* Outcome() const;
};

// When executions that never ended were over: the deaths of their workers.
using Deaths = std::map<std::string, Moment>;

// The end of the execution; infinite if nothing ended it.
Moment EndOf(const ExecutionRecord& execution, const Deaths& deaths);

struct TaskRulesOptions {
  std::string observed_type_prefix;
  absl::Duration start_slack;
};

// Judges one task; `report` gets each violation.
void CheckTask(const TaskRulesOptions& options, const Deaths& deaths,
               const TaskHistory& task,
               const std::function<void(Rule, std::string message)>& report);

}  // namespace apium::crash

#endif  // APIUM_TESTS_CRASH_TASK_RULES_H_
