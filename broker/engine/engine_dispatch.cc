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
  // Sessions take one task each, in turn, so that equal workers get equal
  // shares.
  size_t budget = kDeliveriesPerTurn;
  bool progress = true;
  const auto& all = sessions_.all();
  while (progress && lanes_.ready_lanes() > 0) {
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
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> Engine::Impl::DispatchOne(Session* session) {
  for (size_t i = 0; i < session->queues.size(); ++i) {
    Queue* queue =
        session->queues[session->next_queue++ % session->queues.size()];
    while (Lane* lane = BestLane(*session, queue)) {
      LiveTask* task = lane->window.front();
      if (task->content().expire_time <= now_) {
        APIUM_RETURN_IF_ERROR(Finish(task, {.state = TaskState::kExpired}));
        continue;
      }
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
                        .failures = task->stored.failures};
      APIUM_RETURN_IF_ERROR(AddHandover(*task, &delivery));
      Push(*session, std::move(delivery));
      NotifyWatchers(*task);
      return true;
    }
  }
  return false;
}

Lane* Engine::Impl::BestLane(const Session& session, Queue* queue) const {
  if (queue->stored.paused) return nullptr;
  const BreakerTable::ByType* breakers =
      breakers_.OfNamespace(queue->namespace_name);
  Lane* best = nullptr;
  for (const auto& [rank, lane] : queue->ready_lanes) {
    if (best != nullptr && best->id.priority != rank.priority()) break;
    if (!session.type_ids.contains(rank.type_id)) continue;
    if (breakers != nullptr && rank.type_id < breakers->size()) {
      const LiveBreaker* breaker = (*breakers)[rank.type_id];
      if (breaker != nullptr && IsHeldByBreaker(*breaker)) continue;
    }
    // The head of this lane is read with the next turn: nothing that may be
    // behind it goes first.
    if (lane->window.empty()) return nullptr;
    const bool older = best == nullptr ||
                       IsAhead(*lane->window.front(), *best->window.front());
    if (older) best = lane;
  }
  return best;
}

}  // namespace apium::broker
