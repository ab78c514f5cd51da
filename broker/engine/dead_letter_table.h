#ifndef APIUM_BROKER_ENGINE_DEAD_LETTER_TABLE_H_
#define APIUM_BROKER_ENGINE_DEAD_LETTER_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "broker/engine/dead_letter.h"
#include "storage/store.h"
#include "storage/store_batch.h"

namespace apium::broker {

// Dead letters of all queues. They are on disk; only what the current turn has
// changed is in memory, too. Writes the rows.
class DeadLetterTable {
 public:
  // `reader` outlives the table.
  explicit DeadLetterTable(const StoreReader* reader) : reader_(reader) {}

  // Null: there is none.
  absl::StatusOr<std::shared_ptr<const DeadLetter>> Find(
      uint32_t queue_id, const std::string& task_key) const;
  // Replaces one of the same key.
  void Put(uint32_t queue_id, const std::string& task_key,
           std::shared_ptr<const DeadLetter> letter);
  void Remove(uint32_t queue_id, const std::string& task_key);

  // At least one letter is read, however large.
  struct ReadLimits {
    size_t letters = 0;
    size_t bytes = 0;
  };
  struct Slice {
    std::vector<std::shared_ptr<const DeadLetter>> letters;  // by key
    bool more = false;  // there may be more behind the last one
  };
  // Letters of the queue behind `after`, which is a task's key, or empty.
  absl::StatusOr<Slice> Read(uint32_t queue_id, const std::string& after,
                             const ReadLimits& limits) const;

  void Flush(StoreBatch* batch);

 private:
  // By row key; null: removed.
  using Changes = std::map<std::string, std::shared_ptr<const DeadLetter>>;

  const StoreReader* const reader_;
  Changes changes_;  // of the turn
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_DEAD_LETTER_TABLE_H_
