// Submitting several tasks, all or none.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/engine/engine_impl.h"
#include "broker/engine/task_copies.h"
#include "common/error_reason.h"
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

absl::Status Engine::Impl::PlanSubmit(SubmitCommand* submit, CallPlan* call,
                                      SubmitPlan* plan, absl::Status* refusal) {
  const TaskContent& content = *submit->content;
  const std::string& id = content.task_id;
  if (!plan->minted && !tasks_.IsNew(plan->key, id)) {
    APIUM_ASSIGN_OR_RETURN(const TaskTable::Found found, FindTask(plan->key));
    if (found.known()) {
      plan->first_create_time = found.create_time();
      plan->first_copies = found.copies();
      if (!(found.fingerprint() == content.fingerprint))
        *refusal = TaskIdReused(id);
      return absl::OkStatus();
    }
  }
  if (NeedsRouting(*submit))
    APIUM_RETURN_IF_ERROR(PlanRoute(submit, call, plan, refusal));
  if (refusal->ok()) *refusal = CheckQueueForSubmit(content);
  if (refusal->ok()) *refusal = queues_.InternType(content.type).status();
  if (refusal->ok() && !content.batch_id.empty())
    APIUM_RETURN_IF_ERROR(CheckJoin(content, refusal));
  if (!refusal->ok() || content.unique == nullptr) return absl::OkStatus();
  APIUM_ASSIGN_OR_RETURN(plan->claim, ClaimKey(content));
  *refusal = plan->claim.refusal;
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Engine::Impl::SubmitPlan>> Engine::Impl::PlanAll(
    std::vector<SubmitCommand>* tasks, SubmitAllReply* reply) {
  std::vector<SubmitPlan> plans(tasks->size());
  CallPlan call;
  for (size_t i = 0; reply->status.ok() && i < plans.size(); ++i) {
    SubmitCommand& submit = (*tasks)[i];
    TaskContent& content = *submit.content;
    if (content.queue.empty() && submit.route == nullptr)
      content.queue = RuledQueue(content.namespace_name, content.type);
    SubmitPlan& plan = plans[i];
    reply->failed = i;
    call.number = i;
    plan.minted = content.task_id.empty();
    if (plan.minted)
      content.task_id = MintTaskId(now_, options_.partition, random_);
    plan.key = MakeTaskKey(content.namespace_name, content.task_id);
    const auto [first, is_new] = call.first_of_key.try_emplace(plan.key, i);
    if (!is_new) {
      // The same again, in this call: answered the same.
      const SubmitPlan& of_first = plans[first->second];
      plan.first_create_time = of_first.first_create_time.value_or(now_);
      plan.claim = of_first.claim;
      if (of_first.key == plan.key) {
        plan.first_copies = of_first.first_create_time.has_value()
                                ? of_first.first_copies
                                : static_cast<uint32_t>(of_first.copies.size());
      }
      const TaskContent& other = *(*tasks)[first->second].content;
      if (!(other.fingerprint == content.fingerprint))
        reply->status = TaskIdReused(content.task_id);
    } else if (content.unique != nullptr &&
               !call.unique_keys.insert(content.unique->key).second) {
      reply->status = KeyTwice(content.unique->key);
    } else {
      APIUM_RETURN_IF_ERROR(PlanSubmit(&submit, &call, &plan, &reply->status));
    }
  }
  return plans;
}

absl::StatusOr<absl::Status> Engine::Impl::MakeRoomForAll(
    const std::vector<SubmitCommand>& tasks,
    const std::vector<SubmitPlan>& plans, std::vector<LiveTask*>* victims) {
  std::vector<std::pair<const Queue*, Demand>> demands;
  const auto add = [&](const TaskContent& content, const KeyClaim& claim) {
    // One that has to be made first has no limits yet.
    const Queue* queue = queues_.Find(content.namespace_name, content.queue);
    if (queue == nullptr || !queue->bounded()) return absl::OkStatus();
    auto it = std::find_if(demands.begin(), demands.end(),
                           [&](const auto& one) { return one.first == queue; });
    if (it == demands.end()) it = demands.insert(it, {queue, Demand()});
    return AddDemand(content, claim, &it->second);
  };
  for (size_t i = 0; i < plans.size(); ++i) {
    const SubmitPlan& plan = plans[i];
    const bool makes_task = !plan.first_create_time.has_value() &&
                            plan.claim.verdict != KeyClaim::Verdict::kAttach;
    if (!makes_task) continue;
    APIUM_RETURN_IF_ERROR(add(*tasks[i].content, plan.claim));
    for (const SubmitCommand& copy : plan.copies)
      APIUM_RETURN_IF_ERROR(add(*copy.content, KeyClaim()));
  }
  for (const auto& [queue, demand] : demands) {
    const absl::Status room = MakeRoom(*queue, demand, victims);
    if (!room.ok()) return room;
  }
  return absl::OkStatus();
}

Queue* Engine::Impl::PlannedQueue(const TaskContent& content) {
  Queue* queue = queues_.Find(content.namespace_name, content.queue);
  return queue != nullptr ? queue
                          : CreateQueue(content.namespace_name, content.queue);
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
  const auto copies = plan.first_create_time.has_value()
                          ? plan.first_copies
                          : static_cast<uint32_t>(plan.copies.size());
  reply.copy_task_ids = CopyTaskIds(content.task_id, copies);
  if (plan.first_create_time.has_value()) {
    CountRepeated(content, /*accepted=*/true);
    return reply;
  }
  Queue* queue = PlannedQueue(content);
  ApplyDefaults(queue->stored.settings.task_defaults, submit);
  if (content.unique != nullptr)
    APIUM_RETURN_IF_ERROR(TakeKey(content, plan.claim));
  const Start start =
      plan.claim.verdict == Verdict::kBlock ? Start::kBlocked : Start::kWhenDue;
  APIUM_RETURN_IF_ERROR(
      Accept(submit, std::move(plan.key), queue, plan.minted, start, copies));
  APIUM_RETURN_IF_ERROR(AcceptCopies(std::move(plan.copies), plan.minted));
  return reply;
}

void Engine::Impl::CountRefused(const TaskContent& content) {
  Queue* queue = queues_.Find(content.namespace_name, content.queue);
  ++(queue != nullptr ? queue->stats.submitted_rejected : submits_rejected_);
}

absl::Status Engine::Impl::SubmitAll(std::vector<SubmitCommand>* tasks,
                                     SubmitAllReply* reply) {
  APIUM_ASSIGN_OR_RETURN(std::vector<SubmitPlan> plans, PlanAll(tasks, reply));
  std::vector<LiveTask*> victims;
  if (reply->status.ok()) {
    reply->failed.reset();
    APIUM_ASSIGN_OR_RETURN(reply->status,
                           MakeRoomForAll(*tasks, plans, &victims));
  }
  if (!reply->status.ok()) {
    CountRefused(*(*tasks)[reply->failed.value_or(0)].content);
    return absl::OkStatus();
  }
  for (size_t i = 0; i < plans.size(); ++i) {
    APIUM_ASSIGN_OR_RETURN(SubmitReply answer,
                           CarryOut(std::move(plans[i]), &(*tasks)[i]));
    reply->tasks.push_back(std::move(answer));
  }
  return SetAside(victims);
}

absl::Status Engine::Impl::Apply(SubmitAllCommand&& command) {
  if (command.request != nullptr) {
    APIUM_ASSIGN_OR_RETURN(const bool answered, AnswerRepeatedRequest(command));
    if (answered) return absl::OkStatus();
  }
  SubmitAllReply reply;
  const std::string namespace_name =
      command.tasks.front().content->namespace_name;
  APIUM_RETURN_IF_ERROR(SubmitAll(&command.tasks, &reply));
  if (command.request != nullptr && reply.status.ok())
    RememberRequest(namespace_name, *command.request, reply.tasks);
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

}  // namespace apium::broker
