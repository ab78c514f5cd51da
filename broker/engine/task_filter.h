#ifndef APIUM_BROKER_ENGINE_TASK_FILTER_H_
#define APIUM_BROKER_ENGINE_TASK_FILTER_H_

#include "broker/engine/command.h"
#include "broker/engine/task.h"

namespace apium::broker {

// Whether the filter takes tasks in this state.
bool WantsState(const TaskFilter& filter, TaskState state);

// Whether a task with this content, which is in `state`, is meant.
bool Matches(const TaskFilter& filter, const TaskContent& content,
             TaskState state);

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_TASK_FILTER_H_
