// Why tasks wait.

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "broker/engine/engine_impl.h"
#include "broker/engine/ordering.h"
#include "broker/engine/worker_labels.h"
#include "broker/storage/key_format.h"
#include "common/status_macros.h"

namespace apium::broker {
namespace {

// Tasks that a reason names.
constexpr size_t kNamedTasksMax = 10;

std::string TimeText(absl::Time time) {
  return absl::FormatTime(absl::RFC3339_sec, time, absl::UTCTimeZone());
}

std::string PauseText(const Queue& queue) {
  const StoredQueue& stored = queue.stored;
  return absl::StrCat(
      "queue ", queue.name, " is paused",
      stored.paused_by.empty() ? "" : absl::StrCat(" by ", stored.paused_by),
      stored.pause_reason.empty() ? ""
                                  : absl::StrCat(": ", stored.pause_reason));
}

std::string LabelsText(const Placement::Labels& labels) {
  return absl::StrJoin(labels, ", ", absl::PairFormatter("="));
}

WaitReason LimitReason(const LimitInstance& instance, absl::Time now) {
  const Limit& limit = instance.limit->limit();
  const std::string of =
      instance.key.empty() ? "" : absl::StrCat(" of ", instance.key);
  WaitReason reason{.limit = limit.name, .limit_key = instance.key};
  switch (LimitTable::HoldOf(instance, now)) {
    case LimitTable::Hold::kPause:
      reason.kind = WaitReasonKind::kLimitPaused;
      reason.until = instance.pause_until;
      reason.text = absl::StrCat("limit ", limit.name, of, " is paused until ",
                                 TimeText(reason.until));
      break;
    case LimitTable::Hold::kConcurrency:
      reason.kind = WaitReasonKind::kConcurrencyLimit;
      reason.usage = instance.running;
      reason.capacity = limit.settings.max_concurrency;
      reason.text = absl::StrCat(
          "limit ", limit.name, of, " admits ", limit.settings.max_concurrency,
          " at a time, and ", instance.running, " are running");
      break;
    default:
      reason.kind = WaitReasonKind::kRateLimit;
      reason.until = LimitTable::AdmitTime(instance);
      reason.capacity = limit.settings.rate->burst;
      reason.usage = reason.capacity - LimitTable::PointsOf(instance, now);
      reason.text =
          absl::StrCat("limit ", limit.name, of, " has no points left until ",
                       TimeText(reason.until));
  }
  return reason;
}

}  // namespace

absl::StatusOr<WaitReason> Engine::Impl::BlockedReason(const LiveTask& task) {
  const TaskContent& content = task.content();
  APIUM_ASSIGN_OR_RETURN(const std::optional<OrderingPlace> place,
                         PlaceInLine(task));
  if (!place.has_value()) {
    WaitReason reason{.kind = WaitReasonKind::kUniqueKey,
                      .text = absl::StrCat("another task holds the unique key ",
                                           content.unique->key)};
    APIUM_ASSIGN_OR_RETURN(
        const std::optional<StoredUniqueKey> row,
        unique_keys_.Find(
            MakeTaskKey(content.namespace_name, content.unique->key), now_));
    if (row.has_value()) reason.task_ids.push_back(row->holder);
    return reason;
  }
  const std::string& key = content.placement->ordering_key;
  WaitReason reason;
  if (!place->first_task_id.empty())
    reason.task_ids.push_back(place->first_task_id);
  if (place->blocked) {
    reason.kind = WaitReasonKind::kOrderingBlocked;
    reason.since = place->blocked_since;
    reason.text =
        absl::StrCat("the ordering key ", key, " is blocked since task ",
                     place->first_task_id, " failed; release it");
    return reason;
  }
  reason.kind = WaitReasonKind::kOrdering;
  reason.text =
      absl::StrCat("waits for those before it that have the ordering key ", key,
                   place->first_task_id.empty() ? "" : "; the first is task ",
                   place->first_task_id);
  return reason;
}

void Engine::Impl::AddWorkerReason(const Queue& queue, const LaneGroup& group,
                                   std::vector<WaitReason>* reasons) {
  if (queue.sessions == 0) {
    reasons->push_back(
        {.kind = WaitReasonKind::kNoWorker,
         .text = absl::StrCat("no connected worker takes tasks from queue ",
                              queue.name)});
    return;
  }
  bool serves_type = false;
  for (const auto& [number, session] : sessions_.all()) {
    if (!session->type_ids.contains(group.type_id)) continue;
    if (!session->TakesFrom(&queue)) continue;
    serves_type = true;
    if (HasLabels(*session, group.required_labels)) return;
  }
  const std::string& type = queues_.TypeName(group.type_id);
  if (!serves_type) {
    reasons->push_back({.kind = WaitReasonKind::kNoWorkerForType,
                        .text = absl::StrCat("no connected worker serves type ",
                                             type, " of queue ", queue.name)});
    return;
  }
  reasons->push_back(
      {.kind = WaitReasonKind::kNoWorkerForLabels,
       .text = absl::StrCat("no connected worker that serves type ", type,
                            " of queue ", queue.name, " has the labels ",
                            LabelsText(group.required_labels))});
}

std::vector<WaitReason> Engine::Impl::ReasonsOf(Lane* lane) {
  const Queue& queue = *lane->queue;
  std::vector<WaitReason> reasons;
  if (queue.stored.settings.paused) {
    reasons.push_back({.kind = WaitReasonKind::kPaused,
                       .text = PauseText(queue),
                       .since = queue.stored.pause_time});
  }
  const std::string& type = queues_.TypeName(lane->id.type_id);
  if (std::string held = BreakerReason(queue.namespace_name, type);
      !held.empty()) {
    const LiveBreaker* breaker = breakers_.Find(queue.namespace_name, type);
    const bool open = breaker->stored.state == BreakerState::kOpen;
    reasons.push_back(
        {.kind = WaitReasonKind::kBreaker,
         .text = std::move(held),
         .until = open ? breaker->open_until() : absl::InfiniteFuture()});
  }
  AddWorkerReason(queue, *lane->group, &reasons);
  if (limits_.empty()) return reasons;
  for (const LimitInstance* instance : lanes_.LimitsOf(lane)) {
    if (LimitTable::HoldOf(*instance, now_) != LimitTable::Hold::kNone)
      reasons.push_back(LimitReason(*instance, now_));
  }
  return reasons;
}

bool Engine::Impl::HasFreeWorker(const Lane& lane) const {
  return std::any_of(
      sessions_.all().begin(), sessions_.all().end(), [&](const auto& entry) {
        const Session& session = *entry.second;
        return session.takes_tasks() && session.TakesFrom(lane.queue) &&
               session.type_ids.contains(lane.id.type_id) &&
               HasLabels(session, lane.group->required_labels);
      });
}

WaitReason Engine::Impl::BusyReason(const Lane& lane, const LiveTask* task) {
  WaitReason reason{.kind = WaitReasonKind::kBusy, .estimate = true};
  for (const auto& [rank, other] : lane.queue->lanes) {
    if (other.get() != &lane && other->id.priority > lane.id.priority)
      reason.ahead += other->waiting();
  }
  if (task != nullptr && task->in_window) {
    reason.ahead += static_cast<uint64_t>(std::count_if(
        lane.window.begin(), lane.window.end(),
        [task](const LiveTask* other) { return IsAhead(*other, *task); }));
  } else if (task != nullptr) {
    // Behind the window.
    reason.ahead += lane.window.size();
  }
  reason.text = absl::StrCat("every worker that serves type ",
                             queues_.TypeName(lane.id.type_id), " is busy");
  if (reason.ahead > 0)
    absl::StrAppend(&reason.text, ", and about ", reason.ahead,
                    " tasks come first");
  return reason;
}

absl::StatusOr<std::vector<WaitReason>> Engine::Impl::ReasonsOf(
    const LiveTask& task) {
  std::vector<WaitReason> reasons;
  switch (task.state()) {
    case TaskState::kBlocked: {
      APIUM_ASSIGN_OR_RETURN(reasons.emplace_back(), BlockedReason(task));
      return reasons;
    }
    case TaskState::kScheduled: {
      const absl::Time due = absl::FromUnixMillis(task.stored.due_millis);
      reasons.push_back(
          {.kind = WaitReasonKind::kScheduled,
           .text = absl::StrCat("is scheduled for ", TimeText(due)),
           .until = due});
      return reasons;
    }
    case TaskState::kQueued:
      break;
    default:
      return reasons;
  }
  APIUM_ASSIGN_OR_RETURN(Lane * lane, lanes_.LaneOf(task));
  reasons = ReasonsOf(lane);
  if (task.stored.suspect) {
    reasons.push_back({.kind = WaitReasonKind::kRunsAlone,
                       .text = "waits to run alone after a crash"});
  } else if (reasons.empty() && !HasFreeWorker(*lane)) {
    reasons.push_back(BusyReason(*lane, &task));
  }
  return reasons;
}

std::string Engine::Impl::WaitingReason(const LiveTask& task) {
  // When it is scheduled for is a field of its own.
  if (task.state() == TaskState::kScheduled) return "";
  absl::StatusOr<std::vector<WaitReason>> reasons = ReasonsOf(task);
  failed_read_.Update(reasons.status());
  if (!reasons.ok() || reasons->empty()) return "";
  return std::move(reasons->front().text);
}

void Engine::Impl::NameHolders(WaitReason* reason) const {
  uint64_t epoch = 0;
  while (const LiveTask* task = leases_.After(epoch)) {
    epoch = task->lease.epoch;
    const bool holds =
        std::any_of(task->lease.limits.begin(), task->lease.limits.end(),
                    [&](const LimitInstance* instance) {
                      return instance->limit->limit().name == reason->limit &&
                             instance->key == reason->limit_key;
                    });
    if (holds) reason->task_ids.push_back(task->content().task_id);
    if (reason->task_ids.size() == kNamedTasksMax) return;
  }
}

absl::Status Engine::Impl::Apply(ExplainTaskCommand&& command) {
  const std::string key = MakeTaskKey(command.namespace_name, command.task_id);
  APIUM_ASSIGN_OR_RETURN(const TaskTable::Found found, FindTask(key));
  ExplainReply reply;
  if (found.live == nullptr) {
    APIUM_ASSIGN_OR_RETURN(
        const TaskReply as_read,
        ReplyFor(command.namespace_name, command.task_id, found));
    reply.status = as_read.status;
    reply.elsewhere = as_read.elsewhere;
    reply.state = as_read.task.state;
  } else {
    reply.state = found.live->state();
    APIUM_ASSIGN_OR_RETURN(reply.reasons, ReasonsOf(*found.live));
    for (WaitReason& reason : reply.reasons) {
      if (reason.kind == WaitReasonKind::kConcurrencyLimit)
        NameHolders(&reason);
      if (reason.kind == WaitReasonKind::kOrdering ||
          reason.kind == WaitReasonKind::kOrderingBlocked) {
        OrderingPlace place;
        APIUM_RETURN_IF_ERROR(CountAhead(*found.live, &place));
        reason.ahead = place.ahead;
        reason.estimate = place.estimate;
      }
    }
  }
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

std::vector<WaitReason> Engine::Impl::SumReasons(Queue* queue) {
  std::map<std::pair<WaitReasonKind, std::string>, WaitReason> sums;
  const auto add = [&sums](WaitReason reason, uint64_t tasks) {
    if (tasks == 0) return;
    WaitReason& sum = sums[{reason.kind, reason.limit}];
    if (sum.tasks == 0) {
      sum = std::move(reason);
    } else if (sum.limit_key != reason.limit_key) {
      sum.limit_key.clear();
    }
    sum.tasks += tasks;
  };
  for (const auto& [rank, lane] : queue->lanes) {
    if (lane->waiting() == 0) continue;
    std::vector<WaitReason> reasons = ReasonsOf(lane.get());
    if (reasons.empty()) {
      if (HasFreeWorker(*lane)) continue;
      reasons.push_back(BusyReason(*lane, nullptr));
    }
    add(std::move(reasons.front()), lane->waiting());
  }
  add({.kind = WaitReasonKind::kScheduled, .text = "wait for their time"},
      queue->scheduled);
  add({.kind = WaitReasonKind::kOrdering,
       .text = "wait for another task: of their ordering key, or one that "
               "holds their unique key"},
      queue->blocked);
  std::vector<WaitReason> reasons;
  for (auto& [id, sum] : sums) reasons.push_back(std::move(sum));
  return reasons;
}

void Engine::Impl::SampleBlocked(Queue* queue) {
  // What was so at the last look is taken to have been so since.
  BlockedTimes& times = queue->blocked_times;
  const absl::Duration elapsed = now_ - std::min(times.sampled, now_);
  for (const auto& [kind, tasks] : times.tasks)
    times.total[kind] += elapsed * tasks;
  times.sampled = now_;
  times.tasks.clear();
  for (const WaitReason& reason : SumReasons(queue))
    times.tasks[reason.kind] += static_cast<int64_t>(reason.tasks);
}

absl::Status Engine::Impl::Apply(ExplainQueueCommand&& command) {
  ExplainReply reply;
  const absl::StatusOr<Queue*> queue =
      ExistingQueue(command.namespace_name, command.queue);
  reply.status = queue.status();
  if (queue.ok()) {
    SampleBlocked(*queue);
    reply.reasons = SumReasons(*queue);
    for (WaitReason& reason : reply.reasons) {
      reason.blocked_time = (*queue)->blocked_times.total[reason.kind];
      if (reason.kind == WaitReasonKind::kConcurrencyLimit &&
          !reason.limit_key.empty())
        NameHolders(&reason);
    }
    std::stable_sort(reply.reasons.begin(), reply.reasons.end(),
                     [](const WaitReason& a, const WaitReason& b) {
                       return a.tasks > b.tasks;
                     });
  }
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

}  // namespace apium::broker
