#ifndef APIUM_BROKER_ENGINE_ORDERING_H_
#define APIUM_BROKER_ENGINE_ORDERING_H_

#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "broker/engine/task.h"

namespace apium::broker {

// Whether the task runs in order with others.
inline bool IsOrdered(const TaskContent& content) {
  return content.placement != nullptr &&
         !content.placement->ordering_key.empty();
}

// Where a task waits that is not the first of its ordering key.
struct OrderingPlace {
  // The key is blocked by a task that failed.
  bool blocked = false;
  absl::Time blocked_since = absl::InfinitePast();
  // The one that the others wait for: the first of the line, or the one that
  // failed. Empty: those before it are on their way.
  std::string first_task_id;
  uint64_t ahead = 0;  // tasks before it
  bool estimate = false;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_ORDERING_H_
