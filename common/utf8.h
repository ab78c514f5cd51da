#ifndef APIUM_COMMON_UTF8_H_
#define APIUM_COMMON_UTF8_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace apium {

// Whether `text` is well-formed UTF-8 (no overlong forms, no surrogates).
bool IsValidUtf8(std::string_view text);

// `text` with each byte that is not part of a well-formed character replaced by
// '?', cut at a character boundary to at most `bytes_max` bytes (with "..." as
// the last three if something was cut). Protobuf strings and JSON need it.
std::string ToValidUtf8(std::string_view text,
                        size_t bytes_max = std::string_view::npos);

}  // namespace apium

#endif  // APIUM_COMMON_UTF8_H_
