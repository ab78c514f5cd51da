#ifndef APIUM_BROKER_ENGINE_OUTBOX_H_
#define APIUM_BROKER_ENGINE_OUTBOX_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "broker/engine/effects.h"
#include "broker/engine/task.h"
#include "storage/store.h"
#include "storage/store_batch.h"

namespace apium::broker {

// Outcomes on their way to the result service: a row for each turn that ended
// tasks, or more where results are large, numbered without gaps, kept until the
// result service has confirmed it.
class Outbox {
 public:
  // `reader` outlives the outbox.
  explicit Outbox(const StoreReader* reader) : reader_(reader) {}
  absl::Status Recover();

  // Adds an outcome to the row of this turn. Returns the row's position.
  uint64_t Add(std::shared_ptr<const Outcome> outcome);
  // Everything up to `position` is with the result service: the rows go.
  // Positions not written yet are ignored.
  void Confirm(uint64_t position);
  bool IsConfirmed(uint64_t position) const { return position <= confirmed_; }
  // An outcome of an earlier turn that is not confirmed. DATA_LOSS: it is not
  // where it should be.
  absl::StatusOr<std::shared_ptr<const Outcome>> Read(
      uint64_t position, const std::string& namespace_name,
      const std::string& task_id) const;

  // End of the turn.
  void Flush(StoreBatch* batch, std::vector<OutboxEntry>* entries);

  uint64_t last_position() const { return last_; }
  uint64_t confirmed_position() const { return confirmed_; }

 private:
  const StoreReader* const reader_;
  uint64_t last_ = 0;
  uint64_t confirmed_ = 0;
  std::vector<OutboxEntry> turn_;
  size_t last_entry_bytes_ = 0;
  StoreBatch deletes_;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_OUTBOX_H_
