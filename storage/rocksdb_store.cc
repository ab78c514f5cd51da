#include "storage/rocksdb_store.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "rocksdb/cache.h"
#include "rocksdb/compaction_filter.h"
#include "rocksdb/db.h"
#include "rocksdb/env.h"
#include "rocksdb/filter_policy.h"
#include "rocksdb/options.h"
#include "rocksdb/slice_transform.h"
#include "rocksdb/statistics.h"
#include "rocksdb/table.h"
#include "rocksdb/write_batch.h"
#include "storage/rocksdb_folder.h"
#include "storage/rocksdb_status.h"

namespace apium {
namespace {

rocksdb::Slice ToSlice(std::string_view bytes) {
  return rocksdb::Slice(bytes.data(), bytes.size());
}

std::string_view ToView(const rocksdb::Slice& slice) {
  return std::string_view(slice.data(), slice.size());
}

absl::Status Validate(const RocksDbOptions& options) {
  const auto at_least = [](const char* name, uint64_t value, uint64_t minimum) {
    if (value >= minimum) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(
        "store option ", name, " is ", value, "; the minimum is ", minimum));
  };
  absl::Status status =
      at_least("memtable_bytes", options.memtable_bytes, 64 << 10);
  if (status.ok()) {
    status = at_least("max_memtables", std::max(options.max_memtables, 0), 2);
  }
  if (status.ok()) {
    status =
        at_least("max_open_files", std::max(options.max_open_files, 0), 32);
  }
  if (status.ok() && options.drop_within < absl::Seconds(1)) {
    status = absl::InvalidArgumentError(absl::StrCat(
        "store option drop_within is ",
        absl::FormatDuration(options.drop_within), "; the minimum is 1s"));
  }
  return status;
}

// What keeps acknowledged rows safe, and damage from going unnoticed.
void SetDurability(rocksdb::Options* options) {
  // The default (point in time) opens a store whose log is damaged in the
  // middle, without the synced records behind the damage.
  options->wal_recovery_mode =
      rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  options->track_and_verify_wals_in_manifest = true;
  // Recycled logs make the end of a log ambiguous, and syncing a log in ranges
  // can leave holes in it; RocksDB's own crash test has both off.
  options->recycle_log_file_num = 0;
  options->wal_bytes_per_sync = 0;
  options->paranoid_checks = true;
  options->verify_sst_unique_id_in_manifest = true;
}

void SetTableFormat(const RocksDbOptions& from, rocksdb::Options* options) {
  rocksdb::BlockBasedTableOptions table;
  // Few shards: a block must fit into one beside others, or it is read again
  // for each Get.
  constexpr int kCacheShardBits = 2;
  table.block_cache =
      rocksdb::NewLRUCache(from.block_cache_bytes, kCacheShardBits);
  // Indexes and filters count against the cache, so that memory stays within
  // its bound however many files there are.
  table.cache_index_and_filter_blocks = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  // In partitions: the filter of a file of a million rows is larger than the
  // cache has room for, and a Get needs a few bytes of it.
  table.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
  table.partition_filters = true;
  table.metadata_block_size = 8 * 1024;
  table.pin_top_level_index_and_filter = true;
  table.checksum = rocksdb::ChecksumType::kXXH3;
  table.format_version = 5;
  options->table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  // Rows are small and short-lived; the log is most of what is written.
  options->compression = rocksdb::kNoCompression;
  options->level_compaction_dynamic_level_bytes = true;
  // Most rows are overwritten or deleted before they get out of the first
  // level: half as many compactions as by default (4), 1.05 times the
  // end-to-end rate.
  options->level0_file_num_compaction_trigger = 8;
}

void SetMemtable(const RocksDbOptions& from, rocksdb::Options* options) {
  options->write_buffer_size = from.memtable_bytes;
  options->max_write_buffer_number = from.max_memtables;
  // Makes a Get of a row that is not there (a new task's id) cheap. 2 % of the
  // memtable is over 30 bits for each row of 200 bytes.
  options->memtable_prefix_bloom_size_ratio = 0.02;
  options->memtable_whole_key_filtering = true;
  // A log is freed when its rows are in files; deletes take more room in a log
  // than in a memtable.
  options->max_total_wal_size =
      2 * from.memtable_bytes * static_cast<uint64_t>(from.max_memtables);
}

void SetHousekeeping(const RocksDbOptions& from, rocksdb::Options* options) {
  options->max_background_jobs = 2;
  options->max_open_files = from.max_open_files;
  // Spreads the writing of table files, so that a sync of the log does not
  // wait behind a whole file.
  options->bytes_per_sync = 1 << 20;
  options->skip_stats_update_on_db_open = true;
  options->stats_dump_period_sec = 0;
  options->stats_persist_period_sec = 0;
  options->info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  options->keep_log_file_num = 3;
  options->max_log_file_size = 4 << 20;
}

rocksdb::Options MakeOptions(const RocksDbOptions& from) {
  rocksdb::Options options;
  options.create_if_missing = true;
  SetDurability(&options);
  SetTableFormat(from, &options);
  SetMemtable(from, &options);
  SetHousekeeping(from, &options);
  return options;
}

// Checks the folder under its lock: while another process writes to it, its
// files look damaged. RocksDB takes the lock again right afterwards.
absl::Status CheckFolderLocked(const std::string& path) {
  rocksdb::Env* env = rocksdb::Env::Default();
  rocksdb::FileLock* lock = nullptr;
  const rocksdb::Status locked = env->LockFile(path + "/LOCK", &lock);
  if (!locked.ok()) return FromRocksDbStatus(locked, path);
  absl::Status status = CheckStoreFolder(path);
  const rocksdb::Status unlocked = env->UnlockFile(lock);
  if (!unlocked.ok()) status.Update(FromRocksDbStatus(unlocked, path));
  return status;
}

// The batch as RocksDB keeps it: sequence:fixed64le count:fixed32le records.
// RocksDB fills in the sequence. StoreBatch has the records in the same form.
rocksdb::WriteBatch ToWriteBatch(const StoreBatch& batch) {
  std::string bytes;
  bytes.reserve(12 + batch.byte_size());
  bytes.append(8, '\0');
  for (int shift = 0; shift < 32; shift += 8) {
    bytes.push_back(static_cast<char>(batch.count() >> shift));
  }
  bytes.append(batch.records());
  return rocksdb::WriteBatch(std::move(bytes));
}

}  // namespace

