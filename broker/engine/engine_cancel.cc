// Cancelling one task, several, and all that match a filter.

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/engine/cancel_job.h"
#include "broker/engine/engine_impl.h"
#include "broker/engine/task_filter.h"
#include "broker/engine/task_history.h"
#include "common/error_reason.h"
#include "common/status_macros.h"

namespace apium::broker {
namespace {

// Cancels by filter that may be under way.
constexpr size_t kCancelJobsMax = 64;
// What one turn does for them: short enough not to be felt by others.
constexpr int64_t kCancelTasksPerTurn = 1000;
constexpr int64_t kCancelBytesPerTurn = 16 * 1024 * 1024;
constexpr size_t kCancelRowsAtOnce = 64;

}  // namespace

absl::StatusOr<CancelResult> Engine::Impl::CancelLive(
    LiveTask* task, const std::string& reason) {
  if (!task->leased()) {
    Failure failure{.type = "apium.Cancelled", .message = reason};
    APIUM_RETURN_IF_ERROR(Finish(
        task, {.state = TaskState::kCancelled, .failure = std::move(failure)}));
    return CancelResult::kCancelled;
  }
  if (task->stored.cancel_requested) return CancelResult::kRequested;
  task->stored.cancel_requested = true;
  task->stored.cancel_reason = reason;
  TaskEvent event = AttemptEvent(*task, TaskEventKind::kCancelRequested,
                                 absl::InfinitePast());
  event.state = task->state();
  event.detail = reason;
  AddEvent(std::move(event), &task->stored.history);
  tasks_.MarkDirty(task);
  Push(*task->lease.session,
       CancelDelivery{.lease = {.task_id = task->content().task_id,
                                .attempt = task->stored.attempt,
                                .epoch = task->lease.epoch},
                      .reason = reason});
  NotifyWatchers(*task);
  return CancelResult::kRequested;
}

absl::Status Engine::Impl::Apply(CancelTaskCommand&& command) {
  const std::string key = MakeTaskKey(command.namespace_name, command.task_id);
  APIUM_ASSIGN_OR_RETURN(TaskTable::Found found, FindTask(key));
  CancelResult result = found.finished.has_value() ? CancelResult::kAlreadyEnded
                                                   : CancelResult::kNotFound;
  if (LiveTask* task = found.live) {
    APIUM_ASSIGN_OR_RETURN(result, CancelLive(task, command.reason));
    if (task->finished())
      found = {.finished = task->finished_row, .outcome = task->outcome};
  }
  APIUM_ASSIGN_OR_RETURN(TaskReply reply, ReplyFor(command.namespace_name,
                                                   command.task_id, found));
  reply.cancelled = result;
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(CancelTasksCommand&& command) {
  CancelTasksReply reply;
  if (!queues_.HasNamespace(command.namespace_name)) {
    reply.status = ExistingQueue(command.namespace_name, "").status();
  } else if (command.filter.has_value()) {
    return StartCancelJob(std::move(command));
  }
  for (size_t i = 0; reply.status.ok() && i < command.task_ids.size(); ++i) {
    APIUM_ASSIGN_OR_RETURN(
        TaskTable::Found found,
        FindTask(MakeTaskKey(command.namespace_name, command.task_ids[i])));
    CancelResult result = found.finished.has_value()
                              ? CancelResult::kAlreadyEnded
                              : CancelResult::kNotFound;
    if (found.live != nullptr) {
      APIUM_ASSIGN_OR_RETURN(result, CancelLive(found.live, command.reason));
    }
    reply.results.push_back(result);
  }
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

absl::Status Engine::Impl::StartCancelJob(CancelTasksCommand command) {
  std::optional<uint32_t> queue_id;
  absl::Status refusal = absl::OkStatus();
  if (const std::string& name = command.filter->queue; !name.empty()) {
    absl::StatusOr<Queue*> queue = ExistingQueue(command.namespace_name, name);
    refusal = queue.status();
    if (queue.ok()) queue_id = (*queue)->stored.queue_id;
  }
  if (refusal.ok() && cancel_jobs_.size() - sweeps_ >= kCancelJobsMax) {
    refusal =
        WithRetryDelay(WithReason(absl::ResourceExhaustedError(absl::StrCat(
                                      "the broker already carries out ",
                                      kCancelJobsMax, " cancels by filter")),
                                  "TOO_MANY_CANCELS"),
                       absl::Seconds(1));
  }
  if (!refusal.ok()) {
    AddReply(command.reply, CancelTasksReply{.status = std::move(refusal)});
    return absl::OkStatus();
  }
  const uint64_t ticket_limit = tickets_.Next();
  lanes_.StartNewChunks();
  auto job =
      std::make_unique<CancelJob>(std::move(command), ticket_limit, queue_id);
  // Leased tasks at once: they are all in memory, and what ends a lease from
  // here on sees the request.
  uint64_t epoch = 0;
  while (LiveTask* task = leases_.After(epoch)) {
    epoch = task->lease.epoch;
    APIUM_RETURN_IF_ERROR(JudgeForCancel(job.get(), task).status());
  }
  cancel_jobs_.push_back(std::move(job));
  return absl::OkStatus();
}

absl::StatusOr<bool> Engine::Impl::JudgeForCancel(CancelJob* job,
                                                  LiveTask* task) {
  if (job->present_workers != nullptr) return SweepTask(*job, task);
  if (!Matches(job->filter(), task->content(), task->state())) return false;
  ++(task->leased() ? job->requested : job->cancelled);
  if (job->command().dry_run) return false;
  APIUM_RETURN_IF_ERROR(CancelLive(task, job->command().reason).status());
  return task->finished();
}

absl::StatusOr<bool> Engine::Impl::CancelOnTheMove(LiveTask* task) {
  if (cancel_jobs_.empty()) return false;
  std::string place;
  if (task->stored.state == TaskState::kBlocked) {
    const TaskContent& content = task->content();
    Queue* queue = queues_.Find(content.namespace_name, content.queue);
    if (queue == nullptr) return false;
    place = BlockedRowKey(
        {.queue_id = queue->stored.queue_id, .task_key = task->key});
  } else if (task->stored.state == TaskState::kScheduled) {
    place = TimerRowKey({.due_millis = task->stored.due_millis,
                         .kind = TimerKind::kReady,
                         .task_key = task->key});
  } else {
    APIUM_ASSIGN_OR_RETURN(Lane * lane, lanes_.LaneOf(*task));
    place = ReadyRowKey(lane->id, task->stored.ready_sequence);
  }
  for (const std::unique_ptr<CancelJob>& job : cancel_jobs_) {
    const bool to_be_judged =
        task->stored.ready_sequence < job->ticket_limit() &&
        job->HasYetToMeet(place);
    if (!to_be_judged) continue;
    APIUM_ASSIGN_OR_RETURN(const bool ended, JudgeForCancel(job.get(), task));
    if (ended) return true;
  }
  return false;
}

absl::Status Engine::Impl::RunCancelJobs() {
  CancelBudget budget = {.tasks = kCancelTasksPerTurn,
                         .bytes = kCancelBytesPerTurn};
  while (!cancel_jobs_.empty() && budget.tasks > 0 && budget.bytes > 0) {
    CancelJob* job = cancel_jobs_.front().get();
    if (!job->done()) {
      APIUM_RETURN_IF_ERROR(StepCancelJob(job, &budget));
      continue;
    }
    if (job->present_workers != nullptr) {
      --sweeps_;
    } else {
      AddReply(job->command().reply,
               CancelTasksReply{.cancelled = job->cancelled,
                                .requested = job->requested});
    }
    cancel_jobs_.pop_front();
  }
  return absl::OkStatus();
}

absl::Status Engine::Impl::StepCancelJob(CancelJob* job, CancelBudget* budget) {
  APIUM_ASSIGN_OR_RETURN(std::vector<CancelJob::Place> places,
                         job->Walk(*reader_, kCancelRowsAtOnce));
  // Rows without tasks cost, too.
  budget->tasks -=
      static_cast<int64_t>(std::max(places.size(), kCancelRowsAtOnce));
  std::vector<std::string> keys;
  keys.reserve(places.size());
  for (CancelJob::Place& place : places)
    keys.push_back(std::move(place.task_key));
  std::vector<LiveTask*> tasks;
  APIUM_RETURN_IF_ERROR(tasks_.LoadAll(keys, &tasks));
  for (size_t i = 0; i < places.size(); ++i) {
    LiveTask* task = tasks[i];
    if (task == nullptr || task->finished() || task->leased()) continue;
    budget->bytes -= static_cast<int64_t>(task->approximate_bytes());
    const StoredTask& stored = task->stored;
    const bool there = stored.state == places[i].state &&
                       (stored.state != TaskState::kQueued ||
                        stored.ready_sequence == places[i].sequence);
    if (there && stored.ready_sequence < job->ticket_limit())
      APIUM_RETURN_IF_ERROR(JudgeForCancel(job, task).status());
  }
  return absl::OkStatus();
}

}  // namespace apium::broker
