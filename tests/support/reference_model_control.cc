// Rules of control: cancelling many, changing a task that waits, forgetting,
// counting.

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "tests/support/engine_text.h"
#include "tests/support/reference_model.h"

namespace apium::broker {

CancelResult ReferenceModel::Cancel(const std::string& id) {
  Task* task = Find(id);
  if (task == nullptr) return CancelResult::kNotFound;
  if (!task->live()) return CancelResult::kAlreadyEnded;
  if (task->waiting()) {
    Finish(id, TaskState::kCancelled, "apium.Cancelled");
    return CancelResult::kCancelled;
  }
  if (!task->cancel_requested) {
    task->cancel_requested = true;
    AddEvent(task, 'x');
    ExpectPush(sessions_[task->session].sink,
               absl::StrCat("cancel ", task->epoch));
  }
  return CancelResult::kRequested;
}

bool ReferenceModel::Matches(const TaskFilter& filter, const Task& task) const {
  const TaskContent& content = *task.content;
  const auto has = [&](const std::pair<std::string, std::string>& header) {
    return std::count(content.headers.begin(), content.headers.end(), header) >
           0;
  };
  return task.live() &&
         (filter.states.empty() ||
          std::count(filter.states.begin(), filter.states.end(), task.state) >
              0) &&
         (filter.queue.empty() || content.queue == filter.queue) &&
         (filter.type.empty() || content.type == filter.type) &&
         content.create_time >= filter.created_after &&
         content.create_time < filter.created_before &&
         std::all_of(filter.headers.begin(), filter.headers.end(), has);
}

void ReferenceModel::Apply(const CancelTasksCommand& command) {
  if (!command.filter.has_value()) {
    std::vector<std::string> results;
    for (const std::string& id : command.task_ids) {
      results.push_back(CancelResultName(Cancel(id)));
    }
    ExpectReply(command.reply.tag, absl::StrJoin(results, " "));
    return;
  }
  const TaskFilter& filter = *command.filter;
  if (!filter.queue.empty() && queues_.count(filter.queue) == 0) {
    ExpectReply(command.reply.tag, "NOT_FOUND/QUEUE_NOT_FOUND");
    return;
  }
  CancelJob job = {.tag = command.reply.tag, .dry_run = command.dry_run};
  std::map<uint64_t, std::string> leased;  // by epoch
  for (const auto& [id, task] : tasks_) {
    if (task.leased()) {
      leased[task.epoch] = id;
      job.maybe.insert(id);
    } else if (Matches(filter, task)) {
      job.meant.insert(id);
    }
  }
  for (const auto& [epoch, id] : leased) {
    if (!Matches(filter, tasks_[id])) continue;
    ++job.requested;
    if (!command.dry_run) Cancel(id);
  }
  cancel_jobs_.push_back(std::move(job));
}

ReferenceModel::CancelJob* ReferenceModel::JobOf(const Outcome& outcome) {
  absl::string_view reason = outcome.failure.message;
  uint64_t tag = 0;
  if (!absl::ConsumePrefix(&reason, kJobReason) ||
      !absl::SimpleAtoi(reason, &tag)) {
    return nullptr;
  }
  for (CancelJob& job : cancel_jobs_) {
    if (job.tag == tag) return &job;
  }
  return nullptr;
}

// A job goes on at the engine's pace; at its answer, all of it must be done.
void ReferenceModel::TakeJobCancels() {
  for (const Outcome* outcome : record_.outcomes) {
    TakeJobCancel(*outcome);
  }
}

bool ReferenceModel::TakeJobCancel(const Outcome& outcome) {
  const auto it = tasks_.find(outcome.task_id);
  CancelJob* job = JobOf(outcome);
  const bool allowed =
      job != nullptr && !job->dry_run && it != tasks_.end() &&
      it->second.waiting() && !it->second.cancel_requested &&
      (job->meant.count(it->first) > 0 || job->maybe.count(it->first) > 0);
  // What is not allowed is missing among the expected outcomes.
  if (!allowed) return false;
  ++job->cancelled;
  Finish(outcome.task_id, TaskState::kCancelled, "apium.Cancelled");
  return true;
}

void ReferenceModel::AnswerJobs() {
  for (auto job = cancel_jobs_.begin(); job != cancel_jobs_.end();) {
    const auto replies = record_.replies.find(job->tag);
    if (replies == record_.replies.end()) {
      ++job;
      continue;
    }
    uint64_t live = 0;
    for (const std::string& id : job->meant) {
      const Task& task = tasks_[id];
      live += task.live();
      if (!job->dry_run && task.waiting()) {
        AddViolation(absl::StrCat("the cancel by filter left ", id));
      }
    }
    const auto* reply =
        std::get_if<CancelTasksReply>(&replies->second.front()->body);
    if (job->dry_run && reply != nullptr) {
      // What moves meanwhile is counted once, or twice if it was leased.
      job->cancelled = std::clamp<uint64_t>(
          reply->cancelled, live, job->meant.size() + job->maybe.size());
    }
    ExpectReply(job->tag, absl::StrCat("cancelled ", job->cancelled,
                                       " requested ", job->requested));
    job = cancel_jobs_.erase(job);
  }
}

void ReferenceModel::Apply(const UpdateTaskCommand& command) {
  const uint64_t tag = command.reply.tag;
  Task* task = Find(command.task_id);
  if (task == nullptr) {
    ExpectReply(tag, "UNKNOWN");
    return;
  }
  if (!task->waiting() || task->state == TaskState::kBlocked) {
    ExpectReply(tag, "FAILED_PRECONDITION/TASK_NOT_WAITING");
    return;
  }
  auto content = std::make_shared<TaskContent>(*task->content);
  const bool retimed =
      command.eta.has_value() || command.delay.has_value() || command.run_now;
  if (command.priority.has_value()) content->priority = *command.priority;
  if (command.eta.has_value()) content->eta = *command.eta;
  if (command.delay.has_value()) content->eta = now_ + *command.delay;
  if (command.run_now) content->eta = std::min(content->eta, now_);
  if (command.expire_time.has_value()) {
    content->expire_time = *command.expire_time;
  }
  if (command.expire_after.has_value()) {
    content->expire_time = now_ + *command.expire_after;
  }
  const bool scheduled = task->state == TaskState::kScheduled;
  const bool other_lane = content->priority != task->content->priority;
  task->content = content;
  if (retimed && content->eta > now_) {
    Schedule(task, content->eta);
  } else if (scheduled ? retimed : other_lane) {
    Enqueue(task);
  }
  AddEvent(task, 'u');
  if (content->expire_time <= now_ || AttemptsEnd(*task) <= now_) {
    EndLate(command.task_id);
  }
  ExpectReply(tag, TaskText(*task));
}

void ReferenceModel::Apply(const ForgetTaskCommand& command) {
  Task* task = Find(command.task_id);
  const bool forgets_chunks = task != nullptr && !task->live() &&
                              task->finish_turn < turn_ &&
                              task->chunks_deleted_turn == 0;
  if (forgets_chunks) task->chunks_deleted_turn = turn_;
  if (task == nullptr) {
    ExpectReply(command.reply.tag, "NOT_FOUND/TASK_NOT_FOUND");
  } else if (task->live()) {
    ExpectReply(command.reply.tag, "FAILED_PRECONDITION/TASK_LIVE");
  } else if (task->outbox_position <= confirmed_) {
    ExpectReply(command.reply.tag, "OK");
  } else {
    forgets_.push_back({.tag = command.reply.tag,
                        .sink = command.reply.sink.get(),
                        .position = task->outbox_position,
                        .deadline = command.deadline});
  }
}

void ReferenceModel::EndForgets() {
  for (auto it = forgets_.begin(); it != forgets_.end();) {
    if (it->position <= confirmed_) {
      ExpectReply(it->tag, "OK");
    } else if (it->deadline <= now_) {
      ExpectReply(it->tag, "UNAVAILABLE/RESULTS_UNAVAILABLE");
    } else {
      ++it;
      continue;
    }
    it = forgets_.erase(it);
  }
}

void ReferenceModel::CountEnd(const Task& task) {
  EndCounts& ends = ends_[task.content->queue];
  if (task.state == TaskState::kSucceeded) ++ends.succeeded;
  if (task.state == TaskState::kFailed) ++ends.failed;
  if (task.state == TaskState::kCancelled) ++ends.cancelled;
  if (task.state == TaskState::kExpired) ++ends.expired;
  if (task.state == TaskState::kDeadLettered) ++ends.dead_lettered;
}

void ReferenceModel::Apply(const CountTasksCommand& command) {
  TaskCountsReply reply;
  for (const auto& [name, settings] : queues_) {
    TaskCounts counts = {.queue = name};
    const auto ends = ends_.find(name);
    if (ends != ends_.end()) counts.ended = ends->second;
    for (const auto& [id, task] : tasks_) {
      if (task.content->queue != name) continue;
      counts.blocked += task.state == TaskState::kBlocked;
      counts.scheduled += task.state == TaskState::kScheduled;
      counts.queued += task.state == TaskState::kQueued;
      counts.leased += task.state == TaskState::kLeased;
      counts.started += task.state == TaskState::kStarted;
    }
    if (command.queue.empty() || command.queue == name) {
      reply.queues.push_back(std::move(counts));
    }
  }
  const bool missing = !command.queue.empty() && reply.queues.empty();
  ExpectReply(command.reply.tag, missing ? "NOT_FOUND/QUEUE_NOT_FOUND"
                                         : ReplyText({.body = reply}));
}

}  // namespace apium::broker
