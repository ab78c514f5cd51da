// apium task cancel, update, run-now, forget, count.

#ifndef APIUM_CLI_TASK_CONTROL_COMMANDS_H_
#define APIUM_CLI_TASK_CONTROL_COMMANDS_H_

#include <string>

#include "absl/status/statusor.h"
#include "apium/v1/task.pb.h"

namespace CLI {
class App;
}

namespace apium::cli {

class Session;

// Below `apium task`.
void AddTaskCancelCommand(CLI::App* task, Session* session);
void AddTaskControlCommands(CLI::App* task, Session* session);

// The value of a --state option. INVALID_ARGUMENT names the states.
absl::StatusOr<v1::TaskState> StateOption(const std::string& name);

}  // namespace apium::cli

#endif  // APIUM_CLI_TASK_CONTROL_COMMANDS_H_
