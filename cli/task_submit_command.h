#ifndef APIUM_CLI_TASK_SUBMIT_COMMAND_H_
#define APIUM_CLI_TASK_SUBMIT_COMMAND_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "apium/v1/task.pb.h"

namespace CLI {
class App;
}

namespace apium::cli {

class Session;

// Adds `submit` to the command `task`.
void AddTaskSubmitCommand(CLI::App* task, Session* session);

// Prints a finished task as `wait` and `submit --wait` do. The exit code tells
// whether it succeeded.
absl::StatusOr<int> ReportFinishedTask(const v1::Task& task, bool raw,
                                       Session* session);

}  // namespace apium::cli

#endif  // APIUM_CLI_TASK_SUBMIT_COMMAND_H_
