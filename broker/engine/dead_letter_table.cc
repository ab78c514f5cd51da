#include "broker/engine/dead_letter_table.h"

#include <string_view>
#include <utility>

#include "broker/storage/dead_letter_codec.h"
#include "broker/storage/key_format.h"
#include "common/status_macros.h"

namespace apium::broker {

absl::StatusOr<std::shared_ptr<const DeadLetter>> DeadLetterTable::Find(
    uint32_t queue_id, const std::string& task_key) const {
  const std::string row_key = DeadLetterRowKey(queue_id, task_key);
  if (const auto it = changes_.find(row_key); it != changes_.end())
    return it->second;
  std::string value;
  const absl::Status read = reader_->Get(row_key, &value);
  if (absl::IsNotFound(read)) return std::shared_ptr<const DeadLetter>();
  APIUM_RETURN_IF_ERROR(read);
  return DecodeDeadLetter(task_key, value);
}

void DeadLetterTable::Put(uint32_t queue_id, const std::string& task_key,
                          std::shared_ptr<const DeadLetter> letter) {
  changes_[DeadLetterRowKey(queue_id, task_key)] = std::move(letter);
}

void DeadLetterTable::Remove(uint32_t queue_id, const std::string& task_key) {
  changes_[DeadLetterRowKey(queue_id, task_key)] = nullptr;
}

absl::StatusOr<DeadLetterTable::Slice> DeadLetterTable::Read(
    uint32_t queue_id, const std::string& after,
    const ReadLimits& limits) const {
  const std::string begin = DeadLetterRowKey(queue_id, after + '\0');
  const std::string end = DeadLetterRowKey(queue_id + 1, "");
  Changes found;
  Slice slice;
  size_t bytes = 0;
  absl::Status decoded = absl::OkStatus();
  APIUM_RETURN_IF_ERROR(reader_->Scan(
      begin, end, [&](std::string_view key, std::string_view value) {
        std::string row_key(key);
        if (changes_.count(row_key) > 0) return true;
        if (found.size() == limits.letters || bytes >= limits.bytes) {
          slice.more = true;
          return false;
        }
        auto letter = DecodeDeadLetter(TaskKeyOfDeadLetterRow(key), value);
        decoded = letter.status();
        if (!decoded.ok()) return false;
        bytes += value.size();
        found[std::move(row_key)] = *std::move(letter);
        return true;
      }));
  APIUM_RETURN_IF_ERROR(decoded);
  // What this turn has changed is not in the store yet.
  const std::string last =
      slice.more && !found.empty() ? found.rbegin()->first : end;
  for (auto it = changes_.lower_bound(begin);
       it != changes_.end() && it->first < last; ++it) {
    if (it->second != nullptr) found.insert(*it);
  }
  for (auto& [row_key, letter] : found) {
    if (slice.letters.size() == limits.letters) {
      slice.more = true;
      break;
    }
    slice.letters.push_back(std::move(letter));
  }
  return slice;
}

void DeadLetterTable::Flush(StoreBatch* batch) {
  for (const auto& [row_key, letter] : changes_) {
    if (letter == nullptr) {
      batch->Delete(row_key);
    } else {
      batch->Put(row_key, EncodeDeadLetter(*letter));
    }
  }
  changes_.clear();
}

}  // namespace apium::broker
