#ifndef APIUM_STORAGE_ROCKSDB_STATUS_H_
#define APIUM_STORAGE_ROCKSDB_STATUS_H_

#include <string>

#include "absl/status/status.h"

namespace rocksdb {
class Status;
}  // namespace rocksdb

namespace apium {

// Translates what RocksDB says of the store in `folder`, for everybody who
// calls RocksDB. The messages name the folder, keep RocksDB's words (they name
// the file) and say what to do.
//
//   Corruption, or a file that should be there is not  DATA_LOSS
//   no space, no memory, too many open files           RESOURCE_EXHAUSTED
//   the lock of the folder is held                     FAILED_PRECONDITION
//   permission denied, read-only file system           PERMISSION_DENIED
//   NotFound                                           NOT_FOUND
//   InvalidArgument, NotSupported                      INVALID_ARGUMENT
//   any other failure of the disk, shutdown            UNAVAILABLE
absl::Status FromRocksDbStatus(const rocksdb::Status& status,
                               const std::string& folder);

// DATA_LOSS: `damage` says what is wrong with which file.
absl::Status DamagedStoreError(const std::string& folder,
                               const std::string& damage);

}  // namespace apium

#endif  // APIUM_STORAGE_ROCKSDB_STATUS_H_
