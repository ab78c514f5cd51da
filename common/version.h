// The version of this build.

#ifndef APIUM_COMMON_VERSION_H_
#define APIUM_COMMON_VERSION_H_

#include <string_view>

namespace apium {

inline constexpr std::string_view kVersion = "0.1.0";

// The compiler and its version, for build information.
inline constexpr std::string_view kCompiler = __VERSION__;

}  // namespace apium

#endif  // APIUM_COMMON_VERSION_H_
