#include "tests/crash/task_rules.h"

#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <utility>

#include "common/strings.h"

namespace apium::crash {
namespace {

using ::google::protobuf::util::MessageDifferencer;

// Defaults of RetryPolicy (apium/v1/task.proto).
constexpr uint32_t kMaxAttempts = 4;
constexpr uint32_t kMaxCrashes = 5;

// The failure of a task whose workers vanished too often.
constexpr std::string_view kWorkerLostType = "apium.WorkerLost";

bool IsFinal(v1::TaskState state) { return state >= v1::TASK_STATE_SUCCEEDED; }

absl::Time ToTime(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) +
         absl::Nanoseconds(time.nanos());
}

absl::Duration ToDuration(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) +
         absl::Nanoseconds(duration.nanos());
}

std::string Show(const ExecutionRecord& execution) {
  return StrCat("attempt ", execution.attempt, ", epoch ", execution.epoch,
                ", ", execution.worker, ", token ", execution.token);
}

std::string Show(const v1::TaskOutcome& outcome) {
  return StrCat("{", outcome.ShortDebugString(), "}");
}

class TaskRules {
 public:
  TaskRules(const TaskRulesOptions& options, const Deaths& deaths,
            const TaskHistory& task,
            const std::function<void(Rule, std::string)>& report)
      : options_(options), deaths_(deaths), task_(task), report_(report) {}

  void Check() {
    if (task_.submits.empty()) {
      return report_(Rule::kPhantom, "nobody has submitted it");
    }
    CheckSubmits();
    CheckExecutions();
    const v1::TaskOutcome* outcome = task_.Outcome();
    if (outcome == nullptr) return CheckMissing();
    CheckReaders(*outcome);
    const SubmitRecord* accepted = task_.Accepted();
    spec_ = accepted != nullptr ? &accepted->spec : &task_.submits[0]->spec;
    const bool observed =
        spec_->type().starts_with(options_.observed_type_prefix);
    CheckState(*outcome);
    CheckTimes(*outcome);
    if (!observed) return CheckEcho(*outcome);
    CheckSource(*outcome);
    CheckCounts(*outcome);
  }

 private:
  void CheckSubmits();
  void CheckExecutions();
  // There is no terminal state at the broker.
  void CheckMissing();
  void CheckReaders(const v1::TaskOutcome& outcome);
  void CheckLog(const v1::TaskOutcome& outcome,
                const std::vector<const v1::TaskOutcome*>& log,
                std::string_view name);
  void CheckState(const v1::TaskOutcome& outcome);
  void CheckFailed(const v1::TaskOutcome& outcome);
  void CheckTimes(const v1::TaskOutcome& outcome);
  // Of a task whose executions are not known.
  void CheckEcho(const v1::TaskOutcome& outcome);
  void CheckSource(const v1::TaskOutcome& outcome);
  void CheckCounts(const v1::TaskOutcome& outcome);
  uint32_t max_attempts() const;
  uint32_t max_crashes() const;
  // Infinite: never.
  absl::Time Expiry(const v1::TaskOutcome& outcome) const;

  const TaskRulesOptions& options_;
  const Deaths& deaths_;
  const TaskHistory& task_;
  const std::function<void(Rule, std::string)>& report_;
  // From CheckState on.
  const v1::TaskSpec* spec_ = nullptr;
};

void TaskRules::CheckSubmits() {
  const SubmitRecord* first = task_.Accepted();
  if (first == nullptr) return;
  const std::string content = first->spec.SerializeAsString();
  for (const SubmitRecord* submit : task_.submits) {
    const bool same = submit->spec.SerializeAsString() == content;
    if (!same && submit->verdict == SubmitRecord::Verdict::kAccepted) {
      report_(Rule::kNotIdempotent,
              "two submits with different content were accepted");
    }
    if (same && submit->verdict == SubmitRecord::Verdict::kRefused &&
        absl::IsAlreadyExists(submit->status)) {
      report_(Rule::kNotIdempotent, StrCat("a repeated submit was refused: ",
                                           submit->status.ToString()));
    }
  }
}

