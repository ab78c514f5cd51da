#ifndef APIUM_CLI_BATCH_COMMANDS_H_
#define APIUM_CLI_BATCH_COMMANDS_H_

namespace CLI {
class App;
}

namespace apium::cli {

class Session;

// Adds `batch create|close|get|list`.
void AddBatchCommands(CLI::App* app, Session* session);

}  // namespace apium::cli

#endif  // APIUM_CLI_BATCH_COMMANDS_H_
