#ifndef APIUM_BROKER_ENGINE_REQUEST_TABLE_H_
#define APIUM_BROKER_ENGINE_REQUEST_TABLE_H_

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "broker/storage/identity_codec.h"
#include "storage/store.h"
#include "storage/store_batch.h"

namespace apium::broker {

// What was answered to requests that carried an id, so that a request that is
// repeated answers as it did first. In memory only for the turn that looks at
// it. Writes the request rows; compaction drops them.
class RequestTable {
 public:
  // `reader` outlives the table.
  explicit RequestTable(const StoreReader* reader) : reader_(reader) {}

  // `key` as a task's key. Null: not seen, or forgotten at `now`. Valid until
  // Add or the end of the turn.
  absl::StatusOr<const StoredRequest*> Find(const std::string& key,
                                            absl::Time now);
  // The request was carried out; replaces a forgotten one of the same id.
  void Add(const std::string& key, StoredRequest request);

  void Flush(StoreBatch* batch);

 private:
  struct Entry {
    StoredRequest request;  // without answers: there is none
    bool dirty = false;
  };
  const StoreReader* const reader_;
  std::map<std::string, Entry> looked_at_;  // in this turn
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_REQUEST_TABLE_H_
