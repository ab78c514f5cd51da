#ifndef APIUM_BROKER_ENGINE_DETAILS_TABLE_H_
#define APIUM_BROKER_ENGINE_DETAILS_TABLE_H_

#include <memory>
#include <string>

#include "absl/container/btree_map.h"
#include "absl/status/statusor.h"
#include "broker/engine/task.h"
#include "storage/store.h"
#include "storage/store_batch.h"

namespace apium::broker {

// The last details that live tasks reported with their progress: a row each, so
// that a report costs 16 KiB at most and not the task's row. In memory are only
// those of the current turn.
class DetailsTable {
 public:
  // `reader` outlives the table.
  explicit DetailsTable(const StoreReader* reader) : reader_(reader) {}

  // Null: there are none.
  absl::StatusOr<std::shared_ptr<const Payload>> Find(
      const std::string& task_key) const;
  void Put(const std::string& task_key, std::shared_ptr<const Payload> details);
  // There are some.
  void Erase(const std::string& task_key);

  // End of the turn: one change for each task whose details did change.
  void Flush(StoreBatch* batch);

 private:
  const StoreReader* const reader_;
  // Of this turn, sorted as the rows; null: erased.
  absl::btree_map<std::string, std::shared_ptr<const Payload>> changes_;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_DETAILS_TABLE_H_
