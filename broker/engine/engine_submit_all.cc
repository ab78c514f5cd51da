// Submitting several tasks, all or none.

#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "broker/engine/engine_impl.h"
#include "common/error_reason.h"
#include "common/status_macros.h"
#include "common/uuid.h"

namespace apium::broker {

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
  if (refusal->ok() && content.unique != nullptr)
    *refusal = NotImplemented("a unique key in an atomic submit");
  if (refusal->ok() && !content.batch_id.empty())
    return CheckJoin(content, refusal);
  return absl::OkStatus();
}

absl::StatusOr<SubmitReply> Engine::Impl::CarryOut(SubmitPlan plan,
                                                   SubmitCommand* submit) {
  const TaskContent& content = *submit->content;
  SubmitReply reply{.task_id = content.task_id,
                    .minted = plan.minted,
                    .create_time = plan.first_create_time.value_or(now_)};
  if (plan.first_create_time.has_value()) {
    Queue* queue = queues_.Find(content.namespace_name, content.queue);
    if (queue != nullptr) ++queue->stats.submitted_duplicate;
    return reply;
  }
  APIUM_ASSIGN_OR_RETURN(Queue * queue, QueueForSubmit(content));
  APIUM_RETURN_IF_ERROR(
      Accept(submit, std::move(plan.key), queue, plan.minted));
  return reply;
}

absl::Status Engine::Impl::Apply(SubmitAllCommand&& command) {
  SubmitAllReply reply;
  std::vector<SubmitPlan> plans(command.tasks.size());
  absl::flat_hash_map<std::string, size_t> first_of_key;
  for (size_t i = 0; reply.status.ok() && i < plans.size(); ++i) {
    TaskContent& content = *command.tasks[i].content;
    SubmitPlan& plan = plans[i];
    plan.minted = content.task_id.empty();
    if (plan.minted)
      content.task_id = MintTaskId(now_, options_.partition, random_);
    plan.key = MakeTaskKey(content.namespace_name, content.task_id);
    const auto [first, is_new] = first_of_key.try_emplace(plan.key, i);
    if (is_new) {
      APIUM_RETURN_IF_ERROR(PlanSubmit(content, &plan, &reply.status));
    } else {
      // The same again, in this call.
      plan.first_create_time =
          plans[first->second].first_create_time.value_or(now_);
      const TaskContent& other = *command.tasks[first->second].content;
      if (!(other.fingerprint == content.fingerprint))
        reply.status = TaskIdReused(content.task_id);
    }
    reply.failed = i;
  }
  if (!reply.status.ok()) {
    const TaskContent& content = *command.tasks[reply.failed].content;
    Queue* queue = queues_.Find(content.namespace_name, content.queue);
    ++(queue != nullptr ? queue->stats.submitted_rejected : submits_rejected_);
    AddReply(command.reply, std::move(reply));
    return absl::OkStatus();
  }
  for (size_t i = 0; i < plans.size(); ++i) {
    APIUM_ASSIGN_OR_RETURN(SubmitReply answer,
                           CarryOut(std::move(plans[i]), &command.tasks[i]));
    reply.tasks.push_back(std::move(answer));
  }
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

}  // namespace apium::broker
