#ifndef APIUM_CLI_TASK_COMMANDS_H_
#define APIUM_CLI_TASK_COMMANDS_H_

namespace CLI {
class App;
}

namespace apium::cli {

class Session;

// Adds `task submit|get|wait|list|cancel|watch`.
void AddTaskCommands(CLI::App* app, Session* session);

}  // namespace apium::cli

#endif  // APIUM_CLI_TASK_COMMANDS_H_
