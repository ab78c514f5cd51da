#ifndef APIUM_STORAGE_ROCKSDB_FOLDER_H_
#define APIUM_STORAGE_ROCKSDB_FOLDER_H_

#include <string>

#include "absl/status/status.h"

namespace apium {

// Makes the folder with missing parents, if it is not there.
// INVALID_ARGUMENT: the path is empty, or it or a parent is not a folder.
// PERMISSION_DENIED: it cannot be made, read or written. RESOURCE_EXHAUSTED:
// disk full. UNAVAILABLE: the disk fails.
absl::Status MakeStoreFolder(const std::string& path);

// Looks, before RocksDB opens the folder, for what RocksDB does not take as
// damage: it would make a new store over the remains of one that has lost its
// CURRENT file, would open one without its log as if nothing had been in it,
// and see CheckRocksDbLog. Changes nothing. The caller holds the folder's lock,
// as a store that is being written looks damaged. A folder in which a store was
// never completely made is good.
//
// Also wants as much free space as opening needs: a full disk makes RocksDB
// fail late, and Debian's build, which has its assertions on, abort.
//
// DATA_LOSS names the file. RESOURCE_EXHAUSTED: not enough space. UNAVAILABLE:
// the disk fails.
absl::Status CheckStoreFolder(const std::string& path);

}  // namespace apium

#endif  // APIUM_STORAGE_ROCKSDB_FOLDER_H_
