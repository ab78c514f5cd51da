#ifndef APIUM_CLI_DEAD_LETTER_COMMANDS_H_
#define APIUM_CLI_DEAD_LETTER_COMMANDS_H_

namespace CLI {
class App;
}  // namespace CLI

namespace apium::cli {

class Session;

// Adds `apium dead-letter` with what can be done with dead letters.
void AddDeadLetterCommands(CLI::App* app, Session* session);

}  // namespace apium::cli

#endif  // APIUM_CLI_DEAD_LETTER_COMMANDS_H_
