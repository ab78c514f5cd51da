#ifndef APIUM_CLI_SERVER_COMMANDS_H_
#define APIUM_CLI_SERVER_COMMANDS_H_

namespace CLI {
class App;
}

namespace apium::cli {

class Session;

// Adds `server check|info|dev`.
void AddServerCommands(CLI::App* app, Session* session);

}  // namespace apium::cli

#endif  // APIUM_CLI_SERVER_COMMANDS_H_
