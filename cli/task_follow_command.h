#ifndef APIUM_CLI_TASK_FOLLOW_COMMAND_H_
#define APIUM_CLI_TASK_FOLLOW_COMMAND_H_

namespace CLI {
class App;
}  // namespace CLI

namespace apium::cli {

class Session;

// Adds `task follow`.
void AddTaskFollowCommand(CLI::App* task, Session* session);

}  // namespace apium::cli

#endif  // APIUM_CLI_TASK_FOLLOW_COMMAND_H_
