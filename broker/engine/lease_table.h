#ifndef APIUM_BROKER_ENGINE_LEASE_TABLE_H_
#define APIUM_BROKER_ENGINE_LEASE_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "broker/engine/live_task.h"
#include "broker/engine/tickets.h"
#include "broker/storage/record_codec.h"
#include "storage/store.h"
#include "storage/store_batch.h"

namespace apium::broker {

// Who holds which task: at most one lease for each task, each with an epoch
// that no other lease ever had. Writes the lease journal: one row for all
// leases of a turn, deleted when the last of them has ended.
class LeaseTable {
 public:
  explicit LeaseTable(Tickets* tickets) : tickets_(tickets) {}

  // The leases that the journal holds, by row. The caller decides which are
  // still valid and restores those.
  struct JournalRow {
    uint64_t number = 0;
    StoredLeases stored;
  };
  static absl::StatusOr<std::vector<JournalRow>> ReadJournal(
      const StoreReader& reader);
  void Restore(LiveTask* task, Session* session, const StoredLease& lease,
               uint64_t journal_row, absl::Time grant_time);
  // After the last Restore: rows of `journal` without a valid lease are
  // deleted.
  void FinishRestore(const std::vector<JournalRow>& journal);

  // Leases the task, which is not leased: sets task->lease.
  void Grant(LiveTask* task, Session* session, absl::Time now);
  // The worker runs the task, which is leased and of `queue`.
  void Start(LiveTask* task, Queue* queue, absl::Time start_time);
  // Ends the lease: clears task->lease and remembers its epoch as the last in
  // the stored task.
  void End(LiveTask* task);

  // The task whose lease has this epoch; null if there is none (any more).
  LiveTask* Find(uint64_t epoch) const;
  // In order of epochs, for listing: the first lease with a greater epoch.
  LiveTask* After(uint64_t epoch) const;
  size_t size() const { return by_epoch_.size(); }

  void Flush(StoreBatch* batch);

 private:
  void Insert(LiveTask* task);

  Tickets* const tickets_;
  absl::btree_map<uint64_t, LiveTask*> by_epoch_;
  absl::flat_hash_map<uint64_t, size_t> live_in_row_;
  uint64_t open_row_ = 0;          // of this turn; 0: no lease was granted yet
  std::vector<uint64_t> granted_;  // epochs of this turn
  absl::Time grant_time_;          // of those
  StoreBatch deletes_;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_LEASE_TABLE_H_
