#ifndef APIUM_CLI_TYPE_COMMANDS_H_
#define APIUM_CLI_TYPE_COMMANDS_H_

namespace CLI {
class App;
}  // namespace CLI

namespace apium::cli {

class Session;

// Adds `apium type` with what holds for all tasks of a type.
void AddTypeCommands(CLI::App* app, Session* session);

}  // namespace apium::cli

#endif  // APIUM_CLI_TYPE_COMMANDS_H_
