// Compares what the engine did in a turn with what the rules in
// reference_model.cc say, and takes over what it was free to choose.

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "tests/support/engine_text.h"
#include "tests/support/reference_model.h"

namespace apium::broker {
namespace {

const char kPurged[] = "apium.Purged";

// As far as the model knows it.
const char* WaitText(const std::string& reason) {
  if (absl::StartsWith(reason, "the breaker of type ")) return " held";
  if (absl::StartsWith(reason, "the ordering key "))
    return " in a blocked line";
  return absl::StartsWith(reason, "waits for those before it") ? " in line"
                                                               : "";
}

std::string SnapshotText(const TaskReply& reply) {
  const TaskSnapshot& task = reply.task;
  const bool live = reply.status.ok() &&
                    reply.elsewhere == TaskReply::Elsewhere::kNo &&
                    !IsTerminal(task.state);
  if (!live) return ReplyText({.body = reply});
  return absl::StrCat(
      StateName(task.state), " attempt=", task.attempt,
      " failures=", task.failures, " lost=", task.crashes,
      " returns=", task.returns, " epoch=", task.epoch,
      " cancel=", task.cancel_requested, " suspect=", task.suspect,
      " events=", ModelEventsText(task.history), " due=",
      task.state == TaskState::kScheduled
          ? absl::ToUnixMillis(task.schedule_time)
          : 0,
      " worker=", task.worker_id, WaitText(task.waiting_reason),
      " chunks=", task.chunks, " details=",
      task.progress.details == nullptr ? "" : task.progress.details->data);
}

std::string SettingsText(const QueueReply& reply) {
  if (!reply.status.ok()) return StatusText(reply.status);
  const QueueInfo& queue = reply.queue;
  return absl::StrCat(
      ReplyText({.body = reply}),
      queue.dead_letters > 0 ? absl::StrCat(" dead=", queue.dead_letters) : "",
      queue.settings.paused ? " paused" : "",
      queue.settings.submit_paused ? " submit_paused" : "",
      queue.settings.dead_letter ? " dead_letter" : "");
}

std::string TextOf(const DeadLetter& letter) {
  return LetterText(*letter.content, *letter.outcome,
                    ModelEventsText(letter.outcome->history));
}

std::string LetterPageText(const DeadLetterPageReply& page) {
  if (!page.status.ok()) return StatusText(page.status);
  std::vector<std::string> letters;
  for (const auto& letter : page.dead_letters)
    letters.push_back(TextOf(*letter));
  return absl::StrCat(absl::StrJoin(letters, "; "),
                      " next=", page.next_page_token);
}

std::string SortedWorkersText(const Reply& reply) {
  std::vector<std::string> workers =
      absl::StrSplit(ReplyText(reply), "; ", absl::SkipEmpty());
  std::sort(workers.begin(), workers.end());
  return absl::StrJoin(workers, "; ");
}

}  // namespace

std::string ModelReplyText(const Reply& reply) {
  if (const auto* submit = std::get_if<SubmitReply>(&reply.body)) {
    if (!submit->status.ok()) return StatusText(submit->status);
    std::string text =
        absl::StrCat(submit->attached ? "ATTACHED " : "OK ", submit->task_id,
                     " ", absl::ToUnixNanos(submit->create_time));
    for (const std::string& id : submit->copy_task_ids)
      absl::StrAppend(&text, " ", id);
    return text;
  }
  if (const auto* all = std::get_if<SubmitAllReply>(&reply.body)) {
    if (!all->status.ok()) return ReplyText(reply);
    std::vector<std::string> answers;
    for (const SubmitReply& answer : all->tasks)
      answers.push_back(ModelReplyText({.body = answer}));
    return absl::StrJoin(answers, "; ");
  }
  if (const auto* task = std::get_if<TaskReply>(&reply.body)) {
    return SnapshotText(*task);
  }
  if (const auto* queue = std::get_if<QueueReply>(&reply.body))
    return SettingsText(*queue);
  if (const auto* page = std::get_if<DeadLetterPageReply>(&reply.body))
    return LetterPageText(*page);
  if (const auto* letter = std::get_if<DeadLetterReply>(&reply.body)) {
    if (!letter->status.ok()) return StatusText(letter->status);
    return TextOf(*letter->dead_letter);
  }
  if (const auto* redrive = std::get_if<RedriveReply>(&reply.body)) {
    if (!redrive->status.ok()) return StatusText(redrive->status);
    return ModelRedriveText(redrive->redrive);
  }
  if (const auto* breaker = std::get_if<BreakerReply>(&reply.body)) {
    if (!breaker->status.ok() || breaker->removed) return ReplyText(reply);
    return ModelBreakerText(breaker->breaker);
  }
  if (const auto* breakers = std::get_if<BreakersReply>(&reply.body)) {
    if (!breakers->status.ok()) return StatusText(breakers->status);
    std::vector<std::string> texts;
    for (const BreakerInfo& breaker : breakers->breakers)
      texts.push_back(ModelBreakerText(breaker));
    return absl::StrJoin(texts, "; ");
  }
  if (std::holds_alternative<WorkersReply>(reply.body)) {
    return SortedWorkersText(reply);
  }
  return ReplyText(reply);
}

std::string ModelPushText(const WorkerPush& push) {
  if (const auto* ack = std::get_if<OutcomeAcknowledged>(&push.body)) {
    return absl::StrCat("ack ", ack->epoch);
  }
  if (const auto* refused = std::get_if<ReportRefused>(&push.body)) {
    return absl::StrCat("refused ", refused->epoch, " ",
                        StatusText(refused->status));
  }
  if (const auto* cancel = std::get_if<CancelDelivery>(&push.body)) {
    return absl::StrCat("cancel ", cancel->lease.epoch);
  }
  if (const auto* opened = std::get_if<SessionOpened>(&push.body)) {
    return absl::StrCat(opened->resumed ? "resumed" : "opened",
                        " lost=", absl::StrJoin(opened->lost_epochs, ","));
  }
  if (const auto* closed = std::get_if<SessionClosed>(&push.body)) {
    return absl::StrCat("closed ", StatusText(closed->status));
  }
  if (const auto* chunks = std::get_if<ChunksAcknowledged>(&push.body)) {
    return absl::StrCat("chunks ", chunks->epoch, " ", chunks->number, " ",
                        StatusText(chunks->status));
  }
  return "drain";
}

std::string ModelEventsText(const TaskHistory& history) {
  std::string text;
  for (const TaskEvent& event : history.events) {
    switch (event.kind) {
      case TaskEventKind::kRetried:
        text += 'r';
        break;
      case TaskEventKind::kCrashed:
        text += 'c';
        break;
      case TaskEventKind::kReturned:
        text += 'b';
        break;
      case TaskEventKind::kCancelRequested:
        text += 'x';
        break;
      case TaskEventKind::kUpdated:
        text += 'u';
        break;
      case TaskEventKind::kUnblocked:
        text += 'n';
        break;
      default:
        text += '?';
    }
  }
  return text;
}

std::string ModelOutcomeText(const Outcome& outcome) {
  // That an expiry has a reason is up to the engine.
  const std::string type =
      outcome.state == TaskState::kExpired ? "" : outcome.failure.type;
  return absl::StrCat(outcome.task_id, " ", StateName(outcome.state), " ", type,
                      " attempt=", outcome.attempt,
                      " failures=", outcome.failures, " lost=", outcome.crashes,
                      " returns=", outcome.returns);
}

void ReferenceModel::AddViolation(std::string violation) {
  violations_.push_back(
      absl::StrCat("turn ", turn_, ": ", std::move(violation)));
}

void ReferenceModel::ExpectReply(uint64_t tag, std::string text) {
  record_.expected_replies[tag].push_back(std::move(text));
}

void ReferenceModel::ExpectPush(const WorkerSink* sink, std::string text) {
  if (sink != nullptr) record_.expected_pushes[sink].push_back(std::move(text));
}

std::vector<std::string> ReferenceModel::LiveTaskIds() const {
  std::vector<std::string> ids;
  for (const auto& [id, task] : tasks_) {
    if (task.live()) ids.push_back(id);
  }
  return ids;
}

std::vector<std::string> ReferenceModel::TaskIds() const {
  std::vector<std::string> ids;
  for (const auto& [id, task] : tasks_) ids.push_back(id);
  return ids;
}

void ReferenceModel::Sort(const Effects& effects) {
  for (const AddressedReply& reply : effects.replies) {
    record_.replies[reply.to.tag].push_back(&reply.reply);
  }
  for (const AddressedPush& push : effects.pushes) {
    if (!std::holds_alternative<Delivery>(push.push.body)) {
      record_.pushes[push.to.get()].push_back(&push.push);
    }
  }
  for (const OutboxEntry& entry : effects.outbox) {
    for (const auto& outcome : entry.outcomes) {
      record_.outcomes.push_back(outcome.get());
      record_.kept.insert(outcome.get());
    }
  }
  for (const auto& outcome : effects.unpublished) {
    record_.outcomes.push_back(outcome.get());
  }
}

void ReferenceModel::LearnIds(const std::vector<Command>& commands) {
  minted_ids_.clear();
  for (const Command& command : commands) {
    const auto* submit = std::get_if<SubmitCommand>(&command);
    const auto* redrive = std::get_if<RedriveDeadLetterCommand>(&command);
    if (submit != nullptr && !submit->content->task_id.empty()) continue;
    if (submit == nullptr && redrive == nullptr) continue;
    const uint64_t tag =
        submit != nullptr ? submit->reply.tag : redrive->reply.tag;
    const auto replies = record_.replies.find(tag);
    if (replies == record_.replies.end()) continue;
    const auto* reply =
        std::get_if<SubmitReply>(&replies->second.front()->body);
    if (reply != nullptr && reply->status.ok())
      minted_ids_[tag] = reply->task_id;
  }
}

bool ReferenceModel::WasPurged(const std::string& id) const {
  return std::any_of(record_.outcomes.begin(), record_.outcomes.end(),
                     [&](const Outcome* outcome) {
                       return outcome->task_id == id &&
                              outcome->failure.type == kPurged;
                     });
}

bool ReferenceModel::WasSwept(const std::string& id) const {
  return WasPurged(id) ||
         std::any_of(record_.outcomes.begin(), record_.outcomes.end(),
                     [&](const Outcome* outcome) {
                       return outcome->task_id == id &&
                              absl::StartsWith(outcome->failure.message,
                                               kJobReason);
                     });
}

bool ReferenceModel::TimedOut(const Waiter& waiter) const {
  const auto replies = record_.replies.find(waiter.tag);
  if (replies == record_.replies.end()) return false;
  const auto* reply = std::get_if<TaskReply>(&replies->second.front()->body);
  return reply != nullptr && !reply->status.ok();
}

// A purge goes on over many turns, at the engine's pace; at its answer, all of
// it must be done.
void ReferenceModel::TakePurge(const std::string& id) {
  const auto it = tasks_.find(id);
  const auto purge =
      it == tasks_.end()
          ? purges_.end()
          : std::find_if(purges_.begin(), purges_.end(),
                         [&](const Purge& candidate) {
                           return candidate.queue == it->second.content->queue;
                         });
  const bool allowed = purge != purges_.end() && it->second.waiting() &&
                       (it->second.purge != 0 || it->second.may_be_purged);
  if (!allowed) {
    AddViolation(absl::StrCat(id, " was purged without cause"));
    return;
  }
  ++purged_[purge->queue];
  Finish(id, TaskState::kCancelled, kPurged);
}

void ReferenceModel::TakePurges() {
  std::vector<std::string> purged;
  for (const Outcome* outcome : record_.outcomes) {
    if (outcome->failure.type == kPurged &&
        !WasPurgedByRelease(outcome->task_id))
      purged.push_back(outcome->task_id);
  }
  for (const std::string& id : purged) TakePurge(id);
  for (auto purge = purges_.begin(); purge != purges_.end();) {
    const auto replies = record_.replies.find(purge->tag);
    if (replies == record_.replies.end()) {
      ++purge;
      continue;
    }
    const Purge answered = *purge;
    purge = purges_.erase(purge);
    // Which of several purges of a queue took a task is up to the engine.
    const bool last = std::none_of(
        purges_.begin(), purges_.end(),
        [&](const Purge& other) { return other.queue == answered.queue; });
    uint64_t& purged = purged_[answered.queue];
    const auto* reply = std::get_if<PurgeReply>(&replies->second.front()->body);
    const uint64_t told =
        last || reply == nullptr ? purged : std::min(purged, reply->purged);
    purged -= told;
    ExpectReply(answered.tag, absl::StrCat("purged ", told));
    for (const auto& [id, task] : tasks_) {
      if (task.waiting() && task.purge == answered.number) {
        AddViolation(
            absl::StrCat("the purge of ", answered.queue, " left ", id));
      }
    }
  }
}

// Between an expiry, or the end of the total time, and the next full
// millisecond the engine may already end a task, when it would else dispatch
// it.
void ReferenceModel::TakeLateExpiries() {
  for (const Outcome* outcome : record_.outcomes) {
    const auto it = tasks_.find(outcome->task_id);
    const bool late = it != tasks_.end() && it->second.waiting() &&
                      (it->second.content->expire_time <= now_ ||
                       AttemptsEnd(it->second) <= now_);
    if (late) EndLate(outcome->task_id);
  }
}

void ReferenceModel::CompareOutcomes(const Effects& effects) {
  std::multiset<std::string> outcomes;
  for (const Outcome* outcome : record_.outcomes) {
    outcomes.insert(absl::StrCat(ModelOutcomeText(*outcome),
                                 " events=", ModelEventsText(outcome->history),
                                 record_.kept.count(outcome) > 0 ? "" : " not",
                                 " kept"));
    CheckOutcomeStream(*outcome);
    if (outcome->finish_time != now_) {
      AddViolation(absl::StrCat(outcome->task_id, " has a wrong finish time"));
    }
  }
  if (outcomes != record_.expected_outcomes) {
    AddViolation(absl::StrCat(
        "outcomes are {", absl::StrJoin(outcomes, "; "), "}, not {",
        absl::StrJoin(record_.expected_outcomes, "; "), "}"));
  }
  for (const OutboxEntry& entry : effects.outbox) {
    if (entry.position != last_position_ + 1) {
      AddViolation(absl::StrCat("outbox position ", entry.position, " follows ",
                                last_position_));
    }
    last_position_ = entry.position;
  }
}

void ReferenceModel::ComparePushes() {
  for (const auto& [sink, pushes] : record_.pushes) {
    record_.expected_pushes[sink];
    for (const WorkerPush* push : pushes) {
      const auto* opened = std::get_if<SessionOpened>(&push->body);
      const uint64_t number = SessionOf(sink);
      if (opened != nullptr && number != 0) {
        sessions_[number].session_id = opened->session_id;
      }
    }
  }
  for (const auto& [sink, expected] : record_.expected_pushes) {
    std::vector<std::string> texts;
    for (const WorkerPush* push : record_.pushes[sink]) {
      texts.push_back(ModelPushText(*push));
    }
    if (texts != expected) {
      AddViolation(absl::StrCat("a worker was told {",
                                absl::StrJoin(texts, "; "), "}, not {",
                                absl::StrJoin(expected, "; "), "}"));
    }
  }
}

void ReferenceModel::CompareReplies() {
  for (const auto& [tag, replies] : record_.replies) {
    record_.expected_replies[tag];
  }
  for (const auto& [tag, expected] : record_.expected_replies) {
    if (watchers_.count(tag) + record_.watches.count(tag) > 0) continue;
    std::vector<std::string> texts;
    bool modelled = true;
    for (const Reply* reply : record_.replies[tag]) {
      modelled = modelled &&
                 !std::holds_alternative<TaskPageReply>(reply->body) &&
                 record_.unmodelled.count(tag) == 0;
      texts.push_back(ModelReplyText(*reply));
    }
    if (modelled && texts != expected) {
      AddViolation(absl::StrCat("call ", tag, " was answered {",
                                absl::StrJoin(texts, "; "), "}, not {",
                                absl::StrJoin(expected, "; "), "}"));
    }
  }
}

bool ReferenceModel::Serves(const Session& session, const Task& task) const {
  const std::string& name = task.content->queue;
  const auto queue = queues_.find(name);
  return queue != queues_.end() && !queue->second.paused &&
         !IsHeldBack(task.content->type) &&
         session.types.count(task.content->type) > 0 &&
         HasLabels(session, *task.content) &&
         std::count(session.queues.begin(), session.queues.end(), name) > 0;
}

void ReferenceModel::TakeDeliveries(const Effects& effects) {
  for (const AddressedPush& push : effects.pushes) {
    const auto* delivery = std::get_if<Delivery>(&push.push.body);
    if (delivery == nullptr) continue;
    const std::string& id = delivery->content->task_id;
    const uint64_t number = SessionOf(push.to.get());
    const auto it = tasks_.find(id);
    if (number == 0 || it == tasks_.end()) {
      AddViolation(absl::StrCat(id, " was delivered to nobody, or is nothing"));
      continue;
    }
    Session& session = sessions_[number];
    CheckDelivery(session, *delivery);
    Task& task = it->second;
    TakePoints(task);
    if (session.credit > 0) --session.credit;
    task.state = TaskState::kLeased;
    task.attempt = delivery->attempt;
    task.epoch = delivery->epoch;
    task.session = number;
    NoteDelivery(task);
    if (task.content->unique != nullptr) ReleaseKeyAtStart(task);
    // Delivered before the purge came to it.
    if (task.purge != 0) task.may_be_purged = true;
    task.purge = 0;
    session.leases[delivery->epoch] = id;
    last_epoch_ = std::max(last_epoch_, delivery->epoch);
  }
}

void ReferenceModel::CheckDelivery(const Session& session,
                                   const Delivery& delivery) {
  const std::string& id = delivery.content->task_id;
  const Task& task = tasks_[id];
  const auto wrong = [&](const char* what) {
    AddViolation(absl::StrCat("delivery of ", id, "#", delivery.attempt, " to ",
                              session.worker_id, ": ", what));
  };
  if (session.credit == 0) wrong("beyond the credit");
  if (session.draining) wrong("to a draining worker");
  if (task.state != TaskState::kQueued) wrong("is not ready");
  if (!Serves(session, task))
    wrong("not served, paused, or held back by a breaker");
  if (IsLimited(task, Benefit::kFree)) wrong("beyond a limit");
  if (task.content->eta > now_) wrong("before its ETA");
  if (task.content->expire_time <= now_) wrong("after its expiry");
  if (task.cancel_requested) wrong("after its cancellation");
  if (delivery.attempt != task.attempt + 1) wrong("another attempt");
  if (delivery.epoch <= last_epoch_) wrong("the epoch is not new");
  if (delivery.failures != task.failures) wrong("another number of failures");
  if (delivery.chunks != task.chunks.size()) wrong("another number of chunks");
  if ((delivery.details == nullptr ? "" : delivery.details->data) !=
      task.details.value_or("")) {
    wrong("other details than were reported last");
  }
  if (task.failures >= task.content->retry_policy.max_attempts) {
    wrong("has no attempts left");
  }
  if (task.crashes >= task.content->retry_policy.max_crashes) {
    wrong("has crashed too often");
  }
  if (task.returns >= task.content->retry_policy.max_returns) {
    wrong("was returned too often");
  }
  if (AttemptsEnd(task) <= now_) wrong("after its total time");
  if (delivery.crashes != task.crashes) wrong("another number of crashes");
  if (task.content->delivery_mode == DeliveryMode::kAtMostOnce &&
      task.failures + task.crashes > 0) {
    wrong("for a second time, which must not be");
  }
  CheckSuspects(session, task, absl::StrCat(id, "#", delivery.attempt));
  const TaskContent& content = *delivery.content;
  if (content.payload.data != task.content->payload.data ||
      content.type != task.content->type ||
      content.queue != task.content->queue ||
      content.priority != task.content->priority ||
      content.create_time != task.content->create_time ||
      content.expire_time != task.content->expire_time) {
    wrong("other content than submitted");
  }
  CheckOrder(session, task);
}

void ReferenceModel::CheckOrder(const Session& session, const Task& delivered) {
  for (const auto& [id, task] : tasks_) {
    if (&task == &delivered || task.state != TaskState::kQueued ||
        task.content->queue != delivered.content->queue ||
        !Serves(session, task) || task.content->expire_time <= now_ ||
        AttemptsEnd(task) <= now_ || task.behind_dispatch_turn == turn_) {
      continue;
    }
    // Suspects wait in a line of their own, and go to empty sessions only.
    if (delivered.suspect ? !task.suspect
                          : task.suspect && !session.leases.empty()) {
      continue;
    }
    if (IsLimited(task, Benefit::kLimited)) continue;
    const bool same_lane = IsAlike(*task.content, *delivered.content);
    // Of lanes with tenants, limit keys or labels only the order within a lane
    // is looked at, and of tasks that redrives made none.
    const bool plain = task.content->placement == nullptr &&
                       delivered.content->placement == nullptr;
    if (task.is_redriven() || task.content->task_id.empty()) continue;
    if (!same_lane && (!plain || !limits_.empty())) continue;
    // Suspects of other lanes may not have been read yet.
    if (delivered.suspect && !same_lane) continue;
    const bool overtaken =
        task.content->priority > delivered.content->priority ||
        (task.content->priority == delivered.content->priority &&
         TenantOf(*task.content) == TenantOf(*delivered.content) &&
         (same_lane ? task.place < delivered.place
                    : task.place_turn < delivered.place_turn));
    if (overtaken) {
      AddViolation(absl::StrCat(delivered.content->task_id, " overtook ", id));
    }
  }
}

// A watcher is told at least once in each turn that changes its task, and what
// it is told last is true.
void ReferenceModel::CheckWatchers() {
  for (auto it = watchers_.begin(); it != watchers_.end();) {
    Watcher& watcher = it->second;
    const Task& task = tasks_[watcher.task_id];
    const std::string state = StateName(task.state);
    const std::vector<const Reply*>& replies = record_.replies[it->first];
    if (!replies.empty()) {
      const auto* reply = std::get_if<TaskReply>(&replies.back()->body);
      watcher.last_told =
          reply == nullptr ? "another answer" : StateName(reply->task.state);
    }
    if (watcher.last_told != state) {
      AddViolation(absl::StrCat("a watcher of ", watcher.task_id,
                                " was last told ", watcher.last_told,
                                ", and it is ", state));
    }
    it = task.live() ? std::next(it) : watchers_.erase(it);
  }
}

}  // namespace apium::broker
