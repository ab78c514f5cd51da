#ifndef APIUM_CLI_ROUTE_COMMANDS_H_
#define APIUM_CLI_ROUTE_COMMANDS_H_

namespace CLI {
class App;
}

namespace apium::cli {

class Session;

// route set|list|resolve
void AddRouteCommands(CLI::App* app, Session* session);

}  // namespace apium::cli

#endif  // APIUM_CLI_ROUTE_COMMANDS_H_