// Drops the rows that the application no longer wants.
class RocksDbStore::DropFilter final : public rocksdb::CompactionFilter {
 public:
  using ShouldDrop =
      std::function<bool(std::string_view key, std::string_view value)>;

  explicit DropFilter(ShouldDrop should_drop)
      : should_drop_(std::move(should_drop)) {}

  bool Filter(int /*level*/, const rocksdb::Slice& key,
              const rocksdb::Slice& existing_value, std::string* /*new_value*/,
              bool* /*value_changed*/) const override {
    // Keys that begin with a zero byte are the storage layer's own.
    if (!key.empty() && key[0] == '\0') return false;
    return should_drop_(ToView(key), ToView(existing_value));
  }

  const char* Name() const override { return "apium.DropFilter"; }

 private:
  const ShouldDrop should_drop_;
};

// Makes RocksDB look for a row's place in the memtable from the last insert of
// the same kind (first byte of the key) on: batches are runs of neighbouring
// keys, and this is measured to give 1.44 times the rate.
//
// Off until it is switched on, and to be switched off around each batch with a
// range: RocksDB 7.8 keeps ranges in a second skip list but takes the places of
// both from one map (MemTable::Add), so that with hints a range ends up among
// the rows, and a row among the ranges. For the same reason it is off while
// Open replays the log.
class RocksDbStore::InsertHint final : public rocksdb::SliceTransform {
 public:
  // By the one thread that writes.
  void Switch(bool on) { is_on_.store(on, std::memory_order_relaxed); }

