#include "tests/crash/history_checker.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "common/strings.h"
#include "tests/crash/task_rules.h"

namespace apium::crash {
namespace {

absl::Time FinishTime(const v1::TaskOutcome& outcome) {
  return absl::FromUnixSeconds(outcome.finish_time().seconds()) +
         absl::Nanoseconds(outcome.finish_time().nanos());
}

std::string_view KindName(ProcessKind kind) {
  switch (kind) {
    case ProcessKind::kBroker:
      return "broker";
    case ProcessKind::kResults:
      return "results";
    case ProcessKind::kWorker:
      return "worker";
    case ProcessKind::kBuiltinWorker:
      return "built-in worker";
  }
  return "?";
}

class Checker {
 public:
  Checker(const CheckerOptions& options, const History& history)
      : options_(options), history_(history) {}

  Verdict Check() {
    Index();
    for (const auto& [id, task] : tasks_) CheckOne(task);
    CheckLogOrder();
    for (const QueueRecord& queue : history_.queues) {
      if (queue.ready + queue.scheduled + queue.leased == 0) continue;
      Report(Rule::kQueueNotEmpty, "",
             StrCat("queue ", queue.name, " has ", queue.ready, " ready, ",
                    queue.scheduled, " scheduled, ", queue.leased, " leased"));
    }
    for (const std::string& mishap : history_.mishaps) {
      Report(Rule::kMishap, "", mishap);
    }
    CountKills();
    CheckActivity();
    std::stable_sort(
        verdict_.violations.begin(), verdict_.violations.end(),
        [](const Violation& a, const Violation& b) { return a.rule < b.rule; });
    return std::move(verdict_);
  }

 private:
  TaskHistory& Task(const std::string& id) {
    TaskHistory& task = tasks_[id];
    task.id = id;
    return task;
  }
  void Index();
  void CheckOne(const TaskHistory& task);
  void Count(const TaskHistory& task);
  // Both logs are in recorded order.
  void CheckLogOrder();
  void CountKills();
  void CheckActivity();
  void Report(Rule rule, std::string task_id, std::string message) {
    verdict_.violations.push_back(
        {rule, std::move(task_id), std::move(message)});
  }

