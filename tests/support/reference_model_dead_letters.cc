// Dead letters in the reference model: tasks that used up their attempts, and
// what becomes of them one at a time, or in a purge.

#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/support/engine_text.h"
#include "tests/support/reference_model.h"

namespace apium::broker {
namespace {

const char kQueueNotFound[] = "NOT_FOUND/QUEUE_NOT_FOUND";
const char kLetterNotFound[] = "NOT_FOUND/DEAD_LETTER_NOT_FOUND";

std::string HeadersText(const TaskContent& content) {
  return absl::StrJoin(content.headers, ",", absl::PairFormatter("="));
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

}  // namespace apium::broker