  const char* Name() const override { return "apium.InsertHint"; }
  rocksdb::Slice Transform(const rocksdb::Slice& key) const override {
    return rocksdb::Slice(key.data(), 1);
  }
  bool InDomain(const rocksdb::Slice& key) const override {
    return is_on_.load(std::memory_order_relaxed) && !key.empty();
  }

 private:
  std::atomic<bool> is_on_ = false;
};

absl::StatusOr<std::unique_ptr<RocksDbStore>> RocksDbStore::Open(
    const RocksDbOptions& options) {
  if (absl::Status status = Validate(options); !status.ok()) return status;
  if (absl::Status status = MakeStoreFolder(options.path); !status.ok()) {
    return status;
  }
  if (absl::Status status = CheckFolderLocked(options.path); !status.ok()) {
    return status;
  }
  Callbacks callbacks{.insert_hint = std::make_shared<InsertHint>(),
                      .statistics = rocksdb::CreateDBStatistics()};
  callbacks.statistics->set_stats_level(
      rocksdb::StatsLevel::kExceptHistogramOrTimers);
  rocksdb::Options db_options = MakeOptions(options);
  db_options.memtable_insert_with_hint_prefix_extractor = callbacks.insert_hint;
  db_options.statistics = callbacks.statistics;
  if (options.should_drop != nullptr) {
    callbacks.drop_filter = std::make_unique<DropFilter>(options.should_drop);
    db_options.compaction_filter = callbacks.drop_filter.get();
    db_options.periodic_compaction_seconds =
        static_cast<uint64_t>(absl::ToInt64Seconds(options.drop_within));
  }

  rocksdb::DB* db = nullptr;
  const rocksdb::Status opened =
      rocksdb::DB::Open(db_options, options.path, &db);
  if (!opened.ok()) return FromRocksDbStatus(opened, options.path);
  callbacks.insert_hint->Switch(true);
  return std::unique_ptr<RocksDbStore>(new RocksDbStore(
      options.path, std::move(callbacks), std::unique_ptr<rocksdb::DB>(db)));
}

RocksDbStore::RocksDbStore(std::string path, Callbacks callbacks,
                           std::unique_ptr<rocksdb::DB> db)
    : path_(std::move(path)),
      callbacks_(std::move(callbacks)),
      db_(std::move(db)) {}

RocksDbStore::~RocksDbStore() {
  // Both are only for a quick next start: what matters has been synced, and is
  // in the log.
  if (failure().ok()) {
    db_->SyncWAL().PermitUncheckedError();
    db_->Flush(rocksdb::FlushOptions()).PermitUncheckedError();
  }
  db_->Close().PermitUncheckedError();
}

absl::Status RocksDbStore::Get(std::string_view key, std::string* value) const {
  return FromRocksDbStatus(
      db_->Get(rocksdb::ReadOptions(), ToSlice(key), value), path_);
}

absl::Status RocksDbStore::MultiGet(
    absl::Span<const std::string> keys,
    std::vector<std::optional<std::string>>* values) const {
  values->assign(keys.size(), std::nullopt);
  if (keys.empty()) return absl::OkStatus();
  const std::vector<rocksdb::Slice> slices(keys.begin(), keys.end());
  std::vector<rocksdb::PinnableSlice> found(keys.size());
  std::vector<rocksdb::Status> statuses(keys.size());
  db_->MultiGet(rocksdb::ReadOptions(), db_->DefaultColumnFamily(),
                slices.size(), slices.data(), found.data(), statuses.data());
  for (size_t i = 0; i < keys.size(); ++i) {
    if (statuses[i].ok()) {
      (*values)[i].emplace(found[i].data(), found[i].size());
    } else if (!statuses[i].IsNotFound()) {
      return FromRocksDbStatus(statuses[i], path_);
    }
  }
  return absl::OkStatus();
}

