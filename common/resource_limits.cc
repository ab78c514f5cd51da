#include "common/resource_limits.h"

#include <string.h>
#include <sys/resource.h>

#include <cerrno>

#include "common/strings.h"

namespace apium {

absl::StatusOr<uint64_t> RaiseOpenFilesLimit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return absl::InternalError(
        StrCat("cannot read the limit of open files: ", strerror(errno)));
  }
  if (limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
      return absl::FailedPreconditionError(
          StrCat("cannot raise the limit of open files to ", limit.rlim_max,
                 ": ", strerror(errno)));
    }
  }
  return limit.rlim_cur;
}

}  // namespace apium
