// The command `apium`.

#ifndef APIUM_CLI_APP_H_
#define APIUM_CLI_APP_H_

#include <string>
#include <vector>

#include "cli/environment.h"

namespace apium::cli {

// Runs one command line (without the program's name) and returns its exit code
// (cli/exit_code.h). Reads the environment variables that the options name.
int RunApium(std::vector<std::string> arguments,
             const Environment& environment);

}  // namespace apium::cli

#endif  // APIUM_CLI_APP_H_
