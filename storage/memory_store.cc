#include "storage/memory_store.h"

#include <algorithm>

namespace apium {
namespace {

// A Scan copies rows out under the lock in pieces that grow, so that a visitor
// may read from the store, and one that wants few rows does not pay for many.
constexpr size_t kFirstScanRows = 16;
constexpr size_t kMaxScanRows = 1024;

}  // namespace

// Applies the changes of one batch to rows, and notes how to take them back.
class MemoryStore::Applier {
 public:
  Applier(Rows* rows, size_t* row_bytes, Undo* undo)
      : rows_(*rows), row_bytes_(*row_bytes), undo_(*undo) {}

  void Put(std::string_view key, std::string_view value) {
    auto [row, is_new] = rows_.try_emplace(std::string(key));
    if (is_new) {
      undo_.emplace_back(row->first, std::nullopt);
      row_bytes_ += key.size();
    } else {
      row_bytes_ -= row->second.size();
      undo_.emplace_back(row->first, std::move(row->second));
    }
    row->second.assign(value);
    row_bytes_ += value.size();
  }

  void Delete(std::string_view key) {
    if (auto row = rows_.find(key); row != rows_.end()) Erase(row);
  }

  void DeleteRange(std::string_view begin, std::string_view end) {
    auto row = rows_.lower_bound(begin);
    while (row != rows_.end() && row->first < end) row = Erase(row);
  }

 private:
  Rows::iterator Erase(Rows::iterator row) {
    row_bytes_ -= row->first.size() + row->second.size();
    undo_.emplace_back(row->first, std::move(row->second));
    return rows_.erase(row);
  }

  Rows& rows_;
  size_t& row_bytes_;
  Undo& undo_;
};

absl::Status MemoryStore::Get(std::string_view key, std::string* value) const {
  absl::MutexLock lock(&mu_);
  const auto row = rows_.find(key);
  if (row == rows_.end()) return absl::NotFoundError("no such row");
  *value = row->second;
  return absl::OkStatus();
}

absl::Status MemoryStore::MultiGet(
    absl::Span<const std::string> keys,
    std::vector<std::optional<std::string>>* values) const {
  values->clear();
  values->reserve(keys.size());
  absl::MutexLock lock(&mu_);
  for (const std::string& key : keys) {
    const auto row = rows_.find(key);
    if (row == rows_.end()) {
      values->push_back(std::nullopt);
    } else {
      values->push_back(row->second);
    }
  }
  return absl::OkStatus();
}

absl::Status MemoryStore::Scan(
    std::string_view begin, std::string_view end,
    absl::FunctionRef<bool(std::string_view key, std::string_view value)> visit)
    const {
  std::string next(begin);
  std::vector<std::pair<std::string, std::string>> piece;
  for (size_t rows_max = kFirstScanRows;;
       rows_max = std::min(rows_max * 2, kMaxScanRows)) {
    piece.clear();
    {
      absl::MutexLock lock(&mu_);
      for (auto row = rows_.lower_bound(next);
           row != rows_.end() && row->first < end && piece.size() < rows_max;
           ++row) {
        piece.push_back(*row);
      }
    }
    for (const auto& [key, value] : piece) {
      if (!visit(key, value)) return absl::OkStatus();
    }
    if (piece.size() < rows_max) return absl::OkStatus();
    // The smallest key behind the last one.
    next = std::move(piece.back().first);
    next.push_back('\0');
  }
}

absl::Status MemoryStore::Write(const StoreBatch& batch) {
  if (batch.empty()) return absl::OkStatus();
  absl::MutexLock lock(&mu_);
  batch.ForEach(Applier(&rows_, &row_bytes_, &unsynced_.emplace_back()));
  return absl::OkStatus();
}

absl::Status MemoryStore::Sync() {
  absl::MutexLock lock(&mu_);
  unsynced_.clear();
  return absl::OkStatus();
}

StoreStats MemoryStore::GetStats() const {
  absl::MutexLock lock(&mu_);
  return {.estimated_keys = rows_.size(), .memtable_bytes = row_bytes_};
}

size_t MemoryStore::unsynced_writes() const {
  absl::MutexLock lock(&mu_);
  return unsynced_.size();
}

std::unique_ptr<MemoryStore> MemoryStore::CrashCopy(
    size_t surviving_unsynced_writes) const {
  auto copy = std::make_unique<MemoryStore>();
  absl::MutexLock lock(&mu_);
  absl::MutexLock copy_lock(&copy->mu_);
  copy->rows_ = rows_;
  for (size_t i = unsynced_.size(); i > surviving_unsynced_writes; --i) {
    const Undo& undo = unsynced_[i - 1];
    for (auto touched = undo.rbegin(); touched != undo.rend(); ++touched) {
      if (touched->second.has_value()) {
        copy->rows_.insert_or_assign(touched->first, *touched->second);
      } else {
        copy->rows_.erase(touched->first);
      }
    }
  }
  for (const auto& [key, value] : copy->rows_) {
    copy->row_bytes_ += key.size() + value.size();
  }
  return copy;
}

}  // namespace apium
