// Ordering keys in random histories.

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/simulation/engine_history.h"

namespace apium::broker {

void EngineHistory::AddOrdering(TaskContent* content) {
  if (!Chance(static_cast<int>(ordering_percent_))) return;
  auto placement = std::make_shared<Placement>();
  if (content->placement != nullptr) *placement = *content->placement;
  // A key of one queue, so that redrives out of two do not meet in a line.
  placement->ordering_key = absl::StrCat(content->queue, Below(3));
  placement->ordering_failure_policy =
      static_cast<OrderingFailurePolicy>(1 + Below(3));
  content->placement = std::move(placement);
  // The order of what is not kept is not seen.
  content->result_mode = ResultMode::kKeep;
}

void EngineHistory::AddRelease() {
  ReleaseOrderingKeyCommand release = {.namespace_name = "default",
                                       .queue = RandomQueue()};
  release.ordering_key = absl::StrCat(release.queue, Below(3));
  const auto blocked = model_.BlockedKeys();
  if (!blocked.empty() && Chance(80)) {
    const auto& [queue, key] = blocked[Below(blocked.size())];
    release.queue = queue;
    release.ordering_key = key;
  }
  // A turn of its own, so that it is seen what it does.
  if (!engine_commands_.empty()) RunTurn();
  if (failed()) return;
  release.reply = NewCall();
  Add(std::move(release));
  RunTurn();
}

void EngineHistory::ReleaseAll() {
  for (const auto& [queue, key] : model_.BlockedKeys()) {
    Add(ReleaseOrderingKeyCommand{.reply = NewCall(),
                                  .namespace_name = "default",
                                  .queue = queue,
                                  .ordering_key = key});
  }
}

}  // namespace apium::broker
