#ifndef APIUM_BROKER_ENGINE_CHUNK_TABLE_H_
#define APIUM_BROKER_ENGINE_CHUNK_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "broker/engine/live_task.h"
#include "broker/storage/chunk_codec.h"
#include "storage/store.h"
#include "storage/store_batch.h"

namespace apium::broker {

// What running tasks append: a row for each chunk, and one head for all of a
// task. Nothing of it is in memory but the heads of tasks that are appending.
class ChunkTable {
 public:
  // `reader` outlives the table.
  explicit ChunkTable(const StoreReader* reader) : reader_(reader) {}

  // The head of the live task's chunks, read if need be; the task keeps it. One
  // that another task of the same id left behind is gone afterwards.
  absl::StatusOr<LiveChunkHead*> HeadOf(LiveTask* task);
  // The head as it is stored; none: no chunks, or they are being deleted.
  absl::StatusOr<std::optional<StoredChunkHead>> ReadHead(
      const std::string& task_key) const;

  // Gives the chunk the next position.
  void Append(LiveTask* task, TaskChunk chunk);
  // The head changed: it is written at the end of the turn.
  void MarkDirty(LiveTask* task);

  // Chunks from position `from` on, in order, up to about `bytes_max`; at least
  // one if there is one. Those of this turn are not among them.
  absl::StatusOr<std::vector<TaskChunk>> Read(const std::string& task_key,
                                              uint64_t from,
                                              size_t bytes_max) const;

  // Begins to delete the chunks of a task that has ended. False: it had none.
  absl::StatusOr<bool> BeginDelete(const std::string& task_key, absl::Time now);
  // Deletes at most `*budget` chunks, which it counts down, if it is time for
  // it. True: some are left, go on in a later turn.
  absl::StatusOr<bool> DeleteSome(const std::string& task_key, absl::Time now,
                                  size_t* budget);

  // End of the turn, before the tasks leave memory.
  void Flush(StoreBatch* batch);

 private:
  absl::StatusOr<std::optional<StoredChunkHead>> GetHead(
      const std::string& task_key) const;

  const StoreReader* const reader_;
  StoreBatch writes_;
  std::vector<LiveTask*> dirty_;  // heads
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_CHUNK_TABLE_H_
