#include "broker/engine/unique_table.h"

#include <utility>

#include "absl/status/status.h"
#include "common/status_macros.h"

namespace apium::broker {

absl::StatusOr<std::optional<StoredUniqueKey>> UniqueTable::Find(
    const std::string& key, absl::Time now) {
  const auto [it, is_new] = looked_at_.try_emplace(key);
  std::optional<StoredUniqueKey>& stored = it->second.stored;
  if (is_new) {
    std::string value;
    const absl::Status read = reader_->Get(UniqueRowKey(key), &value);
    if (!read.ok() && !absl::IsNotFound(read)) return read;
    if (read.ok()) {
      APIUM_ASSIGN_OR_RETURN(stored, DecodeUniqueKey(value));
    }
  }
  const bool held = stored.has_value() &&
                    stored->keep_until_millis() > absl::ToUnixMillis(now);
  return held ? stored : std::nullopt;
}

void UniqueTable::Put(const std::string& key, StoredUniqueKey stored) {
  looked_at_[key] = {.stored = std::move(stored), .dirty = true};
}

void UniqueTable::Release(const std::string& key) {
  looked_at_[key] = {.dirty = true};
}

void UniqueTable::Flush(StoreBatch* batch) {
  for (const auto& [key, entry] : looked_at_) {
    if (!entry.dirty) continue;
    if (entry.stored.has_value()) {
      batch->Put(UniqueRowKey(key), EncodeUniqueKey(*entry.stored));
    } else {
      batch->Delete(UniqueRowKey(key));
    }
  }
  looked_at_.clear();
  batch->Append(blocked_changes_);
  blocked_changes_.Clear();
}

}  // namespace apium::broker
