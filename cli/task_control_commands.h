// apium task cancel, update, run-now, forget, count.

#ifndef APIUM_CLI_TASK_CONTROL_COMMANDS_H_
#define APIUM_CLI_TASK_CONTROL_COMMANDS_H_

namespace CLI {
class App;
}

namespace apium::cli {

class Session;

// Below `apium task`.
void AddTaskCancelCommand(CLI::App* task, Session* session);
void AddTaskControlCommands(CLI::App* task, Session* session);

}  // namespace apium::cli

#endif  // APIUM_CLI_TASK_CONTROL_COMMANDS_H_
