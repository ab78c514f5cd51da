#ifndef APIUM_COMMON_RESOURCE_LIMITS_H_
#define APIUM_COMMON_RESOURCE_LIMITS_H_

#include <cstdint>

#include "absl/status/statusor.h"

namespace apium {

// Raises the soft limit of open files (RLIMIT_NOFILE) to the hard one and
// returns it. gRPC 1.51 stops accepting for ever once accept() fails for want
// of a descriptor, so the limit must be far away.
absl::StatusOr<uint64_t> RaiseOpenFilesLimit();

}  // namespace apium

#endif  // APIUM_COMMON_RESOURCE_LIMITS_H_
