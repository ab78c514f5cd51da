// Dead letters in the reference model: tasks that used up their attempts, and
// what becomes of them. At which pace a redrive gets on is up to the engine,
// within its rate: how far it came is taken over from its row.

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "broker/storage/dead_letter_codec.h"
#include "broker/storage/key_format.h"
#include "broker/storage/record_codec.h"
#include "broker/storage/record_value.h"
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

std::string RedrivenText(const TaskContent& content) {
  return absl::StrCat(
      "type=", content.type, " queue=", content.queue,
      " priority=", content.priority, " payload=", content.payload.data,
      " headers=", HeadersText(content),
      " max_attempts=", content.retry_policy.max_attempts,
      content.eta == absl::InfinitePast() ? "" : " with an ETA",
      content.expire_time == absl::InfiniteFuture() ? "" : " expires",
      content.unique == nullptr ? "" : " unique",
      content.batch_id.empty() ? "" : " in a batch");
}

}  // namespace

std::string LetterText(const TaskContent& content, const Outcome& outcome,
                       const std::string& events) {
  return absl::StrCat(content.task_id, " type=", content.type,
                      " queue=", content.queue, " priority=", content.priority,
                      " payload=", content.payload.data,
                      " headers=", HeadersText(content),
                      " max_attempts=", content.retry_policy.max_attempts,
                      " create=", absl::ToUnixNanos(content.create_time),
                      " dead=", absl::ToUnixNanos(outcome.finish_time), " ",
                      StateName(outcome.state), " ", outcome.failure.type,
                      " attempt=", outcome.attempt,
                      " failures=", outcome.failures, " lost=", outcome.crashes,
                      " returns=", outcome.returns, " events=", events);
}

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

// --- Letters ---

void ReferenceModel::KeepLetter(const std::string& id,
                                const std::string& failure_type) {
  const Task& task = tasks_[id];
  auto content = std::make_shared<TaskContent>(*task.content);
  content->task_id = id;
  Outcome outcome = {.task_id = id,
                     .state = TaskState::kDeadLettered,
                     .failure = {.type = failure_type},
                     .attempt = task.attempt,
                     .failures = task.failures,
                     .crashes = task.crashes,
                     .returns = task.returns};
  outcome.finish_time = now_;
  // One of a forgotten task of the same id is replaced.
  letters_[content->queue][id] = {
      .number = ++last_letter_,
      .content = content,
      .failure_type = failure_type,
      .dead_time = now_,
      .text = LetterText(*content, outcome, task.events)};
  record_.letters_changed = true;
  ++counts_.letters;
}

void ReferenceModel::DropLetter(const std::string& queue,
                                const std::string& id) {
  letters_[queue].erase(id);
  if (letters_[queue].empty()) letters_.erase(queue);
  record_.letters_changed = true;
}

const ReferenceModel::Letter* ReferenceModel::FindLetter(
    const std::string& queue, const std::string& id) const {
  const auto of_queue = letters_.find(queue);
  if (of_queue == letters_.end()) return nullptr;
  const auto letter = of_queue->second.find(id);
  return letter == of_queue->second.end() ? nullptr : &letter->second;
}

size_t ReferenceModel::LettersOf(const std::string& queue) const {
  const auto of_queue = letters_.find(queue);
  return of_queue == letters_.end() ? 0 : of_queue->second.size();
}

std::vector<std::string> ReferenceModel::DeadLetterIds(
    const std::string& queue) const {
  std::vector<std::string> ids;
  const auto of_queue = letters_.find(queue);
  if (of_queue == letters_.end()) return ids;
  for (const auto& [id, letter] : of_queue->second) ids.push_back(id);
  return ids;
}

bool ReferenceModel::Matches(const DeadLetterFilter& filter,
                             const Letter& letter) const {
  return (filter.type.empty() || filter.type == letter.content->type) &&
         (filter.failure_type.empty() ||
          filter.failure_type == letter.failure_type) &&
         letter.dead_time >= filter.dead_after &&
         letter.dead_time < filter.dead_before;
}

