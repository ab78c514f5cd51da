// Batches in the reference model: what their members make of them, and what
// they submit.

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "broker/storage/key_format.h"
#include "tests/support/engine_text.h"
#include "tests/support/reference_model.h"

namespace apium::broker {
namespace {

const char kBatchNotFound[] = "NOT_FOUND/BATCH_NOT_FOUND";

// Collects the batches that a turn has written.
struct BatchRows {
  void Put(std::string_view key, std::string_view value) {
    const std::string prefix =
        BatchRowKey(BatchPart::kState, MakeTaskKey("default", ""));
    if (key.substr(0, prefix.size()) != prefix) return;
    const absl::StatusOr<StoredBatch> batch = DecodeBatch(value);
    if (batch.ok()) (*rows)[std::string(key.substr(prefix.size()))] = *batch;
  }
  void Delete(std::string_view) {}
  void DeleteRange(std::string_view, std::string_view) {}
  std::map<std::string, StoredBatch>* rows;
};

std::string TextOf(const std::string& id, const StoredBatch& batch) {
  BatchReply reply;
  BatchInfo& info = reply.batch;
  info.batch_id = id;
  info.state = batch.complete() ? BatchState::kComplete
               : batch.closed   ? BatchState::kClosed
                                : BatchState::kOpen;
  info.members = batch.members;
  info.pending = batch.pending();
  info.succeeded = batch.succeeded;
  info.unsuccessful = batch.unsuccessful;
  for (const BatchEvent event : kBatchEvents)
    info.callback_task_ids[event] = batch.callbacks[event].task_id;
  return ReplyText({.body = std::move(reply)});
}

}  // namespace

ReferenceModel::Batch* ReferenceModel::FindBatch(const std::string& id) {
  const auto it = batches_.find(id);
  if (it == batches_.end()) return nullptr;
  const int64_t keep_until = it->second.state.keep_until_millis;
  return keep_until <= absl::ToUnixMillis(now_) ? nullptr : &it->second;
}

std::string ReferenceModel::JoinRefusal(const TaskContent& content) {
  if (content.batch_id.empty()) return "";
  const Batch* batch = FindBatch(content.batch_id);
  if (batch == nullptr) return kBatchNotFound;
  return batch->state.closed ? "FAILED_PRECONDITION/BATCH_CLOSED" : "";
}

void ReferenceModel::JoinBatch(const TaskContent& content) {
  if (content.batch_id.empty()) return;
  ++FindBatch(content.batch_id)->state.members;
  record_.changed_batches.insert(content.batch_id);
}

void ReferenceModel::LeaveBatch(const TaskContent& content, TaskState end) {
  if (content.batch_id.empty()) return;
  StoredBatch& batch = batches_[content.batch_id].state;
  ++(end == TaskState::kSucceeded ? batch.succeeded : batch.unsuccessful);
  record_.changed_batches.insert(content.batch_id);
}

void ReferenceModel::SettleBatches() {
  std::optional<uint64_t> place;
  for (const std::string& id : record_.changed_batches) {
    Batch& batch = batches_[id];
    StoredBatch& state = batch.state;
    if (state.complete()) continue;
    if (state.unsuccessful > 0)
      SubmitCallback(id, &batch, BatchEvent::kFirstFailure, &place);
    if (!state.closed || state.pending() > 0) continue;
    state.complete_time = now_;
    state.keep_until_millis =
        absl::ToUnixMillis(now_ + options_.batch_retention);
    if (state.unsuccessful == 0)
      SubmitCallback(id, &batch, BatchEvent::kSuccess, &place);
    SubmitCallback(id, &batch, BatchEvent::kComplete, &place);
  }
}

void ReferenceModel::SubmitCallback(const std::string& batch_id, Batch* batch,
                                    BatchEvent event,
                                    std::optional<uint64_t>* place) {
  StoredBatch::Callback& state = batch->state.callbacks[event];
  if (!state.wanted || !state.task_id.empty()) return;
  // The engine mints the id.
  const auto row = record_.written_batches.find(batch_id);
  if (row != record_.written_batches.end())
    state.task_id = row->second.callbacks[event].task_id;
  if (state.task_id.empty() || tasks_.count(state.task_id) > 0) {
    AddViolation(absl::StrCat("batch ", batch_id, " has not submitted ",
                              BatchEventName(event), ": ", state.task_id));
    return;
  }
  const BatchCallback& callback = (*batch->callbacks)[event];
  auto content = std::make_shared<TaskContent>(*callback.content);
  if (queues_.count(content->queue) == 0) content->queue = "default";
  content->headers.emplace_back("apium-batch-id", batch_id);
  const SubmitCommand submit = {.content = content,
                                .delay = callback.delay,
                                .expire_after = callback.expire_after};
  Accept(submit, state.task_id, /*blocked=*/false);
  // In which order callbacks of one moment wait is up to the engine.
  Task& task = tasks_[state.task_id];
  if (task.state != TaskState::kQueued) return;
  if (!place->has_value()) *place = task.place;
  task.place = **place;
}

std::string ReferenceModel::SubmitRefusal(const TaskContent& content) {
  const auto queue = queues_.find(content.queue);
  if (queue == queues_.end() && !options_.create_queues_on_use)
    return "NOT_FOUND/QUEUE_NOT_FOUND";
  if (queue != queues_.end() && queue->second.submit_paused)
    return "FAILED_PRECONDITION/QUEUE_PAUSED_FOR_SUBMIT";
  return JoinRefusal(content);
}

std::string ReferenceModel::PlanSubmit(const TaskContent& content, Plan* plan) {
  const Task* known = plan->id.empty() ? nullptr : Find(plan->id);
  if (known != nullptr) {
    plan->known_since = known->content->create_time;
    plan->known_copies = known->copies;
    return known->content->fingerprint == content.fingerprint
               ? ""
               : "ALREADY_EXISTS/TASK_ID_REUSED";
  }
  std::string refusal = SubmitRefusal(content);
  if (!refusal.empty() || content.unique == nullptr) return refusal;
  plan->claim = ClaimOf(content);
  if (plan->claim == Claim::kRefuse) return "ALREADY_EXISTS/UNIQUE_KEY_HELD";
  if (plan->claim == Claim::kAttach) {
    const UniqueKey& held = *HeldKey(content.unique->key);
    plan->attached = {.task_id = held.holder,
                      .create_time = held.holder_create_time,
                      .attached = true};
  }
  return "";
}

std::vector<ReferenceModel::Plan> ReferenceModel::PlanAll(
    const SubmitAllCommand& command) {
  std::map<std::string, size_t> first_of_id;
  std::set<std::string> keys;
  std::vector<Plan> plans;
  for (size_t i = 0; i < command.tasks.size(); ++i) {
    const TaskContent& content = *command.tasks[i].content;
    Plan plan = {.id = content.task_id};
    std::string refusal;
    if (!plan.id.empty() && first_of_id.count(plan.id) > 0) {
      plan.same_as = first_of_id[plan.id];
      const TaskContent& first = *command.tasks[*plan.same_as].content;
      if (!(first.fingerprint == content.fingerprint))
        refusal = "ALREADY_EXISTS/TASK_ID_REUSED";
    } else if (content.unique != nullptr &&
               !keys.insert(content.unique->key).second) {
      refusal = "INVALID_ARGUMENT/UNIQUE_KEY_HELD";
      ++counts_.keys_twice;
    } else {
      refusal = PlanSubmit(content, &plan);
      first_of_id.emplace(plan.id, i);
    }
    if (!refusal.empty()) {
      ExpectReply(command.reply.tag, absl::StrCat(refusal, " at ", i));
      return {};
    }
    plans.push_back(std::move(plan));
  }
  return plans;
}

void ReferenceModel::Apply(const SubmitAllCommand& command) {
  if (command.request != nullptr && IsRepeatedRequest(command)) return;
  const std::vector<Plan> plans = PlanAll(command);
  if (plans.empty()) return;
  const uint64_t tag = command.reply.tag;
  if (const std::string full = RoomRefusal(command, plans); !full.empty())
    return ExpectReply(tag, full);
  const auto told = record_.replies.find(tag);
  const auto* reply =
      told == record_.replies.end()
          ? nullptr
          : std::get_if<SubmitAllReply>(&told->second.front()->body);
  std::vector<Answer> answers;
  std::vector<std::string> texts;
  for (size_t i = 0; i < plans.size(); ++i) {
    const Plan& plan = plans[i];
    const TaskContent& content = *command.tasks[i].content;
    Answer answer = {.task_id = plan.id,
                     .create_time = plan.known_since.value_or(now_),
                     .copies = plan.known_copies};
    if (plan.same_as.has_value()) {
      answer = answers[*plan.same_as];
    } else if (plan.attached.has_value()) {
      answer = *plan.attached;
      ++counts_.attached;
    } else if (!plan.known_since.has_value()) {
      if (plan.id.empty()) {
        // Minted, and told.
        answer.task_id = reply != nullptr && i < reply->tasks.size()
                             ? reply->tasks[i].task_id
                             : absl::StrCat("task ", i);
        if (tasks_.count(answer.task_id) > 0)
          AddViolation(
              absl::StrCat("minted id ", answer.task_id, " was used before"));
      }
      if (options_.create_queues_on_use) queues_[content.queue];
      if (content.unique != nullptr)
        TakeKey(content, answer.task_id, plan.claim);
      Accept(command.tasks[i], answer.task_id, plan.claim == Claim::kBlock);
    }
    texts.push_back(AnswerText(answer));
    answers.push_back(std::move(answer));
  }
  ExpectReply(tag, absl::StrJoin(texts, "; "));
  if (command.request != nullptr)
    RememberRequest(*command.request, std::move(answers));
}

void ReferenceModel::Apply(const CreateBatchCommand& command) {
  SettleBatches();
  const uint64_t tag = command.reply.tag;
  Batch* known = FindBatch(command.batch_id);
  if (known != nullptr) {
    const bool same = known->state.fingerprint == command.fingerprint;
    ExpectReply(tag, same ? TextOf(command.batch_id, known->state)
                          : "ALREADY_EXISTS/BATCH_ID_REUSED");
    return;
  }
  for (const BatchEvent event : kBatchEvents) {
    const auto& content = (*command.callbacks)[event].content;
    if (content == nullptr) continue;
    if (options_.create_queues_on_use) queues_[content->queue];
    if (queues_.count(content->queue) > 0) continue;
    ExpectReply(tag, "NOT_FOUND/QUEUE_NOT_FOUND");
    return;
  }
  Batch& batch = batches_[command.batch_id];
  batch = {.callbacks = command.callbacks};
  batch.state.create_time = now_;
  batch.state.fingerprint = command.fingerprint;
  for (const BatchEvent event : kBatchEvents) {
    batch.state.callbacks[event].wanted =
        (*command.callbacks)[event].content != nullptr;
  }
  record_.changed_batches.insert(command.batch_id);
  ExpectReply(tag, TextOf(command.batch_id, batch.state));
}

void ReferenceModel::ExpectBatch(uint64_t tag, const std::string& id) {
  const Batch* batch = FindBatch(id);
  ExpectReply(tag,
              batch == nullptr ? kBatchNotFound : TextOf(id, batch->state));
}

void ReferenceModel::Apply(const CloseBatchCommand& command) {
  Batch* batch = FindBatch(command.batch_id);
  if (batch != nullptr && !batch->state.closed) {
    batch->state.closed = true;
    record_.changed_batches.insert(command.batch_id);
  }
  SettleBatches();
  ExpectBatch(command.reply.tag, command.batch_id);
}

void ReferenceModel::Apply(const GetBatchCommand& command) {
  SettleBatches();
  ExpectBatch(command.reply.tag, command.batch_id);
}

void ReferenceModel::Apply(const ListBatchesCommand& command) {
  SettleBatches();
  std::string text;
  uint32_t listed = 0;
  for (auto it = batches_.upper_bound(command.page_token); it != batches_.end();
       ++it) {
    if (FindBatch(it->first) == nullptr) continue;
    if (listed == command.page_size) {
      text += " ...";
      break;
    }
    absl::StrAppend(&text, listed++ == 0 ? "" : "; ", it->first, " ",
                    TextOf(it->first, it->second.state));
  }
  ExpectReply(command.reply.tag, text);
}

std::vector<std::string> ReferenceModel::BatchIds() const {
  std::vector<std::string> ids;
  for (const auto& [id, batch] : batches_) ids.push_back(id);
  return ids;
}

std::vector<std::string> ReferenceModel::IncompleteBatchIds() const {
  std::vector<std::string> ids;
  for (const auto& [id, batch] : batches_) {
    if (!batch.state.complete()) ids.push_back(id);
  }
  return ids;
}

size_t ReferenceModel::submitted_callbacks() const {
  size_t callbacks = 0;
  for (const auto& [id, batch] : batches_) {
    for (const BatchEvent event : kBatchEvents)
      callbacks += !batch.state.callbacks[event].task_id.empty();
  }
  return callbacks;
}

void ReferenceModel::ReadBatchRows(const Effects& effects) {
  effects.writes.ForEach(BatchRows{&record_.written_batches});
}

// What a turn writes of its batches is what its commands made of them.
void ReferenceModel::CompareBatches() {
  for (const std::string& id : record_.changed_batches) {
    if (record_.written_batches.count(id) == 0)
      AddViolation(absl::StrCat("batch ", id, " was not written"));
  }
  for (const auto& [id, written] : record_.written_batches) {
    const StoredBatch& expected = batches_[id].state;
    const bool same = TextOf(id, written) == TextOf(id, expected) &&
                      written.create_time == expected.create_time &&
                      written.complete_time == expected.complete_time &&
                      written.keep_until_millis == expected.keep_until_millis;
    if (!same) {
      AddViolation(absl::StrCat("batch ", id, " is written as ",
                                TextOf(id, written), ", not ",
                                TextOf(id, expected)));
    }
  }
}

}  // namespace apium::broker
