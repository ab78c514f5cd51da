// Tasks that run in the order in which they were accepted, and queues that can
// be full, said plainly.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/support/engine_text.h"
#include "tests/support/reference_model.h"

namespace apium::broker {
namespace {

const char kQueueNotFound[] = "NOT_FOUND/QUEUE_NOT_FOUND";
const char kQueueFull[] = "RESOURCE_EXHAUSTED/QUEUE_FULL";

}  // namespace

bool ReferenceModel::IsOrdered(const TaskContent& content) {
  return content.placement != nullptr &&
         !content.placement->ordering_key.empty();
}

ReferenceModel::LineId ReferenceModel::LineOf(const TaskContent& content) {
  return {content.queue, content.placement->ordering_key};
}

bool ReferenceModel::WaitsInLine(const std::string& id) const {
  const auto task = tasks_.find(id);
  if (task == tasks_.end() || !IsOrdered(*task->second.content)) return false;
  const auto line = lines_.find(LineOf(*task->second.content));
  if (line == lines_.end()) return false;
  const auto& waiting = line->second.waiting;
  return std::find(waiting.begin(), waiting.end(), id) != waiting.end();
}

bool ReferenceModel::JoinLine(const std::string& id) {
  Line& line = lines_[LineOf(*tasks_[id].content)];
  if (line.empty()) {
    line.head = id;
    return true;
  }
  line.waiting.push_back(id);
  ++counts_.waited_in_line;
  return false;
}

void ReferenceModel::LeaveLine(const std::string& id) {
  const Task& task = tasks_[id];
  const LineId key = LineOf(*task.content);
  Line& line = lines_[key];
  if (line.head != id) {
    std::erase(line.waiting, id);
    line.to_fail.erase(id);
  } else {
    line.head.clear();
    const bool failed = task.state == TaskState::kFailed ||
                        task.state == TaskState::kDeadLettered;
    const OrderingFailurePolicy policy =
        task.content->placement->ordering_failure_policy;
    if (failed && policy == OrderingFailurePolicy::kBlock) {
      line.blocked = true;
      ++counts_.keys_blocked;
    } else if (failed && policy == OrderingFailurePolicy::kFailRest &&
               !line.waiting.empty()) {
      line.failing = true;
      line.to_fail.insert(line.waiting.begin(), line.waiting.end());
    } else {
      PassLineOn(key);
    }
  }
  const auto it = lines_.find(key);
  if (it != lines_.end() && it->second.empty()) lines_.erase(it);
}

// Ends that others cause may change the line meanwhile.
void ReferenceModel::PassLineOn(const LineId& key) {
  while (true) {
    const auto it = lines_.find(key);
    if (it == lines_.end() || !it->second.wants_head()) return;
    const std::string id = it->second.waiting.front();
    Task& task = tasks_[id];
    if (WasPurgedWhileBlocked(id)) {
      TakePurge(id);
      if (task.live()) return;  // it was not allowed, which was noted
    } else if (TakeJobCancelWhileBlocked(id)) {
      continue;
    } else if (task.content->expire_time <= now_ || AttemptsEnd(task) <= now_) {
      EndLate(id);
    } else {
      it->second.waiting.erase(it->second.waiting.begin());
      it->second.head = id;
      AwaitEta(&task);
      AddEvent(&task, 'n');
      if (dispatching_) task.behind_dispatch_turn = turn_;
    }
  }
}

void ReferenceModel::FailMembers() {
  std::vector<LineId> failing;
  for (const auto& [key, line] : lines_) {
    if (line.failing) failing.push_back(key);
  }
  std::optional<uint64_t> place;
  for (const LineId& key : failing) {
    const std::vector<std::string> waiting = lines_[key].waiting;
    for (const std::string& id : waiting) {
      if (lines_[key].to_fail.count(id) == 0) continue;
      Exhaust(id, "apium.OrderingHeadFailed");
      ++counts_.rest_failed;
    }
    Line& line = lines_[key];
    line.failing = false;
    PassLineOn(key);
    if (lines_[key].empty()) {
      lines_.erase(key);
      continue;
    }
    // In which order lines go on is up to the engine.
    Task& head = tasks_[lines_[key].head];
    if (head.state != TaskState::kQueued) continue;
    if (!place.has_value()) place = head.place;
    head.place = *place;
  }
}

bool ReferenceModel::WasPurgedWhileBlocked(const std::string& id) const {
  return std::any_of(record_.outcomes.begin(), record_.outcomes.end(),
                     [&](const Outcome* outcome) {
                       return outcome->task_id == id &&
                              outcome->failure.type == "apium.Purged" &&
                              ModelEventsText(outcome->history) ==
                                  tasks_.at(id).events;
                     });
}

bool ReferenceModel::WillBePurgedByItsLine(const std::string& id) const {
  const Line& line = lines_.at(LineOf(*tasks_.at(id).content));
  if (line.head.empty()) return false;
  // Then the head has ended before it.
  for (const Outcome* outcome : record_.outcomes) {
    if (outcome->task_id == line.head) return true;
    if (outcome->task_id == id) return false;
  }
  return false;
}

bool ReferenceModel::TakeJobCancelWhileBlocked(const std::string& id) {
  if (!WasSweptWhileBlocked(id)) return false;
  for (const Outcome* outcome : record_.outcomes) {
    if (outcome->task_id == id && TakeJobCancel(*outcome)) return true;
  }
  return false;
}

std::string ReferenceModel::LineText(const Task& task) const {
  if (!IsOrdered(*task.content)) return "";
  const auto line = lines_.find(LineOf(*task.content));
  if (line == lines_.end()) return "";
  const auto& waiting = line->second.waiting;
  // The content of one whose id was minted does not say its id.
  const bool waits =
      std::any_of(waiting.begin(), waiting.end(), [&](const std::string& id) {
        return &tasks_.at(id) == &task;
      });
  if (!waits) return "";
  return line->second.blocked ? " in a blocked line" : " in line";
}

std::vector<ReferenceModel::LineId> ReferenceModel::BlockedKeys() const {
  std::vector<LineId> keys;
  for (const auto& [key, line] : lines_) {
    if (line.blocked) keys.push_back(key);
  }
  return keys;
}

void ReferenceModel::Apply(const ReleaseOrderingKeyCommand& command) {
  const uint64_t tag = command.reply.tag;
  if (queues_.count(command.queue) == 0)
    return ExpectReply(tag, kQueueNotFound);
  const LineId key = {command.queue, command.ordering_key};
  const auto line = lines_.find(key);
  if (line == lines_.end() || !line->second.blocked) {
    return ExpectReply(tag, "FAILED_PRECONDITION/ORDERING_KEY_NOT_BLOCKED");
  }
  ExpectReply(tag, "OK");
  ++counts_.keys_released;
  line->second.blocked = false;
  PassLineOn(key);
  const auto left = lines_.find(key);
  if (left != lines_.end() && left->second.empty()) lines_.erase(left);
}

// --- Full queues ---

void ReferenceModel::AddDemand(const TaskContent& content, Claim claim,
                               Demand* demand) {
  ++demand->tasks;
  if (content.unique == nullptr) return;
  const UniqueKey* held = HeldKey(content.unique->key);
  if (held == nullptr) return;
  const Task* holder = LiveHolder(*held);
  if (claim == Claim::kTake && holder != nullptr && holder->waiting())
    demand->replaced += holder->content->queue == content.queue;
  if (!held->next.empty())
    demand->replaced += tasks_[held->next].content->queue == content.queue;
}

std::string ReferenceModel::RoomRefusal(const std::string& queue,
                                        const Demand& demand) {
  const auto it = queues_.find(queue);
  if (it == queues_.end() || it->second.max_length == 0) return "";
  if (demand.tasks <= demand.replaced) return "";
  const auto waiting = static_cast<uint64_t>(
      std::count_if(tasks_.begin(), tasks_.end(), [&](const auto& entry) {
        return entry.second.waiting() && entry.second.content->queue == queue;
      }));
  const uint64_t added = demand.tasks - demand.replaced;
  if (waiting + added <= it->second.max_length) return "";
  ++counts_.queue_full;
  return kQueueFull;
}

std::string ReferenceModel::RoomRefusal(const SubmitAllCommand& command,
                                        const std::vector<Plan>& plans) {
  std::map<std::string, Demand> demands;  // by queue
  for (size_t i = 0; i < plans.size(); ++i) {
    const Plan& plan = plans[i];
    const bool makes_task = !plan.known_since.has_value() &&
                            !plan.attached.has_value() &&
                            !plan.same_as.has_value();
    if (!makes_task) continue;
    const TaskContent& content = *command.tasks[i].content;
    AddDemand(content, plan.claim, &demands[content.queue]);
  }
  std::string refusal;
  for (const auto& [queue, demand] : demands) {
    if (refusal.empty()) refusal = RoomRefusal(queue, demand);
  }
  return refusal;
}

}  // namespace apium::broker
