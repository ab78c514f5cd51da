// Submitting several tasks, all or none.

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "broker/engine/engine_impl.h"
#include "common/error_reason.h"
#include "common/names.h"
#include "common/status_macros.h"
#include "common/uuid.h"

namespace apium::broker {
namespace {

absl::Status KeyTwice(const std::string& key) {
  return WithReason(
      absl::InvalidArgumentError(absl::StrCat(
          "the unique key ", key,
          " is that of another task of the call, too; one of them may have "
          "it")),
      reason::kUniqueKeyHeld, {{"unique_key", key}});
}

}  // namespace

absl::Status Engine::Impl::PlanSubmit(const TaskContent& content,
                                      SubmitPlan* plan, absl::Status* refusal) {
  const std::string& id = content.task_id;
  if (!plan->minted && !tasks_.IsNew(plan->key, id)) {
    APIUM_ASSIGN_OR_RETURN(const TaskTable::Found found, FindTask(plan->key));
    if (found.known()) {
      plan->first_create_time = found.create_time();
      if (!(found.fingerprint() == content.fingerprint))
        *refusal = TaskIdReused(id);
      return absl::OkStatus();
    }
  }
  *refusal = CheckQueueForSubmit(content);
  if (refusal->ok()) *refusal = queues_.InternType(content.type).status();
  if (refusal->ok() && !content.batch_id.empty())
    APIUM_RETURN_IF_ERROR(CheckJoin(content, refusal));
  if (!refusal->ok() || content.unique == nullptr) return absl::OkStatus();
  APIUM_ASSIGN_OR_RETURN(plan->claim, ClaimKey(content));
  *refusal = plan->claim.refusal;
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Engine::Impl::SubmitPlan>> Engine::Impl::PlanAll(
    SubmitAllCommand* command, SubmitAllReply* reply) {
  std::vector<SubmitPlan> plans(command->tasks.size());
  absl::flat_hash_map<std::string, size_t> first_of_key;
  absl::flat_hash_set<std::string_view> unique_keys;
  for (size_t i = 0; reply->status.ok() && i < plans.size(); ++i) {
    TaskContent& content = *command->tasks[i].content;
    if (content.queue.empty()) content.queue = kDefaultQueue;
    SubmitPlan& plan = plans[i];
    reply->failed = i;
    plan.minted = content.task_id.empty();
    if (plan.minted)
      content.task_id = MintTaskId(now_, options_.partition, random_);
    plan.key = MakeTaskKey(content.namespace_name, content.task_id);
    const auto [first, is_new] = first_of_key.try_emplace(plan.key, i);
    if (!is_new) {
      // The same again, in this call: answered the same.
      plan.first_create_time =
          plans[first->second].first_create_time.value_or(now_);
      plan.claim = plans[first->second].claim;
      const TaskContent& other = *command->tasks[first->second].content;
      if (!(other.fingerprint == content.fingerprint))
        reply->status = TaskIdReused(content.task_id);
    } else if (content.unique != nullptr &&
               !unique_keys.insert(content.unique->key).second) {
      reply->status = KeyTwice(content.unique->key);
    } else {
      APIUM_RETURN_IF_ERROR(PlanSubmit(content, &plan, &reply->status));
    }
  }
  return plans;
}

absl::StatusOr<absl::Status> Engine::Impl::MakeRoomForAll(
    const std::vector<SubmitCommand>& tasks,
    const std::vector<SubmitPlan>& plans, std::vector<LiveTask*>* victims) {
  std::vector<std::pair<const Queue*, Demand>> demands;
  for (size_t i = 0; i < plans.size(); ++i) {
    const TaskContent& content = *tasks[i].content;
    // One that has to be made first has no limits yet.
    const Queue* queue = queues_.Find(content.namespace_name, content.queue);
    const bool makes_task =
        !plans[i].first_create_time.has_value() &&
        plans[i].claim.verdict != KeyClaim::Verdict::kAttach;
    if (!makes_task || queue == nullptr || !queue->bounded()) continue;
    auto it = std::find_if(demands.begin(), demands.end(),
                           [&](const auto& one) { return one.first == queue; });
    if (it == demands.end()) it = demands.insert(it, {queue, Demand()});
    APIUM_RETURN_IF_ERROR(AddDemand(content, plans[i].claim, &it->second));
  }
  for (const auto& [queue, demand] : demands) {
    const absl::Status room = MakeRoom(*queue, demand, victims);
    if (!room.ok()) return room;
  }
  return absl::OkStatus();
}

absl::StatusOr<SubmitReply> Engine::Impl::CarryOut(SubmitPlan plan,
                                                   SubmitCommand* submit) {
  using Verdict = KeyClaim::Verdict;
  const TaskContent& content = *submit->content;
  if (plan.claim.verdict == Verdict::kAttach) {
    CountRepeated(content, /*accepted=*/true);
    return SubmitReply{.task_id = plan.claim.row->holder,
                       .create_time = plan.claim.row->holder_create_time,
                       .attached = true};
  }
  SubmitReply reply{.task_id = content.task_id,
                    .minted = plan.minted,
                    .create_time = plan.first_create_time.value_or(now_)};
  if (plan.first_create_time.has_value()) {
    CountRepeated(content, /*accepted=*/true);
    return reply;
  }
  APIUM_ASSIGN_OR_RETURN(Queue * queue, QueueForSubmit(content));
  ApplyDefaults(queue->stored.settings.task_defaults, submit);
  if (content.unique != nullptr)
    APIUM_RETURN_IF_ERROR(TakeKey(content, plan.claim));
  const Start start =
      plan.claim.verdict == Verdict::kBlock ? Start::kBlocked : Start::kWhenDue;
  APIUM_RETURN_IF_ERROR(
      Accept(submit, std::move(plan.key), queue, plan.minted, start));
  return reply;
}

absl::Status Engine::Impl::Apply(SubmitAllCommand&& command) {
  if (command.request != nullptr) {
    APIUM_ASSIGN_OR_RETURN(const bool answered, AnswerRepeatedRequest(command));
    if (answered) return absl::OkStatus();
  }
  SubmitAllReply reply;
  APIUM_ASSIGN_OR_RETURN(std::vector<SubmitPlan> plans,
                         PlanAll(&command, &reply));
  std::vector<LiveTask*> victims;
  if (reply.status.ok()) {
    reply.failed.reset();
    APIUM_ASSIGN_OR_RETURN(reply.status,
                           MakeRoomForAll(command.tasks, plans, &victims));
  }
  if (!reply.status.ok()) {
    const TaskContent& content =
        *command.tasks[reply.failed.value_or(0)].content;
    Queue* queue = queues_.Find(content.namespace_name, content.queue);
    ++(queue != nullptr ? queue->stats.submitted_rejected : submits_rejected_);
    AddReply(command.reply, std::move(reply));
    return absl::OkStatus();
  }
  const std::string namespace_name =
      command.tasks.front().content->namespace_name;
  for (size_t i = 0; i < plans.size(); ++i) {
    APIUM_ASSIGN_OR_RETURN(SubmitReply answer,
                           CarryOut(std::move(plans[i]), &command.tasks[i]));
    reply.tasks.push_back(std::move(answer));
  }
  APIUM_RETURN_IF_ERROR(SetAside(victims));
  if (command.request != nullptr)
    RememberRequest(namespace_name, *command.request, reply.tasks);
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

}  // namespace apium::broker
