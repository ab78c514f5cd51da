#ifndef APIUM_COMMON_GLOB_H_
#define APIUM_COMMON_GLOB_H_

#include <string_view>

namespace apium {

// Whether `text` as a whole is of the form `pattern`: "*" stands for any
// characters, none included, "?" for exactly one (byte), and every other
// character for itself; there is no way to ask for a "*" or "?" in the text.
// Takes at most as many steps as the product of both lengths, whatever the
// pattern. Any thread.
bool GlobMatch(std::string_view pattern, std::string_view text);

}  // namespace apium

#endif  // APIUM_COMMON_GLOB_H_
