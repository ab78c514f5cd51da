#ifndef APIUM_STORAGE_ROCKSDB_STORE_H_
#define APIUM_STORAGE_ROCKSDB_STORE_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "storage/store.h"

namespace rocksdb {
class DB;
class Statistics;
class Status;
}  // namespace rocksdb

namespace apium {

struct RocksDbOptions {
  // Folder of the store. It is created, with missing parents; a new store is
  // made where there is none.
  std::string path;

  // Rows are collected in a memtable of this size (at least 64 KiB) before they
  // go to a file. At most `max_memtables` (2 or more) exist at a time, so that
  // up to memtable_bytes * max_memtables of memory goes to them; writes wait
  // when all are full.
  size_t memtable_bytes = 32 << 20;
  int max_memtables = 4;

  // Memory for blocks read from files, with the files' indexes and filters.
  size_t block_cache_bytes = 32 << 20;

  // Files that are kept open at the same time, 32 or more.
  int max_open_files = 256;

  // When set: compaction drops each row for which it returns true, as if it had
  // been deleted. Must be pure: it is called on RocksDB's compaction threads,
  // in any order and any number of times, until the store is destroyed. A row
  // for which it was once true may be gone at any time, and may stay readable
  // for about `drop_within` (1 s or more) of a store that is written to; so
  // readers check by themselves. Never called for the storage layer's own rows.
  std::function<bool(std::string_view key, std::string_view value)> should_drop;
  absl::Duration drop_within = absl::Hours(12);
};

// A Store on RocksDB: Write appends to its log, Sync syncs the log. Threads as
// Store says.
class RocksDbStore final : public Store {
 public:
  // Opens or makes the store and takes its folder for this process, until the
  // object is destroyed.
  //   INVALID_ARGUMENT     the path is empty or not a folder, or another option
  //   is out of range PERMISSION_DENIED    the folder cannot be made, read or
  //   written FAILED_PRECONDITION  the folder is in use, by another process or
  //   by this one RESOURCE_EXHAUSTED   disk full, or too many open files
  //   DATA_LOSS            what is stored is damaged or incomplete; no data was
  //   changed. A last log whose end a crash has
  //                        left unfinished is not damaged: what is missing
  //                        there was never synced
  //   UNAVAILABLE          the disk fails
  static absl::StatusOr<std::unique_ptr<RocksDbStore>> Open(
      const RocksDbOptions& options);

  // Writes the memtables to files so that the next Open is quick, and closes;
  // after a failed Write or Sync only closes. No other call may be running.
  ~RocksDbStore() override;

  absl::Status Get(std::string_view key, std::string* value) const override;
  absl::Status MultiGet(
      absl::Span<const std::string> keys,
      std::vector<std::optional<std::string>>* values) const override;
  absl::Status Scan(
      std::string_view begin, std::string_view end,
      absl::FunctionRef<bool(std::string_view key, std::string_view value)>
          visit) const override;
  absl::Status Write(const StoreBatch& batch) override;
  absl::Status Sync() override;
  StoreStats GetStats() const override;

  // Reads every file and compares the checksums. DATA_LOSS names the first
  // damaged file. Any thread; slow.
  absl::Status VerifyChecksums() const;

  // Writes the memtables to files, then rewrites all files, so that deleted and
  // dropped rows are gone. Any thread; slow.
  absl::Status Compact();

 private:
  class DropFilter;
  class InsertHint;

  // What the database calls back into until it is closed.
  struct Callbacks {
    std::shared_ptr<InsertHint> insert_hint;
    std::unique_ptr<DropFilter> drop_filter;
    std::shared_ptr<rocksdb::Statistics> statistics;
  };

  RocksDbStore(std::string path, Callbacks callbacks,
               std::unique_ptr<rocksdb::DB> db);

  // OK, or the error that ended Write and Sync.
  absl::Status failure() const ABSL_LOCKS_EXCLUDED(failure_mu_);
  // Translates the end of a Write or a Sync and remembers the first error.
  absl::Status Conclude(const rocksdb::Status& status)
      ABSL_LOCKS_EXCLUDED(failure_mu_);

  const std::string path_;
  const Callbacks callbacks_;  // outlives db_
  const std::unique_ptr<rocksdb::DB> db_;

  mutable absl::Mutex failure_mu_;
  absl::Status failure_ ABSL_GUARDED_BY(failure_mu_);
};

}  // namespace apium

#endif  // APIUM_STORAGE_ROCKSDB_STORE_H_
