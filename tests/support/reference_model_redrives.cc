// Redrives in the reference model. At which pace one of many gets on is up to
// the engine, within its rate: how far it came is taken over from its row.

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/support/engine_text.h"
#include "tests/support/reference_model.h"

namespace apium::broker {
namespace {

const char kQueueNotFound[] = "NOT_FOUND/QUEUE_NOT_FOUND";
const char kLetterNotFound[] = "NOT_FOUND/DEAD_LETTER_NOT_FOUND";
const char kRedrivenFrom[] = "apium-redriven-from";

// What was late is made up for at once, up to this.
constexpr absl::Duration kBurst = absl::Milliseconds(100);

absl::Duration StepOf(const Redrive& redrive) {
  return redrive.max_per_second == 0
             ? absl::ZeroDuration()
             : absl::Seconds(1) / redrive.max_per_second;
}

std::string HeadersText(const TaskContent& content) {
  return absl::StrJoin(content.headers, ",", absl::PairFormatter("="));
}

std::string RedrivenBrief(const TaskContent& content) {
  return absl::StrCat("type=", content.type, " queue=", content.queue,
                      " priority=", content.priority,
                      " headers=", HeadersText(content));
}

std::string RedrivenText(const TaskContent& content) {
  return absl::StrCat(
      RedrivenBrief(content), " payload=", content.payload.data,
      " max_attempts=", content.retry_policy.max_attempts,
      content.eta == absl::InfinitePast() ? "" : " with an ETA",
      content.expire_time == absl::InfiniteFuture() ? "" : " expires",
      content.unique == nullptr ? "" : " unique",
      content.batch_id.empty() ? "" : " in a batch");
}

}  // namespace

std::string ModelRedriveText(const Redrive& redrive) {
  const auto nanos = [](absl::Time time) {
    return time == absl::InfiniteFuture()
               ? std::string("never")
               : absl::StrCat(absl::ToUnixNanos(time));
  };
  const DeadLetterFilter& filter = redrive.filter;
  return absl::StrCat(
      ReplyText({.body = RedriveReply{.redrive = redrive}}),
      " rate=", redrive.max_per_second, " to=", redrive.target_queue,
      " type=", filter.type, " failure=", filter.failure_type,
      " after=", absl::FormatTime(filter.dead_after),
      " before=", absl::FormatTime(filter.dead_before),
      " start=", nanos(redrive.start_time), " end=", nanos(redrive.end_time));
}

std::shared_ptr<TaskContent> ReferenceModel::ContentToRedrive(
    const std::string& id, const Letter& letter) const {
  auto content = std::make_shared<TaskContent>(*letter.content);
  content->task_id.clear();  // minted
  content->eta = absl::InfinitePast();
  content->expire_time = absl::InfiniteFuture();
  content->unique = nullptr;
  content->batch_id.clear();
  std::erase_if(content->headers, [](const auto& header) {
    return header.first == kRedrivenFrom;
  });
  content->headers.emplace_back(kRedrivenFrom, id);
  std::sort(content->headers.begin(), content->headers.end());
  return content;
}

void ReferenceModel::TakeRedriven(const std::string& new_id,
                                  const std::shared_ptr<TaskContent>& content) {
  if (tasks_.count(new_id) > 0)
    AddViolation(absl::StrCat("minted id ", new_id, " was used before"));
  const auto made = record_.redriven_tasks.find(new_id);
  // Of one that ended in the same turn, the outcome tells little.
  const auto text_of =
      record_.ended_at_once.count(new_id) > 0 ? RedrivenBrief : RedrivenText;
  const std::string expected = text_of(*content);
  const std::string text =
      made == record_.redriven_tasks.end() ? "nothing" : text_of(*made->second);
  if (text != expected) {
    AddViolation(
        absl::StrCat("of a dead letter was made ", text, ", not ", expected));
  }
  record_.redriven_tasks.erase(new_id);
  if (options_.create_queues_on_use) queues_[content->queue];
  Accept({.content = content}, new_id, /*blocked=*/false);
}

void ReferenceModel::Apply(const RedriveDeadLetterCommand& command) {
  const uint64_t tag = command.reply.tag;
  if (queues_.count(command.queue) == 0)
    return ExpectReply(tag, kQueueNotFound);
  const Letter* letter = FindLetter(command.queue, command.task_id);
  if (letter == nullptr) return ExpectReply(tag, kLetterNotFound);
  auto content = ContentToRedrive(command.task_id, *letter);
  if (command.payload.has_value()) content->payload = *command.payload;
  if (!command.type.empty()) content->type = command.type;
  if (!command.target_queue.empty()) content->queue = command.target_queue;
  content->priority = command.priority.value_or(content->priority);
  if (command.retry_policy.has_value())
    content->retry_policy = *command.retry_policy;
  if (const std::string refusal = SubmitRefusal(*content); !refusal.empty())
    return ExpectReply(tag, refusal);
  const std::string id = minted_ids_[tag];
  ExpectReply(tag, AnswerText({.task_id = id, .create_time = now_}));
  DropLetter(command.queue, command.task_id);
  TakeRedriven(id, content);
  ++counts_.edited;
}

bool ReferenceModel::has_running_redrives() const {
  return std::any_of(redrives_.begin(), redrives_.end(), [](const auto& entry) {
    return entry.second.shown.state == RedriveState::kRunning;
  });
}

void ReferenceModel::Apply(const StartRedriveCommand& command) {
  const uint64_t tag = command.reply.tag;
  const bool has_target = command.target_queue.empty() ||
                          options_.create_queues_on_use ||
                          queues_.count(command.target_queue) > 0;
  if (queues_.count(command.queue) == 0 || !has_target)
    return ExpectReply(tag, kQueueNotFound);
  const Redrive shown = {.queue = command.queue,
                         .filter = command.filter,
                         .max_per_second = command.max_per_second,
                         .target_queue = command.target_queue,
                         .dry_run = command.dry_run,
                         .start_time = now_};
  if (command.dry_run) {
    letter_jobs_.push_back({.tag = tag,
                            .queue = command.queue,
                            .last_number = last_letter_,
                            .shown = shown});
    return;
  }
  const auto known = redrives_.find(command.queue);
  if (known != redrives_.end() &&
      known->second.shown.state == RedriveState::kRunning)
    return ExpectReply(tag, "ALREADY_EXISTS/REDRIVE_EXISTS");
  redrives_[command.queue] = {
      .shown = shown, .last_number = last_letter_, .free_at = now_};
  ExpectReply(tag, ModelRedriveText(shown));
}

void ReferenceModel::ExpectRedrive(uint64_t tag, const std::string& queue) {
  const auto redrive = redrives_.find(queue);
  ExpectReply(tag, queues_.count(queue) == 0 ? kQueueNotFound
                   : redrive == redrives_.end()
                       ? "NOT_FOUND/REDRIVE_NOT_FOUND"
                       : ModelRedriveText(redrive->second.shown));
}

void ReferenceModel::Apply(const GetRedriveCommand& command) {
  ExpectRedrive(command.reply.tag, command.queue);
}

void ReferenceModel::Apply(const CancelRedriveCommand& command) {
  const auto redrive = redrives_.find(command.queue);
  if (redrive != redrives_.end() &&
      redrive->second.shown.state == RedriveState::kRunning) {
    redrive->second.shown.state = RedriveState::kCancelled;
    redrive->second.shown.end_time = now_;
  }
  ExpectRedrive(command.reply.tag, command.queue);
}

std::string ReferenceModel::RedrivenFrom(const std::string& id,
                                         const TaskContent& content) const {
  const std::string expected = RedrivenText(content);
  std::string found;
  for (const auto& [new_id, made] : record_.redriven_tasks) {
    const bool by_call = std::any_of(
        minted_ids_.begin(), minted_ids_.end(),
        [&, id = new_id](const auto& minted) { return minted.second == id; });
    const auto& headers = made->headers;
    const bool of_letter =
        std::count(headers.begin(), headers.end(),
                   std::pair<std::string, std::string>(kRedrivenFrom, id)) > 0;
    // A letter of the same id may be in another queue.
    if (by_call || !of_letter) continue;
    if (found.empty() || RedrivenText(*made) == expected) found = new_id;
  }
  return found;
}

bool ReferenceModel::HasMore(const std::string& queue,
                             const Redriving& redriving,
                             const std::string& cursor) const {
  const auto of_queue = letters_.find(queue);
  if (of_queue == letters_.end()) return false;
  const Letters& letters = of_queue->second;
  return std::any_of(letters.upper_bound(cursor), letters.end(),
                     [&](const auto& entry) {
                       return entry.second.number <= redriving.last_number &&
                              Matches(redriving.shown.filter, entry.second);
                     });
}

void ReferenceModel::StepRedrives() {
  std::optional<uint64_t> place;
  for (auto& [queue, redriving] : redrives_) {
    if (redriving.shown.state == RedriveState::kRunning)
      StepRedrive(queue, &redriving, &place);
  }
}

void ReferenceModel::StepRedrive(const std::string& queue, Redriving* redriving,
                                 std::optional<uint64_t>* place) {
  const auto row = record_.written_redrives.find(queue);
  const bool written = row != record_.written_redrives.end();
  // A queue that is deleted in this turn is empty, so its redrive was through.
  const bool deleted = record_.deleted_redrives.count(queue) > 0;
  if (!written && !deleted) return;
  Redrive& shown = redriving->shown;
  const std::string cursor = written ? row->second.cursor : "";
  if (written && cursor < redriving->cursor)
    AddViolation(absl::StrCat("the redrive of ", queue, " goes back"));
  const Letters letters =
      letters_.count(queue) > 0 ? letters_[queue] : Letters();
  absl::Time free_at = std::max(redriving->free_at, now_ - kBurst);
  for (auto it = letters.upper_bound(redriving->cursor);
       it != letters.end() && (deleted || it->first <= cursor); ++it) {
    const auto& [id, letter] = *it;
    if (letter.number > redriving->last_number ||
        !Matches(shown.filter, letter))
      continue;
    if (free_at > now_) {
      AddViolation(
          absl::StrCat("the redrive of ", queue, " is too fast at ", id));
    }
    free_at += StepOf(shown);
    redriving->free_at = free_at;
    ++shown.matched;
    const auto content = ContentToRedrive(id, letter);
    if (!shown.target_queue.empty()) content->queue = shown.target_queue;
    if (!SubmitRefusal(*content).empty()) {
      ++shown.refused;
      ++counts_.refused;
      continue;
    }
    const std::string new_id = RedrivenFrom(id, *content);
    if (new_id.empty()) {
      AddViolation(absl::StrCat("the redrive of ", queue, " passed over ", id));
      continue;
    }
    ++shown.redriven;
    ++counts_.redriven;
    counts_.resumed += redriving->recovered;
    DropLetter(queue, id);
    TakeRedriven(new_id, content);
    // In which order those of one turn wait is up to the engine.
    Task& task = tasks_[new_id];
    if (!place->has_value()) *place = task.place;
    task.place = **place;
  }
  if (written) redriving->cursor = cursor;
  if (!written || row->second.shown.state != RedriveState::kDone) return;
  if (HasMore(queue, *redriving, cursor))
    AddViolation(absl::StrCat("the redrive of ", queue, " ended too early"));
  shown.state = RedriveState::kDone;
  shown.end_time = now_;
}

// A redrive is as fast as it may be.
void ReferenceModel::CheckRedrives() {
  for (const auto& [queue, redriving] : redrives_) {
    const bool stands = redriving.shown.state == RedriveState::kRunning &&
                        std::max(redriving.free_at, now_ - kBurst) <= now_;
    if (stands)
      AddViolation(absl::StrCat("the redrive of ", queue, " stands still"));
  }
}

}  // namespace apium::broker
