// Ordering keys: tasks of a queue with the same key run one at a time, in the
// order in which they were accepted. The first of a line, its head, waits and
// runs as any other task; those behind it are BLOCKED, each listed in the line
// by its ticket, until they become the head. See docs/queues.md.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/engine/engine_impl.h"
#include "broker/engine/ordering.h"
#include "common/error_reason.h"
#include "common/status_macros.h"

namespace apium::broker {
namespace {

// Members that end instead of becoming the head, because a purge, a cancel or
// their time would have ended them there, before the line goes on in another
// turn: a line may have millions.
constexpr size_t kEndedOnTheMoveMax = 64;
// Members that one turn ends because their head failed: as purges do.
constexpr size_t kFailedPerTurn = 1000;
// Lines that one turn looks at to go on with.
constexpr size_t kUnsettledPerTurn = 64;
// Members that are counted to say how many are ahead of one; beyond, it is
// estimated.
constexpr size_t kAheadCountedMax = 1000;

absl::Status MemberLost(const std::string& task_id) {
  return absl::DataLossError(
      absl::StrCat("task ", task_id,
                   " is listed behind an ordering key, and does not wait"));
}

bool EndedAsFailed(TaskState state) {
  return state == TaskState::kFailed || state == TaskState::kDeadLettered;
}

}  // namespace

absl::StatusOr<OrderingLine*> Engine::Impl::LineOf(const TaskContent& content) {
  APIUM_ASSIGN_OR_RETURN(const Queue* queue, queues_.QueueOf(content));
  return ordering_.Find(queue->stored.queue_id,
                        content.placement->ordering_key);
}

absl::StatusOr<bool> Engine::Impl::JoinLine(LiveTask* task, Queue* queue) {
  const std::string& task_id = task->content().task_id;
  APIUM_ASSIGN_OR_RETURN(OrderingLine * line, LineOf(task->content()));
  if (line->stored.empty()) {
    line->stored.head = task_id;
    ordering_.MarkDirty(line);
    return true;
  }
  if (task->stored.state == TaskState::kBlocked) {
    // It waited for a unique key, and for this from here on.
    task->stored.ready_sequence = tickets_.Next();
    tasks_.MarkDirty(task);
  } else {
    Block(task, queue);
  }
  ordering_.AddMember(line, task->stored.ready_sequence, task_id);
  return false;
}

absl::Status Engine::Impl::LeaveLine(const LiveTask& task, TaskState state) {
  const TaskContent& content = task.content();
  APIUM_ASSIGN_OR_RETURN(OrderingLine * line, LineOf(content));
  StoredOrderingLine& stored = line->stored;
  if (stored.head != content.task_id) {
    // One that waits for a unique key is in no line yet.
    if (task.stored.state != TaskState::kBlocked) return absl::OkStatus();
    return ordering_.RemoveMember(line, task.stored.ready_sequence).status();
  }
  stored.head.clear();
  ordering_.MarkDirty(line);
  const OrderingFailurePolicy policy =
      EndedAsFailed(state) ? content.placement->ordering_failure_policy
                           : OrderingFailurePolicy::kSkip;
  if (policy == OrderingFailurePolicy::kBlock) {
    stored.blocked = true;
    stored.failed = content.task_id;
    stored.block_time = now_;
    return absl::OkStatus();
  }
  if (policy == OrderingFailurePolicy::kFailRest && stored.waiting > 0) {
    stored.fail_limit = tickets_.Next();
    stored.failed = content.task_id;
    // Not here: they may be many, and each end may have consequences.
    LeaveToNextTurn(line);
    return absl::OkStatus();
  }
  return PassLineOn(line);
}

void Engine::Impl::LeaveToNextTurn(OrderingLine* line) {
  ordering_.Unsettle(line);
  more_to_do_ = true;
}

absl::StatusOr<LiveTask*> Engine::Impl::MemberOf(const Queue& queue,
                                                 const std::string& task_id) {
  APIUM_ASSIGN_OR_RETURN(TaskTable::Found found,
                         FindTask(MakeTaskKey(queue.namespace_name, task_id)));
  if (found.live == nullptr || found.live->state() != TaskState::kBlocked)
    return MemberLost(task_id);
  return found.live;
}

absl::Status Engine::Impl::PassLineOn(OrderingLine* line) {
  StoredOrderingLine& stored = line->stored;
  const Queue* queue = queues_.FindById(line->id.queue_id);
  for (size_t ended = 0; stored.wants_head(); ++ended) {
    if (ended == kEndedOnTheMoveMax) {
      LeaveToNextTurn(line);
      return absl::OkStatus();
    }
    APIUM_ASSIGN_OR_RETURN(
        const std::vector<OrderingTable::Member> first,
        ordering_.FirstMembers(*line, tickets_.Peek(), /*max=*/1));
    if (queue == nullptr || first.empty())
      return absl::DataLossError("a line of an ordering key lacks its members");
    const auto& [ticket, task_id] = first.front();
    APIUM_ASSIGN_OR_RETURN(LiveTask * task, MemberOf(*queue, task_id));
    stored.first_ticket = ticket + 1;
    APIUM_ASSIGN_OR_RETURN(bool gone, EndOnTheMove(task));
    if (!gone && IsLate(*task)) {
      gone = true;
      APIUM_RETURN_IF_ERROR(EndLateTask(task));
    }
    if (gone) continue;
    APIUM_RETURN_IF_ERROR(ordering_.RemoveMember(line, ticket).status());
    stored.head = task_id;
    APIUM_RETURN_IF_ERROR(LetGo(task));
  }
  return absl::OkStatus();
}

absl::Status Engine::Impl::FailMembers(OrderingLine* line, size_t* budget) {
  StoredOrderingLine& stored = line->stored;
  const Queue* queue = queues_.FindById(line->id.queue_id);
  while (stored.fail_limit != 0 && *budget > 0 && tasks_.may_read_more()) {
    APIUM_ASSIGN_OR_RETURN(
        const std::vector<OrderingTable::Member> members,
        ordering_.FirstMembers(*line, stored.fail_limit,
                               std::min(*budget, TaskTable::kTasksAtOnce)));
    if (queue == nullptr || members.empty()) {
      stored.fail_limit = 0;
      stored.failed.clear();
      ordering_.MarkDirty(line);
      break;
    }
    std::vector<std::string> keys;
    for (const OrderingTable::Member& member : members)
      keys.push_back(MakeTaskKey(queue->namespace_name, member.task_id));
    std::vector<LiveTask*> tasks;
    APIUM_RETURN_IF_ERROR(tasks_.LoadAll(keys, &tasks));
    for (size_t i = 0; i < tasks.size(); ++i) {
      const bool waits = tasks[i] != nullptr && !tasks[i]->finished() &&
                         tasks[i]->state() == TaskState::kBlocked;
      if (!waits) return MemberLost(members[i].task_id);
      --*budget;
      stored.first_ticket = members[i].ticket + 1;
      Failure failure{
          .type = "apium.OrderingHeadFailed",
          .message = absl::StrCat("task ", stored.failed,
                                  ", which was before it in the order of key ",
                                  line->id.key, ", failed")};
      APIUM_RETURN_IF_ERROR(Exhaust(tasks[i], {.failure = std::move(failure)}));
    }
  }
  return absl::OkStatus();
}

absl::Status Engine::Impl::RunUnsettledLines() {
  if (!ordering_.any_unsettled()) return absl::OkStatus();
  APIUM_ASSIGN_OR_RETURN(const std::vector<OrderingLineId> ids,
                         ordering_.UnsettledLines(kUnsettledPerTurn));
  size_t budget = kFailedPerTurn;
  for (const OrderingLineId& id : ids) {
    if (budget == 0 || !tasks_.may_read_more()) break;
    APIUM_ASSIGN_OR_RETURN(OrderingLine * line,
                           ordering_.Find(id.queue_id, id.key));
    ordering_.Settle(line);
    ordering_.Passed(id);
    APIUM_RETURN_IF_ERROR(FailMembers(line, &budget));
    if (line->stored.fail_limit != 0) {
      ordering_.Unsettle(line);
    } else {
      APIUM_RETURN_IF_ERROR(PassLineOn(line));
    }
  }
  if (ordering_.any_unsettled()) more_to_do_ = true;
  return absl::OkStatus();
}

absl::StatusOr<std::optional<OrderingPlace>> Engine::Impl::PlaceInLine(
    const LiveTask& task) {
  std::optional<OrderingPlace> place;
  const TaskContent& content = task.content();
  if (!IsOrdered(content) || task.state() != TaskState::kBlocked) return place;
  APIUM_ASSIGN_OR_RETURN(const OrderingLine* line, LineOf(content));
  const uint64_t ticket = task.stored.ready_sequence;
  if (content.unique != nullptr) {
    APIUM_ASSIGN_OR_RETURN(const bool there,
                           ordering_.HasMember(*line, ticket));
    if (!there) return place;
  }
  const StoredOrderingLine& stored = line->stored;
  place.emplace();
  place->blocked = stored.blocked;
  place->blocked_since = stored.block_time;
  place->first_task_id = stored.head.empty() ? stored.failed : stored.head;
  return place;
}

absl::Status Engine::Impl::CountAhead(const LiveTask& task,
                                      OrderingPlace* place) {
  APIUM_ASSIGN_OR_RETURN(const OrderingLine* line, LineOf(task.content()));
  const StoredOrderingLine& stored = line->stored;
  const uint64_t ticket = task.stored.ready_sequence;
  APIUM_ASSIGN_OR_RETURN(
      const std::vector<OrderingTable::Member> ahead,
      ordering_.FirstMembers(*line, ticket, kAheadCountedMax));
  place->ahead = ahead.size();
  if (ahead.size() == kAheadCountedMax && stored.waiting > kAheadCountedMax) {
    // As if the tickets of all that wait were evenly spaced.
    const double share =
        static_cast<double>(ticket - stored.first_ticket) /
        static_cast<double>(tickets_.Peek() - stored.first_ticket);
    place->ahead = std::max<uint64_t>(
        kAheadCountedMax,
        static_cast<uint64_t>(share * static_cast<double>(stored.waiting)));
    place->estimate = true;
  }
  if (!stored.head.empty()) ++place->ahead;
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(ReleaseOrderingKeyCommand&& command) {
  StatusReply reply;
  const absl::StatusOr<Queue*> queue =
      ExistingQueue(command.namespace_name, command.queue);
  reply.status = queue.status();
  if (queue.ok()) {
    APIUM_ASSIGN_OR_RETURN(
        OrderingLine * line,
        ordering_.Find((*queue)->stored.queue_id, command.ordering_key));
    StoredOrderingLine& stored = line->stored;
    if (stored.blocked) {
      stored.blocked = false;
      stored.failed.clear();
      ordering_.MarkDirty(line);
      APIUM_RETURN_IF_ERROR(PassLineOn(line));
    } else {
      reply.status = WithReason(
          absl::FailedPreconditionError(
              absl::StrCat("the ordering key ", command.ordering_key,
                           " of queue ", command.queue, " is not blocked")),
          reason::kOrderingKeyNotBlocked,
          {{"queue", command.queue}, {"ordering_key", command.ordering_key}});
    }
  }
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

}  // namespace apium::broker
