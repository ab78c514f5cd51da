#ifndef APIUM_CLI_WORKER_COMMANDS_H_
#define APIUM_CLI_WORKER_COMMANDS_H_

namespace CLI {
class App;
}

namespace apium::cli {

class Session;

// Adds `worker list|drain`.
void AddWorkerCommands(CLI::App* app, Session* session);

}  // namespace apium::cli

#endif  // APIUM_CLI_WORKER_COMMANDS_H_
