// What holds tasks up, as people read it.

#ifndef APIUM_CLI_WAIT_REASON_TEXT_H_
#define APIUM_CLI_WAIT_REASON_TEXT_H_

#include <google/protobuf/repeated_ptr_field.h>

#include <string>

#include "apium/v1/explain.pb.h"
#include "cli/output.h"

namespace apium::cli {

// "rate_limit" for WAIT_REASON_KIND_RATE_LIMIT, as in the metric.
std::string WaitReasonName(v1::WaitReasonKind kind);

using WaitReasons = google::protobuf::RepeatedPtrField<v1::WaitReason>;

// A line for each reason of a task; names only if quiet.
void PrintTaskReasons(const WaitReasons& reasons, const Output& output);
// The same of a queue, with numbers of tasks and how long they have waited.
void PrintQueueReasons(const WaitReasons& reasons, const Output& output);

}  // namespace apium::cli

#endif  // APIUM_CLI_WAIT_REASON_TEXT_H_
