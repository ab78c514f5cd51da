// Which worker gets which task.

#include <cstddef>
#include <utility>

#include "broker/engine/engine_impl.h"
#include "common/status_macros.h"

namespace apium::broker {
namespace {

// Deliveries of one turn: what a turn writes and holds back until its sync is
// bounded.
constexpr size_t kDeliveriesPerTurn = 8192;

}  // namespace

absl::Status Engine::Impl::Dispatch() {
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

bool Engine::Impl::SuspectsWaitFor(const Session& session) const {
  for (const Queue* queue : session.queues) {
    if (BestSuspectLane(session, queue) != nullptr) return true;
  }
  return false;
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

absl::StatusOr<bool> Engine::Impl::DispatchOne(Session* session) {
  const bool reserved = session->number == reserved_session_;
  for (size_t i = 0; i < session->queues.size(); ++i) {
    Queue* queue =
        session->queues[session->next_queue++ % session->queues.size()];
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
      if (task == nullptr) break;
      if (IsLate(*task)) {
        APIUM_RETURN_IF_ERROR(EndLateTask(task));
        continue;
      }
      APIUM_ASSIGN_OR_RETURN(const bool cancelled, CancelOnTheMove(task));
      if (cancelled) continue;
      APIUM_RETURN_IF_ERROR(Deliver(task, session, queue));
      return true;
    }
  }
  return false;
}

absl::Status Engine::Impl::Deliver(LiveTask* task, Session* session,
                                   Queue* queue) {
  const bool redelivery = task->stored.attempt > 0;
  lanes_.Take(task);
  leases_.Grant(task, session, now_);
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

bool Engine::Impl::MayRun(const Session& session, const LaneRank& rank,
                          const BreakerTable::ByType* breakers) const {
  if (!session.type_ids.contains(rank.type_id)) return false;
  if (breakers == nullptr || rank.type_id >= breakers->size()) return true;
  const LiveBreaker* breaker = (*breakers)[rank.type_id];
  return breaker == nullptr || !IsHeldByBreaker(*breaker);
}

Lane* Engine::Impl::BestLane(const Session& session, Queue* queue) const {
  if (queue->stored.settings.paused) return nullptr;
  const BreakerTable::ByType* breakers =
      breakers_.OfNamespace(queue->namespace_name);
  Lane* best = nullptr;
  for (const auto& [rank, lane] : queue->ready_lanes) {
    if (best != nullptr && best->id.priority != rank.priority()) break;
    if (!MayRun(session, rank, breakers)) continue;
    if (lanes_.SuspectsFull(*lane)) continue;
    // The head of this lane is read with the next turn: nothing that may be
    // behind it goes first.
    if (lane->window.empty()) return nullptr;
    const bool older = best == nullptr ||
                       IsAhead(*lane->window.front(), *best->window.front());
    if (older) best = lane;
  }
  return best;
}

Lane* Engine::Impl::BestSuspectLane(const Session& session,
                                    const Queue* queue) const {
  if (queue->stored.settings.paused) return nullptr;
  const BreakerTable::ByType* breakers =
      breakers_.OfNamespace(queue->namespace_name);
  Lane* best = nullptr;
  for (const auto& [rank, lane] : queue->suspect_lanes) {
    if (best != nullptr && best->id.priority != rank.priority()) break;
    if (!MayRun(session, rank, breakers)) continue;
    const bool older = best == nullptr || IsAhead(*lane->suspects.front(),
                                                  *best->suspects.front());
    if (older) best = lane;
  }
  return best;
}

}  // namespace apium::broker
