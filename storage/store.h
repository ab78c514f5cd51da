#ifndef APIUM_STORAGE_STORE_H_
#define APIUM_STORAGE_STORE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "storage/store_batch.h"

namespace apium {

// Reading side of an ordered key-value store. Keys sort as unsigned bytes.
//
// Keys that begin with a zero byte belong to the storage layer itself (see
// store_identity.h): applications neither write nor scan them.
//
// Threads: every method may be called from any thread, also while another
// thread is in Store::Write or Store::Sync. Each read sees whole batches: a Get
// or a MultiGet the state between two Writes; a Scan at least every row that
// was there when it began and was not changed since, and of the Writes made
// meanwhile anything from nothing to all.
//
// Errors of every method: DATA_LOSS when what is stored is damaged (the message
// names the file where it is known); UNAVAILABLE when the disk cannot be read.
class StoreReader {
 public:
  virtual ~StoreReader() = default;

  // Sets `value` to the row's value. NOT_FOUND when there is no such row;
  // `value` is then unspecified.
  virtual absl::Status Get(std::string_view key, std::string* value) const = 0;

  // Sets `values` to one entry for each key, in the order of `keys`,
  // std::nullopt where there is no such row. Cheaper than as many Gets. An
  // error is that of any of the keys, and leaves `values` unspecified.
  virtual absl::Status MultiGet(
      absl::Span<const std::string> keys,
      std::vector<std::optional<std::string>>* values) const = 0;

  // Visits rows with begin <= key < end in ascending order until `visit`
  // returns false; no row if begin >= end. The views are valid during the call
  // of `visit` only. `visit` may read from the store.
  //
  // Rows that were deleted lately still cost time when they are passed:
  // measured, 0.5 s for a million of them. Start at the first row that is
  // expected to be there, not at the beginning of its kind.
  virtual absl::Status Scan(
      std::string_view begin, std::string_view end,
      absl::FunctionRef<bool(std::string_view key, std::string_view value)>
          visit) const = 0;
};

// What a store says of itself, for metrics and for readiness. A store without
// the notion reports 0.
struct StoreStats {
  uint64_t estimated_keys =
      0;  // rows, with deleted and overwritten ones still partly counted
  uint64_t memtable_bytes = 0;  // memory of rows that are not in a file yet
  uint64_t block_cache_bytes =
      0;  // memory of blocks read from files, indexes and filters included
  uint64_t table_reader_bytes =
      0;                   // memory of open files outside of the block cache
  uint64_t sst_bytes = 0;  // size of all table files
  uint64_t pending_compaction_bytes =
      0;  // estimate of what compaction has to rewrite
  uint64_t l0_files =
      0;  // files in level 0; writes are slowed down at 20 and stopped at 36
  uint64_t background_errors =
      0;  // failed flushes and compactions since the store was opened
  bool write_stopped =
      false;  // writes are waiting for flush or compaction at this moment
  absl::Duration
      stall_time;  // what writes have waited for it since the store was opened
};

// An ordered key-value store with atomic batches, and durability apart from
// visibility so that one thread can fill the next batch while another one syncs
// the last.
//
// A failed Write or Sync is final: every later Write and Sync returns the same
// error, because memory (the caller's and the store's) may then be ahead of the
// disk, and because an operating system may report a lost page only once. The
// owner stops, opens the folder again and continues from what is on disk. Reads
// still work.
class Store : public StoreReader {
 public:
  // Applies the batch atomically: visible to reads when it returns, durable
  // only once a later Sync has returned OK. After a crash the store holds a
  // prefix of the Writes, at least all that were synced. An empty batch does
  // nothing. Threads: one writer; no two Writes at the same time. A Write may
  // block while flush or compaction is behind. Errors: RESOURCE_EXHAUSTED disk
  // full; DATA_LOSS; UNAVAILABLE any other failure of the disk. See above: all
  // final.
  virtual absl::Status Write(const StoreBatch& batch) = 0;

  // Makes every Write durable that returned before this call began. May be
  // called from another thread than Write, at the same time; no two Syncs at
  // the same time. Errors as Write, also final.
  virtual absl::Status Sync() = 0;

  // Any thread. Takes no lock that Write waits for long; cheap enough for each
  // scrape of the metrics, not for each request.
  virtual StoreStats GetStats() const = 0;
};

}  // namespace apium

#endif  // APIUM_STORAGE_STORE_H_
