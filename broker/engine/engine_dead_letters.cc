// Dead letters: tasks that used up their attempts, kept by their queue.

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "broker/engine/engine_impl.h"
#include "broker/engine/task_headers.h"
#include "common/error_reason.h"
#include "common/status_macros.h"
#include "common/uuid.h"

namespace apium::broker {
namespace {

// What one page looks at: a page with a rare filter is short rather than slow.
constexpr DeadLetterTable::ReadLimits kLookPerPage = {.letters = 2000,
                                                      .bytes = 8 * 1024 * 1024};
// What one page tells of failures, which can be large, about: the page must fit
// into a message.
constexpr size_t kPageBytesMax = 2 * 1024 * 1024;

size_t BytesInPage(const DeadLetter& letter) {
  constexpr size_t kFixedBytes = 512;
  const Failure& failure = letter.outcome->failure;
  return kFixedBytes + failure.message.size() + failure.stack.size();
}

absl::Status DeadLetterNotFound(const std::string& queue,
                                const std::string& task_id) {
  return WithReason(
      absl::NotFoundError(absl::StrCat(
          "queue ", queue, " has no dead letter of task ", task_id)),
      reason::kDeadLetterNotFound, {{"task_id", task_id}});
}

}  // namespace

absl::Status Engine::Impl::KeepDeadLetter(const LiveTask& task, Queue* queue) {
  auto letter = std::make_shared<DeadLetter>();
  letter->number = tickets_.Next();
  letter->content = task.stored.content;
  letter->outcome = task.outcome;
  const uint32_t queue_id = queue->stored.queue_id;
  bool replaces = false;
  if (!task.stored.minted) {
    // A task of the same id that was forgotten since may have left one.
    APIUM_ASSIGN_OR_RETURN(const auto old,
                           dead_letters_.Find(queue_id, task.key));
    replaces = old != nullptr;
  }
  if (!replaces) queues_.AddDeadLetters(queue, 1);
  dead_letters_.Put(queue_id, task.key, std::move(letter));
  return absl::OkStatus();
}

void Engine::Impl::DropDeadLetter(Queue* queue, const DeadLetter& letter) {
  dead_letters_.Remove(
      queue->stored.queue_id,
      MakeTaskKey(letter.content->namespace_name, letter.content->task_id));
  queues_.AddDeadLetters(queue, -1);
}

std::shared_ptr<TaskContent> Engine::Impl::ContentToRedrive(
    const DeadLetter& letter) {
  auto content = std::make_shared<TaskContent>(*letter.content);
  SetHeader(kRedrivenFromHeader, content->task_id, &content->headers);
  content->task_id = MintTaskId(now_, options_.partition, random_);
  // These were for the task that has ended.
  content->eta = absl::InfinitePast();
  content->expire_time = absl::InfiniteFuture();
  content->unique = nullptr;
  content->batch_id.clear();
  return content;
}

absl::Status Engine::Impl::RedriveLetter(Queue* queue, const DeadLetter& letter,
                                         std::shared_ptr<TaskContent> content,
                                         absl::Status* refusal) {
  const absl::StatusOr<Queue*> target = QueueForSubmit(*content);
  *refusal = target.status();
  if (refusal->ok()) *refusal = queues_.InternType(content->type).status();
  if (!refusal->ok()) return absl::OkStatus();
  AimAgain(*queue, **target, content.get());
  DropDeadLetter(queue, letter);
  ++queue->stats.redriven;
  std::string key = MakeTaskKey(content->namespace_name, content->task_id);
  SubmitCommand submit{.content = std::move(content)};
  return Accept(&submit, std::move(key), *target, /*minted=*/true);
}

absl::StatusOr<Engine::Impl::FoundLetter> Engine::Impl::FindDeadLetter(
    const std::string& namespace_name, const std::string& queue,
    const std::string& task_id) {
  FoundLetter found;
  const absl::StatusOr<Queue*> existing = ExistingQueue(namespace_name, queue);
  found.status = existing.status();
  if (!existing.ok()) return found;
  found.queue = *existing;
  APIUM_ASSIGN_OR_RETURN(
      found.letter, dead_letters_.Find(found.queue->stored.queue_id,
                                       MakeTaskKey(namespace_name, task_id)));
  if (found.letter == nullptr)
    found.status = DeadLetterNotFound(queue, task_id);
  return found;
}

absl::Status Engine::Impl::Apply(ListDeadLettersCommand&& command) {
  DeadLetterPageReply reply;
  const absl::StatusOr<Queue*> queue =
      ExistingQueue(command.namespace_name, command.queue);
  reply.status = queue.status();
  if (!queue.ok()) {
    AddReply(command.reply, std::move(reply));
    return absl::OkStatus();
  }
  DeadLetterTable::ReadLimits limits = kLookPerPage;
  if (command.filter.everything()) limits.letters = command.page_size;
  APIUM_ASSIGN_OR_RETURN(
      const DeadLetterTable::Slice slice,
      dead_letters_.Read(
          (*queue)->stored.queue_id,
          MakeTaskKey(command.namespace_name, command.page_token), limits));
  bool more = slice.more;
  size_t bytes = 0;
  std::string last;
  for (const auto& letter : slice.letters) {
    if (reply.dead_letters.size() == command.page_size ||
        bytes >= kPageBytesMax) {
      more = true;
      break;
    }
    last = letter->content->task_id;
    if (!command.filter.Matches(*letter)) continue;
    bytes += BytesInPage(*letter);
    reply.dead_letters.push_back(letter);
  }
  if (more) reply.next_page_token = std::move(last);
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(GetDeadLetterCommand&& command) {
  APIUM_ASSIGN_OR_RETURN(
      FoundLetter found,
      FindDeadLetter(command.namespace_name, command.queue, command.task_id));
  AddReply(command.reply,
           DeadLetterReply{.status = std::move(found.status),
                           .dead_letter = std::move(found.letter)});
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(RedriveDeadLetterCommand&& command) {
  APIUM_ASSIGN_OR_RETURN(
      FoundLetter found,
      FindDeadLetter(command.namespace_name, command.queue, command.task_id));
  SubmitReply reply{.status = std::move(found.status)};
  if (reply.status.ok()) {
    std::shared_ptr<TaskContent> content = ContentToRedrive(*found.letter);
    if (command.payload.has_value())
      content->payload = *std::move(command.payload);
    if (!command.type.empty()) content->type = std::move(command.type);
    if (!command.target_queue.empty())
      content->queue = std::move(command.target_queue);
    if (command.priority.has_value()) content->priority = *command.priority;
    if (command.retry_policy.has_value())
      content->retry_policy = *std::move(command.retry_policy);
    reply.task_id = content->task_id;
    reply.minted = true;
    reply.create_time = now_;
    APIUM_RETURN_IF_ERROR(RedriveLetter(found.queue, *found.letter,
                                        std::move(content), &reply.status));
    if (!reply.status.ok()) reply.task_id.clear();
  }
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(DiscardDeadLetterCommand&& command) {
  APIUM_ASSIGN_OR_RETURN(
      FoundLetter found,
      FindDeadLetter(command.namespace_name, command.queue, command.task_id));
  if (found.letter != nullptr) DropDeadLetter(found.queue, *found.letter);
  // One that is not there is discarded already.
  if (found.queue != nullptr) found.status = absl::OkStatus();
  AddReply(command.reply, StatusReply{.status = std::move(found.status)});
  return absl::OkStatus();
}

}  // namespace apium::broker