void ReferenceModel::Apply(const ListDeadLettersCommand& command) {
  const uint64_t tag = command.reply.tag;
  if (queues_.count(command.queue) == 0)
    return ExpectReply(tag, kQueueNotFound);
  const Letters none;
  const auto of_queue = letters_.find(command.queue);
  const Letters& letters = of_queue == letters_.end() ? none : of_queue->second;
  std::vector<std::string> texts;
  std::string last;
  std::string next;  // the first that matches and is not on the page
  bool more = false;
  for (auto it = letters.upper_bound(command.page_token); it != letters.end();
       ++it) {
    if (!Matches(command.filter, it->second)) continue;
    more = texts.size() == command.page_size;
    if (more) {
      next = it->first;
      break;
    }
    last = it->first;
    texts.push_back(it->second.text);
  }
  std::string token = more ? last : "";
  // With a filter, the next page may be asked for in vain, and begins anywhere
  // behind what was told.
  const auto replies = record_.replies.find(tag);
  if (!command.filter.everything() && replies != record_.replies.end()) {
    const auto* page =
        std::get_if<DeadLetterPageReply>(&replies->second.front()->body);
    const bool fits = page != nullptr && page->next_page_token >= last &&
                      (!more || page->next_page_token < next);
    if (fits && !page->next_page_token.empty()) token = page->next_page_token;
  }
  ExpectReply(tag, absl::StrCat(absl::StrJoin(texts, "; "), " next=", token));
}

void ReferenceModel::Apply(const GetDeadLetterCommand& command) {
  const Letter* letter = FindLetter(command.queue, command.task_id);
  ExpectReply(command.reply.tag, queues_.count(command.queue) == 0
                                     ? kQueueNotFound
                                 : letter == nullptr ? kLetterNotFound
                                                     : letter->text);
}

