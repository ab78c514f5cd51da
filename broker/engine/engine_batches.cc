// Batches: groups of tasks whose common end is noticed.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/engine/engine_impl.h"
#include "broker/engine/task_headers.h"
#include "common/error_reason.h"
#include "common/names.h"
#include "common/status_macros.h"
#include "common/uuid.h"

namespace apium::broker {
namespace {

absl::Status BatchNotFound(const std::string& batch_id) {
  return WithReason(
      absl::NotFoundError(absl::StrCat(
          "batch ", batch_id,
          " was never made, or has been complete for too long to be known")),
      reason::kBatchNotFound, {{"batch_id", batch_id}});
}

const char* NameOf(BatchEvent event) {
  switch (event) {
    case BatchEvent::kFirstFailure:
      return "on_first_failure";
    case BatchEvent::kSuccess:
      return "on_success";
    case BatchEvent::kComplete:
      break;
  }
  return "on_complete";
}

BatchState StateOf(const StoredBatch& batch) {
  if (batch.complete()) return BatchState::kComplete;
  return batch.closed ? BatchState::kClosed : BatchState::kOpen;
}

BatchInfo BatchInfoOf(const std::string& batch_id, const StoredBatch& batch) {
  BatchInfo info;
  info.batch_id = batch_id;
  info.description = batch.description;
  info.state = StateOf(batch);
  info.members = batch.members;
  info.pending = batch.pending();
  info.succeeded = batch.succeeded;
  info.unsuccessful = batch.unsuccessful;
  info.create_time = batch.create_time;
  info.complete_time = batch.complete_time;
  for (const BatchEvent event : kBatchEvents)
    info.callback_task_ids[event] = batch.callbacks[event].task_id;
  return info;
}

}  // namespace

absl::Status Engine::Impl::CheckJoin(const TaskContent& content,
                                     absl::Status* refusal) {
  const std::string key = MakeTaskKey(content.namespace_name, content.batch_id);
  APIUM_ASSIGN_OR_RETURN(const LiveBatch* batch, batches_.Find(key, now_));
  if (batch == nullptr) {
    *refusal = BatchNotFound(content.batch_id);
  } else if (batch->stored.closed) {
    *refusal = WithReason(
        absl::FailedPreconditionError(absl::StrCat(
            "batch ", content.batch_id, " is closed: nobody joins any more")),
        "BATCH_CLOSED", {{"batch_id", content.batch_id}});
  }
  return absl::OkStatus();
}

absl::Status Engine::Impl::JoinBatch(const TaskContent& content) {
  const std::string key = MakeTaskKey(content.namespace_name, content.batch_id);
  APIUM_ASSIGN_OR_RETURN(LiveBatch * batch, batches_.Find(key, now_));
  if (batch == nullptr)
    return absl::InternalError("a task joins a batch that is not there");
  ++batch->stored.members;
  batches_.MarkDirty(batch);
  return absl::OkStatus();
}

absl::Status Engine::Impl::LeaveBatch(const TaskContent& content,
                                      TaskState state) {
  const std::string key = MakeTaskKey(content.namespace_name, content.batch_id);
  APIUM_ASSIGN_OR_RETURN(LiveBatch * batch, batches_.Find(key, now_));
  if (batch == nullptr || batch->stored.pending() == 0) {
    return absl::DataLossError(
        absl::StrCat("task ", content.task_id, " ended, and its batch ",
                     content.batch_id, " does not wait for it"));
  }
  ++(state == TaskState::kSucceeded ? batch->stored.succeeded
                                    : batch->stored.unsuccessful);
  batches_.MarkDirty(batch);
  return absl::OkStatus();
}

absl::Status Engine::Impl::SettleBatches() {
  for (std::vector<LiveBatch*> changed = batches_.TakeUnsettled();
       !changed.empty(); changed = batches_.TakeUnsettled()) {
    for (LiveBatch* batch : changed) APIUM_RETURN_IF_ERROR(SettleBatch(batch));
  }
  return absl::OkStatus();
}

absl::Status Engine::Impl::SettleBatch(LiveBatch* batch) {
  const StoredBatch& stored = batch->stored;
  if (stored.complete()) return absl::OkStatus();
  if (stored.unsuccessful > 0)
    APIUM_RETURN_IF_ERROR(SubmitCallback(batch, BatchEvent::kFirstFailure));
  if (!stored.closed || stored.pending() > 0) return absl::OkStatus();
  APIUM_RETURN_IF_ERROR(
      batches_.MarkComplete(batch, now_, now_ + options_.batch_retention));
  if (stored.unsuccessful == 0)
    APIUM_RETURN_IF_ERROR(SubmitCallback(batch, BatchEvent::kSuccess));
  return SubmitCallback(batch, BatchEvent::kComplete);
}

absl::Status Engine::Impl::SubmitCallback(LiveBatch* batch, BatchEvent event) {
  StoredBatch::Callback& state = batch->stored.callbacks[event];
  if (!state.wanted || !state.task_id.empty()) return absl::OkStatus();
  APIUM_ASSIGN_OR_RETURN(const std::shared_ptr<const BatchCallbacks> callbacks,
                         batches_.CallbacksOf(batch));
  const BatchCallback& callback = (*callbacks)[event];
  auto content = std::make_shared<TaskContent>(*callback.content);
  content->task_id = MintTaskId(now_, options_.partition, random_);
  SetHeader(kBatchIdHeader, batch->key.substr(batch->key.find('\0') + 1),
            &content->headers);
  if (content->queue.empty())
    content->queue = RuledQueue(content->namespace_name, content->type);
  Queue* queue = queues_.Find(content->namespace_name, content->queue);
  if (queue == nullptr) {
    // It was deleted meanwhile. The queue default always exists.
    content->queue = kDefaultQueue;
    queue = queues_.Find(content->namespace_name, content->queue);
  }
  state.task_id = content->task_id;
  batches_.MarkDirty(batch);
  std::string key = MakeTaskKey(content->namespace_name, content->task_id);
  SubmitCommand submit{.content = std::move(content),
                       .delay = callback.delay,
                       .expire_after = callback.expire_after};
  return Accept(&submit, std::move(key), queue, /*minted=*/true);
}

absl::Status Engine::Impl::CheckCallbacks(const BatchCallbacks& callbacks) {
  for (const BatchEvent event : kBatchEvents) {
    if (callbacks[event].content == nullptr) continue;
    const TaskContent& content = *callbacks[event].content;
    if (!content.queue.empty() && !options_.create_queues_on_use) {
      const absl::Status exists =
          ExistingQueue(content.namespace_name, content.queue).status();
      APIUM_RETURN_IF_ERROR(WithFieldViolation(
          exists, absl::StrCat("batch.", NameOf(event), ".queue"),
          "does not exist"));
    }
    // So that the callback cannot be refused for it.
    APIUM_RETURN_IF_ERROR(queues_.InternType(content.type).status());
  }
  for (const BatchEvent event : kBatchEvents) {
    if (callbacks[event].content == nullptr) continue;
    const TaskContent& content = *callbacks[event].content;
    if (!content.queue.empty() &&
        queues_.Find(content.namespace_name, content.queue) == nullptr)
      CreateQueue(content.namespace_name, content.queue);
  }
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(CreateBatchCommand&& command) {
  BatchReply reply;
  if (!queues_.HasNamespace(command.namespace_name)) {
    reply.status = ExistingQueue(command.namespace_name, "").status();
    AddReply(command.reply, std::move(reply));
    return absl::OkStatus();
  }
  if (command.batch_id.empty())
    command.batch_id = MintTaskId(now_, options_.partition, random_);
  std::string key = MakeTaskKey(command.namespace_name, command.batch_id);
  APIUM_RETURN_IF_ERROR(SettleBatches());
  APIUM_ASSIGN_OR_RETURN(LiveBatch * batch, batches_.Find(key, now_));
  if (batch == nullptr) {
    reply.status = admission_;
    if (reply.status.ok()) reply.status = CheckCallbacks(*command.callbacks);
    if (reply.status.ok()) {
      StoredBatch stored;
      stored.description = std::move(command.description);
      stored.create_time = now_;
      stored.fingerprint = command.fingerprint;
      for (const BatchEvent event : kBatchEvents) {
        stored.callbacks[event].wanted =
            (*command.callbacks)[event].content != nullptr;
      }
      if (!stored.has_callbacks()) command.callbacks = nullptr;
      batch = batches_.Add(std::move(key), std::move(stored),
                           std::move(command.callbacks));
    }
  } else if (!(batch->stored.fingerprint == command.fingerprint)) {
    reply.status = WithReason(
        absl::AlreadyExistsError(absl::StrCat(
            "batch id ", command.batch_id,
            " was given before with other content; another batch needs "
            "another id")),
        "BATCH_ID_REUSED", {{"batch_id", command.batch_id}});
  }
  if (reply.status.ok()) {
    reply.batch = BatchInfoOf(command.batch_id, batch->stored);
    APIUM_ASSIGN_OR_RETURN(reply.batch.callbacks, batches_.CallbacksOf(batch));
  }
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

absl::Status Engine::Impl::AnswerWithBatch(const ReplyAddress& to,
                                           const std::string& namespace_name,
                                           const std::string& batch_id) {
  BatchReply reply;
  APIUM_ASSIGN_OR_RETURN(
      LiveBatch * batch,
      batches_.Find(MakeTaskKey(namespace_name, batch_id), now_));
  if (batch != nullptr) {
    reply.batch = BatchInfoOf(batch_id, batch->stored);
    APIUM_ASSIGN_OR_RETURN(reply.batch.callbacks, batches_.CallbacksOf(batch));
  } else if (queues_.HasNamespace(namespace_name)) {
    reply.status = BatchNotFound(batch_id);
  } else {
    reply.status = ExistingQueue(namespace_name, "").status();
  }
  AddReply(to, std::move(reply));
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(CloseBatchCommand&& command) {
  APIUM_ASSIGN_OR_RETURN(
      LiveBatch * batch,
      batches_.Find(MakeTaskKey(command.namespace_name, command.batch_id),
                    now_));
  if (batch != nullptr && !batch->stored.closed) {
    batch->stored.closed = true;
    batches_.MarkDirty(batch);
  }
  APIUM_RETURN_IF_ERROR(SettleBatches());
  return AnswerWithBatch(command.reply, command.namespace_name,
                         command.batch_id);
}

absl::Status Engine::Impl::Apply(GetBatchCommand&& command) {
  APIUM_RETURN_IF_ERROR(SettleBatches());
  return AnswerWithBatch(command.reply, command.namespace_name,
                         command.batch_id);
}

absl::Status Engine::Impl::Apply(ListBatchesCommand&& command) {
  BatchPageReply reply;
  APIUM_RETURN_IF_ERROR(SettleBatches());
  if (queues_.HasNamespace(command.namespace_name)) {
    APIUM_ASSIGN_OR_RETURN(
        BatchTable::Page page,
        batches_.List(command.namespace_name, command.page_token,
                      command.page_size, now_));
    for (const auto& [batch_id, stored] : page.batches)
      reply.batches.push_back(BatchInfoOf(batch_id, stored));
    reply.next_page_token = std::move(page.next_after);
  } else {
    reply.status = ExistingQueue(command.namespace_name, "").status();
  }
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

}  // namespace apium::broker
