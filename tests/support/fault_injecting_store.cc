#include "tests/support/fault_injecting_store.h"

#include <algorithm>
#include <utility>

namespace apium {
namespace {

// Copies a batch but for the puts of some keys.
class DroppingCopier {
 public:
  DroppingCopier(const std::vector<std::string>& prefixes, StoreBatch* copy)
      : prefixes_(prefixes), copy_(*copy) {}

  void Put(std::string_view key, std::string_view value) {
    const bool is_dropped =
        std::any_of(prefixes_.begin(), prefixes_.end(),
                    [key](const std::string& p) { return key.starts_with(p); });
    if (!is_dropped) copy_.Put(key, value);
  }
  void Delete(std::string_view key) { copy_.Delete(key); }
  void DeleteRange(std::string_view begin, std::string_view end) {
    copy_.DeleteRange(begin, end);
  }

 private:
  const std::vector<std::string>& prefixes_;
  StoreBatch& copy_;
};

}  // namespace

// Applies a batch to the overlay. A deleted range becomes one deleted row for
// each row that the overlay or the wrapped store has in it.
class FaultInjectingStore::OverlayWriter {
 public:
  using Overlay = std::map<std::string, DelayedRow, std::less<>>;

  OverlayWriter(const Store& store, uint64_t generation, Overlay* overlay)
      : store_(store), generation_(generation), overlay_(*overlay) {}

  void Put(std::string_view key, std::string_view value) {
    overlay_.insert_or_assign(std::string(key),
                              DelayedRow{std::string(value), generation_});
  }
  void Delete(std::string_view key) {
    overlay_.insert_or_assign(std::string(key),
                              DelayedRow{std::nullopt, generation_});
  }
  void DeleteRange(std::string_view begin, std::string_view end) {
    for (auto row = overlay_.lower_bound(begin);
         row != overlay_.end() && row->first < end; ++row) {
      row->second = DelayedRow{std::nullopt, generation_};
    }
    status_.Update(
        store_.Scan(begin, end, [this](std::string_view key, std::string_view) {
          Delete(key);
          return true;
        }));
  }

  const absl::Status& status() const { return status_; }

 private:
  const Store& store_;
  const uint64_t generation_;
  Overlay& overlay_;
  absl::Status status_;
};

FaultInjectingStore::FaultInjectingStore(std::unique_ptr<Store> store)
    : store_(std::move(store)) {}

void FaultInjectingStore::FailWrites(absl::Status error, size_t successes) {
  absl::MutexLock lock(&mu_);
  write_failure_ = {std::move(error), successes};
}

void FaultInjectingStore::FailSyncs(absl::Status error, size_t successes) {
  absl::MutexLock lock(&mu_);
  sync_failure_ = {std::move(error), successes};
}

void FaultInjectingStore::DelaySyncedWrites(size_t syncs) {
  absl::MutexLock lock(&mu_);
  delay_syncs_ = syncs;
}

void FaultInjectingStore::DropRows(std::string prefix) {
  absl::MutexLock lock(&mu_);
  dropped_prefixes_.push_back(std::move(prefix));
}

void FaultInjectingStore::HoldSyncs() {
  absl::MutexLock lock(&mu_);
  hold_syncs_ = true;
}

void FaultInjectingStore::ReleaseSyncs() {
  absl::MutexLock lock(&mu_);
  hold_syncs_ = false;
}

bool FaultInjectingStore::WaitForHeldSync(absl::Duration timeout) {
  absl::MutexLock lock(&mu_);
  const auto is_held = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return held_syncs_ > 0;
  };
  return mu_.AwaitWithTimeout(absl::Condition(&is_held), timeout);
}

uint64_t FaultInjectingStore::write_count() const {
  absl::MutexLock lock(&mu_);
  return write_count_;
}

uint64_t FaultInjectingStore::sync_count() const {
  absl::MutexLock lock(&mu_);
  return sync_count_;
}

absl::Status FaultInjectingStore::Get(std::string_view key,
                                      std::string* value) const {
  {
    absl::MutexLock lock(&mu_);
    const auto row = overlay_.find(key);
    if (row != overlay_.end()) {
      if (!row->second.value.has_value()) {
        return absl::NotFoundError("no such row");
      }
      *value = *row->second.value;
      return absl::OkStatus();
    }
  }
  return store_->Get(key, value);
}