void ReferenceModel::Apply(const DiscardDeadLetterCommand& command) {
  if (queues_.count(command.queue) == 0)
    return ExpectReply(command.reply.tag, kQueueNotFound);
  if (FindLetter(command.queue, command.task_id) != nullptr)
    DropLetter(command.queue, command.task_id);
  ExpectReply(command.reply.tag, "OK");
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
  const std::string expected = RedrivenText(*content);
  const std::string text = made == record_.redriven_tasks.end()
                               ? "nothing"
                               : RedrivenText(*made->second);
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

// --- Purges and dry runs ---

void ReferenceModel::Apply(const PurgeDeadLettersCommand& command) {
  if (queues_.count(command.queue) == 0)
    return ExpectReply(command.reply.tag, kQueueNotFound);
  letter_jobs_.push_back({.tag = command.reply.tag,
                          .queue = command.queue,
                          .purge = true,
                          .last_number = last_letter_});
}

// A job is carried out in the turn that answers it: histories have fewer
// letters than a turn looks at.
void ReferenceModel::TakeLetterJobs() {
  while (!letter_jobs_.empty() &&
         record_.replies.count(letter_jobs_.front().tag) > 0) {
    LetterJob job = letter_jobs_.front();
    letter_jobs_.erase(letter_jobs_.begin());
    const Letters letters =
        letters_.count(job.queue) > 0 ? letters_[job.queue] : Letters();
    uint64_t purged = 0;
    for (const auto& [id, letter] : letters) {
      if (letter.number > job.last_number) continue;
      if (job.purge) {
        DropLetter(job.queue, id);
        ++purged;
      } else {
        job.shown.matched += Matches(job.shown.filter, letter);
      }
    }
    counts_.letters_purged += purged;
    job.shown.state = RedriveState::kDone;
    job.shown.end_time = now_;
    ExpectReply(job.tag, job.purge ? absl::StrCat("purged ", purged)
                                   : ModelRedriveText(job.shown));
  }
}

// --- Redrives ---

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

// --- What is on disk ---

namespace {

struct LetterRows {
  void Put(std::string_view key, std::string_view value) {
    const std::string text(value);
    read(std::string(key), &text);
  }
  void Delete(std::string_view key) { read(std::string(key), nullptr); }
  void DeleteRange(std::string_view, std::string_view) {}
  std::function<void(const std::string& key, const std::string* value)> read;
};

uint32_t QueueIdOf(const std::string& key) {
  uint32_t id = 0;
  for (size_t i = 1; i <= 4; ++i) id = id << 8 | static_cast<uint8_t>(key[i]);
  return id;
}

// The id in a task's key.
std::string IdOf(std::string_view task_key) {
  return std::string(task_key.substr(task_key.find('\0') + 1));
}

}  // namespace

void ReferenceModel::ReadLetterRows(const Effects& effects) {
  // Names of queues first.
  for (const bool queues : {true, false}) {
    effects.writes.ForEach(
        LetterRows{[&](const std::string& key, const std::string* value) {
          if ((key[0] == kQueueRow) == queues) ReadRow(key, value);
        }});
  }
}

void ReferenceModel::ReadRow(const std::string& key, const std::string* value) {
  switch (key[0]) {
    case kQueueRow:
      if (value != nullptr) {
        queue_names_[DecodeQueue(*value)->queue_id] = QueueOfRow(key)->queue;
      }
      return;
    case kTaskRow: {
      if (value == nullptr || IsFinishedTaskRow(*value)) return;
      const std::string task_key = key.substr(1);
      if (tasks_.count(IdOf(task_key)) > 0) return;
      const auto task = DecodeLiveTaskRow(task_key, *value);
      const auto& headers = task->content->headers;
      const bool redriven = std::any_of(
          headers.begin(), headers.end(),
          [](const auto& header) { return header.first == kRedrivenFrom; });
      if (redriven) record_.redriven_tasks[IdOf(task_key)] = task->content;
      return;
    }
    case kDeadLetterRow: {
      const std::string queue = queue_names_[QueueIdOf(key)];
      const std::string task_key(TaskKeyOfDeadLetterRow(key));
      record_.letters_changed = true;
      auto& rows = letter_rows_[queue];
      rows.erase(IdOf(task_key));
      if (value != nullptr) {
        const auto letter = *DecodeDeadLetter(task_key, *value);
        rows[IdOf(task_key)] =
            LetterText(*letter->content, *letter->outcome,
                       ModelEventsText(letter->outcome->history));
      }
      if (rows.empty()) letter_rows_.erase(queue);
      return;
    }
    case kRedriveRow: {
      const std::string queue = queue_names_[QueueIdOf(key)];
      if (value == nullptr) {
        record_.deleted_redrives.insert(queue);
        return;
      }
      StoredRedrive redrive = *DecodeRedrive(*value);
      redrive.cursor = IdOf(redrive.cursor);
      redrive.shown.queue = queue;
      record_.written_redrives[queue] = std::move(redrive);
      return;
    }
    case kCountRow:
      if (value != nullptr && key.back() == 'X' && key.size() == 6) {
        record_.letter_counts[queue_names_[QueueIdOf(key)]] =
            *DecodeNumber(*value);
      }
      return;
    default:
      return;
  }
}

void ReferenceModel::CompareLetters() {
  for (const auto& [id, content] : record_.redriven_tasks)
    AddViolation(absl::StrCat(id, " was made of a dead letter without cause"));
  for (const auto& [queue, count] : record_.letter_counts) {
    if (count != LettersOf(queue)) {
      AddViolation(absl::StrCat("the dead letters of ", queue,
                                " are counted as ", count, ", not ",
                                LettersOf(queue)));
    }
  }
  for (const auto& [queue, written] : record_.written_redrives) {
    const auto expected = redrives_.find(queue);
    const std::string text = expected == redrives_.end()
                                 ? "none"
                                 : ModelRedriveText(expected->second.shown);
    if (ModelRedriveText(written.shown) != text) {
      AddViolation(absl::StrCat("the redrive of ", queue, " is written as ",
                                ModelRedriveText(written.shown), ", not ",
                                text));
    }
  }
  if (!record_.letters_changed) return;
  std::map<std::string, std::map<std::string, std::string>> expected;
  for (const auto& [queue, letters] : letters_) {
    for (const auto& [id, letter] : letters) expected[queue][id] = letter.text;
  }
  if (expected == letter_rows_) return;
  const auto text = [](const auto& by_queue) {
    std::string all;
    for (const auto& [queue, letters] : by_queue) {
      absl::StrAppend(&all, queue, ": ",
                      absl::StrJoin(letters, "; ", absl::PairFormatter(" ")),
                      " ");
    }
    return all;
  };
  AddViolation(absl::StrCat("the dead letters on disk are {",
                            text(letter_rows_), "}, not {", text(expected),
                            "}"));
}

}  // namespace apium::broker
