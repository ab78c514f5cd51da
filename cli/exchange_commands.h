#ifndef APIUM_CLI_EXCHANGE_COMMANDS_H_
#define APIUM_CLI_EXCHANGE_COMMANDS_H_

namespace CLI {
class App;
}

namespace apium::cli {

class Session;

// exchange create|get|list|update|delete|bind|unbind|bindings
void AddExchangeCommands(CLI::App* app, Session* session);

}  // namespace apium::cli

#endif  // APIUM_CLI_EXCHANGE_COMMANDS_H_
