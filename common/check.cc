#include "common/check.h"

#include <cstdio>
#include <cstdlib>
#include <string>

namespace apium::check_internal {

Failure::Failure(const char* file, int line, const char* condition) {
  stream_ << file << ":" << line << ": check failed: " << condition << ": ";
}

Failure::~Failure() {
  // Straight to stderr: the logger may be the thing that is broken.
  const std::string message = stream_.str();
  std::fprintf(stderr, "%s\n", message.c_str());
  std::fflush(stderr);
  std::abort();
}

}  // namespace apium::check_internal