absl::Status RocksDbStore::Scan(
    std::string_view begin, std::string_view end,
    absl::FunctionRef<bool(std::string_view key, std::string_view value)> visit)
    const {
  if (begin >= end) return absl::OkStatus();
  const rocksdb::Slice lower = ToSlice(begin);
  const rocksdb::Slice upper = ToSlice(end);
  rocksdb::ReadOptions options;
  options.iterate_lower_bound = &lower;
  options.iterate_upper_bound = &upper;
  // Scans pass rows once; they would push out what Gets need.
  options.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> row(db_->NewIterator(options));
  for (row->Seek(lower); row->Valid(); row->Next()) {
    if (!visit(ToView(row->key()), ToView(row->value()))) break;
  }
  return FromRocksDbStatus(row->status(), path_);
}

absl::Status RocksDbStore::Write(const StoreBatch& batch) {
  if (absl::Status failed = failure(); !failed.ok()) return failed;
  if (batch.empty()) return absl::OkStatus();
  rocksdb::WriteBatch write_batch = ToWriteBatch(batch);
  if (batch.has_ranges()) callbacks_.insert_hint->Switch(false);
  const rocksdb::Status written =
      db_->Write(rocksdb::WriteOptions(), &write_batch);
  if (batch.has_ranges()) callbacks_.insert_hint->Switch(true);
  return Conclude(written);
}

absl::Status RocksDbStore::Sync() {
  if (absl::Status failed = failure(); !failed.ok()) return failed;
  // With the log unbuffered (manual_wal_flush off), each Write has handed its
  // records to the operating system before it returns; SyncWAL syncs all logs
  // that are in use, beside Writes.
  return Conclude(db_->SyncWAL());
}

StoreStats RocksDbStore::GetStats() const {
  const auto property = [this](const std::string& name) {
    uint64_t value = 0;
    return db_->GetIntProperty(name, &value) ? value : 0;
  };
  using Properties = rocksdb::DB::Properties;
  StoreStats stats{
      .estimated_keys = property(Properties::kEstimateNumKeys),
      .memtable_bytes = property(Properties::kSizeAllMemTables),
      .block_cache_bytes = property(Properties::kBlockCacheUsage),
      .table_reader_bytes = property(Properties::kEstimateTableReadersMem),
      .sst_bytes = property(Properties::kTotalSstFilesSize),
      .pending_compaction_bytes =
          property(Properties::kEstimatePendingCompactionBytes),
      .background_errors = property(Properties::kBackgroundErrors),
      .write_stopped = property(Properties::kIsWriteStopped) != 0,
      .stall_time = absl::Microseconds(callbacks_.statistics->getTickerCount(
          rocksdb::Tickers::STALL_MICROS)),
  };
  std::string l0_files;
  if (db_->GetProperty(Properties::kNumFilesAtLevelPrefix + "0", &l0_files)) {
    if (!absl::SimpleAtoi(l0_files, &stats.l0_files)) stats.l0_files = 0;
  }
  return stats;
}

absl::Status RocksDbStore::VerifyChecksums() const {
  return FromRocksDbStatus(db_->VerifyChecksum(), path_);
}

absl::Status RocksDbStore::Compact() {
  rocksdb::CompactRangeOptions options;
  options.bottommost_level_compaction =
      rocksdb::BottommostLevelCompaction::kForceOptimized;
  return FromRocksDbStatus(db_->CompactRange(options, nullptr, nullptr), path_);
}

absl::Status RocksDbStore::failure() const {
  absl::MutexLock lock(&failure_mu_);
  return failure_;
}

absl::Status RocksDbStore::Conclude(const rocksdb::Status& status) {
  if (status.ok()) return absl::OkStatus();
  absl::MutexLock lock(&failure_mu_);
  failure_.Update(FromRocksDbStatus(status, path_));
  return failure_;
}

}  // namespace apium
