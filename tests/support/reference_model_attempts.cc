// How attempts end, as the reference model has it.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/support/engine_text.h"
#include "tests/support/reference_model.h"

namespace apium::broker {
namespace {

constexpr size_t kEventsMax = 64;

absl::Duration Backoff(const RetryPolicy& policy, uint32_t failures) {
  absl::Duration delay = policy.initial_delay;
  for (uint32_t i = 1; i < failures && delay < policy.max_delay; ++i) {
    delay *= policy.multiplier;
  }
  return std::min(delay, policy.max_delay);
}

// The first three returns wait for nothing, later ones 0.1 s, 0.2 s, ...
absl::Duration ReturnDelay(uint32_t returns) {
  if (returns < 4) return absl::ZeroDuration();
  return std::min(absl::Seconds(10),
                  absl::Milliseconds(100 * (1 << std::min(returns - 4, 10u))));
}

bool AtMostOnce(const TaskContent& content) {
  return content.delivery_mode == DeliveryMode::kAtMostOnce;
}

}  // namespace

bool ReferenceModel::Keeps(const TaskContent& content, TaskState state) {
  switch (content.result_mode) {
    case ResultMode::kKeep:
      return true;
    case ResultMode::kKeepFailures:
      return state != TaskState::kSucceeded;
    case ResultMode::kIgnore:
      return false;
  }
  return true;
}

absl::Time ReferenceModel::AttemptsEnd(const Task& task) {
  const TaskContent& content = *task.content;
  return std::max(content.create_time, content.eta) +
         content.retry_policy.total_time_limit;
}

void ReferenceModel::AddEvent(Task* task, char kind) {
  task->events += kind;
  if (task->events.size() > kEventsMax) task->events.erase(0, 1);
}

void ReferenceModel::EndLate(const std::string& id) {
  if (tasks_[id].content->expire_time <= now_) {
    Finish(id, TaskState::kExpired, "");
  } else {
    Exhaust(id, "apium.TotalTimeLimit");
  }
}

void ReferenceModel::Exhaust(const std::string& id,
                             const std::string& failure_type) {
  if (!queues_[tasks_[id].content->queue].dead_letter) {
    Finish(id, TaskState::kFailed, failure_type);
    return;
  }
  Finish(id, TaskState::kDeadLettered, failure_type);
  KeepLetter(id, failure_type);
}

void ReferenceModel::ApplyOutcome(uint64_t session_number,
                                  const ExecutionReport& report) {
  Task* task = LeasedTask(session_number, report.lease);
  if (task == nullptr) return;
  const std::string& id = report.lease.task_id;
  const Session& session = sessions_[session_number];
  ExpectPush(session.sink, absl::StrCat("ack ", report.lease.epoch));
  switch (report.kind) {
    case ExecutionReport::Kind::kSucceeded:
      NoteAttemptEnd(*task, /*failed=*/false);
      Finish(id, TaskState::kSucceeded, "");
      return;
    case ExecutionReport::Kind::kFailed:
      FailAttempt(id, report.failure, std::nullopt);
      return;
    case ExecutionReport::Kind::kRetry:
      FailAttempt(id, report.failure, report.retry_delay);
      return;
    case ExecutionReport::Kind::kReturned: {
      const bool ran = task->state == TaskState::kStarted ||
                       report.start_time != absl::InfinitePast();
      if (ran) task->suspect = false;
      std::optional<absl::Duration> delay = report.return_delay;
      if (!delay.has_value() && session.draining) delay = absl::ZeroDuration();
      ReturnTask(id, delay, ran, Throttle(*task, report));
      return;
    }
    case ExecutionReport::Kind::kCrashed:
      CrashAttempt(id);
      return;
    case ExecutionReport::Kind::kCancelled:
      if (task->cancel_requested) {
        Finish(id, TaskState::kCancelled, "apium.Cancelled");
      } else {
        FailAttempt(id, {.type = "apium.NotCancelled"}, std::nullopt);
      }
      return;
  }
}

void ReferenceModel::FailAttempt(const std::string& id, const Failure& failure,
                                 std::optional<absl::Duration> asked_delay) {
  Task& task = tasks_[id];
  const RetryPolicy& policy = task.content->retry_policy;
  ++task.failures;
  NoteAttemptEnd(task, /*failed=*/true);
  task.suspect = false;
  const absl::Duration delay =
      asked_delay.value_or(Backoff(policy, task.failures));
  const auto& final_types = policy.non_retryable_types;
  const bool final =
      failure.non_retryable || task.failures >= policy.max_attempts ||
      std::count(final_types.begin(), final_types.end(), failure.type) > 0 ||
      AtMostOnce(*task.content) || now_ + delay >= AttemptsEnd(task);
  if (task.cancel_requested) {
    Finish(id, TaskState::kCancelled, failure.type);
  } else if (final) {
    Exhaust(id, failure.type);
  } else if (task.content->expire_time <= now_) {
    Finish(id, TaskState::kExpired, "");
  } else {
    AddEvent(&task, 'r');
    EndLease(&task);
    if (delay > absl::ZeroDuration()) {
      Schedule(&task, now_ + delay);
    } else {
      Enqueue(&task);
    }
  }
}

void ReferenceModel::CrashAttempt(const std::string& id) {
  Task& task = tasks_[id];
  ++task.crashes;
  NoteAttemptEnd(task, /*failed=*/true);
  task.suspect = true;
  AddEvent(&task, 'c');
  const bool last = AtMostOnce(*task.content) ||
                    task.crashes >= task.content->retry_policy.max_crashes;
  if (last && !task.cancel_requested) {
    Exhaust(id, "apium.WorkerLost");
  } else {
    WaitAgain(id, absl::ZeroDuration());
  }
}

void ReferenceModel::ReturnTask(const std::string& id,
                                std::optional<absl::Duration> delay,
                                bool may_have_run, bool throttled) {
  Task& task = tasks_[id];
  if (!throttled) ++task.returns;
  AddEvent(&task, 'b');
  if (!task.cancel_requested && AtMostOnce(*task.content) && may_have_run) {
    Exhaust(id, "apium.AtMostOnce");
  } else if (!task.cancel_requested && !throttled &&
             task.returns >= task.content->retry_policy.max_returns) {
    Exhaust(id, "apium.TooManyReturns");
  } else if (throttled) {
    WaitAgain(id, absl::ZeroDuration());
  } else {
    WaitAgain(id, delay.value_or(ReturnDelay(task.returns)));
  }
}

void ReferenceModel::WaitAgain(const std::string& id, absl::Duration delay) {
  Task& task = tasks_[id];
  if (task.cancel_requested) {
    Finish(id, TaskState::kCancelled, "apium.Cancelled");
  } else if (task.content->expire_time <= now_ || AttemptsEnd(task) <= now_) {
    EndLate(id);
  } else {
    EndLease(&task);
    if (delay > absl::ZeroDuration()) {
      Schedule(&task, now_ + delay);
    } else {
      task.state = TaskState::kQueued;  // at its old place
    }
  }
}

// One suspect at a time, and nothing beside it.
void ReferenceModel::CheckSuspects(const Session& session, const Task& task,
                                   const std::string& delivery) {
  if (HoldsSuspect(session)) {
    AddViolation(absl::StrCat(delivery, " was delivered beside a suspect"));
  }
  if (task.suspect && !session.leases.empty()) {
    AddViolation(absl::StrCat(delivery, ", a suspect, does not run alone"));
  }
}

bool ReferenceModel::HoldsSuspect(const Session& session) const {
  return std::any_of(
      session.leases.begin(), session.leases.end(),
      [&](const auto& lease) { return tasks_.at(lease.second).suspect; });
}

// A session with credit may be left without what it could run for one reason
// only: it holds a suspect, or it is the one that runs empty for a suspect.
// (What a breaker holds back, no session serves.)
void ReferenceModel::CheckNothingIsHeldBack() {
  size_t reserved = 0;
  for (const auto& [number, session] : sessions_) {
    if (session.sink == nullptr || session.draining || session.credit == 0 ||
        HoldsSuspect(session)) {
      continue;
    }
    bool suspects = false;
    std::string ordinary;
    for (const auto& [id, task] : tasks_) {
      if (task.state != TaskState::kQueued || !Serves(session, task)) continue;
      const bool late =
          task.content->expire_time <= now_ || AttemptsEnd(task) <= now_;
      if (task.suspect && !session.leases.empty()) {
        suspects = true;  // a late one is, until its timer comes
      } else if (IsLimited(task, Benefit::kLimited)) {
        ++counts_.limited;
      } else if (task.suspect && !late) {
        AddViolation(absl::StrCat(id, " waits, and ", session.worker_id,
                                  " holds nothing else"));
      } else if (!late) {
        ordinary = id;
      }
    }
    if (ordinary.empty()) continue;
    if (!suspects || ++reserved > 1) {
      AddViolation(absl::StrCat(ordinary, " waits, and ", session.worker_id,
                                " has credit for it"));
    }
  }
  if (!purges_.empty()) AddViolation("a purge is not answered");
  if (!cancel_jobs_.empty()) AddViolation("a cancel by filter is not answered");
  if (!letter_jobs_.empty())
    AddViolation("a purge or a dry run of dead letters is not answered");
}

}  // namespace apium::broker
