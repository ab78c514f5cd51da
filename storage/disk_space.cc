#include "storage/disk_space.h"

#include <sys/statvfs.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace apium {

absl::StatusOr<DiskSpace> GetDiskSpace(const std::string& path) {
  struct statvfs file_system {};
  int result;
  do {
    result = statvfs(path.c_str(), &file_system);
  } while (result != 0 && errno == EINTR);
  if (result != 0) {
    const int error = errno;
    const std::string message = absl::StrCat("cannot read the disk space of ",
                                             path, ": ", std::strerror(error));
    if (error == ENOENT || error == ENOTDIR) {
      return absl::NotFoundError(message);
    }
    if (error == EACCES) return absl::PermissionDeniedError(message);
    return absl::UnavailableError(message);
  }
  const uint64_t block_bytes = file_system.f_frsize;
  return DiskSpace{.free_bytes = block_bytes * file_system.f_bavail,
                   .total_bytes = block_bytes * file_system.f_blocks};
}

}  // namespace apium
