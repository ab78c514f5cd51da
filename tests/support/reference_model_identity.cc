// Unique keys and requests that carry an id, said plainly.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/support/engine_text.h"
#include "tests/support/reference_model.h"

namespace apium::broker {
namespace {

const char kRequestIdReused[] = "ALREADY_EXISTS/REQUEST_ID_REUSED";

int64_t CeilMillis(absl::Time time) {
  const int64_t millis = absl::ToUnixMillis(time);
  return absl::FromUnixMillis(millis) < time ? millis + 1 : millis;
}

}  // namespace

std::string ReferenceModel::AnswerText(const Answer& answer) {
  std::string text =
      absl::StrCat(answer.attached ? "ATTACHED " : "OK ", answer.task_id, " ",
                   absl::ToUnixNanos(answer.create_time));
  for (uint32_t i = 0; i < answer.copies; ++i)
    absl::StrAppend(&text, " ", answer.task_id, ".", i + 2);
  return text;
}

const ReferenceModel::Request* ReferenceModel::FindRequest(
    const RequestIdentity& request) const {
  const auto it = requests_.find(request.id);
  if (it == requests_.end()) return nullptr;
  return it->second.keep_until <= absl::ToUnixMillis(now_) ? nullptr
                                                           : &it->second;
}

void ReferenceModel::RememberRequest(const RequestIdentity& request,
                                     std::vector<Answer> answers) {
  requests_[request.id] = {
      .fingerprint = request.fingerprint,
      .answers = std::move(answers),
      .keep_until = CeilMillis(now_ + options_.finished_retention)};
}

bool ReferenceModel::IsRepeatedRequest(const SubmitCommand& command) {
  const Request* first = FindRequest(*command.request);
  if (first == nullptr) return false;
  if (!(first->fingerprint == command.request->fingerprint)) {
    ExpectReply(command.reply.tag, kRequestIdReused);
    return true;
  }
  const Answer answer = first->answers.front();
  ExpectReply(command.reply.tag, AnswerText(answer));
  ExpectOutcome(command, answer.task_id);
  return true;
}

bool ReferenceModel::IsRepeatedRequest(const SubmitAllCommand& command) {
  const Request* first = FindRequest(*command.request);
  if (first == nullptr) return false;
  if (!(first->fingerprint == command.request->fingerprint)) {
    ExpectReply(command.reply.tag, kRequestIdReused);
    return true;
  }
  ++counts_.requests_repeated;
  std::vector<std::string> texts;
  for (const Answer& answer : first->answers)
    texts.push_back(AnswerText(answer));
  ExpectReply(command.reply.tag, absl::StrJoin(texts, "; "));
  return true;
}

void ReferenceModel::ExpectAccepted(const SubmitCommand& command,
                                    const std::string& id,
                                    absl::Time create_time, bool attached,
                                    uint32_t copies) {
  const Answer answer = {.task_id = id,
                         .create_time = create_time,
                         .attached = attached,
                         .copies = copies};
  ExpectReply(command.reply.tag, AnswerText(answer));
  if (command.request != nullptr) RememberRequest(*command.request, {answer});
}

void ReferenceModel::ExpectOutcome(const SubmitCommand& command,
                                   const std::string& id) {
  if (!command.report_outcome) return;
  const uint64_t tag = command.reply.tag;
  const Task* task = Find(id);
  if (task == nullptr) {
    ExpectReply(tag, "outcome=elsewhere");
  } else if (task->live()) {
    waiters_.push_back({.task_id = id,
                        .tag = tag,
                        .sink = command.reply.sink.get(),
                        .for_outcome = true});
  } else if (task->finish_turn == turn_ || task->outbox_position > confirmed_) {
    ExpectReply(tag, absl::StrCat("outcome=", StateName(task->state)));
  } else {
    ExpectReply(tag, "outcome=elsewhere");
  }
}

ReferenceModel::UniqueKey* ReferenceModel::HeldKey(const std::string& key) {
  const auto it = keys_.find(key);
  if (it == keys_.end()) return nullptr;
  UniqueKey& held = it->second;
  // As long as somebody waits for it, a window does not end.
  const bool over = held.window_end != 0 && held.next.empty() &&
                    held.window_end <= absl::ToUnixMillis(now_);
  return over ? nullptr : &held;
}

bool ReferenceModel::HoldsKey(const Task& task, const UniqueKey& key) const {
  return task.content->unique != nullptr &&
         task.content->create_time == key.holder_create_time;
}

ReferenceModel::Task* ReferenceModel::LiveHolder(const UniqueKey& key) {
  const auto it = tasks_.find(key.holder);
  if (it == tasks_.end()) return nullptr;
  Task& task = it->second;
  return task.live() && HoldsKey(task, key) ? &task : nullptr;
}

ReferenceModel::Claim ReferenceModel::ClaimOf(const TaskContent& content) {
  const UniqueKey* held = HeldKey(content.unique->key);
  if (held == nullptr) return Claim::kTake;
  const Task* holder = LiveHolder(*held);
  switch (content.unique->on_conflict) {
    case UniqueConflict::kAttach:
    case UniqueConflict::kThrottle:
      return Claim::kAttach;
    case UniqueConflict::kDebounce:
      return Claim::kTake;
    case UniqueConflict::kKeepLatest:
      return holder != nullptr && holder->leased() ? Claim::kBlock
                                                   : Claim::kTake;
    case UniqueConflict::kReplace:
      return holder != nullptr && holder->waiting() ? Claim::kTake
                                                    : Claim::kRefuse;
    case UniqueConflict::kReject:
      break;
  }
  return Claim::kRefuse;
}

void ReferenceModel::TakeKey(const TaskContent& content, const std::string& id,
                             Claim claim) {
  const Unique& unique = *content.unique;
  std::vector<std::string> replaced;
  if (const UniqueKey* held = HeldKey(unique.key)) {
    const Task* holder = LiveHolder(*held);
    if (holder != nullptr && holder->waiting())
      replaced.push_back(held->holder);
    if (!held->next.empty()) replaced.push_back(held->next);
  }
  if (claim == Claim::kBlock) {
    keys_[unique.key].next = id;
  } else {
    keys_[unique.key] = {.holder = id, .holder_create_time = now_};
    if (unique.scope == UniqueScope::kWindow)
      keys_[unique.key].window_end = CeilMillis(now_ + unique.window);
  }
  for (const std::string& other : replaced)
    Finish(other, TaskState::kCancelled, "apium.Replaced");
}

void ReferenceModel::ReleaseKeyAtStart(const Task& task) {
  const Unique& unique = *task.content->unique;
  if (unique.scope != UniqueScope::kUntilStart) return;
  const UniqueKey* held = HeldKey(unique.key);
  if (held != nullptr && LiveHolder(*held) == &task) keys_.erase(unique.key);
}

void ReferenceModel::ReleaseKeyAtEnd(const std::string& id) {
  const std::string key = tasks_[id].content->unique->key;
  UniqueKey* held = HeldKey(key);
  if (held == nullptr) return;
  if (held->next == id) {
    held->next.clear();
  } else if (held->holder == id && HoldsKey(tasks_[id], *held)) {
    if (!held->next.empty()) {
      const std::string next = held->next;
      *held = {.holder = next,
               .holder_create_time = tasks_[next].content->create_time};
      Unblock(next);
    } else if (held->window_end == 0) {
      keys_.erase(key);
    }
  }
}

void ReferenceModel::Unblock(const std::string& id) {
  if (WasPurged(id)) {
    TakePurge(id);
  } else if (WasSweptWhileBlocked(id)) {
    return;
  } else if (!IsOrdered(*tasks_[id].content) || JoinLine(id)) {
    AwaitEta(&tasks_[id]);
    AddEvent(&tasks_[id], 'n');
  }
}

bool ReferenceModel::WasSweptWhileBlocked(const std::string& id) {
  for (const Outcome* outcome : record_.outcomes) {
    if (outcome->task_id == id && JobOf(*outcome) != nullptr)
      return ModelEventsText(outcome->history) == tasks_[id].events;
  }
  return false;
}

bool ReferenceModel::WasPurgedByRelease(const std::string& id) {
  const auto it = tasks_.find(id);
  // One that is accepted in this turn can be purged in no other way.
  if (it == tasks_.end() || !it->second.live()) return true;
  if (it->second.state != TaskState::kBlocked) return false;
  if (WaitsInLine(id)) return WillBePurgedByItsLine(id);
  const UniqueKey* held = HeldKey(it->second.content->unique->key);
  if (held == nullptr) return false;
  // Then the holder has ended before it.
  for (const Outcome* outcome : record_.outcomes) {
    if (outcome->task_id == held->holder) return true;
    if (outcome->task_id == id) return false;
  }
  return false;
}

}  // namespace apium::broker
