// Completion scripts for shells, made from the tree of commands.

#ifndef APIUM_CLI_COMPLETION_H_
#define APIUM_CLI_COMPLETION_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace CLI {
class App;
}

namespace apium::cli {

// The script for "bash", "zsh" or "fish"; INVALID_ARGUMENT for another shell.
// `root` is the fully described command line; its name is the program's.
absl::StatusOr<std::string> CompletionScript(const CLI::App& root,
                                             std::string_view shell);

}  // namespace apium::cli

#endif  // APIUM_CLI_COMPLETION_H_
