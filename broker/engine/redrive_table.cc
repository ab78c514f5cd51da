#include "broker/engine/redrive_table.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "broker/storage/key_format.h"
#include "common/status_macros.h"

namespace apium::broker {

absl::Status RedriveTable::Recover(const StoreReader& reader) {
  absl::Status visited = absl::OkStatus();
  APIUM_RETURN_IF_ERROR(reader.Scan(
      std::string(1, kRedriveRow), RowsEnd(kRedriveRow),
      [&](std::string_view key, std::string_view value) {
        const std::optional<uint32_t> queue_id = QueueIdOfRedriveRow(key);
        auto redrive = DecodeRedrive(value);
        visited = redrive.status();
        if (!queue_id.has_value())
          visited =
              absl::DataLossError("the store holds a damaged redrive row");
        if (!visited.ok()) return false;
        if (redrive->shown.state == RedriveState::kRunning)
          running_.insert(*queue_id);
        redrives_[*queue_id] = *std::move(redrive);
        return true;
      }));
  return visited;
}

StoredRedrive* RedriveTable::Find(uint32_t queue_id) {
  const auto it = redrives_.find(queue_id);
  return it == redrives_.end() ? nullptr : &it->second;
}

void RedriveTable::Start(uint32_t queue_id, StoredRedrive redrive) {
  redrives_[queue_id] = std::move(redrive);
  MarkDirty(queue_id);
}

void RedriveTable::MarkDirty(uint32_t queue_id) {
  dirty_.insert(queue_id);
  if (redrives_[queue_id].shown.state == RedriveState::kRunning) {
    running_.insert(queue_id);
  } else {
    running_.erase(queue_id);
  }
}

void RedriveTable::Forget(uint32_t queue_id) {
  if (redrives_.erase(queue_id) == 0) return;
  running_.erase(queue_id);
  dirty_.insert(queue_id);
}

absl::Time RedriveTable::NextTime() const {
  absl::Time next = absl::InfiniteFuture();
  for (const uint32_t queue_id : running_)
    next = std::min(next, redrives_.at(queue_id).next_time);
  return next;
}

void RedriveTable::Flush(StoreBatch* batch) {
  for (const uint32_t queue_id : dirty_) {
    const auto it = redrives_.find(queue_id);
    if (it == redrives_.end()) {
      batch->Delete(RedriveRowKey(queue_id));
    } else {
      batch->Put(RedriveRowKey(queue_id), EncodeRedrive(it->second));
    }
  }
  dirty_.clear();
}

}  // namespace apium::broker
