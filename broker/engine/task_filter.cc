#include "broker/engine/task_filter.h"

#include <algorithm>
#include <string>
#include <utility>

namespace apium::broker {
namespace {

// The headers of a content are sorted by name.
bool HasHeader(const TaskContent& content,
               const std::pair<std::string, std::string>& header) {
  return std::binary_search(content.headers.begin(), content.headers.end(),
                            header);
}

}  // namespace

bool WantsState(const TaskFilter& filter, TaskState state) {
  return filter.states.empty() ||
         std::find(filter.states.begin(), filter.states.end(), state) !=
             filter.states.end();
}

bool Matches(const TaskFilter& filter, const TaskContent& content,
             TaskState state) {
  return WantsState(filter, state) &&
         content.namespace_name == filter.namespace_name &&
         (filter.queue.empty() || content.queue == filter.queue) &&
         (filter.type.empty() || content.type == filter.type) &&
         content.create_time >= filter.created_after &&
         content.create_time < filter.created_before &&
         std::all_of(
             filter.headers.begin(), filter.headers.end(),
             [&](const auto& header) { return HasHeader(content, header); });
}

}  // namespace apium::broker