void TaskRules::CheckExecutions() {
  const ExecutionRecord* longest = nullptr;  // of those that began so far
  const ExecutionRecord* last = nullptr;
  for (const ExecutionRecord* execution : task_.executions) {
    if (longest != nullptr && EndOf(*longest, deaths_) > execution->start) {
      report_(Rule::kOverlap, StrCat(Show(*execution), " began before ",
                                     Show(*longest), " was over"));
    }
    if (last != nullptr && (last->epoch >= execution->epoch ||
                            last->attempt >= execution->attempt)) {
      report_(Rule::kEpochOrder,
              StrCat(Show(*execution), " began after ", Show(*last)));
    }
    last = execution;
    if (longest == nullptr ||
        EndOf(*longest, deaths_) < EndOf(*execution, deaths_)) {
      longest = execution;
    }
  }
}

void TaskRules::CheckMissing() {
  const bool accepted = task_.Accepted() != nullptr;
  const bool was_seen = !task_.executions.empty() || !task_.log.empty() ||
                        !task_.live_log.empty() || !task_.observations.empty();
  const std::string who = accepted   ? "it was acknowledged"
                          : was_seen ? "it ran or ended"
                                     : "it was submitted";
  if (task_.at_broker == nullptr) {
    return report_(Rule::kUnreadable, StrCat(who, ", and was not read"));
  }
  const ReadRecord& read = *task_.at_broker;
  if (read.status.ok()) {
    report_(Rule::kLost,
            StrCat(who, ", and is ", v1::TaskState_Name(read.state),
                   " after the drain"));
  } else if (!absl::IsNotFound(read.status)) {
    report_(Rule::kUnreadable,
            StrCat(who, ", and the broker says ", read.status.ToString()));
  } else if (accepted || was_seen) {
    report_(Rule::kLost, StrCat(who, ", and the broker does not know it"));
  }
}

void TaskRules::CheckReaders(const v1::TaskOutcome& outcome) {
  const ReadRecord* read = task_.at_results;
  if (read == nullptr || !read->status.ok()) {
    report_(Rule::kUnreadable,
            StrCat("the result service says ",
                   read == nullptr ? "nothing" : read->status.ToString()));
  } else if (!MessageDifferencer::Equals(read->outcome, outcome)) {
    report_(Rule::kOutcomeChanged,
            StrCat("the broker says ", Show(outcome),
                   ", the result service says ", Show(read->outcome)));
  }
  CheckLog(outcome, task_.log, "the log");
  CheckLog(outcome, task_.live_log, "the watch that was open all the time");
  for (const ObservationRecord* seen : task_.observations) {
    if (MessageDifferencer::Equals(seen->outcome, outcome)) continue;
    report_(Rule::kOutcomeChanged,
            StrCat("a client was told ", Show(seen->outcome), " by ",
                   seen->source, "; now it is ", Show(outcome)));
  }
}

void TaskRules::CheckLog(const v1::TaskOutcome& outcome,
                         const std::vector<const v1::TaskOutcome*>& log,
                         std::string_view name) {
  if (log.empty()) {
    return report_(Rule::kUnreadable, StrCat("it is missing in ", name));
  }
  if (log.size() > 1) {
    report_(Rule::kRecordedTwice,
            StrCat(name, " has ", log.size(), " outcomes of it"));
  }
  for (const v1::TaskOutcome* entry : log) {
    if (MessageDifferencer::Equals(*entry, outcome)) continue;
    report_(Rule::kOutcomeChanged, StrCat("the broker says ", Show(outcome),
                                          ", ", name, " says ", Show(*entry)));
  }
}

uint32_t TaskRules::max_attempts() const {
  const uint32_t asked = spec_->retry_policy().max_attempts();
  return asked == 0 ? kMaxAttempts : asked;
}

uint32_t TaskRules::max_crashes() const {
  const uint32_t asked = spec_->retry_policy().max_crashes();
  return asked == 0 ? kMaxCrashes : asked;
}

