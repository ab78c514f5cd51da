#include "broker/engine/batch_table.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string_view>

#include "broker/storage/key_format.h"
#include "common/status_macros.h"

namespace apium::broker {
namespace {

// Rows that one page looks at, forgotten ones included: such a page is short
// rather than slow.
constexpr size_t kLooksPerPage = 5000;

bool IsForgotten(const StoredBatch& batch, absl::Time now) {
  return batch.keep_until_millis <= absl::ToUnixMillis(now);
}

std::string_view NamespaceOf(std::string_view batch_key) {
  return batch_key.substr(0, batch_key.find('\0'));
}

}  // namespace

absl::StatusOr<LiveBatch*> BatchTable::Find(const std::string& key,
                                            absl::Time now) {
  if (auto it = by_key_.find(key); it != by_key_.end()) {
    batches_.splice(batches_.begin(), batches_, it->second);
    LiveBatch* batch = &*it->second;
    return IsForgotten(batch->stored, now) ? nullptr : batch;
  }
  std::string value;
  const absl::Status read =
      reader_->Get(BatchRowKey(BatchPart::kState, key), &value);
  if (absl::IsNotFound(read)) return nullptr;
  APIUM_RETURN_IF_ERROR(read);
  APIUM_ASSIGN_OR_RETURN(StoredBatch stored, DecodeBatch(value));
  if (IsForgotten(stored, now)) return nullptr;
  return Insert(key, std::move(stored));
}

LiveBatch* BatchTable::Add(std::string key, StoredBatch stored,
                           std::shared_ptr<const BatchCallbacks> callbacks) {
  LiveBatch* batch;
  if (auto it = by_key_.find(key); it != by_key_.end()) {
    // A forgotten one of the same id.
    batch = &*it->second;
    batch->stored = std::move(stored);
  } else {
    batch = Insert(std::move(key), std::move(stored));
  }
  batch->callbacks_dirty = callbacks != nullptr;
  HoldCallbacks(batch, std::move(callbacks));
  MarkDirty(batch);
  return batch;
}

LiveBatch* BatchTable::Insert(std::string key, StoredBatch stored) {
  batches_.push_front({.key = key, .stored = std::move(stored)});
  by_key_[std::move(key)] = batches_.begin();
  return &batches_.front();
}

void BatchTable::HoldCallbacks(
    LiveBatch* batch, std::shared_ptr<const BatchCallbacks> callbacks) {
  batch->callbacks = std::move(callbacks);
  if (batch->callbacks != nullptr) with_callbacks_.push_back(batch);
}

absl::StatusOr<std::shared_ptr<const BatchCallbacks>> BatchTable::CallbacksOf(
    LiveBatch* batch) {
  if (batch->callbacks != nullptr || !batch->stored.has_callbacks())
    return batch->callbacks;
  std::string value;
  APIUM_RETURN_IF_ERROR(
      reader_->Get(BatchRowKey(BatchPart::kCallbacks, batch->key), &value));
  APIUM_ASSIGN_OR_RETURN(BatchCallbacks callbacks,
                         DecodeBatchCallbacks(NamespaceOf(batch->key), value));
  HoldCallbacks(batch,
                std::make_shared<const BatchCallbacks>(std::move(callbacks)));
  return batch->callbacks;
}

void BatchTable::MarkDirty(LiveBatch* batch) {
  if (!batch->dirty) {
    batch->dirty = true;
    dirty_.push_back(batch);
  }
  if (!batch->unsettled) {
    batch->unsettled = true;
    unsettled_.push_back(batch);
  }
}

std::vector<LiveBatch*> BatchTable::TakeUnsettled() {
  for (LiveBatch* batch : unsettled_) batch->unsettled = false;
  return std::exchange(unsettled_, {});
}

absl::Status BatchTable::MarkComplete(LiveBatch* batch, absl::Time now,
                                      absl::Time keep_until) {
  // Its callbacks' row goes at the same time, and says so itself.
  APIUM_RETURN_IF_ERROR(CallbacksOf(batch).status());
  batch->callbacks_dirty = batch->callbacks != nullptr;
  batch->stored.complete_time = now;
  batch->stored.keep_until_millis = absl::ToUnixMillis(keep_until);
  MarkDirty(batch);
  return absl::OkStatus();
}

absl::StatusOr<BatchTable::Page> BatchTable::List(
    const std::string& namespace_name, const std::string& after, size_t limit,
    absl::Time now) const {
  const std::string first = MakeTaskKey(namespace_name, "");
  const size_t key_bytes = BatchRowKey(BatchPart::kState, "").size();
  std::map<std::string, StoredBatch> found;
  // The scan stopped behind this key; empty: it came to the end.
  std::string stopped_at;
  size_t looks = 0;
  absl::Status decoded = absl::OkStatus();
  APIUM_RETURN_IF_ERROR(reader_->Scan(
      BatchRowKey(BatchPart::kState, first + after + '\0'),
      BatchRowKey(BatchPart::kState, namespace_name + '\1'),
      [&](std::string_view row_key, std::string_view value) {
        const std::string key(row_key.substr(key_bytes));
        absl::StatusOr<StoredBatch> batch = DecodeBatch(value);
        decoded = batch.status();
        if (!decoded.ok()) return false;
        if (!IsForgotten(*batch, now)) found[key] = *std::move(batch);
        const bool enough = found.size() > limit || ++looks == kLooksPerPage;
        if (enough) stopped_at = key;
        return !enough;
      }));
  APIUM_RETURN_IF_ERROR(decoded);
  // What this turn has changed is not in the store yet.
  for (const LiveBatch* batch : dirty_) {
    const bool in_range = batch->key.compare(0, first.size(), first) == 0 &&
                          batch->key > first + after &&
                          (stopped_at.empty() || batch->key <= stopped_at);
    if (in_range && !IsForgotten(batch->stored, now))
      found[batch->key] = batch->stored;
  }
  Page page;
  for (auto& [key, batch] : found) {
    if (page.batches.size() == limit) {
      page.next_after = page.batches.back().first;
      return page;
    }
    page.batches.emplace_back(key.substr(first.size()), std::move(batch));
  }
  if (!stopped_at.empty()) page.next_after = stopped_at.substr(first.size());
  return page;
}

void BatchTable::Flush(StoreBatch* batch) {
  std::sort(
      dirty_.begin(), dirty_.end(),
      [](const LiveBatch* a, const LiveBatch* b) { return a->key < b->key; });
  for (LiveBatch* changed : dirty_) {
    if (!changed->callbacks_dirty) continue;
    batch->Put(BatchRowKey(BatchPart::kCallbacks, changed->key),
               EncodeBatchCallbacks(*changed->callbacks,
                                    changed->stored.keep_until_millis));
    changed->callbacks_dirty = false;
  }
  for (LiveBatch* changed : dirty_) {
    batch->Put(BatchRowKey(BatchPart::kState, changed->key),
               EncodeBatch(changed->stored));
    changed->dirty = false;
  }
  dirty_.clear();
  for (LiveBatch* holder : with_callbacks_) holder->callbacks = nullptr;
  with_callbacks_.clear();
  while (batches_.size() > capacity_) {
    by_key_.erase(batches_.back().key);
    batches_.pop_back();
  }
}

}  // namespace apium::broker
