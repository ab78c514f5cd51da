// Submitting tasks, looking at them, waiting for them, ending them.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/engine/engine_impl.h"
#include "broker/engine/retry_decision.h"
#include "broker/engine/task_copies.h"
#include "broker/engine/task_history.h"
#include "common/error_reason.h"
#include "common/status_macros.h"
#include "common/uuid.h"

namespace apium::broker {
namespace {

// Calls `visit` with each timer that the task has until it ends.
template <typename Visitor>
void ForEachLifeTimer(const LiveTask& task, Visitor&& visit) {
  const auto visit_one = [&](TimerKind kind, absl::Time time) {
    if (time == absl::InfiniteFuture()) return;
    visit(TimerId{
        .due_millis = CeilToMillis(time), .kind = kind, .task_key = task.key});
  };
  visit_one(TimerKind::kExpiry, task.content().expire_time);
  visit_one(TimerKind::kTotalTime, AttemptsEnd(task.content()));
}

// How long a task that is due waits for a lane where there are too many.
constexpr absl::Duration kLaneWait = absl::Seconds(5);

// Whether anything is left of a task that ends so, apart from its id.
bool KeepsOutcome(ResultMode mode, TaskState state) {
  return mode == ResultMode::kKeep ||
         (mode == ResultMode::kKeepFailures && state != TaskState::kSucceeded);
}

}  // namespace

absl::Status TooManyWaiters(size_t limit) {
  return WithRetryDelay(
      WithReason(absl::ResourceExhaustedError(absl::StrCat(
                     "the broker already has ", limit, " callers waiting")),
                 "TOO_MANY_WAITERS"),
      absl::Seconds(1));
}

absl::StatusOr<TaskTable::Found> Engine::Impl::FindTask(
    const std::string& key) {
  APIUM_ASSIGN_OR_RETURN(TaskTable::Found found, tasks_.Find(key));
  if (found.finished.has_value() && found.outcome == nullptr) {
    const FinishedTask& finished = *found.finished;
    const bool forgotten =
        outbox_.IsConfirmed(finished.outbox_position) &&
        finished.keep_until_millis <= absl::ToUnixMillis(now_);
    if (forgotten) found.finished.reset();
  }
  return found;
}

absl::Status Engine::Impl::Apply(SubmitCommand&& command) {
  if (command.request != nullptr) {
    APIUM_ASSIGN_OR_RETURN(const bool answered, AnswerRepeatedRequest(command));
    if (answered) return absl::OkStatus();
  }
  if (command.route != nullptr) return SubmitRouted(std::move(command));
  TaskContent& content = *command.content;
  if (content.queue.empty())
    content.queue = RuledQueue(content.namespace_name, content.type);
  const bool minted = content.task_id.empty();
  if (minted) content.task_id = MintTaskId(now_, options_.partition, random_);
  std::string key = MakeTaskKey(content.namespace_name, content.task_id);
  if (!minted && !tasks_.IsNew(key, content.task_id)) {
    APIUM_ASSIGN_OR_RETURN(TaskTable::Found found, FindTask(key));
    if (found.known()) return AnswerRepeatedSubmit(command, found);
  }
  absl::StatusOr<Queue*> queue = QueueForSubmit(content);
  absl::Status refusal = queue.status();
  if (refusal.ok() && (*queue)->stored.settings.broadcast) {
    if (minted) content.task_id.clear();
    return SubmitRouted(std::move(command));
  }
  if (refusal.ok()) refusal = queues_.InternType(content.type).status();
  if (refusal.ok() && command.report_outcome && waiters_.full())
    refusal = TooManyWaiters(options_.max_waiters);
  if (refusal.ok() && !content.batch_id.empty())
    APIUM_RETURN_IF_ERROR(CheckJoin(content, &refusal));
  KeyClaim claim;
  if (refusal.ok() && content.unique != nullptr) {
    APIUM_ASSIGN_OR_RETURN(claim, ClaimKey(content));
    refusal = claim.refusal;
  }
  const bool attaches = claim.verdict == KeyClaim::Verdict::kAttach;
  std::vector<LiveTask*> victims;
  if (refusal.ok() && !attaches && (*queue)->bounded()) {
    Demand demand;
    APIUM_RETURN_IF_ERROR(AddDemand(content, claim, &demand));
    refusal = MakeRoom(**queue, demand, &victims);
  }
  if (!refusal.ok()) {
    ++(queue.ok() ? (*queue)->stats.submitted_rejected : submits_rejected_);
    AddReply(command.reply, SubmitReply{.status = std::move(refusal)});
    return absl::OkStatus();
  }
  if (attaches) return AnswerAttached(command, *claim.row);
  ApplyDefaults((*queue)->stored.settings.task_defaults, &command);
  AnswerSubmit(
      command,
      {.task_id = content.task_id, .minted = minted, .create_time = now_});
  if (content.unique != nullptr) APIUM_RETURN_IF_ERROR(TakeKey(content, claim));
  APIUM_RETURN_IF_ERROR(Accept(&command, std::move(key), *queue, minted,
                               claim.verdict == KeyClaim::Verdict::kBlock
                                   ? Start::kBlocked
                                   : Start::kWhenDue));
  return SetAside(victims);
}

absl::Status Engine::Impl::TaskIdReused(const std::string& task_id) const {
  return WithReason(
      absl::AlreadyExistsError(absl::StrCat(
          "task id ", task_id,
          " was submitted before with other content; another task needs "
          "another id")),
      reason::kTaskIdReused, {{"task_id", task_id}});
}

absl::Status Engine::Impl::AnswerRepeatedSubmit(const SubmitCommand& command,
                                                const TaskTable::Found& found) {
  const TaskContent& content = *command.content;
  SubmitReply reply;
  if (!(found.fingerprint() == content.fingerprint)) {
    reply.status = TaskIdReused(content.task_id);
  } else if (found.live != nullptr && command.report_outcome &&
             waiters_.full()) {
    reply.status = TooManyWaiters(options_.max_waiters);
  } else {
    reply.task_id = content.task_id;
    reply.create_time = found.create_time();
    reply.copy_task_ids = CopyTaskIds(content.task_id, found.copies());
  }
  CountRepeated(content, reply.status.ok());
  const bool wants_outcome = reply.status.ok() && command.report_outcome;
  AnswerSubmit(command, std::move(reply));
  if (!wants_outcome) return absl::OkStatus();
  return ReportOutcome(command.reply, content.namespace_name, content.task_id);
}

void Engine::Impl::CountRepeated(const TaskContent& content, bool accepted) {
  Queue* queue = queues_.Find(content.namespace_name, content.queue);
  if (queue == nullptr) return;
  ++(accepted ? queue->stats.submitted_duplicate
              : queue->stats.submitted_rejected);
}

absl::Status Engine::Impl::ReportOutcome(const ReplyAddress& to,
                                         const std::string& namespace_name,
                                         const std::string& task_id) {
  const std::string key = MakeTaskKey(namespace_name, task_id);
  APIUM_ASSIGN_OR_RETURN(const TaskTable::Found found, FindTask(key));
  if (found.live != nullptr) {
    waiters_.Add(key, {.kind = Waiter::Kind::kOutcome, .to = to});
    return absl::OkStatus();
  }
  OutcomeReply outcome{.outcome = found.outcome};
  if (outcome.outcome == nullptr && found.finished.has_value() &&
      !outbox_.IsConfirmed(found.finished->outbox_position)) {
    APIUM_ASSIGN_OR_RETURN(
        outcome.outcome,
        outbox_.Read(found.finished->outbox_position, namespace_name, task_id));
  }
  AddReply(to, std::move(outcome));
  return absl::OkStatus();
}

absl::Status Engine::Impl::CheckQueueForSubmit(const TaskContent& content) {
  APIUM_RETURN_IF_ERROR(admission_);
  Queue* queue = queues_.Find(content.namespace_name, content.queue);
  if (queue == nullptr) {
    const bool made_on_use = options_.create_queues_on_use &&
                             queues_.HasNamespace(content.namespace_name);
    return made_on_use
               ? absl::OkStatus()
               : ExistingQueue(content.namespace_name, content.queue).status();
  }
  if (lanes_.HasNoLaneFor(*queue, content)) {
    return WithRetryDelay(
        WithReason(
            absl::ResourceExhaustedError(absl::StrCat(
                "the task would need a lane of its own (tenant, limit keys, "
                "required labels), and there are ",
                options_.max_lanes, " already")),
            "TOO_MANY_LANES", {{"queue", queue->name}}),
        kLaneWait);
  }
  if (!queue->stored.settings.submit_paused) return absl::OkStatus();
  return WithReason(absl::FailedPreconditionError(absl::StrCat(
                        "queue ", queue->name, " is paused for submits")),
                    "QUEUE_PAUSED_FOR_SUBMIT", {{"queue", queue->name}});
}

absl::StatusOr<Queue*> Engine::Impl::QueueForSubmit(
    const TaskContent& content) {
  APIUM_RETURN_IF_ERROR(CheckQueueForSubmit(content));
  Queue* queue = queues_.Find(content.namespace_name, content.queue);
  return queue != nullptr ? queue
                          : CreateQueue(content.namespace_name, content.queue);
}

absl::Status Engine::Impl::Accept(SubmitCommand* command, std::string key,
                                  Queue* queue, bool minted, Start start,
                                  uint32_t copies) {
  TaskContent& content = *command->content;
  content.create_time = now_;
  if (command->delay.has_value()) content.eta = WallNow() + *command->delay;
  if (command->expire_after.has_value())
    content.expire_time = now_ + *command->expire_after;
  if (content.unique != nullptr &&
      content.unique->on_conflict == UniqueConflict::kDebounce)
    content.eta = std::max(content.eta, WallNow() + content.unique->window);
  if (command->report_outcome)
    waiters_.Add(key, {.kind = Waiter::Kind::kOutcome, .to = command->reply});
  if (!content.batch_id.empty()) APIUM_RETURN_IF_ERROR(JoinBatch(content));
  ++queue->stats.submitted_accepted;
  StoredTask stored;
  stored.content = std::move(command->content);
  stored.minted = minted;
  stored.copies = copies;
  // The journal may still list a lease of a forgotten task of the same id.
  if (!minted) stored.last_epoch = tickets_.Peek() - 1;
  LiveTask* task = tasks_.Add(std::move(key), std::move(stored));
  queues_.AddBytes(queue, static_cast<int64_t>(content.payload.data.size()));
  if (start == Start::kWhenDue && IsOrdered(content)) {
    APIUM_ASSIGN_OR_RETURN(const bool first, JoinLine(task, queue));
    if (first) APIUM_RETURN_IF_ERROR(AwaitEta(task));
  } else if (start == Start::kWhenDue) {
    APIUM_RETURN_IF_ERROR(AwaitEta(task));
  } else {
    Block(task, queue);
  }
  AddLifeTimers(*task);
  if (content.expire_time > now_) return absl::OkStatus();
  return Finish(task, {.state = TaskState::kExpired});
}

absl::Status Engine::Impl::AwaitEta(LiveTask* task) {
  const absl::Time eta = task->content().eta;
  if (eta > WallNow()) return Schedule(task, eta + lead_);
  const Queue* queue =
      queues_.Find(task->content().namespace_name, task->content().queue);
  const bool no_lane =
      queue != nullptr && lanes_.HasNoLaneFor(*queue, task->content());
  return no_lane ? Schedule(task, now_ + kLaneWait)
                 : lanes_.Enqueue(task, now_);
}

absl::Status Engine::Impl::Schedule(LiveTask* task, absl::Time due) {
  task->stored.state = TaskState::kScheduled;
  task->stored.due_millis = CeilToMillis(due);
  task->stored.ready_sequence = tickets_.Next();
  timers_.Add({.due_millis = task->stored.due_millis,
               .kind = TimerKind::kReady,
               .task_key = task->key});
  APIUM_ASSIGN_OR_RETURN(Queue * queue, queues_.QueueOf(task->content()));
  queues_.AddScheduled(queue, 1);
  tasks_.MarkDirty(task);
  return absl::OkStatus();
}

void Engine::Impl::Unschedule(LiveTask* task) {
  timers_.Remove({.due_millis = task->stored.due_millis,
                  .kind = TimerKind::kReady,
                  .task_key = task->key});
  Queue* queue =
      queues_.Find(task->content().namespace_name, task->content().queue);
  if (queue != nullptr) queues_.AddScheduled(queue, -1);
}

void Engine::Impl::AddLifeTimers(const LiveTask& task) {
  ForEachLifeTimer(task,
                   [this](TimerId&& timer) { timers_.Add(std::move(timer)); });
}

void Engine::Impl::RemoveLifeTimers(const LiveTask& task) {
  ForEachLifeTimer(task, [this](TimerId&& timer) { timers_.Remove(timer); });
}

absl::Status Engine::Impl::Finish(LiveTask* task, Ending ending) {
  const TaskContent& content = task->content();
  auto outcome = std::make_shared<Outcome>();
  outcome->namespace_name = content.namespace_name;
  outcome->task_id = content.task_id;
  outcome->type = content.type;
  outcome->queue = content.queue;
  outcome->priority = content.priority;
  outcome->state = ending.state;
  outcome->result = std::move(ending.result);
  outcome->has_failure = ending.failure.has_value();
  if (outcome->has_failure) outcome->failure = *std::move(ending.failure);
  outcome->attempt = task->stored.attempt;
  outcome->failures = task->stored.failures;
  outcome->crashes = task->stored.crashes;
  outcome->returns = task->stored.returns;
  outcome->create_time = content.create_time;
  outcome->start_time = ending.start_time;
  outcome->finish_time = now_;
  outcome->result_ttl = content.result_ttl;
  outcome->history = std::move(task->stored.history);
  outcome->headers = content.headers;
  outcome->result_mode = content.result_mode;
  if (task->leased()) {
    outcome->epoch = task->lease.epoch;
    outcome->lease_time = task->lease.grant_time;
    outcome->worker_id = task->lease.session->worker_id;
    if (outcome->start_time == absl::InfinitePast())
      outcome->start_time = task->lease.start_time;
  }
  APIUM_RETURN_IF_ERROR(EndStream(task, outcome.get()));
  CountEnd(*task, *outcome);
  if (!content.batch_id.empty())
    APIUM_RETURN_IF_ERROR(LeaveBatch(content, outcome->state));
  if (task->stored.state == TaskState::kScheduled) {
    Unschedule(task);
  } else if (task->stored.state == TaskState::kBlocked) {
    LeaveBlocked(*task);
  } else {
    APIUM_RETURN_IF_ERROR(lanes_.Leave(task));
  }
  if (task->leased()) EndLease(task);
  RemoveLifeTimers(*task);
  const bool kept = KeepsOutcome(content.result_mode, ending.state);
  if (!kept) turn_.unpublished.push_back(outcome);
  FinishedTask row{.state = ending.state,
                   .outbox_position = kept ? outbox_.Add(outcome) : 0,
                   .create_time = content.create_time,
                   .fingerprint = content.fingerprint,
                   .copies = task->stored.copies};
  // Ids that we minted come to no submitter's mind again: they are kept until
  // the result service has the outcome.
  // Others are known for as long as their result is, so that nobody reads the
  // old result of a task that runs again.
  if (!task->stored.minted) {
    row.keep_until_millis = absl::ToUnixMillis(
        now_ + std::max(options_.finished_retention, content.result_ttl));
  }
  for (const Waiter& waiter : waiters_.TakeAll(task->key)) {
    if (waiter.kind == Waiter::Kind::kOutcome) {
      AddReply(waiter.to, OutcomeReply{.outcome = outcome});
    } else if (waiter.kind == Waiter::Kind::kFollow) {
      AddReply(waiter.to, FollowReply());
    } else {
      AddReply(waiter.to, TaskReply{.task = {.state = outcome->state,
                                             .outcome = outcome}});
    }
  }
  tasks_.Finish(task, std::move(outcome), row);
  if (IsOrdered(content)) APIUM_RETURN_IF_ERROR(LeaveLine(*task, ending.state));
  if (content.unique == nullptr) return absl::OkStatus();
  return ReleaseKeyAtEnd(content);
}

void Engine::Impl::CountEnd(const LiveTask& task, const Outcome& outcome) {
  Queue* queue = queues_.Find(outcome.namespace_name, outcome.queue);
  if (queue == nullptr) return;
  queues_.CountEnd(queue, outcome.state);
  queues_.AddBytes(queue,
                   -static_cast<int64_t>(task.content().payload.data.size()));
  QueueStats& stats = queue->stats;
  if (task.leased()) stats.run.Record(now_ - task.lease.grant_time);
  stats.end_to_end.Record(now_ - outcome.create_time);
}

TaskSnapshot Engine::Impl::SnapshotOf(const LiveTask& task) {
  TaskSnapshot snapshot;
  snapshot.state = task.state();
  if (task.finished()) {
    snapshot.outcome = task.outcome;
    return snapshot;
  }
  const StoredTask& stored = task.stored;
  snapshot.content = stored.content;
  if (snapshot.state == TaskState::kScheduled)
    snapshot.schedule_time = absl::FromUnixMillis(stored.due_millis);
  snapshot.attempt = stored.attempt;
  snapshot.failures = stored.failures;
  snapshot.crashes = stored.crashes;
  snapshot.returns = stored.returns;
  if (task.leased()) {
    snapshot.epoch = task.lease.epoch;
    snapshot.lease_time = task.lease.grant_time;
    snapshot.worker_id = task.lease.session->worker_id;
    snapshot.start_time = task.lease.start_time;
    snapshot.progress = task.lease.progress;
  }
  snapshot.chunks = stored.chunks;
  snapshot.cancel_requested = stored.cancel_requested;
  snapshot.waiting_reason = WaitingReason(task);
  snapshot.has_last_failure = stored.has_last_failure;
  snapshot.last_failure = stored.last_failure;
  snapshot.history = stored.history;
  snapshot.suspect = stored.suspect;
  return snapshot;
}

absl::StatusOr<TaskReply> Engine::Impl::ReplyFor(
    const std::string& namespace_name, const std::string& task_id,
    const TaskTable::Found& found) {
  TaskReply reply;
  if (found.live != nullptr) {
    reply.task = SnapshotOf(*found.live);
    APIUM_RETURN_IF_ERROR(AddDetails(*found.live, &reply.task));
    return reply;
  }
  if (!found.finished.has_value()) {
    if (queues_.HasNamespace(namespace_name)) {
      reply.elsewhere = TaskReply::Elsewhere::kUnknown;
    } else {
      reply.status = ExistingQueue(namespace_name, "").status();
    }
    return reply;
  }
  reply.task.state = found.finished->state;
  reply.task.outcome = found.outcome;
  if (reply.task.outcome != nullptr) return reply;
  if (outbox_.IsConfirmed(found.finished->outbox_position)) {
    reply.elsewhere = TaskReply::Elsewhere::kFinished;
    return reply;
  }
  APIUM_ASSIGN_OR_RETURN(
      reply.task.outcome,
      outbox_.Read(found.finished->outbox_position, namespace_name, task_id));
  return reply;
}

absl::Status Engine::Impl::Apply(GetTaskCommand&& command) {
  APIUM_ASSIGN_OR_RETURN(
      TaskTable::Found found,
      FindTask(MakeTaskKey(command.namespace_name, command.task_id)));
  APIUM_ASSIGN_OR_RETURN(TaskReply reply, ReplyFor(command.namespace_name,
                                                   command.task_id, found));
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

absl::Status Engine::Impl::AddWaiter(const ReplyAddress& to, Waiter::Kind kind,
                                     const std::string& namespace_name,
                                     const std::string& task_id,
                                     absl::Time deadline) {
  const std::string key = MakeTaskKey(namespace_name, task_id);
  APIUM_ASSIGN_OR_RETURN(TaskTable::Found found, FindTask(key));
  if (found.live != nullptr && waiters_.full()) {
    TaskReply full;
    full.status = TooManyWaiters(options_.max_waiters);
    AddReply(to, std::move(full));
    return absl::OkStatus();
  }
  if (found.live == nullptr || kind == Waiter::Kind::kWatch) {
    APIUM_ASSIGN_OR_RETURN(TaskReply reply,
                           ReplyFor(namespace_name, task_id, found));
    AddReply(to, std::move(reply));
  }
  if (found.live != nullptr)
    waiters_.Add(key, {.kind = kind, .to = to, .deadline = deadline});
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(WaitTaskCommand&& command) {
  return AddWaiter(command.reply, Waiter::Kind::kWait, command.namespace_name,
                   command.task_id, command.deadline);
}

absl::Status Engine::Impl::Apply(WatchTaskCommand&& command) {
  return AddWaiter(command.reply, Waiter::Kind::kWatch, command.namespace_name,
                   command.task_id, absl::InfiniteFuture());
}

absl::Status Engine::Impl::Apply(ForgetSinkCommand&& command) {
  waiters_.Forget(command.sink.get());
  confirm_waiters_.Forget(command.sink.get());
  return absl::OkStatus();
}

void Engine::Impl::NotifyWatchers(const LiveTask& task) {
  for (const ReplyAddress& to : waiters_.WatchersOf(task.key)) {
    TaskReply reply{.task = SnapshotOf(task)};
    failed_read_.Update(AddDetails(task, &reply.task));
    AddReply(to, std::move(reply));
  }
}

}  // namespace apium::broker