absl::Time TaskRules::Expiry(const v1::TaskOutcome& outcome) const {
  if (spec_->has_expire_time()) return ToTime(spec_->expire_time());
  if (!spec_->has_expire_after()) return absl::InfiniteFuture();
  return ToTime(outcome.create_time()) + ToDuration(spec_->expire_after());
}

void TaskRules::CheckState(const v1::TaskOutcome& outcome) {
  switch (outcome.state()) {
    case v1::TASK_STATE_SUCCEEDED:
      return;
    case v1::TASK_STATE_FAILED:
      return CheckFailed(outcome);
    case v1::TASK_STATE_CANCELLED:
      if (task_.cancel_asked) return;
      return report_(Rule::kUnexplainedState,
                     "it is CANCELLED, and nobody asked for that");
    case v1::TASK_STATE_EXPIRED:
      if (Expiry(outcome) <= ToTime(outcome.finish_time())) return;
      return report_(Rule::kUnexplainedState,
                     StrCat("it is EXPIRED before its time: ", Show(outcome)));
    default:
      report_(Rule::kUnexplainedState,
              StrCat("it ended ", v1::TaskState_Name(outcome.state())));
  }
}

void TaskRules::CheckFailed(const v1::TaskOutcome& outcome) {
  const v1::Failure& failure = outcome.failure();
  if (failure.type() == kWorkerLostType) {
    if (outcome.crashes() == max_crashes()) return;
    return report_(Rule::kUnexplainedState,
                   StrCat("it failed after ", outcome.crashes(),
                          " crashes; its limit is ", max_crashes()));
  }
  if (!failure.type().starts_with(options_.observed_type_prefix)) {
    return report_(Rule::kUnexplainedState,
                   StrCat("no handler says this: ", Show(outcome)));
  }
  if (failure.non_retryable() || outcome.failures() == max_attempts()) return;
  report_(Rule::kUnexplainedState,
          StrCat("it failed for good after ", outcome.failures(),
                 " failures; its limit is ", max_attempts()));
}

void TaskRules::CheckTimes(const v1::TaskOutcome& outcome) {
  absl::Time eta = absl::InfinitePast();
  if (spec_->has_eta()) eta = ToTime(spec_->eta());
  if (spec_->has_delay()) {
    eta = ToTime(outcome.create_time()) + ToDuration(spec_->delay());
  }
  const absl::Time expiry = Expiry(outcome);
  const absl::Time finish = ToTime(outcome.finish_time());
  for (const ExecutionRecord* execution : task_.executions) {
    if (execution->start_time < eta) {
      report_(Rule::kEarly,
              StrCat(Show(*execution), " began ",
                     absl::FormatDuration(eta - execution->start_time),
                     " before its ETA"));
    }
    if (execution->start_time > expiry + options_.start_slack) {
      report_(Rule::kLate,
              StrCat(Show(*execution), " began ",
                     absl::FormatDuration(execution->start_time - expiry),
                     " after its expiry"));
    }
    if (execution->start_time > finish) {
      report_(Rule::kStaleOutcome,
              StrCat(Show(*execution), " began ",
                     absl::FormatDuration(execution->start_time - finish),
                     " after the task had ended: ", Show(outcome)));
    }
  }
  if (outcome.has_start_time() && ToTime(outcome.start_time()) >= expiry) {
    report_(Rule::kLate,
            StrCat("its last attempt began after its expiry: ", Show(outcome)));
  }
}

void TaskRules::CheckEcho(const v1::TaskOutcome& outcome) {
  if (outcome.state() != v1::TASK_STATE_SUCCEEDED) return;
  if (outcome.result().data() == spec_->payload().data()) return;
  report_(Rule::kForeignOutcome,
          StrCat("it does not echo its payload: ", Show(outcome)));
}

