// Changing a task that waits, forgetting one that has ended, counting.

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/engine/engine_impl.h"
#include "broker/engine/task_history.h"
#include "common/error_reason.h"
#include "common/status_macros.h"

namespace apium::broker {
namespace {

absl::Status NotWaiting(const std::string& task_id, const char* why) {
  return WithReason(
      absl::FailedPreconditionError(absl::StrCat(
          "task ", task_id, " cannot be changed: ", why,
          "; only a task that waits for its time or for a worker can")),
      reason::kTaskNotWaiting, {{"task_id", task_id}});
}

std::string TimeText(absl::Time time) {
  return absl::FormatTime(absl::RFC3339_full, time, absl::UTCTimeZone());
}

// The content as the command makes it, and what changed, for people.
struct ChangedContent {
  std::shared_ptr<const TaskContent> content;
  std::string changes;
};

ChangedContent ChangeContent(const TaskContent& old,
                             const UpdateTaskCommand& command, absl::Time now,
                             absl::Time wall_now) {
  // A copy: the old one may be on its way to somebody.
  auto content = std::make_shared<TaskContent>(old);
  if (command.priority.has_value()) content->priority = *command.priority;
  if (command.eta.has_value()) content->eta = *command.eta;
  if (command.delay.has_value()) content->eta = wall_now + *command.delay;
  if (command.run_now) content->eta = std::min(content->eta, wall_now);
  if (command.expire_time.has_value())
    content->expire_time = *command.expire_time;
  if (command.expire_after.has_value())
    content->expire_time = now + *command.expire_after;
  std::string text;
  if (content->priority != old.priority)
    absl::StrAppend(&text, "priority ", old.priority, " -> ", content->priority,
                    "; ");
  if (command.run_now) {
    absl::StrAppend(&text, "run now; ");
  } else if (content->eta != old.eta) {
    absl::StrAppend(&text, "eta ", TimeText(content->eta), "; ");
  }
  if (content->expire_time != old.expire_time) {
    absl::StrAppend(&text, "expiry ",
                    content->expire_time == absl::InfiniteFuture()
                        ? "none"
                        : TimeText(content->expire_time),
                    "; ");
  }
  if (!text.empty()) text.resize(text.size() - 2);
  return {.content = std::move(content), .changes = std::move(text)};
}

}  // namespace

absl::Status Engine::Impl::Apply(UpdateTaskCommand&& command) {
  const std::string key = MakeTaskKey(command.namespace_name, command.task_id);
  APIUM_ASSIGN_OR_RETURN(TaskTable::Found found, FindTask(key));
  LiveTask* task = found.live;
  TaskReply reply;
  if (task != nullptr && !task->leased()) {
    APIUM_ASSIGN_OR_RETURN(const bool ended, EndOnTheMove(task));
    if (ended) found = {.finished = task->finished_row};
  }
  const bool waits = found.live != nullptr && !task->leased() &&
                     (task->stored.state == TaskState::kQueued ||
                      task->stored.state == TaskState::kScheduled);
  if (waits) {
    APIUM_RETURN_IF_ERROR(UpdateWaiting(task, command));
    if (task->finished())
      found = {.finished = task->finished_row, .outcome = task->outcome};
  } else if (found.live != nullptr) {
    reply.status = NotWaiting(
        command.task_id,
        task->leased() ? "a worker has it" : "it waits for another task");
  } else if (found.finished.has_value()) {
    reply.status = NotWaiting(command.task_id, "it has ended");
  }
  if (reply.status.ok()) {
    APIUM_ASSIGN_OR_RETURN(
        reply, ReplyFor(command.namespace_name, command.task_id, found));
  }
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

absl::Status Engine::Impl::UpdateWaiting(LiveTask* task,
                                         const UpdateTaskCommand& command) {
  ChangedContent changed =
      ChangeContent(task->content(), command, now_, WallNow());
  const TaskContent& content = *changed.content;
  const bool retimed =
      command.eta.has_value() || command.delay.has_value() || command.run_now;
  const bool waits_for_time = retimed && content.eta > WallNow();
  const bool scheduled = task->stored.state == TaskState::kScheduled;
  const bool moves = scheduled ? retimed
                               : waits_for_time || content.priority !=
                                                       task->content().priority;
  if (moves && scheduled) Unschedule(task);
  if (moves && !scheduled) APIUM_RETURN_IF_ERROR(lanes_.Leave(task));
  RemoveLifeTimers(*task);
  task->stored.content = std::move(changed.content);
  AddLifeTimers(*task);
  if (moves && waits_for_time) {
    APIUM_RETURN_IF_ERROR(Schedule(task, content.eta + lead_));
  } else if (moves) {
    APIUM_RETURN_IF_ERROR(lanes_.Enqueue(task, now_));
  }
  AddEvent({.kind = TaskEventKind::kUpdated,
            .time = now_,
            .state = task->state(),
            .attempt = task->stored.attempt,
            .detail = std::move(changed.changes)},
           &task->stored.history);
  tasks_.MarkDirty(task);
  if (IsLate(*task)) return EndLateTask(task);
  NotifyWatchers(*task);
  return absl::OkStatus();
}

absl::StatusOr<bool> Engine::Impl::EndOnTheMove(LiveTask* task) {
  if (Purge* purge = PurgeOf(*task)) {
    APIUM_RETURN_IF_ERROR(PurgeTask(task, purge));
    return true;
  }
  return CancelOnTheMove(task);
}

absl::Status Engine::Impl::Apply(ForgetTaskCommand&& command) {
  const std::string key = MakeTaskKey(command.namespace_name, command.task_id);
  APIUM_ASSIGN_OR_RETURN(TaskTable::Found found, FindTask(key));
  if (found.finished.has_value()) APIUM_RETURN_IF_ERROR(ForgetChunks(key));
  StatusReply reply;
  if (found.live != nullptr) {
    reply.status =
        WithReason(absl::FailedPreconditionError(absl::StrCat(
                       "task ", command.task_id,
                       " has not ended; cancel it, or wait for its end")),
                   reason::kTaskLive, {{"task_id", command.task_id}});
  } else if (!queues_.HasNamespace(command.namespace_name)) {
    reply.status = ExistingQueue(command.namespace_name, "").status();
  } else if (!found.finished.has_value()) {
    reply.status =
        WithReason(absl::NotFoundError(absl::StrCat(
                       "the broker does not know task ", command.task_id)),
                   reason::kTaskNotFound);
  } else if (!outbox_.IsConfirmed(found.finished->outbox_position)) {
    if (!confirm_waiters_.full()) {
      confirm_waiters_.Add({.position = found.finished->outbox_position,
                            .to = std::move(command.reply),
                            .deadline = command.deadline});
      return absl::OkStatus();
    }
    reply.status = WithRetryDelay(
        WithReason(absl::ResourceExhaustedError(
                       "too many callers wait for the result service"),
                   "TOO_MANY_WAITERS"),
        absl::Seconds(1));
  }
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

void Engine::Impl::AnswerConfirmWaiters() {
  if (confirm_waiters_.empty()) return;
  for (const ReplyAddress& to :
       confirm_waiters_.TakeConfirmed(outbox_.confirmed_position()))
    AddReply(to, StatusReply{});
  for (const ReplyAddress& to : confirm_waiters_.TakeExpired(WallNow())) {
    AddReply(to, StatusReply{.status = WithRetryDelay(
                                 WithReason(absl::UnavailableError(
                                                "the result service has not "
                                                "taken the outcome yet"),
                                            reason::kResultsUnavailable),
                                 absl::Seconds(1))});
  }
}

absl::Status Engine::Impl::Apply(CountTasksCommand&& command) {
  TaskCountsReply reply;
  const auto add = [&reply](const Queue& queue) {
    reply.queues.push_back({.queue = queue.name,
                            .blocked = queue.blocked,
                            .scheduled = queue.scheduled,
                            .queued = queue.ready,
                            .leased = queue.leased - queue.started,
                            .started = queue.started,
                            .ended = queue.ends,
                            .dead_letters = queue.dead_letters});
  };
  if (!command.queue.empty()) {
    absl::StatusOr<Queue*> queue =
        ExistingQueue(command.namespace_name, command.queue);
    reply.status = queue.status();
    if (queue.ok()) add(**queue);
  } else if (!queues_.HasNamespace(command.namespace_name)) {
    reply.status = ExistingQueue(command.namespace_name, "").status();
  } else {
    for (const auto& [name, queue] : queues_.QueuesOf(command.namespace_name))
      add(*queue);
  }
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

}  // namespace apium::broker
