#ifndef APIUM_BROKER_SERVICE_TASK_FROM_PROTO_H_
#define APIUM_BROKER_SERVICE_TASK_FROM_PROTO_H_

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "broker/engine/command.h"
#include "broker/engine/task.h"
#include "common/limits.h"

namespace apium::v1 {
class Failure;
class Payload;
class TaskSpec;
}  // namespace apium::v1

namespace apium::broker {

// What an operator can bound.
struct TaskLimits {
  size_t payload_bytes_max = kPayloadBytesDefaultMax;
};

// Checks every field of `spec` and fills `command` but for its reply address.
// Takes the strings out of `spec`, which is of no use afterwards. `now` is the
// wall time. Any thread.
//
// INVALID_ARGUMENT / INVALID_FIELD or PAYLOAD_TOO_LARGE, UNIMPLEMENTED /
// NOT_IMPLEMENTED: the field ("spec.priority"), its value, and what would be
// right.
absl::Status SubmitFromProto(const TaskLimits& limits,
                             const std::string& namespace_name, absl::Time now,
                             v1::TaskSpec* spec, SubmitCommand* command);

// Memory that a content holds, about.
size_t ContentBytes(const TaskContent& content);

// The name in a request, "default" where it is empty. INVALID_ARGUMENT when
// malformed; whether it exists is for the engine to say.
absl::StatusOr<std::string> NamespaceFromProto(const std::string& value);

// Checks a task id in a request.
absl::Status CheckTaskId(const std::string& task_id);

// Takes the strings out of `proto`. INVALID_ARGUMENT as above; the size is not
// checked.
absl::Status PayloadFromProto(const char* field, v1::Payload* proto,
                              Payload* payload);

// Takes the strings out of `proto`; cuts what is too long, because a failure
// must get through however it is told.
Failure FailureFromProto(v1::Failure* proto);

// `text` cut to what a reason, a message or a description for people may have.
std::string CutReason(std::string&& text);

}  // namespace apium::broker

#endif  // APIUM_BROKER_SERVICE_TASK_FROM_PROTO_H_
