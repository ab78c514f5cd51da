// Tasks as people read them.

#ifndef APIUM_CLI_TASK_TEXT_H_
#define APIUM_CLI_TASK_TEXT_H_

#include <google/protobuf/duration.pb.h>
#include <google/protobuf/repeated_ptr_field.h>
#include <google/protobuf/timestamp.pb.h>

#include <optional>
#include <string>
#include <string_view>

#include "apium/v1/task.pb.h"
#include "cli/output.h"

namespace apium::cli {

// "SUCCEEDED" for TASK_STATE_SUCCEEDED.
std::string StateName(v1::TaskState state);
// The reverse, in any case: "succeeded". Nothing if there is no such state.
std::optional<v1::TaskState> StateFromName(std::string_view name);
// All names, for messages: "BLOCKED, SCHEDULED, ...".
std::string StateNames();

// "2026-01-31T18:00:00Z"; empty for a message that is not set (seconds and
// nanos 0).
std::string TimeText(const google::protobuf::Timestamp& time);

// "1m30s".
std::string DurationText(const google::protobuf::Duration& duration);
// The same to the second, or to the millisecond below 10 s.
std::string RoughDurationText(const google::protobuf::Duration& duration);

// Payload data for a line: JSON and text as they are, cut at 1,000 bytes; of
// other data only size and type.
std::string PayloadText(const v1::Payload& payload);

// A line for each task; ids only if quiet.
void PrintTaskTable(const google::protobuf::RepeatedPtrField<v1::Task>& tasks,
                    const Output& output);
// Everything about a task.
void PrintTaskDetails(const v1::Task& task, const Output& output);
// One line for a change, as `task watch` prints it.
void PrintTaskLine(const v1::Task& task, const Output& output);
void PrintOutcomeLine(const v1::TaskOutcome& outcome, const Output& output);

// What a finished task returned, as bytes, with a line end if it is text
// without one. Bytes that are no text are not written to a terminal, unless
// `raw`: then a remark says so.
void PrintResult(const v1::TaskOutcome& outcome, bool raw, bool to_terminal,
                 const Output& output);

}  // namespace apium::cli

#endif  // APIUM_CLI_TASK_TEXT_H_
