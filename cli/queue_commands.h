#ifndef APIUM_CLI_QUEUE_COMMANDS_H_
#define APIUM_CLI_QUEUE_COMMANDS_H_

namespace CLI {
class App;
}

namespace apium::cli {

class Session;

// Adds `queue list|get|create|update|delete|pause|resume|purge`.
void AddQueueCommands(CLI::App* app, Session* session);

}  // namespace apium::cli

#endif  // APIUM_CLI_QUEUE_COMMANDS_H_
