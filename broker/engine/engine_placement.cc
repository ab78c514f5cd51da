// Labels, preferences, stickiness.

#include <string_view>

#include "broker/engine/engine_impl.h"
#include "broker/engine/worker_labels.h"

namespace apium::broker {

Session* Engine::Impl::PreferredSession(const LiveTask& task, const Lane* lane,
                                        Queue* queue, Session* first) {
  const Placement* placement = task.content().placement.get();
  const bool prefers =
      placement != nullptr && !task.stored.suspect &&
      !(placement->preferred_labels.empty() && placement->sticky_key.empty());
  if (!prefers) return first;
  const std::string_view sticky_worker =
      sticky_workers_.WorkerOf(task.content());
  const auto score = [&](const Session& session) {
    const size_t labels = CountLabels(session, placement->preferred_labels);
    const bool sticky =
        !sticky_worker.empty() && session.worker_id == sticky_worker;
    return labels + (sticky ? placement->preferred_labels.size() + 1 : 0);
  };
  Session* best = first;
  size_t most = score(*first);
  for (const auto& [number, session] : sessions_.all()) {
    const bool can_have_it = session->takes_tasks() &&
                             number != reserved_session_ &&
                             session->TakesFrom(queue);
    if (!can_have_it) continue;
    const size_t points = score(*session);
    // Nothing that the other one is to get before it may be overtaken.
    if (points <= most || BestLane(*session, queue) != lane) continue;
    best = session.get();
    most = points;
  }
  return best;
}

}  // namespace apium::broker
