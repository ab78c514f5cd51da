#ifndef APIUM_BROKER_ENGINE_REDRIVE_TABLE_H_
#define APIUM_BROKER_ENGINE_REDRIVE_TABLE_H_

#include <cstdint>
#include <map>
#include <set>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "broker/storage/dead_letter_codec.h"
#include "storage/store.h"
#include "storage/store_batch.h"

namespace apium::broker {

// The latest redrive of each queue. Writes the redrive rows.
class RedriveTable {
 public:
  absl::Status Recover(const StoreReader& reader);

  // Null: the queue never had one.
  StoredRedrive* Find(uint32_t queue_id);
  // Replaces one that is not running.
  void Start(uint32_t queue_id, StoredRedrive redrive);
  // The redrive changed: its row is written at the end of the turn.
  void MarkDirty(uint32_t queue_id);
  // The queue is deleted.
  void Forget(uint32_t queue_id);

  // Queues whose redrive is running.
  const std::set<uint32_t>& running() const { return running_; }
  // When the first of them goes on.
  absl::Time NextTime() const;

  void Flush(StoreBatch* batch);

 private:
  std::map<uint32_t, StoredRedrive> redrives_;  // by queue
  std::set<uint32_t> running_;
  std::set<uint32_t> dirty_;  // a forgotten one is deleted
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_REDRIVE_TABLE_H_
