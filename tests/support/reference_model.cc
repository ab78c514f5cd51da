#include "tests/support/reference_model.h"

#include <algorithm>
#include <tuple>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/support/engine_text.h"

namespace apium::broker {
namespace {

// Timers have milliseconds, and are never early.
int64_t CeilMillis(absl::Time time) {
  const int64_t millis = absl::ToUnixMillis(time);
  return absl::FromUnixMillis(millis) < time ? millis + 1 : millis;
}

const char kLeaseLost[] = "FAILED_PRECONDITION/LEASE_LOST";
const char kQueueNotFound[] = "NOT_FOUND/QUEUE_NOT_FOUND";

}  // namespace

ReferenceModel::ReferenceModel(const EngineOptions& options)
    : options_(options) {}

void ReferenceModel::Turn(absl::Time now, const std::vector<Command>& commands,
                          const Effects& effects, bool settled) {
  ++turn_;
  now_ = std::max(now_, now);
  record_ = TurnRecord();
  Sort(effects);
  ReadBatchRows(effects);
  LearnIds(commands);
  RunTimers();
  LoseSessions();
  EndWaits();
  EndForgets();
  TakePurges();
  TakeJobCancels();
  AnswerJobs();
  for (const Command& command : commands) {
    std::visit(
        [this](const auto& body) {
          // What the model does not know, no history asks for.
          if constexpr (requires { Apply(body); }) Apply(body);
        },
        command);
  }
  SettleBatches();
  TakeJobCancels();
  TakeLateExpiries();
  TakeDeliveries(effects);
  // What the engine concludes from late expiries comes after its dispatch.
  SettleBatches();
  CompareBatches();
  CompareOutcomes(effects);
  ComparePushes();
  CompareReplies();
  CheckWatchers();
  if (settled) CheckNothingIsHeldBack();
}

void ReferenceModel::Recover(absl::Time now, const Engine& engine) {
  now_ = std::max(now_, now);
  // What the world was waiting for is forgotten, and so is who waited.
  waiters_.clear();
  watchers_.clear();
  followers_.clear();
  purges_.clear();
  purged_.clear();
  cancel_jobs_.clear();
  forgets_.clear();
  for (auto& [id, task] : tasks_) {
    task.purge = 0;
    task.may_be_purged = false;
    task.refused_attempt = 0;
    if (task.state == TaskState::kStarted) task.state = TaskState::kLeased;
  }
  for (auto it = sessions_.begin(); it != sessions_.end();) {
    Session& session = it->second;
    if (session.leases.empty()) {
      it = sessions_.erase(it);
      continue;
    }
    session.sink = nullptr;
    session.credit = 0;
    session.draining = false;
    session.queues.clear();
    session.types.clear();
    session.last_seen = now_;
    ++it;
  }
  if (engine.outbox_last_position() != last_position_ ||
      engine.outbox_confirmed_position() != confirmed_) {
    AddViolation(absl::StrCat("outbox positions after recovery are ",
                              engine.outbox_last_position(), " and ",
                              engine.outbox_confirmed_position(), ", not ",
                              last_position_, " and ", confirmed_));
  }
}

// --- Time ---

void ReferenceModel::RunTimers() {
  DeleteOldChunks();
  const int64_t now_millis = absl::ToUnixMillis(now_);
  struct Timer {
    int64_t millis;
    bool expiry;  // behind the others of its millisecond
    std::string id;
    auto operator<=>(const Timer&) const = default;
  };
  std::vector<Timer> due;
  for (const auto& [id, task] : tasks_) {
    if (!task.waiting()) continue;
    const absl::Time late =
        std::min(task.content->expire_time, AttemptsEnd(task));
    if (late != absl::InfiniteFuture() && CeilMillis(late) <= now_millis) {
      // One that is to be purged may end either way.
      if (!WasSwept(id)) due.push_back({CeilMillis(late), true, id});
    } else if (task.state == TaskState::kScheduled &&
               task.due_millis <= now_millis) {
      due.push_back({task.due_millis, false, id});
    }
  }
  std::sort(due.begin(), due.end());
  int64_t last_due = -1;
  for (const auto& [millis, expiry, id] : due) {
    if (expiry) {
      EndLate(id);
      continue;
    }
    Task& task = tasks_[id];
    Enqueue(&task);
    // Tasks of the same millisecond are of one place: their order is free.
    if (millis == last_due) task.place = --last_place_;
    last_due = millis;
  }
}

void ReferenceModel::LoseSessions() {
  std::vector<std::tuple<absl::Time, uint64_t>> lost;
  for (const auto& [number, session] : sessions_) {
    const absl::Time deadline =
        session.last_seen + (session.sink != nullptr ? options_.lease_duration
                                                     : options_.reattach_grace);
    if (deadline <= now_) lost.emplace_back(deadline, number);
  }
  std::sort(lost.begin(), lost.end());
  for (const auto& [deadline, number] : lost) {
    CloseSession(number, "FAILED_PRECONDITION/SESSION_EXPIRED");
  }
}

void ReferenceModel::EndWaits() {
  for (size_t i = 0; i < waiters_.size();) {
    const bool due = waiters_[i].deadline <= now_;
    // A task that is purged in the same turn may end before or after the wait.
    if (!due || (WasSwept(waiters_[i].task_id) && !TimedOut(waiters_[i]))) {
      ++i;
      continue;
    }
    ExpectReply(waiters_[i].tag, "DEADLINE_EXCEEDED/WAIT_TIMEOUT");
    waiters_.erase(waiters_.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

// --- Tasks ---

ReferenceModel::Task* ReferenceModel::Find(const std::string& id) {
  const auto it = tasks_.find(id);
  if (it == tasks_.end()) return nullptr;
  Task& task = it->second;
  if (task.live() || task.finish_turn == turn_) return &task;
  if (task.outbox_position > confirmed_) return &task;
  if (task.minted) return nullptr;
  const int64_t keep_until =
      absl::ToUnixMillis(task.finish_time + options_.finished_retention);
  return keep_until <= absl::ToUnixMillis(now_) ? nullptr : &task;
}

void ReferenceModel::Apply(const SubmitCommand& command) {
  if (command.request != nullptr && IsRepeatedRequest(command)) return;
  const TaskContent& content = *command.content;
  const uint64_t tag = command.reply.tag;
  if (Task* known = content.task_id.empty() ? nullptr : Find(content.task_id)) {
    if (!(known->content->fingerprint == content.fingerprint)) {
      ExpectReply(tag, "ALREADY_EXISTS/TASK_ID_REUSED");
      return;
    }
    ExpectAccepted(command, content.task_id, known->content->create_time,
                   /*attached=*/false);
    ExpectOutcome(command, content.task_id);
    return;
  }
  if (options_.create_queues_on_use) queues_[content.queue];
  const auto queue = queues_.find(content.queue);
  std::string refusal;
  if (queue == queues_.end()) {
    refusal = kQueueNotFound;
  } else if (queue->second.submit_paused) {
    refusal = "FAILED_PRECONDITION/QUEUE_PAUSED_FOR_SUBMIT";
  } else {
    refusal = JoinRefusal(content);
  }
  if (!refusal.empty()) {
    ExpectReply(tag, refusal);
    return;
  }
  const Claim claim =
      content.unique == nullptr ? Claim::kTake : ClaimOf(content);
  if (claim == Claim::kRefuse) {
    ExpectReply(tag, "ALREADY_EXISTS/UNIQUE_KEY_HELD");
  } else if (claim == Claim::kAttach) {
    const UniqueKey held = *HeldKey(content.unique->key);
    ExpectAccepted(command, held.holder, held.holder_create_time,
                   /*attached=*/true);
    ExpectOutcome(command, held.holder);
  } else {
    const std::string id =
        content.task_id.empty() ? minted_ids_[tag] : content.task_id;
    if (content.task_id.empty() && tasks_.count(id) > 0) {
      AddViolation(absl::StrCat("minted id ", id, " was used before"));
    }
    ExpectAccepted(command, id, now_, /*attached=*/false);
    if (content.unique != nullptr) TakeKey(content, id, claim);
    Accept(command, id, claim == Claim::kBlock);
  }
}

void ReferenceModel::Accept(const SubmitCommand& command, const std::string& id,
                            bool blocked) {
  auto content = std::make_shared<TaskContent>(*command.content);
  content->create_time = now_;
  if (command.delay.has_value()) content->eta = now_ + *command.delay;
  if (command.expire_after.has_value()) {
    content->expire_time = now_ + *command.expire_after;
  }
  if (content->unique != nullptr &&
      content->unique->on_conflict == UniqueConflict::kDebounce) {
    content->eta = std::max(content->eta, now_ + content->unique->window);
  }
  if (command.report_outcome) {
    waiters_.push_back({.task_id = id,
                        .tag = command.reply.tag,
                        .sink = command.reply.sink.get(),
                        .for_outcome = true});
  }
  tasks_[id] = {.content = content, .minted = command.content->task_id.empty()};
  JoinBatch(*content);
  Task& task = tasks_[id];
  if (blocked) {
    task.state = TaskState::kBlocked;
  } else {
    AwaitEta(&task);
  }
  if (content->expire_time <= now_) Finish(id, TaskState::kExpired, "");
}

void ReferenceModel::AwaitEta(Task* task) {
  if (task->content->eta > now_) {
    Schedule(task, task->content->eta);
  } else {
    Enqueue(task);
  }
}

void ReferenceModel::Enqueue(Task* task) {
  task->state = TaskState::kQueued;
  task->place = ++last_place_;
  task->place_turn = turn_;
}

void ReferenceModel::Schedule(Task* task, absl::Time due) {
  task->state = TaskState::kScheduled;
  task->due_millis = CeilMillis(due);
}

void ReferenceModel::Finish(const std::string& id, TaskState state,
                            const std::string& failure_type) {
  Task& task = tasks_[id];
  Outcome outcome = {.task_id = id,
                     .state = state,
                     .failure = {.type = failure_type},
                     .attempt = task.attempt,
                     .failures = task.failures,
                     .crashes = task.crashes,
                     .returns = task.returns,
                     .result_mode = task.content->result_mode};
  const bool kept = Keeps(*task.content, state);
  record_.expected_outcomes.insert(absl::StrCat(ModelOutcomeText(outcome),
                                                " events=", task.events,
                                                kept ? "" : " not", " kept"));
  LeaveBatch(*task.content, state);
  if (task.leased()) EndLease(&task);
  task.state = state;
  task.finish_time = now_;
  task.finish_turn = turn_;
  task.outbox_position = kept ? last_position_ + 1 : 0;
  CountEnd(task);
  for (size_t i = 0; i < waiters_.size();) {
    if (waiters_[i].task_id != id) {
      ++i;
      continue;
    }
    ExpectReply(waiters_[i].tag,
                absl::StrCat(waiters_[i].for_outcome ? "outcome=" : "",
                             StateName(state)));
    waiters_.erase(waiters_.begin() + static_cast<std::ptrdiff_t>(i));
  }
  if (task.content->unique != nullptr) ReleaseKeyAtEnd(id);
  WakeFollowers(id);
}

void ReferenceModel::EndLease(Task* task) {
  sessions_[task->session].leases.erase(task->epoch);
  task->epoch = 0;
  task->session = 0;
}

std::string ReferenceModel::TaskText(const Task& task) const {
  if (!task.live()) {
    return task.finish_turn == turn_ || task.outbox_position > confirmed_
               ? StateName(task.state)
               : "FINISHED";
  }
  return absl::StrCat(
      StateName(task.state), " attempt=", task.attempt,
      " failures=", task.failures, " lost=", task.crashes,
      " returns=", task.returns, " epoch=", task.epoch,
      " cancel=", task.cancel_requested, " suspect=", task.suspect,
      " events=", task.events,
      " due=", task.state == TaskState::kScheduled ? task.due_millis : 0,
      " worker=", task.leased() ? sessions_.at(task.session).worker_id : "",
      StreamText(task));
}

void ReferenceModel::Apply(const GetTaskCommand& command) {
  const Task* task = Find(command.task_id);
  ExpectReply(command.reply.tag,
              task == nullptr ? std::string("UNKNOWN") : TaskText(*task));
}

void ReferenceModel::Apply(const WaitTaskCommand& command) {
  const Task* task = Find(command.task_id);
  if (task == nullptr || !task->live()) {
    ExpectReply(command.reply.tag,
                task == nullptr ? std::string("UNKNOWN") : TaskText(*task));
    return;
  }
  waiters_.push_back({.task_id = command.task_id,
                      .tag = command.reply.tag,
                      .sink = command.reply.sink.get(),
                      .deadline = command.deadline});
}

void ReferenceModel::Apply(const WatchTaskCommand& command) {
  const Task* task = Find(command.task_id);
  if (task == nullptr || !task->live()) {
    ExpectReply(command.reply.tag,
                task == nullptr ? std::string("UNKNOWN") : TaskText(*task));
    return;
  }
  record_.watches.insert(command.reply.tag);
  watchers_[command.reply.tag] = {.task_id = command.task_id,
                                  .sink = command.reply.sink.get()};
}

void ReferenceModel::Apply(const ForgetSinkCommand& command) {
  std::erase_if(followers_, [&](const auto& follower) {
    return follower.second.sink == command.sink.get();
  });
  const ReplySink* sink = command.sink.get();
  waiters_.erase(
      std::remove_if(waiters_.begin(), waiters_.end(),
                     [&](const Waiter& waiter) { return waiter.sink == sink; }),
      waiters_.end());
  forgets_.erase(
      std::remove_if(forgets_.begin(), forgets_.end(),
                     [&](const Forget& forget) { return forget.sink == sink; }),
      forgets_.end());
  for (auto it = watchers_.begin(); it != watchers_.end();) {
    if (it->second.sink != sink) {
      ++it;
      continue;
    }
    record_.watches.insert(it->first);  // it may have been told before
    it = watchers_.erase(it);
  }
}

void ReferenceModel::Apply(const CancelTaskCommand& command) {
  Task* task = Find(command.task_id);
  Cancel(command.task_id);
  ExpectReply(command.reply.tag,
              task == nullptr ? std::string("UNKNOWN") : TaskText(*task));
}

void ReferenceModel::Apply(const OutboxConfirmedCommand& command) {
  confirmed_ = std::max(confirmed_, std::min(command.position, last_position_));
  EndForgets();
}

// --- Workers ---

uint64_t ReferenceModel::SessionOf(const WorkerSink* sink) const {
  for (const auto& [number, session] : sessions_) {
    if (session.sink == sink) return number;
  }
  return 0;
}

void ReferenceModel::Apply(const OpenSessionCommand& command) {
  const WorkerSink* sink = command.sink.get();
  for (const std::string& queue : command.queues) {
    if (options_.create_queues_on_use) queues_[queue];
    if (queues_.count(queue) > 0) continue;
    ExpectPush(sink, absl::StrCat("closed ", kQueueNotFound));
    return;
  }
  uint64_t resumed = 0;
  std::vector<uint64_t> restarted;
  for (const auto& [number, session] : sessions_) {
    if (session.worker_id != command.worker_id) continue;
    if (!command.session_id.empty() &&
        session.session_id == command.session_id) {
      resumed = number;
    } else if (session.sink == nullptr) {
      restarted.push_back(number);
    }
  }
  for (const uint64_t number : restarted) CloseSession(number, "");
  std::vector<uint64_t> lost_epochs;
  std::set<uint64_t> held;
  for (const LeaseName& lease : command.held_leases) {
    const bool still_held =
        resumed != 0 && sessions_[resumed].leases.count(lease.epoch) > 0 &&
        sessions_[resumed].leases[lease.epoch] == lease.task_id &&
        tasks_[lease.task_id].attempt == lease.attempt;
    if (still_held) {
      held.insert(lease.epoch);
    } else {
      lost_epochs.push_back(lease.epoch);
    }
  }
  if (resumed != 0) {
    Session& session = sessions_[resumed];
    if (session.sink != nullptr) {
      ExpectPush(session.sink, "closed FAILED_PRECONDITION/SESSION_REPLACED");
    }
    const std::map<uint64_t, std::string> leases = session.leases;
    for (const auto& [epoch, id] : leases) {
      if (held.count(epoch) > 0) continue;
      ReturnTask(id, std::nullopt, tasks_[id].state == TaskState::kStarted);
    }
  }
  const uint64_t number = resumed != 0 ? resumed : ++last_session_;
  Session& session = sessions_[number];
  session.worker_id = command.worker_id;
  session.sink = sink;
  session.credit = 0;
  session.draining = false;
  session.types.clear();
  session.types.insert(command.task_types.begin(), command.task_types.end());
  session.queues = command.queues;
  session.last_seen = now_;
  ExpectPush(sink, absl::StrCat(resumed != 0 ? "resumed" : "opened",
                                " lost=", absl::StrJoin(lost_epochs, ",")));
  for (const auto& [epoch, id] : session.leases) {
    if (tasks_[id].cancel_requested) {
      ExpectPush(sink, absl::StrCat("cancel ", epoch));
    }
  }
}

void ReferenceModel::CloseSession(uint64_t number, const std::string& reason) {
  Session& session = sessions_[number];
  if (session.sink != nullptr) {
    ExpectPush(session.sink, absl::StrCat("closed ", reason));
  }
  const std::map<uint64_t, std::string> leases = session.leases;
  for (const auto& [epoch, id] : leases) CrashAttempt(id);
  sessions_.erase(number);
}

void ReferenceModel::Apply(const SessionDisconnectedCommand& command) {
  const uint64_t number = SessionOf(command.sink.get());
  if (number == 0) return;
  Session& session = sessions_[number];
  session.sink = nullptr;
  session.credit = 0;
  session.last_seen = now_;
}

ReferenceModel::Task* ReferenceModel::LeasedTask(uint64_t session_number,
                                                 const LeaseName& lease) {
  const Session& session = sessions_[session_number];
  const auto held = session.leases.find(lease.epoch);
  if (held != session.leases.end() && held->second == lease.task_id) {
    Task& task = tasks_[lease.task_id];
    if (task.attempt == lease.attempt) return &task;
  }
  ExpectPush(session.sink,
             absl::StrCat("refused ", lease.epoch, " ", kLeaseLost));
  return nullptr;
}

void ReferenceModel::Apply(const WorkerReportCommand& command) {
  const uint64_t number = SessionOf(command.sink.get());
  if (number == 0) return;
  Session& session = sessions_[number];
  session.last_seen = now_;
  for (const StartedReport& report : command.started) {
    if (Task* task = LeasedTask(number, report.lease)) {
      task->state = TaskState::kStarted;
    }
  }
  for (const ProgressReport& report : command.progress) {
    if (Task* task = LeasedTask(number, report.lease))
      ApplyProgress(task, report);
  }
  session.draining = session.draining || command.draining;
  ApplyChunks(number, command.chunks);
  for (const ExecutionReport& report : command.outcomes) {
    ApplyOutcome(number, report);
  }
  if (session.draining) {
    session.credit = 0;
  } else if (session.credit + session.leases.size() + command.credit >
             options_.max_credit) {
    const std::map<uint64_t, std::string> leases = session.leases;
    for (const auto& [epoch, id] : leases) ReturnTask(id, std::nullopt, true);
    CloseSession(number, "INVALID_ARGUMENT/CREDIT_EXCEEDED");
  } else {
    session.credit += command.credit;
  }
}

std::string ReferenceModel::WorkersText() const {
  std::vector<std::string> workers;
  for (const auto& [number, session] : sessions_) {
    workers.push_back(absl::StrCat(
        session.worker_id, session.sink != nullptr ? " connected" : " detached",
        session.draining ? " draining" : "", " credit=", session.credit,
        " leases=", session.leases.size()));
  }
  std::sort(workers.begin(), workers.end());
  return absl::StrJoin(workers, "; ");
}

void ReferenceModel::Apply(const ListWorkersCommand& command) {
  ExpectReply(command.reply.tag, WorkersText());
}

// --- Queues ---

std::string ReferenceModel::QueueText(const std::string& queue) const {
  uint64_t ready = 0;
  uint64_t scheduled = 0;
  uint64_t leased = 0;
  uint64_t blocked = 0;
  for (const auto& [id, task] : tasks_) {
    if (task.content->queue != queue || !task.live()) continue;
    if (task.leased()) {
      ++leased;
    } else if (task.state == TaskState::kBlocked) {
      ++blocked;
    } else if (task.state == TaskState::kScheduled) {
      ++scheduled;
    } else {
      ++ready;
    }
  }
  return absl::StrCat("ready=", ready, " scheduled=", scheduled,
                      " leased=", leased,
                      blocked > 0 ? absl::StrCat(" blocked=", blocked) : "");
}

void ReferenceModel::Apply(const CreateQueueCommand& command) {
  if (queues_.count(command.queue) > 0) {
    ExpectReply(command.reply.tag, "ALREADY_EXISTS/QUEUE_EXISTS");
    return;
  }
  queues_[command.queue] = {.paused = command.settings.paused,
                            .submit_paused = command.settings.submit_paused};
  ExpectReply(command.reply.tag, QueueText(command.queue));
}

void ReferenceModel::Apply(const UpdateQueueCommand& command) {
  const auto queue = queues_.find(command.queue);
  if (queue == queues_.end()) {
    ExpectReply(command.reply.tag, kQueueNotFound);
    return;
  }
  Queue& settings = queue->second;
  settings.paused = command.paused.value_or(settings.paused);
  settings.submit_paused =
      command.submit_paused.value_or(settings.submit_paused);
  ExpectReply(command.reply.tag, QueueText(command.queue));
}

void ReferenceModel::Apply(const GetQueueCommand& command) {
  ExpectReply(command.reply.tag, queues_.count(command.queue) > 0
                                     ? QueueText(command.queue)
                                     : kQueueNotFound);
}

void ReferenceModel::Apply(const DeleteQueueCommand& command) {
  if (queues_.count(command.queue) == 0) {
    ExpectReply(command.reply.tag, kQueueNotFound);
  } else if (QueueText(command.queue) != "ready=0 scheduled=0 leased=0") {
    ExpectReply(command.reply.tag, "FAILED_PRECONDITION/QUEUE_NOT_EMPTY");
  } else {
    queues_.erase(command.queue);
    ends_.erase(command.queue);
    ExpectReply(command.reply.tag, "OK");
  }
}

void ReferenceModel::Apply(const PurgeQueueCommand& command) {
  if (queues_.count(command.queue) == 0) {
    ExpectReply(command.reply.tag, kQueueNotFound);
    return;
  }
  purges_.push_back({.number = ++last_purge_,
                     .tag = command.reply.tag,
                     .queue = command.queue});
  for (auto& [id, task] : tasks_) {
    if (!task.live() || task.content->queue != command.queue) continue;
    if (task.leased()) {
      task.may_be_purged = true;
    } else {
      task.purge = last_purge_;
    }
  }
}

}  // namespace apium::broker
