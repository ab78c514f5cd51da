#ifndef APIUM_STORAGE_DISK_SPACE_H_
#define APIUM_STORAGE_DISK_SPACE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace apium {

struct DiskSpace {
  uint64_t free_bytes = 0;  // what this process may still write, without the
                            // part reserved for root
  uint64_t total_bytes = 0;
};

// Space of the file system that holds `path`, an existing file or folder. Any
// thread. NOT_FOUND: no such path. PERMISSION_DENIED. UNAVAILABLE: any other
// failure.
absl::StatusOr<DiskSpace> GetDiskSpace(const std::string& path);

}  // namespace apium

#endif  // APIUM_STORAGE_DISK_SPACE_H_