// Which execution the outcome came from.
void TaskRules::CheckSource(const v1::TaskOutcome& outcome) {
  const ExecutionRecord* source = nullptr;
  for (const ExecutionRecord* execution : task_.executions) {
    if (execution->epoch == outcome.epoch()) source = execution;
    if (outcome.epoch() != 0 && execution->epoch > outcome.epoch()) {
      report_(Rule::kStaleOutcome,
              StrCat(Show(*execution), " is newer than ", Show(outcome)));
    }
  }
  const bool succeeded = outcome.state() == v1::TASK_STATE_SUCCEEDED;
  const bool failed = outcome.state() == v1::TASK_STATE_FAILED &&
                      outcome.failure().type() != kWorkerLostType;
  // Whatever else ends a task, does so without a handler's word.
  if (!succeeded && !failed) return;
  if (source == nullptr) {
    return report_(Rule::kForeignOutcome,
                   StrCat("no execution has the epoch of ", Show(outcome)));
  }
  const ExecutionRecord::End end = succeeded ? ExecutionRecord::End::kSucceeded
                                             : ExecutionRecord::End::kFailed;
  const std::string& token =
      succeeded ? outcome.result().data() : outcome.failure().message();
  if (source->end != end || source->token != token) {
    report_(Rule::kForeignOutcome,
            StrCat(Show(outcome), " is not what ", Show(*source), " returned"));
  }
}

void TaskRules::CheckCounts(const v1::TaskOutcome& outcome) {
  size_t failed = 0;
  size_t killed = 0;
  uint32_t attempt = 0;
  for (const ExecutionRecord* execution : task_.executions) {
    failed += execution->end == ExecutionRecord::End::kFailed;
    killed += execution->end == ExecutionRecord::End::kNone &&
              deaths_.contains(execution->worker);
    attempt = std::max(attempt, execution->attempt);
  }
  const auto miscounted = [&](auto... what) {
    report_(Rule::kMiscounted, StrCat(what..., ": ", Show(outcome)));
  };
  if (outcome.failures() > max_attempts()) {
    miscounted("more failures than its limit of ", max_attempts());
  }
  if (outcome.crashes() > max_crashes()) {
    miscounted("more crashes than its limit of ", max_crashes());
  }
  if (outcome.failures() > failed) {
    miscounted("only ", failed, " executions failed");
  }
  if (outcome.crashes() < killed) {
    miscounted("workers died with ", killed, " of its executions");
  }
  if (outcome.attempt() < attempt) {
    miscounted("attempt ", attempt, " was executed");
  }
  // A success, and a cancel that was obeyed, are neither failure nor loss.
  const bool by_handler =
      outcome.epoch() != 0 && (outcome.state() == v1::TASK_STATE_SUCCEEDED ||
                               outcome.state() == v1::TASK_STATE_CANCELLED);
  if (task_.executions.size() >
      size_t{outcome.failures()} + outcome.crashes() + by_handler) {
    miscounted("it was executed ", task_.executions.size(), " times");
  }
}

}  // namespace

const SubmitRecord* TaskHistory::Accepted() const {
  const auto accepted = std::find_if(
      submits.begin(), submits.end(), [](const SubmitRecord* submit) {
        return submit->verdict == SubmitRecord::Verdict::kAccepted;
      });
  return accepted == submits.end() ? nullptr : *accepted;
}

const v1::TaskOutcome* TaskHistory::Outcome() const {
  const bool ended = at_broker != nullptr && at_broker->status.ok() &&
                     IsFinal(at_broker->state);
  return ended ? &at_broker->outcome : nullptr;
}

Moment EndOf(const ExecutionRecord& execution, const Deaths& deaths) {
  if (execution.end != ExecutionRecord::End::kNone) return execution.end_moment;
  const auto death = deaths.find(execution.worker);
  return death == deaths.end() ? absl::InfiniteDuration() : death->second;
}

void CheckTask(const TaskRulesOptions& options, const Deaths& deaths,
               const TaskHistory& task,
               const std::function<void(Rule, std::string)>& report) {
  TaskRules(options, deaths, task, report).Check();
}

}  // namespace apium::crash
