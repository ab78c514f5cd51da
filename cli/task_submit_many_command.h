#ifndef APIUM_CLI_TASK_SUBMIT_MANY_COMMAND_H_
#define APIUM_CLI_TASK_SUBMIT_MANY_COMMAND_H_

namespace CLI {
class App;
}

namespace apium::cli {

class Session;

// Adds `submit-many` to the command `task`.
void AddTaskSubmitManyCommand(CLI::App* task, Session* session);

}  // namespace apium::cli

#endif  // APIUM_CLI_TASK_SUBMIT_MANY_COMMAND_H_
