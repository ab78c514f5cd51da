#ifndef APIUM_BROKER_SERVICE_TASK_CONTROL_FROM_PROTO_H_
#define APIUM_BROKER_SERVICE_TASK_CONTROL_FROM_PROTO_H_

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "broker/engine/command.h"

namespace apium::v1 {
class CancelTasksRequest;
class ListTasksRequest;
class UpdateTaskRequest;
}  // namespace apium::v1

namespace apium::broker {

// Requests that control tasks, as commands without their reply address. Each
// checks every field: INVALID_ARGUMENT / INVALID_FIELD names it. Any thread.

// Headers and times of creation: at most 16 headers.
absl::Status TakeFilterConditions(const v1::ListTasksRequest& request,
                                  TaskFilter* filter);

// Exactly one of ids and filter; a filter of at least one condition.
absl::Status CancelTasksFromProto(const v1::CancelTasksRequest& request,
                                  CancelTasksCommand* command);

// At least one change, none twice. `now` is the wall time.
absl::Status UpdateTaskFromProto(const v1::UpdateTaskRequest& request,
                                 absl::Time now, UpdateTaskCommand* command);

}  // namespace apium::broker

#endif  // APIUM_BROKER_SERVICE_TASK_CONTROL_FROM_PROTO_H_
