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
  ReadLetterRows(effects);
  LearnIds(commands);
  dispatching_ = false;
  FailMembers();
  RunTimers();
  LoseSessions();
  EndWaits();
  HalfOpenBreakers();
  EndForgets();
  TakePurges();
  TakeJobCancels();
  AnswerJobs();
  TakeLetterJobs();
  StepRedrives();
  for (const Command& command : commands) {
    std::visit([this](const auto& body) { Apply(body); }, command);
  }
  SettleBatches();
  dispatching_ = true;
  TakeJobCancels();
  TakeLateExpiries();
  TakeDeliveries(effects);
  // What the engine concludes from late expiries comes after its dispatch.
  SettleBatches();
  CompareBatches();
  CompareLetters();
  CompareOutcomes(effects);
  ComparePushes();
  CompareReplies();
  CheckWatchers();
  if (!settled) return;
  CheckNothingIsHeldBack();
  CheckRedrives();
  CheckBreakers();
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
  letter_jobs_.clear();
  for (auto& [queue, redriving] : redrives_) redriving.recovered = true;
  // What the breakers counted is forgotten, their state is not.
  for (auto& [type, breaker] : breakers_) breaker.attempts.clear();
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
    session.labels.clear();
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
    Task& task = tasks_[id];
    if (expiry) {
      // Those behind one that ended may have ended with it.
      if (task.waiting()) EndLate(id);
      continue;
    }
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
                   /*attached=*/false, known->copies);
    ExpectOutcome(command, content.task_id);
    return;
  }
  if (content.queue.empty()) return ApplyRouted(command);
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
  Demand demand;
  if (claim == Claim::kTake || claim == Claim::kBlock)
    AddDemand(content, claim, &demand);
  if (claim == Claim::kRefuse) {
    ExpectReply(tag, "ALREADY_EXISTS/UNIQUE_KEY_HELD");
  } else if (const std::string full = RoomRefusal(content.queue, demand);
             !full.empty()) {
    ExpectReply(tag, full);
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
  if (blocked || (IsOrdered(*content) && !JoinLine(id))) {
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
  if (IsOrdered(*task.content)) LeaveLine(id);
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
      task.state == TaskState::kQueued &&
              !queues_.at(task.content->queue).paused &&
              IsHeldBack(task.content->type)
          ? " held"
          : LineText(task),
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

}  // namespace apium::broker
