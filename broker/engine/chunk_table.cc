#include "broker/engine/chunk_table.h"

#include <memory>
#include <string_view>
#include <utility>

#include "broker/storage/key_format.h"
#include "common/status_macros.h"

namespace apium::broker {
namespace {

// A page of tiny chunks ends here.
constexpr size_t kPageChunksMax = 1000;

// First key behind the chunks of the task; positions never reach the largest
// number.
std::string ChunkRowsEnd(const std::string& task_key) {
  return ChunkRowKey(task_key, ~uint64_t{0});
}

}  // namespace

absl::StatusOr<std::optional<StoredChunkHead>> ChunkTable::GetHead(
    const std::string& task_key) const {
  std::string value;
  const absl::Status read = reader_->Get(ChunkRowKey(task_key, 0), &value);
  if (absl::IsNotFound(read)) return std::nullopt;
  APIUM_RETURN_IF_ERROR(read);
  APIUM_ASSIGN_OR_RETURN(StoredChunkHead head, DecodeChunkHead(value));
  return head;
}

absl::StatusOr<std::optional<StoredChunkHead>> ChunkTable::ReadHead(
    const std::string& task_key) const {
  APIUM_ASSIGN_OR_RETURN(std::optional<StoredChunkHead> head,
                         GetHead(task_key));
  if (head.has_value() && head->deleted > 0) head.reset();
  return head;
}

absl::StatusOr<LiveChunkHead*> ChunkTable::HeadOf(LiveTask* task) {
  if (task->chunk_head != nullptr) return task->chunk_head.get();
  APIUM_ASSIGN_OR_RETURN(std::optional<StoredChunkHead> head,
                         GetHead(task->key));
  const absl::Time create_time = task->content().create_time;
  if (head.has_value() && head->create_time != create_time) {
    writes_.DeleteRange(ChunkRowKey(task->key, 0), ChunkRowsEnd(task->key));
    head.reset();
  }
  if (!head.has_value()) head = StoredChunkHead{.create_time = create_time};
  task->chunk_head =
      std::make_unique<LiveChunkHead>(LiveChunkHead{.stored = *head});
  return task->chunk_head.get();
}

void ChunkTable::MarkDirty(LiveTask* task) {
  if (task->chunk_head->dirty) return;
  task->chunk_head->dirty = true;
  dirty_.push_back(task);
}

void ChunkTable::Append(LiveTask* task, TaskChunk chunk) {
  StoredChunkHead& head = task->chunk_head->stored;
  chunk.position = ++head.count;
  head.bytes += chunk.payload.data.size();
  task->stored.chunks = head.count;
  writes_.Put(ChunkRowKey(task->key, chunk.position), EncodeChunk(chunk));
  MarkDirty(task);
}

absl::StatusOr<std::vector<TaskChunk>> ChunkTable::Read(
    const std::string& task_key, uint64_t from, size_t bytes_max) const {
  std::vector<TaskChunk> chunks;
  size_t bytes = 0;
  uint64_t next = from;
  absl::Status decoded = absl::OkStatus();
  APIUM_RETURN_IF_ERROR(reader_->Scan(
      ChunkRowKey(task_key, from), ChunkRowsEnd(task_key),
      [&](std::string_view key, std::string_view value) {
        if (PositionOfChunkRow(key) != next) return false;
        absl::StatusOr<TaskChunk> chunk = DecodeChunk(next, value);
        decoded = chunk.status();
        if (!decoded.ok()) return false;
        ++next;
        bytes += value.size();
        chunks.push_back(*std::move(chunk));
        return bytes < bytes_max && chunks.size() < kPageChunksMax;
      }));
  APIUM_RETURN_IF_ERROR(decoded);
  return chunks;
}

absl::StatusOr<bool> ChunkTable::BeginDelete(const std::string& task_key,
                                             absl::Time now) {
  APIUM_ASSIGN_OR_RETURN(std::optional<StoredChunkHead> head,
                         ReadHead(task_key));
  if (!head.has_value() || head->delete_millis == 0) return false;
  // The first is deleted at once, and with it they are nobody's.
  head->delete_millis = absl::ToUnixMillis(now);
  head->deleted = 1;
  writes_.Delete(ChunkRowKey(task_key, 1));
  writes_.Put(ChunkRowKey(task_key, 0), EncodeChunkHead(*head));
  return true;
}

absl::StatusOr<bool> ChunkTable::DeleteSome(const std::string& task_key,
                                            absl::Time now, size_t* budget) {
  APIUM_ASSIGN_OR_RETURN(std::optional<StoredChunkHead> head,
                         GetHead(task_key));
  // A timer of an earlier task of the same id, or of before a change of time.
  const bool due = head.has_value() && head->delete_millis != 0 &&
                   head->delete_millis <= absl::ToUnixMillis(now);
  if (!due) return false;
  while (head->deleted<head->count&& * budget> 0) {
    writes_.Delete(ChunkRowKey(task_key, ++head->deleted));
    --*budget;
  }
  if (head->deleted == head->count) {
    writes_.Delete(ChunkRowKey(task_key, 0));
    return false;
  }
  writes_.Put(ChunkRowKey(task_key, 0), EncodeChunkHead(*head));
  return true;
}

void ChunkTable::Flush(StoreBatch* batch) {
  for (LiveTask* task : dirty_) {
    writes_.Put(ChunkRowKey(task->key, 0),
                EncodeChunkHead(task->chunk_head->stored));
    task->chunk_head->dirty = false;
  }
  dirty_.clear();
  if (writes_.empty()) return;
  batch->Append(writes_);
  writes_.Clear();
}

}  // namespace apium::broker