absl::Status FaultInjectingStore::MultiGet(
    absl::Span<const std::string> keys,
    std::vector<std::optional<std::string>>* values) const {
  // Under the lock for both, so that no Write comes between.
  absl::MutexLock lock(&mu_);
  absl::Status status = store_->MultiGet(keys, values);
  if (!status.ok()) return status;
  for (size_t i = 0; i < keys.size(); ++i) {
    const auto row = overlay_.find(keys[i]);
    if (row != overlay_.end()) (*values)[i] = row->second.value;
  }
  return absl::OkStatus();
}

absl::Status FaultInjectingStore::Scan(
    std::string_view begin, std::string_view end,
    absl::FunctionRef<bool(std::string_view key, std::string_view value)> visit)
    const {
  if (begin >= end) return absl::OkStatus();
  // Copied before the scan of the store begins: a row that moves there in the
  // meantime is found twice then, and not missed; the copy wins.
  std::map<std::string, DelayedRow, std::less<>> overlay;
  {
    absl::MutexLock lock(&mu_);
    overlay.insert(overlay_.lower_bound(begin), overlay_.lower_bound(end));
  }
  auto delayed = overlay.begin();
  bool stopped = false;
  // Visits the overlay's rows before `key`.
  const auto visit_before = [&](const std::string_view* key) {
    for (; !stopped && delayed != overlay.end() &&
           (key == nullptr || delayed->first < *key);
         ++delayed) {
      const std::optional<std::string>& value = delayed->second.value;
      if (value.has_value()) stopped = !visit(delayed->first, *value);
    }
  };
  absl::Status status = store_->Scan(
      begin, end, [&](std::string_view key, std::string_view value) {
        visit_before(&key);
        if (stopped) return false;
        // The overlay's row of the same key hides this one and comes next.
        if (delayed != overlay.end() && delayed->first == key) return true;
        stopped = !visit(key, value);
        return !stopped;
      });
  if (status.ok()) visit_before(nullptr);
  return status;
}

absl::Status FaultInjectingStore::Write(const StoreBatch& batch) {
  absl::MutexLock lock(&mu_);
  absl::Status status = NextOutcome(&write_failure_);
  if (!status.ok()) return status;
  StoreBatch kept;
  const bool drops = !dropped_prefixes_.empty();
  if (drops) batch.ForEach(DroppingCopier(dropped_prefixes_, &kept));
  const StoreBatch& passed = drops ? kept : batch;
  status = delay_syncs_ > 0 ? DelayWrite(passed) : store_->Write(passed);
  if (status.ok()) ++write_count_;
  return status;
}

absl::Status FaultInjectingStore::Sync() {
  {
    absl::MutexLock lock(&mu_);
    ++held_syncs_;
    const auto is_released = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      return !hold_syncs_;
    };
    mu_.Await(absl::Condition(&is_released));
    --held_syncs_;
    absl::Status status = NextOutcome(&sync_failure_);
    if (!status.ok()) return status;
    if (delay_syncs_ > 0) {
      status = SyncDelayed();
      if (status.ok()) ++sync_count_;
      return status;
    }
  }
  // Without the lock, so that Writes go on beside it.
  absl::Status status = store_->Sync();
  absl::MutexLock lock(&mu_);
  if (status.ok()) ++sync_count_;
  return status;
}

absl::Status FaultInjectingStore::NextOutcome(Failure* failure) {
  if (!failed_.ok() || failure->error.ok()) return failed_;
  if (failure->successes > 0) {
    --failure->successes;
    return absl::OkStatus();
  }
  failed_ = failure->error;
  return failed_;
}

absl::Status FaultInjectingStore::DelayWrite(const StoreBatch& batch) {
  if (delayed_.empty()) delayed_.emplace_back();
  delayed_.back().Append(batch);
  OverlayWriter writer(*store_, generation_, &overlay_);
  batch.ForEach(writer);
  return writer.status();
}

absl::Status FaultInjectingStore::SyncDelayed() {
  if (delayed_.empty()) delayed_.emplace_back();
  ++generation_;
  delayed_.emplace_back();
  // `delay_syncs_` synced generations and the one that is being written.
  while (delayed_.size() > delay_syncs_ + 1) {
    absl::Status status = store_->Write(delayed_.front());
    if (status.ok()) status = store_->Sync();
    if (!status.ok()) return status;
    const uint64_t arrived = generation_ - (delayed_.size() - 1);
    delayed_.pop_front();
    std::erase_if(overlay_, [arrived](const auto& row) {
      return row.second.generation <= arrived;
    });
  }
  return absl::OkStatus();
}

}  // namespace apium
