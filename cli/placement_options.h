// Options of a submit that say where a task runs, and among which others.

#ifndef APIUM_CLI_PLACEMENT_OPTIONS_H_
#define APIUM_CLI_PLACEMENT_OPTIONS_H_

#include <string>

#include "client/submit_options.h"

namespace CLI {
class App;
}

namespace apium::cli {

// Adds --queue, --exchange and --routing-key. All must outlive the parsing, as
// below.
void AddRouteOptions(CLI::App* submit, std::string* queue,
                     std::string* exchange, std::string* routing_key);

// Adds what TaskSpec says of sharing, order, workers and limits.
void AddPlacementOptions(CLI::App* submit, SubmitPlacementOptions* placement);

}  // namespace apium::cli

#endif  // APIUM_CLI_PLACEMENT_OPTIONS_H_
