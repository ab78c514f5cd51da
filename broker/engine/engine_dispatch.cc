// Which worker gets which task.

#include <algorithm>
#include <cstddef>
#include <limits>
#include <utility>

#include "broker/engine/engine_impl.h"
#include "broker/engine/worker_labels.h"
#include "common/status_macros.h"

namespace apium::broker {
namespace {

// Deliveries of one turn: what a turn writes and holds back until its sync is
// bounded.
constexpr size_t kDeliveriesPerTurn = 8192;

}  // namespace

absl::Status Engine::Impl::Dispatch() {
  lanes_.WakeFreed(now_);
  suspects_time_ = absl::InfiniteFuture();
  ReserveSession();
  // Sessions take one task each, in turn, so that equal workers get equal
  // shares.
  size_t budget = kDeliveriesPerTurn;
  bool progress = true;
  const auto& all = sessions_.all();
  while (progress && lanes_.ready_lanes() + lanes_.suspect_lanes() > 0) {
    progress = false;
    auto it = all.lower_bound(next_session_);
    for (size_t i = 0; i < all.size(); ++i, ++it) {
      if (it == all.end()) it = all.begin();
      Session* session = it->second.get();
      if (!session->takes_tasks()) continue;
      if (budget == 0) {
        next_session_ = session->number;
        more_to_do_ = true;
        return absl::OkStatus();
      }
      APIUM_ASSIGN_OR_RETURN(const bool got_task, DispatchOne(session));
      if (!got_task) continue;
      progress = true;
      --budget;
      next_session_ = session->number + 1;
    }
    if (reserved_session_ == 0) continue;
    // The last suspect that it waited for may have gone.
    const uint64_t former = reserved_session_;
    ReserveSession();
    progress = progress || reserved_session_ != former;
  }
  return absl::OkStatus();
}

bool Engine::Impl::SuspectsWaitFor(const Session& session) {
  return std::any_of(session.queues.begin(), session.queues.end(),
                     [&](const Subscription& at) {
                       return BestSuspectLane(session, at.queue) != nullptr;
                     });
}

void Engine::Impl::ReserveSession() {
  const uint64_t former = std::exchange(reserved_session_, 0);
  if (lanes_.suspect_lanes() == 0) return;
  const auto can_run_suspects = [this](const Session& session) {
    // One that holds nothing and wants nothing would wait for ever.
    return session.connected() && !session.draining &&
           (session.credit > 0 || !session.leases.empty()) &&
           SuspectsWaitFor(session);
  };
  const auto& all = sessions_.all();
  const auto it = all.find(former);
  if (it != all.end() && can_run_suspects(*it->second)) {
    reserved_session_ = former;
    return;
  }
  size_t fewest = 0;
  for (const auto& [number, session] : all) {
    const size_t leases = session->leases.size();
    if (reserved_session_ != 0 && leases >= fewest) continue;
    if (!can_run_suspects(*session)) continue;
    reserved_session_ = number;
    fewest = leases;
  }
}

void Engine::Impl::ShareTurns(Session* session) {
  const auto weight = [](const Subscription& at) {
    return static_cast<double>(at.weight) * at.queue->stored.settings.weight;
  };
  double least = std::numeric_limits<double>::infinity();
  for (const Subscription& at : session->queues)
    least = std::min(least, weight(at));
  for (Subscription& at : session->queues) at.share = weight(at) / least;
}

absl::StatusOr<bool> Engine::Impl::DispatchOne(Session* session) {
  // Deficit round robin: a queue's turn is as many tasks as its share, and what
  // is left of a task is owed to it; an empty queue is owed nothing.
  for (size_t i = 0; i < session->queues.size(); ++i) {
    Subscription& at =
        session->queues[session->next_queue % session->queues.size()];
    if (at.owed < 1) at.owed += at.share;
    APIUM_ASSIGN_OR_RETURN(const bool got_task,
                           DispatchFrom(at.queue, session));
    at.owed = got_task ? at.owed - 1 : 0;
    if (at.owed < 1) ++session->next_queue;
    if (got_task) return true;
  }
  return false;
}

absl::StatusOr<bool> Engine::Impl::DispatchFrom(Queue* queue,
                                                Session* session) {
  const bool reserved = session->number == reserved_session_;
  while (true) {
    Lane* lane = reserved ? nullptr : BestLane(*session, queue);
    LiveTask* task = lane == nullptr ? nullptr : lane->window.front();
    if (session->leases.empty() && !queue->suspect_lanes.empty()) {
      Lane* suspects = BestSuspectLane(*session, queue);
      const bool first =
          suspects != nullptr &&
          (task == nullptr || suspects->id.priority > lane->id.priority ||
           (suspects->id.priority == lane->id.priority &&
            IsAhead(*suspects->suspects.front(), *task)));
      if (first) task = suspects->suspects.front();
    }
    if (task == nullptr) return false;
    if (IsLate(*task)) {
      APIUM_RETURN_IF_ERROR(EndLateTask(task));
      continue;
    }
    APIUM_ASSIGN_OR_RETURN(const bool cancelled, CancelOnTheMove(task));
    if (cancelled) continue;
    Session* to = PreferredSession(*task, task->chunk->lane, queue, session);
    APIUM_RETURN_IF_ERROR(Deliver(task, to, queue));
    return true;
  }
}

absl::Status Engine::Impl::Deliver(LiveTask* task, Session* session,
                                   Queue* queue) {
  const bool redelivery = task->stored.attempt > 0;
  lanes_.Take(task);
  leases_.Grant(task, session, now_);
  ChargeLease(task);
  sticky_workers_.Note(task->content(), session->worker_id);
  if (!breakers_.empty()) NoteDispatch(*task);
  if (task->content().unique != nullptr)
    APIUM_RETURN_IF_ERROR(ReleaseKeyAtStart(task->content()));
  --session->credit;
  ++queue->stats.delivered;
  if (redelivery) ++queue->stats.redelivered;
  queue->stats.queue_wait.Record(now_ - task->ready_time);
  Delivery delivery{.content = task->stored.content,
                    .attempt = task->stored.attempt,
                    .epoch = task->lease.epoch,
                    .failures = task->stored.failures,
                    .crashes = task->stored.crashes};
  APIUM_RETURN_IF_ERROR(AddHandover(*task, &delivery));
  Push(*session, std::move(delivery));
  NotifyWatchers(*task);
  return absl::OkStatus();
}

bool Engine::Impl::IsHeldByLimit(Lane* lane) {
  if (limits_.empty()) return false;
  const LimitInstance* limit = limits_.Blocking(lanes_.LimitsOf(lane), now_);
  if (limit == nullptr) return false;
  // Suspects are few: they are looked at in each turn.
  const absl::Time time = LimitTable::AdmitTime(*limit);
  if (time > now_) suspects_time_ = std::min(suspects_time_, time);
  return true;
}

void Engine::Impl::ChargeLease(LiveTask* task) {
  lanes_.Charge(task);
  if (limits_.empty()) return;
  LimitShare& limits = task->lease.limits;
  limits = LimitTable::Copy(lanes_.LimitsOf(task->chunk->lane));
  limits_.Admit(limits, now_);
  // Where there is room for more than this one, the next lane is looked at.
  for (LimitInstance* instance : limits) {
    if (LimitTable::HoldOf(*instance, now_) == LimitTable::Hold::kNone)
      lanes_.Wake(instance);
  }
}

void Engine::Impl::EndLease(LiveTask* task) {
  lanes_.Settle(task, now_ - task->lease.grant_time);
  LimitShare& limits = task->lease.limits;
  if (!limits.empty()) {
    limits_.Release(limits);
    limits_.Drop(&limits);
  }
  leases_.End(task);
}

bool Engine::Impl::MayRun(const Session& session, const LaneGroup& group,
                          const BreakerTable::ByType* breakers) const {
  if (!session.type_ids.contains(group.type_id)) return false;
  if (!HasLabels(session, group.required_labels)) return false;
  if (breakers == nullptr || group.type_id >= breakers->size()) return true;
  const LiveBreaker* breaker = (*breakers)[group.type_id];
  return breaker == nullptr || !IsHeldByBreaker(*breaker);
}

Lane* Engine::Impl::BestLane(const Session& session, Queue* queue) {
  while (true) {
    Lane* lane = OpenLane(session, queue);
    if (lane == nullptr || limits_.empty()) return lane;
    LimitInstance* limit = limits_.Blocking(lanes_.LimitsOf(lane), now_);
    if (limit == nullptr) return lane;
    // Nobody looks at it before the limit lets one through.
    lanes_.Park(lane, limit);
    limits_.NoteParked(limit, now_);
    // Where another limit had let it through, it is the turn of the next.
    for (LimitInstance* other : lane->limits) {
      if (other->parked_lanes > 0 &&
          LimitTable::HoldOf(*other, now_) == LimitTable::Hold::kNone)
        lanes_.Wake(other);
    }
  }
}

Lane* Engine::Impl::OpenLane(const Session& session, Queue* queue) const {
  if (queue->stored.settings.paused) return nullptr;
  const BreakerTable::ByType* breakers =
      breakers_.OfNamespace(queue->namespace_name);
  Lane* best = nullptr;
  for (const auto& [id, group] : queue->groups) {
    if (group.ready.empty() || !MayRun(session, group, breakers)) continue;
    const auto open = std::find_if(group.ready.begin(), group.ready.end(),
                                   [this](const auto& entry) {
                                     return !lanes_.SuspectsFull(*entry.second);
                                   });
    if (open == group.ready.end()) continue;
    if (best == nullptr || open->first < best->place) best = open->second;
  }
  // The head of this lane is read with the next turn: nothing that may be
  // behind it goes first.
  return best == nullptr || best->window.empty() ? nullptr : best;
}

Lane* Engine::Impl::BestSuspectLane(const Session& session,
                                    const Queue* queue) {
  if (queue->stored.settings.paused) return nullptr;
  const BreakerTable::ByType* breakers =
      breakers_.OfNamespace(queue->namespace_name);
  Lane* best = nullptr;
  for (const auto& [rank, lane] : queue->suspect_lanes) {
    if (best != nullptr && best->id.priority != rank.priority()) break;
    if (!MayRun(session, *lane->group, breakers)) continue;
    if (IsHeldByLimit(lane)) continue;
    const bool older = best == nullptr || IsAhead(*lane->suspects.front(),
                                                  *best->suspects.front());
    if (older) best = lane;
  }
  return best;
}

}  // namespace apium::broker
