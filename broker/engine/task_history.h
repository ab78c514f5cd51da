#ifndef APIUM_BROKER_ENGINE_TASK_HISTORY_H_
#define APIUM_BROKER_ENGINE_TASK_HISTORY_H_

#include "broker/engine/task.h"

namespace apium::broker {

// Adds an event behind the others. The oldest goes when there are too many, and
// the stacks of all but the newest are cut: a history is at most some 600 KiB,
// and mostly nothing.
void AddEvent(TaskEvent event, TaskHistory* history);

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_TASK_HISTORY_H_
