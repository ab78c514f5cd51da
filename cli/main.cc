// apium: the command line.

#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "cli/app.h"
#include "cli/environment.h"
#include "cli/exit_code.h"
#include "common/log.h"
#include "common/process_init.h"

namespace {

// Ends at once: a wait or a watch has nothing to clean up. `server dev`
// replaces this by an ordered stop.
void OnInterrupt(int) { _exit(apium::cli::kExitInterrupted); }

}  // namespace

int main(int argc, char** argv) {
  // What a command has to say, it says itself; gRPC's remarks would only be in
  // the way.
  apium::InitProcess({.service = "apium", .level = apium::LogLevel::kError});
  signal(SIGINT, OnInterrupt);
  // As every filter: `apium task watch | head` ends with head.
  signal(SIGPIPE, SIG_DFL);
  const char* no_color = std::getenv("NO_COLOR");
  const apium::cli::Environment environment = {
      .in = &std::cin,
      .out = &std::cout,
      .err = &std::cerr,
      .in_is_terminal = isatty(STDIN_FILENO) == 1,
      .out_is_terminal = isatty(STDOUT_FILENO) == 1,
      .no_color = no_color != nullptr && *no_color != '\0',
  };
  return apium::cli::RunApium(std::vector<std::string>(argv + 1, argv + argc),
                              environment);
}
