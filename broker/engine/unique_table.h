#ifndef APIUM_BROKER_ENGINE_UNIQUE_TABLE_H_
#define APIUM_BROKER_ENGINE_UNIQUE_TABLE_H_

#include <map>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "broker/storage/identity_codec.h"
#include "broker/storage/key_format.h"
#include "storage/store.h"
#include "storage/store_batch.h"

namespace apium::broker {

// Who holds which unique key, and which tasks are BLOCKED. In memory only for
// the turn that looks at it: keys are as many as tasks, and most are looked at
// twice in their life. Writes the unique rows and the blocked rows.
class UniqueTable {
 public:
  // `reader` outlives the table.
  explicit UniqueTable(const StoreReader* reader) : reader_(reader) {}

  // `key` as a task's key. None: nobody holds it at `now`.
  absl::StatusOr<std::optional<StoredUniqueKey>> Find(const std::string& key,
                                                      absl::Time now);
  void Put(const std::string& key, StoredUniqueKey stored);
  // Nobody holds it any more.
  void Release(const std::string& key);

  void AddBlocked(const BlockedTask& task) {
    blocked_changes_.Put(BlockedRowKey(task), "");
  }
  void RemoveBlocked(const BlockedTask& task) {
    blocked_changes_.Delete(BlockedRowKey(task));
  }

  void Flush(StoreBatch* batch);

 private:
  struct Entry {
    std::optional<StoredUniqueKey> stored;
    bool dirty = false;
  };
  const StoreReader* const reader_;
  std::map<std::string, Entry> looked_at_;  // in this turn
  StoreBatch blocked_changes_;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_UNIQUE_TABLE_H_
