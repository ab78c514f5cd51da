// Identity: unique keys, tasks that wait for one, requests that are repeated.

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/engine/engine_impl.h"
#include "broker/engine/task_copies.h"
#include "broker/engine/task_history.h"
#include "common/error_reason.h"
#include "common/status_macros.h"

namespace apium::broker {
namespace {

std::string KeyOf(const TaskContent& content) {
  return MakeTaskKey(content.namespace_name, content.unique->key);
}

// Whether `content` is that of the very task that the row names: ids of
// forgotten tasks may be used again.
bool IsHolder(const StoredUniqueKey& row, const TaskContent& content) {
  return content.unique != nullptr && row.holder == content.task_id &&
         row.holder_create_time == content.create_time;
}

StoredUniqueKey HeldBy(const TaskContent& content, absl::Time create_time) {
  StoredUniqueKey row;
  row.holder = content.task_id;
  row.holder_create_time = create_time;
  if (content.unique->scope == UniqueScope::kWindow)
    row.window_end_millis = CeilToMillis(create_time + content.unique->window);
  return row;
}

SubmitReply FirstAnswer(const StoredRequest::Answer& answer) {
  return {.task_id = answer.task_id,
          .minted = answer.minted,
          .create_time = answer.create_time,
          .attached = answer.attached,
          .copy_task_ids = CopyTaskIds(answer.task_id, answer.copies)};
}

absl::Status KeyHeld(const Unique& unique, const std::string& holder) {
  return WithReason(
      absl::AlreadyExistsError(absl::StrCat("the unique key ", unique.key,
                                            " is held by task ", holder)),
      reason::kUniqueKeyHeld,
      {{"task_id", holder}, {"unique_key", unique.key}});
}

}  // namespace

// --- Requests ---

absl::StatusOr<const StoredRequest*> Engine::Impl::FindRequest(
    const std::string& namespace_name, const RequestIdentity& request,
    absl::Status* refusal) {
  APIUM_ASSIGN_OR_RETURN(
      const StoredRequest* first,
      requests_.Find(MakeTaskKey(namespace_name, request.id), now_));
  if (first != nullptr && !(first->fingerprint == request.fingerprint)) {
    *refusal =
        WithReason(absl::AlreadyExistsError(
                       absl::StrCat("request id ", request.id,
                                    " was given before with other content; "
                                    "another request needs another id")),
                   reason::kRequestIdReused, {{"request_id", request.id}});
  }
  return first;
}

void Engine::Impl::RememberRequest(const std::string& namespace_name,
                                   const RequestIdentity& request,
                                   const std::vector<SubmitReply>& answers) {
  StoredRequest stored;
  stored.fingerprint = request.fingerprint;
  stored.answers.reserve(answers.size());
  for (const SubmitReply& answer : answers) {
    const size_t copies = answer.copy_task_ids.size();
    stored.answers.push_back({.task_id = answer.task_id,
                              .create_time = answer.create_time,
                              .minted = answer.minted,
                              .attached = answer.attached,
                              .copies = static_cast<uint32_t>(copies)});
  }
  stored.keep_until_millis = CeilToMillis(now_ + options_.finished_retention);
  requests_.Add(MakeTaskKey(namespace_name, request.id), std::move(stored));
}

absl::StatusOr<bool> Engine::Impl::AnswerRepeatedRequest(
    const SubmitCommand& command) {
  const TaskContent& content = *command.content;
  SubmitReply reply;
  APIUM_ASSIGN_OR_RETURN(
      const StoredRequest* first,
      FindRequest(content.namespace_name, *command.request, &reply.status));
  if (first == nullptr) return false;
  if (reply.status.ok() && command.report_outcome && waiters_.full())
    reply.status = TooManyWaiters(options_.max_waiters);
  if (reply.status.ok()) reply = FirstAnswer(first->answers.front());
  CountRepeated(content, reply.status.ok());
  const std::string task_id = reply.task_id;
  const bool wants_outcome = reply.status.ok() && command.report_outcome;
  AddReply(command.reply, std::move(reply));
  if (wants_outcome) {
    APIUM_RETURN_IF_ERROR(
        ReportOutcome(command.reply, content.namespace_name, task_id));
  }
  return true;
}

absl::StatusOr<bool> Engine::Impl::AnswerRepeatedRequest(
    const SubmitAllCommand& command) {
  SubmitAllReply reply;
  APIUM_ASSIGN_OR_RETURN(
      const StoredRequest* first,
      FindRequest(command.tasks.front().content->namespace_name,
                  *command.request, &reply.status));
  if (first == nullptr) return false;
  if (reply.status.ok()) {
    for (const StoredRequest::Answer& answer : first->answers)
      reply.tasks.push_back(FirstAnswer(answer));
  }
  for (const SubmitCommand& submit : command.tasks)
    CountRepeated(*submit.content, reply.status.ok());
  AddReply(command.reply, std::move(reply));
  return true;
}

void Engine::Impl::AnswerSubmit(const SubmitCommand& command,
                                SubmitReply reply) {
  if (command.request != nullptr && reply.status.ok())
    RememberRequest(command.content->namespace_name, *command.request, {reply});
  AddReply(command.reply, std::move(reply));
}

// --- Unique keys ---

absl::StatusOr<KeyClaim> Engine::Impl::ClaimKey(const TaskContent& content) {
  KeyClaim claim;
  APIUM_ASSIGN_OR_RETURN(claim.row, unique_keys_.Find(KeyOf(content), now_));
  if (!claim.row.has_value()) return claim;
  APIUM_ASSIGN_OR_RETURN(
      TaskTable::Found found,
      FindTask(MakeTaskKey(content.namespace_name, claim.row->holder)));
  const bool live =
      found.live != nullptr && IsHolder(*claim.row, found.live->content());
  const bool with_worker = live && found.live->leased();
  if (live && !with_worker) claim.waiting_holder = found.live;
  using Verdict = KeyClaim::Verdict;
  switch (content.unique->on_conflict) {
    case UniqueConflict::kAttach:
    case UniqueConflict::kThrottle:
      claim.verdict = Verdict::kAttach;
      return claim;
    case UniqueConflict::kDebounce:
      return claim;
    case UniqueConflict::kKeepLatest:
      if (with_worker) claim.verdict = Verdict::kBlock;
      return claim;
    case UniqueConflict::kReplace:
      if (claim.waiting_holder != nullptr) return claim;
      break;
    case UniqueConflict::kReject:
      break;
  }
  claim.verdict = Verdict::kRefuse;
  claim.refusal = KeyHeld(*content.unique, claim.row->holder);
  return claim;
}

absl::Status Engine::Impl::AnswerAttached(const SubmitCommand& command,
                                          const StoredUniqueKey& row) {
  const std::string namespace_name = command.content->namespace_name;
  CountRepeated(*command.content, /*accepted=*/true);
  AnswerSubmit(command, {.task_id = row.holder,
                         .create_time = row.holder_create_time,
                         .attached = true});
  if (!command.report_outcome) return absl::OkStatus();
  return ReportOutcome(command.reply, namespace_name, row.holder);
}

absl::Status Engine::Impl::TakeKey(const TaskContent& content,
                                   const KeyClaim& claim) {
  StoredUniqueKey row;
  if (claim.verdict == KeyClaim::Verdict::kBlock) {
    row = *claim.row;
    row.next = content.task_id;
  } else {
    row = HeldBy(content, now_);
  }
  // First, so that those who go no longer have a part in it.
  unique_keys_.Put(KeyOf(content), std::move(row));
  if (claim.waiting_holder != nullptr)
    APIUM_RETURN_IF_ERROR(ReplaceTask(claim.waiting_holder, content.task_id));
  if (!claim.row.has_value() || claim.row->next.empty())
    return absl::OkStatus();
  APIUM_ASSIGN_OR_RETURN(LiveTask * next,
                         BlockedTaskOf(content.namespace_name, *claim.row));
  return ReplaceTask(next, content.task_id);
}

absl::Status Engine::Impl::ReplaceTask(LiveTask* task,
                                       const std::string& successor) {
  Failure failure{
      .type = "apium.Replaced",
      .message = absl::StrCat("task ", successor, " took its place")};
  return Finish(
      task, {.state = TaskState::kCancelled, .failure = std::move(failure)});
}

absl::StatusOr<LiveTask*> Engine::Impl::BlockedTaskOf(
    const std::string& namespace_name, const StoredUniqueKey& row) {
  APIUM_ASSIGN_OR_RETURN(TaskTable::Found found,
                         FindTask(MakeTaskKey(namespace_name, row.next)));
  if (found.live == nullptr || found.live->state() != TaskState::kBlocked) {
    return absl::DataLossError(absl::StrCat(
        "task ", row.next, " is to get a unique key, and does not wait"));
  }
  return found.live;
}

absl::Status Engine::Impl::ReleaseKeyAtStart(const TaskContent& content) {
  if (content.unique->scope != UniqueScope::kUntilStart)
    return absl::OkStatus();
  const std::string key = KeyOf(content);
  APIUM_ASSIGN_OR_RETURN(const std::optional<StoredUniqueKey> row,
                         unique_keys_.Find(key, now_));
  if (!row.has_value() || !IsHolder(*row, content)) return absl::OkStatus();
  return PassKeyOn(content, *row);
}

absl::Status Engine::Impl::ReleaseKeyAtEnd(const TaskContent& content) {
  const std::string key = KeyOf(content);
  APIUM_ASSIGN_OR_RETURN(std::optional<StoredUniqueKey> row,
                         unique_keys_.Find(key, now_));
  if (!row.has_value()) return absl::OkStatus();
  if (IsHolder(*row, content)) return PassKeyOn(content, *row);
  if (row->next == content.task_id) {
    row->next.clear();
    unique_keys_.Put(key, *std::move(row));
  }
  return absl::OkStatus();
}

absl::Status Engine::Impl::PassKeyOn(const TaskContent& holder,
                                     const StoredUniqueKey& row) {
  const std::string key = KeyOf(holder);
  if (row.next.empty()) {
    // A window goes on without its task.
    if (row.window_end_millis == kKeepIdentity) unique_keys_.Release(key);
    return absl::OkStatus();
  }
  APIUM_ASSIGN_OR_RETURN(LiveTask * next,
                         BlockedTaskOf(holder.namespace_name, row));
  unique_keys_.Put(key, HeldBy(next->content(), next->content().create_time));
  return Unblock(next);
}

// --- Tasks that wait for a key ---

void Engine::Impl::Block(LiveTask* task, Queue* queue) {
  task->stored.state = TaskState::kBlocked;
  // So that a purge knows what came before it.
  task->stored.ready_sequence = tickets_.Next();
  queues_.AddBlocked(queue, 1);
  unique_keys_.AddBlocked(
      {.queue_id = queue->stored.queue_id, .task_key = task->key});
  tasks_.MarkDirty(task);
}

void Engine::Impl::LeaveBlocked(const LiveTask& task) {
  const TaskContent& content = task.content();
  Queue* queue = queues_.Find(content.namespace_name, content.queue);
  if (queue == nullptr) return;
  queues_.AddBlocked(queue, -1);
  unique_keys_.RemoveBlocked(
      {.queue_id = queue->stored.queue_id, .task_key = task.key});
}

absl::Status Engine::Impl::Unblock(LiveTask* task) {
  APIUM_ASSIGN_OR_RETURN(const bool ended, EndOnTheMove(task));
  if (ended) return absl::OkStatus();
  const TaskContent& content = task->content();
  if (IsOrdered(content)) {
    APIUM_ASSIGN_OR_RETURN(
        const bool first,
        JoinLine(task, queues_.Find(content.namespace_name, content.queue)));
    if (!first) return absl::OkStatus();
  }
  return LetGo(task);
}

absl::Status Engine::Impl::LetGo(LiveTask* task) {
  LeaveBlocked(*task);
  APIUM_RETURN_IF_ERROR(AwaitEta(task));
  AddEvent({.kind = TaskEventKind::kUnblocked,
            .time = now_,
            .state = task->stored.state},
           &task->stored.history);
  NotifyWatchers(*task);
  // It may have become ready behind the back of a dispatch.
  more_to_do_ = true;
  return absl::OkStatus();
}

absl::Status Engine::Impl::PurgeBlocked(Queue* queue, Purge* purge,
                                        size_t* budget, bool* done) {
  *done = true;
  if (queue->blocked == 0) return absl::OkStatus();
  const std::string first = BlockedRowKey({.queue_id = queue->stored.queue_id});
  const std::string end =
      BlockedRowKey({.queue_id = queue->stored.queue_id + 1});
  std::vector<std::string> keys;
  APIUM_RETURN_IF_ERROR(reader_->Scan(
      purge->blocked_cursor.empty() ? first : purge->blocked_cursor, end,
      [&](std::string_view key, std::string_view) {
        if (*budget == 0) {
          purge->blocked_cursor = std::string(key);
          *done = false;
          return false;
        }
        --*budget;
        keys.emplace_back(key.substr(first.size()));
        return true;
      }));
  std::vector<LiveTask*> tasks;
  APIUM_RETURN_IF_ERROR(tasks_.LoadAll(keys, &tasks));
  for (LiveTask* task : tasks) {
    const bool meant = task != nullptr && !task->finished() &&
                       task->state() == TaskState::kBlocked &&
                       task->stored.ready_sequence < purge->ticket_limit;
    if (meant) APIUM_RETURN_IF_ERROR(PurgeTask(task, purge));
  }
  return absl::OkStatus();
}

}  // namespace apium::broker
