#ifndef APIUM_CLI_LIMIT_COMMANDS_H_
#define APIUM_CLI_LIMIT_COMMANDS_H_

namespace CLI {
class App;
}  // namespace CLI

namespace apium::cli {

class Session;

// apium limit ...: how many tasks run at a time, and how many start in a time.
// `session` outlives the parsing.
void AddLimitCommands(CLI::App* app, Session* session);

}  // namespace apium::cli

#endif  // APIUM_CLI_LIMIT_COMMANDS_H_
