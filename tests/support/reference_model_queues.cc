// Queues in the reference model: their settings, what is in them, purges.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/support/engine_text.h"
#include "tests/support/reference_model.h"

namespace apium::broker {
namespace {

const char kQueueNotFound[] = "NOT_FOUND/QUEUE_NOT_FOUND";

}  // namespace

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
  return absl::StrCat(
      "ready=", ready, " scheduled=", scheduled, " leased=", leased,
      blocked > 0 ? absl::StrCat(" blocked=", blocked) : "",
      LettersOf(queue) > 0 ? absl::StrCat(" dead=", LettersOf(queue)) : "");
}

std::string ReferenceModel::QueueAnswer(const std::string& queue) const {
  const Queue& settings = queues_.at(queue);
  return absl::StrCat(QueueText(queue), settings.paused ? " paused" : "",
                      settings.submit_paused ? " submit_paused" : "",
                      settings.dead_letter ? " dead_letter" : "");
}

void ReferenceModel::Apply(const CreateQueueCommand& command) {
  if (queues_.count(command.queue) > 0) {
    ExpectReply(command.reply.tag, "ALREADY_EXISTS/QUEUE_EXISTS");
    return;
  }
  queues_[command.queue] = {.paused = command.settings.paused,
                            .submit_paused = command.settings.submit_paused,
                            .dead_letter = command.settings.dead_letter,
                            .max_length = command.settings.max_length};
  ExpectReply(command.reply.tag, QueueAnswer(command.queue));
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
  settings.dead_letter = command.dead_letter.value_or(settings.dead_letter);
  settings.max_length = command.max_length.value_or(settings.max_length);
  ExpectReply(command.reply.tag, QueueAnswer(command.queue));
}

void ReferenceModel::Apply(const GetQueueCommand& command) {
  ExpectReply(command.reply.tag, queues_.count(command.queue) > 0
                                     ? QueueAnswer(command.queue)
                                     : kQueueNotFound);
}

void ReferenceModel::Apply(const DeleteQueueCommand& command) {
  if (queues_.count(command.queue) == 0) {
    ExpectReply(command.reply.tag, kQueueNotFound);
  } else if (QueueText(command.queue) != "ready=0 scheduled=0 leased=0") {
    ExpectReply(command.reply.tag, "FAILED_PRECONDITION/QUEUE_NOT_EMPTY");
  } else if (std::any_of(rules_.begin(), rules_.end(), [&](const auto& rule) {
               return rule.queue == command.queue;
             })) {
    ExpectReply(command.reply.tag, "FAILED_PRECONDITION/QUEUE_IN_USE");
  } else {
    ForgetRoutesTo(command.queue);
    queues_.erase(command.queue);
    ends_.erase(command.queue);
    redrives_.erase(command.queue);
    std::erase_if(lines_, [&](const auto& line) {
      return line.first.first == command.queue;
    });
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
