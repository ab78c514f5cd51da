// std::string_view where Abseil wants its own. Debian builds Abseil for C++14,
// so absl::string_view is a class of its own there, without conversions to or
// from std::string_view. This code speaks std::string_view; here is the bridge.

#ifndef APIUM_COMMON_STRINGS_H_
#define APIUM_COMMON_STRINGS_H_

#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace apium {

inline absl::string_view AbslView(std::string_view text) {
  return absl::string_view(text.data(), text.size());
}
inline std::string_view StdView(absl::string_view text) {
  return std::string_view(text.data(), text.size());
}

namespace strings_internal {

template <typename T>
const T& ForAbsl(const T& value) {
  return value;
}
inline absl::string_view ForAbsl(const std::string_view& text) {
  return AbslView(text);
}

}  // namespace strings_internal

// absl::StrCat and absl::StrAppend that take std::string_view as well.
template <typename... Args>
std::string StrCat(const Args&... args) {
  return absl::StrCat(strings_internal::ForAbsl(args)...);
}
template <typename... Args>
void StrAppend(std::string* destination, const Args&... args) {
  absl::StrAppend(destination, strings_internal::ForAbsl(args)...);
}

}  // namespace apium

#endif  // APIUM_COMMON_STRINGS_H_
