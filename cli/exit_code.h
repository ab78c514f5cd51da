#ifndef APIUM_CLI_EXIT_CODE_H_
#define APIUM_CLI_EXIT_CODE_H_

#include "absl/status/status.h"

namespace apium::cli {

// What `apium` tells the shell. Part of its interface: scripts compare them.
inline constexpr int kExitOk = 0;
inline constexpr int kExitError = 1;
inline constexpr int kExitUsage =
    2;  // the command line, or a value on it, is wrong
inline constexpr int kExitNotFound = 3;
inline constexpr int kExitConflict =
    4;  // it exists already, or its state forbids it
inline constexpr int kExitUnavailable =
    5;  // not reachable, starting, or full: later it may work
inline constexpr int kExitTimeout = 6;
inline constexpr int kExitPermission = 7;
inline constexpr int kExitTaskFailed =
    8;  // the task that was waited for did not succeed
inline constexpr int kExitInterrupted = 130;  // Ctrl-C

int ExitCodeFor(const absl::Status& status);

}  // namespace apium::cli

#endif  // APIUM_CLI_EXIT_CODE_H_
