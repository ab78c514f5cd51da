// Kinds of option values that CLI11 does not know.

#ifndef APIUM_CLI_OPTION_VALUES_H_
#define APIUM_CLI_OPTION_VALUES_H_

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "absl/time/time.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace apium::cli {

// Each adds an option that leaves `value` alone unless it is given; a bad value
// ends the parsing with a message that names the option, the value and what
// would be right. `value` must outlive the parsing.

// 500ms, 10s, 1h30m; not negative.
CLI::Option* AddDuration(CLI::App* app, const std::string& name,
                         std::optional<absl::Duration>* value,
                         const std::string& help);
// RFC 3339: 2026-01-31T18:00:00Z, 2026-01-31T18:00:00+01:00.
CLI::Option* AddTime(CLI::App* app, const std::string& name,
                     std::optional<absl::Time>* value, const std::string& help);
// NAME=VALUE, repeatable; the last one of a name counts.
CLI::Option* AddPairs(CLI::App* app, const std::string& name,
                      std::map<std::string, std::string>* value,
                      const std::string& help);

// One of the names of `choices`: `take` gets its number.
CLI::Option* AddChoice(CLI::App* app, const std::string& name,
                       const std::map<std::string, int>& choices,
                       std::function<void(int)> take, const std::string& help);

}  // namespace apium::cli

#endif  // APIUM_CLI_OPTION_VALUES_H_
