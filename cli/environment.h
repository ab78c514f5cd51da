#ifndef APIUM_CLI_ENVIRONMENT_H_
#define APIUM_CLI_ENVIRONMENT_H_

#include <istream>
#include <ostream>

namespace apium::cli {

// Where the command line reads and writes. Streams are borrowed.
struct Environment {
  std::istream* in = nullptr;
  std::ostream* out = nullptr;  // data
  std::ostream* err = nullptr;  // messages
  bool in_is_terminal = false;
  bool out_is_terminal = false;
  bool no_color = false;  // NO_COLOR is set
};

}  // namespace apium::cli

#endif  // APIUM_CLI_ENVIRONMENT_H_
