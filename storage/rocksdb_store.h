#ifndef APIUM_STORAGE_ROCKSDB_STORE_H_
#define APIUM_STORAGE_ROCKSDB_STORE_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "storage/store.h"

namespace apium {

struct RocksDbOptions {
  // Folder of the store. It is created, with missing parents; a new store is made in an empty one.
  std::string path;

  // Rows are collected in a memtable of this size before they go to a file. At most `max_memtables` exist at a time,
  // so that up to memtable_bytes * max_memtables of memory goes to them; writes wait when all are full.
  size_t memtable_bytes = 32 << 20;
  int max_memtables = 4;

  // Blocks read from files, with the files' indexes and filters.
  size_t block_cache_bytes = 32 << 20;

  // Files that are kept open at the same time.
  int max_open_files = 256;

  // When set: compaction drops each row for which it returns true, as if it had been deleted. Must be pure: it is called on
  // RocksDB's compaction threads, in any order and any number of times, and a row for which it was once true must not be
  // needed again. A dropped row may stay readable for about `drop_within` after it qualifies, so readers check by themselves.
  std::function<bool(std::string_view key, std::string_view value)> should_drop;
  absl::Duration drop_within = absl::Hours(12);  // at least 1 s
};

// A Store on RocksDB: the log is written by Write and synced by Sync. The class is thread-safe as Store says.
class RocksDbStore : public Store {
 public:
  // Opens or makes the store, taking its folder for this process.
  //   INVALID_ARGUMENT     the path is empty or not a folder, or another option is out of range
  //   PERMISSION_DENIED    the folder cannot be read or written
  //   FAILED_PRECONDITION  the folder is in use, by another process or by this one
  //   RESOURCE_EXHAUSTED   disk full, or no more file descriptors
  //   DATA_LOSS            what is stored is damaged; no data was changed. The tail of the last log that a crash has left
  //                        unfinished is not damage: it was never acknowledged
  //   UNAVAILABLE          the disk fails
  static absl::StatusOr<std::unique_ptr<RocksDbStore>> Open(const RocksDbOptions& options);

  // Syncs, writes the memtables to files so that the next Open is quick, and closes. No other call may be running.
  ~RocksDbStore() override = default;

  // Reads every table file and compares the checksums. DATA_LOSS names the first damaged file. Any thread; slow.
  virtual absl::Status VerifyChecksums() const = 0;

  // Writes the memtables to files, then rewrites all files, so that deleted and dropped rows are gone. Any thread; slow.
  virtual absl::Status Compact() = 0;
};

}  // namespace apium

#endif  // APIUM_STORAGE_ROCKSDB_STORE_H_
