// How attempts end, and what follows: another attempt, or the end of the task.

#include <cstdint>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/engine/engine_impl.h"
#include "broker/engine/retry_decision.h"
#include "common/status_macros.h"

namespace apium::broker {

absl::Status Engine::Impl::Exhaust(LiveTask* task, Ending ending) {
  Queue* queue =
      queues_.Find(task->content().namespace_name, task->content().queue);
  const bool keep = queue != nullptr && queue->stored.dead_letter;
  ending.state = keep ? TaskState::kDeadLettered : TaskState::kFailed;
  APIUM_RETURN_IF_ERROR(Finish(task, std::move(ending)));
  return keep ? KeepDeadLetter(*task, queue) : absl::OkStatus();
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
    case ExecutionReport::Kind::kReturned:
      ++task->stored.returns;
      return ReturnTask(task);
    case ExecutionReport::Kind::kFailed:
      return FailAttempt(task, std::move(report.failure), std::nullopt,
                         report.start_time);
    case ExecutionReport::Kind::kRetry:
      return FailAttempt(task, std::move(report.failure), report.retry_delay,
                         report.start_time);
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
  Failure failure{.type = "apium.Cancelled",
                  .message = task->stored.cancel_reason};
  return Finish(task, {.state = TaskState::kCancelled,
                       .failure = std::move(failure),
                       .start_time = report.start_time});
}

absl::Status Engine::Impl::FailAttempt(
    LiveTask* task, Failure failure, std::optional<absl::Duration> asked_delay,
    absl::Time start_time) {
  const uint32_t failures = ++task->stored.failures;
  if (!breakers_.empty()) NoteAttemptEnd(*task, /*failed=*/true);
  if (task->stored.cancel_requested) {
    return Finish(task, {.state = TaskState::kCancelled,
                         .failure = std::move(failure),
                         .start_time = start_time});
  }
  const std::optional<absl::Duration> delay = DecideRetry(
      task->content().retry_policy, failure, failures, asked_delay, random_);
  if (!delay.has_value()) {
    return Exhaust(task,
                   {.failure = std::move(failure), .start_time = start_time});
  }
  task->stored.has_last_failure = true;
  task->stored.last_failure = std::move(failure);
  APIUM_ASSIGN_OR_RETURN(Lane * lane, lanes_.LaneOf(*task));
  ++lane->queue->stats.retried;
  lane->queue->stats.run.Record(now_ - task->lease.grant_time);
  APIUM_RETURN_IF_ERROR(lanes_.Leave(task));
  leases_.End(task);
  if (task->content().expire_time <= now_) {
    // Schedule first: a task that ends is taken from where it waits.
    APIUM_RETURN_IF_ERROR(Schedule(task, now_));
    return Finish(task, {.state = TaskState::kExpired});
  }
  if (*delay > absl::ZeroDuration()) {
    APIUM_RETURN_IF_ERROR(Schedule(task, now_ + *delay));
  } else {
    APIUM_RETURN_IF_ERROR(lanes_.Enqueue(task, now_));
  }
  NotifyWatchers(*task);
  return absl::OkStatus();
}

absl::Status Engine::Impl::LoseLease(LiveTask* task) {
  const uint32_t crashes = ++task->stored.crashes;
  if (!breakers_.empty()) NoteAttemptEnd(*task, /*failed=*/true);
  APIUM_ASSIGN_OR_RETURN(Lane * lane, lanes_.LaneOf(*task));
  ++lane->queue->stats.leases_lost;
  if (!task->stored.cancel_requested &&
      crashes >= task->content().retry_policy.max_crashes) {
    Failure failure{.type = "apium.LeaseLost",
                    .message = absl::StrCat("workers vanished with the task ",
                                            crashes, " times")};
    return Exhaust(task, {.failure = std::move(failure)});
  }
  return ReturnTask(task);
}

absl::Status Engine::Impl::ReturnTask(LiveTask* task) {
  if (task->stored.cancel_requested) {
    Failure failure{.type = "apium.Cancelled",
                    .message = task->stored.cancel_reason};
    return Finish(
        task, {.state = TaskState::kCancelled, .failure = std::move(failure)});
  }
  if (task->content().expire_time <= now_)
    return Finish(task, {.state = TaskState::kExpired});
  leases_.End(task);
  APIUM_RETURN_IF_ERROR(lanes_.PutBack(task, now_));
  NotifyWatchers(*task);
  return absl::OkStatus();
}

}  // namespace apium::broker
