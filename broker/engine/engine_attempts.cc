// How attempts end, and what follows: another attempt, or the end of the task.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/engine/engine_impl.h"
#include "broker/engine/retry_decision.h"
#include "broker/engine/task_history.h"
#include "common/status_macros.h"

namespace apium::broker {
namespace {

constexpr char kWorkerLost[] = "apium.WorkerLost";

bool AtMostOnce(const LiveTask& task) {
  return task.content().delivery_mode == DeliveryMode::kAtMostOnce;
}

Failure CancelledFailure(const LiveTask& task) {
  return {.type = "apium.Cancelled", .message = task.stored.cancel_reason};
}

Failure TotalTimeFailure(const LiveTask& task) {
  return {
      .type = "apium.TotalTimeLimit",
      .message = absl::StrCat(
          "no attempt begins later than ",
          absl::FormatDuration(task.content().retry_policy.total_time_limit),
          " after the task was accepted, or after its ETA")};
}

Failure WorkerLostFailure(const LiveTask& task, const Failure* crash) {
  Failure failure{.type = kWorkerLost};
  if (AtMostOnce(task)) {
    failure.message =
        "the worker was lost with the task, which may run at most once";
  } else {
    failure.message = absl::StrCat("workers were lost with the task ",
                                   task.stored.crashes, " times");
  }
  if (crash != nullptr) {
    absl::StrAppend(&failure.message, "; the last: ", crash->message);
    failure.stack = crash->stack;
  }
  return failure;
}

}  // namespace

absl::Status Engine::Impl::Exhaust(LiveTask* task, Ending ending) {
  Queue* queue =
      queues_.Find(task->content().namespace_name, task->content().queue);
  ending.state = ExhaustedState(*task);
  const bool keep = ending.state == TaskState::kDeadLettered;
  APIUM_RETURN_IF_ERROR(Finish(task, std::move(ending)));
  return keep ? KeepDeadLetter(*task, queue) : absl::OkStatus();
}

TaskState Engine::Impl::ExhaustedState(const LiveTask& task) {
  const Queue* queue =
      queues_.Find(task.content().namespace_name, task.content().queue);
  return queue != nullptr && queue->stored.settings.dead_letter
             ? TaskState::kDeadLettered
             : TaskState::kFailed;
}

TaskEvent Engine::Impl::AttemptEvent(const LiveTask& task, TaskEventKind kind,
                                     absl::Time start_time) const {
  const LiveLease& lease = task.lease;
  return {.kind = kind,
          .time = now_,
          .attempt = task.stored.attempt,
          .worker_id = lease.session->worker_id,
          .lease_time = lease.grant_time,
          .start_time = start_time == absl::InfinitePast() ? lease.start_time
                                                           : start_time};
}

absl::Status Engine::Impl::ApplyOutcome(Session* session,
                                        ExecutionReport report) {
  LiveTask* task = LeasedTask(*session, report.lease);
  if (task == nullptr) return absl::OkStatus();
  Push(*session, OutcomeAcknowledged{.epoch = report.lease.epoch});
  switch (report.kind) {
    case ExecutionReport::Kind::kSucceeded:
      if (!breakers_.empty()) NoteAttemptEnd(*task, /*failed=*/false);
      return Finish(task, {.state = TaskState::kSucceeded,
                           .result = std::move(report.result),
                           .start_time = report.start_time});
    case ExecutionReport::Kind::kReturned: {
      const bool started =
          task->lease.started || report.start_time != absl::InfinitePast();
      // One that never began has proved nothing.
      if (started) task->stored.suspect = false;
      if (session->draining && !report.return_delay.has_value())
        report.return_delay = absl::ZeroDuration();
      Return given{.detail = std::move(report.reason),
                   .start_time = report.start_time,
                   .delay = report.return_delay,
                   .may_have_run = started};
      // Without a delay nothing is held up, and it is an ordinary return.
      if (!report.throttled_limit.empty() &&
          given.delay.value_or(absl::ZeroDuration()) > absl::ZeroDuration())
        given.throttled = HeldLimit(*task, report.throttled_limit);
      return ReturnTask(task, std::move(given));
    }
    case ExecutionReport::Kind::kFailed:
      return FailAttempt(task, std::move(report.failure), std::nullopt,
                         report.start_time);
    case ExecutionReport::Kind::kRetry:
      return FailAttempt(task, std::move(report.failure), report.retry_delay,
                         report.start_time);
    case ExecutionReport::Kind::kCrashed:
      return CrashAttempt(task, &report.failure, report.start_time);
    case ExecutionReport::Kind::kCancelled:
      break;
  }
  if (!task->stored.cancel_requested) {
    Failure failure{
        .type = "apium.NotCancelled",
        .message = absl::StrCat("the worker stopped the task unasked: ",
                                report.reason)};
    return FailAttempt(task, std::move(failure), std::nullopt,
                       report.start_time);
  }
  return Finish(task, {.state = TaskState::kCancelled,
                       .failure = CancelledFailure(*task),
                       .start_time = report.start_time});
}

absl::Status Engine::Impl::FailAttempt(
    LiveTask* task, Failure failure, std::optional<absl::Duration> asked_delay,
    absl::Time start_time) {
  const uint32_t failures = ++task->stored.failures;
  if (!breakers_.empty()) NoteAttemptEnd(*task, /*failed=*/true);
  task->stored.suspect = false;
  const TaskContent& content = task->content();
  Ending ending{.state = TaskState::kCancelled, .start_time = start_time};
  if (task->stored.cancel_requested) {
    ending.failure = std::move(failure);
    return Finish(task, std::move(ending));
  }
  std::optional<absl::Duration> delay;
  if (!AtMostOnce(*task)) {
    delay = DecideRetry(content.retry_policy, failure, failures, asked_delay,
                        random_);
  }
  if (!delay.has_value() || now_ + *delay >= AttemptsEnd(content)) {
    ending.failure = std::move(failure);
    return Exhaust(task, std::move(ending));
  }
  if (content.expire_time <= now_) {
    ending.state = TaskState::kExpired;
    ending.failure = std::move(failure);
    return Finish(task, std::move(ending));
  }
  const bool waits = *delay > absl::ZeroDuration();
  TaskEvent event = AttemptEvent(*task, TaskEventKind::kRetried, start_time);
  event.state = waits ? TaskState::kScheduled : TaskState::kQueued;
  event.failure = std::make_shared<const Failure>(failure);
  AddEvent(std::move(event), &task->stored.history);
  task->stored.has_last_failure = true;
  task->stored.last_failure = std::move(failure);
  APIUM_ASSIGN_OR_RETURN(Lane * lane, lanes_.LaneOf(*task));
  ++lane->queue->stats.retried;
  lane->queue->stats.run.Record(now_ - task->lease.grant_time);
  APIUM_RETURN_IF_ERROR(lanes_.Leave(task));
  EndLease(task);
  if (waits) {
    APIUM_RETURN_IF_ERROR(Schedule(task, now_ + *delay));
  } else {
    APIUM_RETURN_IF_ERROR(lanes_.Enqueue(task, now_));
  }
  NotifyWatchers(*task);
  return absl::OkStatus();
}

absl::Status Engine::Impl::CrashAttempt(LiveTask* task, const Failure* failure,
                                        absl::Time start_time) {
  const uint32_t crashes = ++task->stored.crashes;
  if (!breakers_.empty()) NoteAttemptEnd(*task, /*failed=*/true);
  task->stored.suspect = true;
  APIUM_ASSIGN_OR_RETURN(Lane * lane, lanes_.LaneOf(*task));
  ++lane->queue->stats.leases_lost;
  TaskEvent event = AttemptEvent(*task, TaskEventKind::kCrashed, start_time);
  if (failure != nullptr) {
    event.failure = std::make_shared<const Failure>(*failure);
    event.detail = "the process that ran it died";
  } else {
    event.detail = "the worker was lost";
  }
  const bool last =
      AtMostOnce(*task) || crashes >= task->content().retry_policy.max_crashes;
  if (task->stored.cancel_requested || !last)
    return WaitAgain(task, std::move(event), absl::ZeroDuration());
  return ExhaustAfter(task, std::move(event),
                      WorkerLostFailure(*task, failure));
}

absl::Status Engine::Impl::ReturnTask(LiveTask* task, Return given) {
  const bool throttled = given.throttled != nullptr;
  if (throttled) Throttle(given.throttled, *given.delay);
  if (!throttled) ++task->stored.returns;
  const uint32_t returns = task->stored.returns;
  APIUM_ASSIGN_OR_RETURN(Lane * lane, lanes_.LaneOf(*task));
  ++lane->queue->stats.returned;
  TaskEvent event =
      AttemptEvent(*task, TaskEventKind::kReturned, given.start_time);
  event.detail = std::move(given.detail);
  if (!task->stored.cancel_requested) {
    if (AtMostOnce(*task) && given.may_have_run) {
      Failure failure{
          .type = "apium.AtMostOnce",
          .message = absl::StrCat(
              "handed back after it may have begun to run: ", event.detail)};
      return ExhaustAfter(task, std::move(event), std::move(failure));
    }
    if (!throttled && returns >= task->content().retry_policy.max_returns) {
      Failure failure{
          .type = "apium.TooManyReturns",
          .message = absl::StrCat("handed back ", returns,
                                  " times; the last: ", event.detail)};
      return ExhaustAfter(task, std::move(event), std::move(failure));
    }
  }
  const absl::Duration delay = throttled
                                   ? absl::ZeroDuration()
                                   : given.delay.value_or(ReturnDelay(returns));
  return WaitAgain(task, std::move(event), delay);
}

absl::Status Engine::Impl::ExhaustAfter(LiveTask* task, TaskEvent event,
                                        Failure failure) {
  event.state = ExhaustedState(*task);
  AddEvent(std::move(event), &task->stored.history);
  return Exhaust(task, {.failure = std::move(failure)});
}

absl::Status Engine::Impl::WaitAgain(LiveTask* task, TaskEvent event,
                                     absl::Duration delay) {
  const TaskContent& content = task->content();
  if (!task->stored.cancel_requested && content.expire_time > now_ &&
      AttemptsEnd(content) <= now_) {
    return ExhaustAfter(task, std::move(event), TotalTimeFailure(*task));
  }
  if (task->stored.cancel_requested || content.expire_time <= now_) {
    Ending ending{.state = TaskState::kExpired};
    if (task->stored.cancel_requested) {
      ending.state = TaskState::kCancelled;
      ending.failure = CancelledFailure(*task);
    }
    event.state = ending.state;
    AddEvent(std::move(event), &task->stored.history);
    return Finish(task, std::move(ending));
  }
  const bool waits = delay > absl::ZeroDuration();
  event.state = waits ? TaskState::kScheduled : TaskState::kQueued;
  AddEvent(std::move(event), &task->stored.history);
  if (waits) {
    APIUM_RETURN_IF_ERROR(lanes_.Leave(task));
    EndLease(task);
    APIUM_RETURN_IF_ERROR(Schedule(task, now_ + delay));
  } else {
    EndLease(task);
    APIUM_RETURN_IF_ERROR(lanes_.PutBack(task, now_));
  }
  NotifyWatchers(*task);
  return absl::OkStatus();
}

absl::Status Engine::Impl::EndLateTask(LiveTask* task) {
  if (task->content().expire_time <= now_)
    return Finish(task, {.state = TaskState::kExpired});
  return Exhaust(task, {.failure = TotalTimeFailure(*task)});
}

bool Engine::Impl::IsLate(const LiveTask& task) const {
  const TaskContent& content = task.content();
  return content.expire_time <= now_ || AttemptsEnd(content) <= now_;
}

}  // namespace apium::broker