  const CheckerOptions& options_;
  const History& history_;
  Deaths deaths_;
  std::map<std::string, TaskHistory> tasks_;
  Verdict verdict_;
};

void Checker::Index() {
  for (const KillRecord& kill : history_.kills)
    deaths_[kill.process] = kill.dead;
  for (const SubmitRecord& submit : history_.submits) {
    Task(submit.spec.task_id()).submits.push_back(&submit);
  }
  for (const CancelRecord& cancel : history_.cancels) {
    Task(cancel.task_id).cancel_asked = true;
  }
  for (const ObservationRecord& seen : history_.observations) {
    Task(seen.outcome.task_id()).observations.push_back(&seen);
  }
  for (const ExecutionRecord& execution : history_.executions) {
    Task(execution.task_id).executions.push_back(&execution);
  }
  for (const v1::TaskOutcome& outcome : history_.log) {
    Task(outcome.task_id()).log.push_back(&outcome);
  }
  for (const v1::TaskOutcome& outcome : history_.live_log) {
    Task(outcome.task_id()).live_log.push_back(&outcome);
  }
  for (const auto& [id, read] : history_.at_broker) Task(id).at_broker = &read;
  for (const auto& [id, read] : history_.at_results) {
    Task(id).at_results = &read;
  }
  for (auto& [id, task] : tasks_) {
    std::stable_sort(task.submits.begin(), task.submits.end(),
                     [](const SubmitRecord* a, const SubmitRecord* b) {
                       return a->invoked < b->invoked;
                     });
    std::stable_sort(task.executions.begin(), task.executions.end(),
                     [](const ExecutionRecord* a, const ExecutionRecord* b) {
                       return a->start < b->start;
                     });
  }
}

void Checker::CheckOne(const TaskHistory& task) {
  CheckTask({.observed_type_prefix = history_.observed_type_prefix,
             .start_slack = options_.start_slack},
            deaths_, task, [&](Rule rule, std::string message) {
              Report(rule, task.id, std::move(message));
            });
  Count(task);
}

void Checker::Count(const TaskHistory& task) {
  Activity& activity = verdict_.activity;
  const SubmitRecord* accepted = task.Accepted();
  activity.accepted += accepted != nullptr;
  for (const SubmitRecord* submit : task.submits) {
    activity.unknown += submit->verdict == SubmitRecord::Verdict::kUnknown;
    activity.refused += submit->verdict == SubmitRecord::Verdict::kRefused;
    activity.repeated += accepted != nullptr && submit != accepted &&
                         submit->invoked > accepted->returned;
  }
  activity.executions += task.executions.size();
  bool orphaned = false;
  for (const ExecutionRecord* execution : task.executions) {
    activity.redeliveries += orphaned;
    orphaned = deaths_.contains(execution->worker) &&
               execution->end == ExecutionRecord::End::kNone;
  }
  const v1::TaskOutcome* outcome = task.Outcome();
  if (outcome == nullptr) return;
  ++activity.states[outcome->state()];
  for (const ExecutionRecord* execution : task.executions) {
    if (execution->epoch != outcome->epoch()) continue;
    const bool outlived =
        std::any_of(history_.kills.begin(), history_.kills.end(),
                    [&](const KillRecord& kill) {
                      return kill.kind == ProcessKind::kBroker &&
                             execution->start < kill.sent &&
                             kill.dead_time < FinishTime(*outcome);
                    });
    activity.resumed += outlived;
  }
}

void Checker::CheckLogOrder() {
  const auto same_task = [](const v1::TaskOutcome& a,
                            const v1::TaskOutcome& b) {
    return a.task_id() == b.task_id();
  };
  // What is missing or double has been reported with its task.
  if (history_.log.size() != history_.live_log.size()) return;
  const auto [recorded, watched] =
      std::mismatch(history_.log.begin(), history_.log.end(),
                    history_.live_log.begin(), same_task);
  if (recorded == history_.log.end()) return;
  Report(Rule::kOutcomeChanged, recorded->task_id(),
         StrCat("at place ", std::distance(history_.log.begin(), recorded),
                " the log has it, the watch that was open all the time had ",
                watched->task_id()));
}

void Checker::CountKills() {
  std::map<size_t, std::set<ProcessKind>> rounds;
  for (const KillRecord& kill : history_.kills) {
    ++verdict_.activity.kills[kill.kind];
    rounds[kill.round].insert(kill.kind);
  }
  verdict_.activity.kill_rounds = rounds.size();
  for (const auto& [round, kinds] : rounds) {
    verdict_.activity.rounds_of_all += kinds.contains(ProcessKind::kBroker) &&
                                       kinds.contains(ProcessKind::kResults) &&
                                       kinds.contains(ProcessKind::kWorker);
  }
}

void Checker::CheckActivity() {
  const auto require = [&](std::string_view what, size_t is, size_t min) {
    if (is >= min) return;
    Report(Rule::kVacuous, "",
           StrCat("only ", is, " ", what, "; at least ", min, " are wanted"));
  };
  const RequiredActivity& required = options_.required;
  Activity& activity = verdict_.activity;
  require("accepted tasks", activity.accepted, required.accepted);
  require("redeliveries", activity.redeliveries, required.redeliveries);
  require("resumed executions", activity.resumed, required.resumed);
  require("kills", activity.kill_rounds, required.kill_rounds);
  require("kills of all together", activity.rounds_of_all,
          required.rounds_of_all);
  for (ProcessKind kind :
       {ProcessKind::kBroker, ProcessKind::kResults, ProcessKind::kWorker}) {
    require(StrCat("kills of the ", KindName(kind)), activity.kills[kind],
            required.kills_of_each_kind);
  }
}

}  // namespace

std::string_view RuleName(Rule rule) {
  switch (rule) {
    case Rule::kLost:
      return "LOST";
    case Rule::kUnreadable:
      return "UNREADABLE";
    case Rule::kOutcomeChanged:
      return "OUTCOME_CHANGED";
    case Rule::kRecordedTwice:
      return "RECORDED_TWICE";
    case Rule::kPhantom:
      return "PHANTOM";
    case Rule::kOverlap:
      return "OVERLAP";
    case Rule::kEpochOrder:
      return "EPOCH_ORDER";
    case Rule::kForeignOutcome:
      return "FOREIGN_OUTCOME";
    case Rule::kStaleOutcome:
      return "STALE_OUTCOME";
    case Rule::kUnexplainedState:
      return "UNEXPLAINED_STATE";
    case Rule::kMiscounted:
      return "MISCOUNTED";
    case Rule::kEarly:
      return "EARLY";
    case Rule::kLate:
      return "LATE";
    case Rule::kNotIdempotent:
      return "NOT_IDEMPOTENT";
    case Rule::kQueueNotEmpty:
      return "QUEUE_NOT_EMPTY";
    case Rule::kMishap:
      return "MISHAP";
    case Rule::kVacuous:
      return "VACUOUS";
  }
  return "?";
}

Verdict Check(const CheckerOptions& options, const History& history) {
  return Checker(options, history).Check();
}

std::string Describe(const Verdict& verdict, size_t violations_max) {
  const Activity& activity = verdict.activity;
  std::string text = StrCat(
      "tasks acknowledged ", activity.accepted, "; submits refused ",
      activity.refused, ", unanswered ", activity.unknown, ", repeated ",
      activity.repeated, "\nexecutions ", activity.executions,
      ", redeliveries ", activity.redeliveries,
      ", resumed over a kill of the broker ", activity.resumed, "\nkills ",
      activity.kill_rounds, " (", activity.rounds_of_all, " of all together):");
  for (const auto& [kind, count] : activity.kills) {
    StrAppend(&text, " ", KindName(kind), " ", count);
  }
  StrAppend(&text, "\nends:");
  for (const auto& [state, count] : activity.states) {
    StrAppend(&text, " ", v1::TaskState_Name(state), " ", count);
  }
  StrAppend(&text, "\nviolations: ", verdict.violations.size(), "\n");
  std::map<Rule, size_t> shown;
  for (const Violation& violation : verdict.violations) {
    if (++shown[violation.rule] > violations_max) continue;
    StrAppend(&text, "  ", RuleName(violation.rule), " ", violation.task_id,
              ": ", violation.message, "\n");
  }
  for (const auto& [rule, count] : shown) {
    if (count <= violations_max) continue;
    StrAppend(&text, "  ", RuleName(rule), ": ", count - violations_max,
              " more\n");
  }
  return text;
}

}  // namespace apium::crash
