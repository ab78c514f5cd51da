#include "broker/engine/task_history.h"

#include <cstddef>
#include <memory>
#include <utility>

#include "common/utf8.h"

namespace apium::broker {
namespace {

// As documented in apium/v1/task.proto.
constexpr size_t kEventsMax = 64;
constexpr size_t kOldStackBytes = 4 * 1024;

}  // namespace

void AddEvent(TaskEvent event, TaskHistory* history) {
  auto& events = history->events;
  if (!events.empty()) {
    std::shared_ptr<const Failure>& failure = events.back().failure;
    if (failure != nullptr && failure->stack.size() > kOldStackBytes) {
      auto cut = std::make_shared<Failure>(*failure);
      cut->stack = ToValidUtf8(cut->stack, kOldStackBytes);
      failure = std::move(cut);
    }
  }
  if (events.size() == kEventsMax) {
    events.erase(events.begin());
    ++history->dropped;
  }
  events.push_back(std::move(event));
}

}  // namespace apium::broker
