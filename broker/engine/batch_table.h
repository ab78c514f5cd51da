#ifndef APIUM_BROKER_ENGINE_BATCH_TABLE_H_
#define APIUM_BROKER_ENGINE_BATCH_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "broker/engine/batch.h"
#include "broker/storage/batch_codec.h"
#include "storage/store.h"
#include "storage/store_batch.h"

namespace apium::broker {

// A batch in memory.
struct LiveBatch {
  std::string key;     // as a task's key
  StoredBatch stored;  // what its row says, or will say after the turn
  // Held for the turn only; null: none, or not read.
  std::shared_ptr<const BatchCallbacks> callbacks;
  bool dirty = false;            // its state row is to be written
  bool callbacks_dirty = false;  // so is that of its callbacks
  bool unsettled = false;        // changed since TakeUnsettled
};

// Finds batches wherever they are: in memory, or in the store. Holds those that
// the current turn has changed, and up to `capacity` of those that were used
// last. Writes the batch rows.
class BatchTable {
 public:
  // `reader` outlives the table.
  BatchTable(const StoreReader* reader, size_t capacity)
      : reader_(reader), capacity_(capacity) {}

  // Null: never made, or forgotten at `now`. The pointer is valid until the end
  // of the turn.
  absl::StatusOr<LiveBatch*> Find(const std::string& key, absl::Time now);
  // A batch that is not there, or forgotten. `callbacks` may be null.
  LiveBatch* Add(std::string key, StoredBatch stored,
                 std::shared_ptr<const BatchCallbacks> callbacks);
  // What the batch submits, from memory or the store; null: nothing.
  absl::StatusOr<std::shared_ptr<const BatchCallbacks>> CallbacksOf(
      LiveBatch* batch);

  // Its counts or settings changed: its row is written at the end of the turn.
  void MarkDirty(LiveBatch* batch);
  // The batch is complete, and is forgotten at `keep_until`.
  absl::Status MarkComplete(LiveBatch* batch, absl::Time now,
                            absl::Time keep_until);
  // Batches that were changed since the last call, in the order of their first
  // change.
  std::vector<LiveBatch*> TakeUnsettled();

  bool has_unsettled() const { return !unsettled_.empty(); }

  struct Page {
    std::vector<std::pair<std::string, StoredBatch>> batches;  // by id
    std::string next_after;  // the next page is behind this id; empty: the end
  };
  // At most `limit` batches with ids above `after`. May be short, or empty,
  // with more to come.
  absl::StatusOr<Page> List(const std::string& namespace_name,
                            const std::string& after, size_t limit,
                            absl::Time now) const;

  void Flush(StoreBatch* batch);

  size_t size() const { return batches_.size(); }

 private:
  using Batches = std::list<LiveBatch>;
  LiveBatch* Insert(std::string key, StoredBatch stored);
  void HoldCallbacks(LiveBatch* batch,
                     std::shared_ptr<const BatchCallbacks> callbacks);

  const StoreReader* const reader_;
  const size_t capacity_;
  Batches batches_;  // last used first
  absl::flat_hash_map<std::string, Batches::iterator> by_key_;
  std::vector<LiveBatch*> dirty_;
  std::vector<LiveBatch*> with_callbacks_;
  std::vector<LiveBatch*> unsettled_;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_BATCH_TABLE_H_
