#include "broker/engine/lease_table.h"

#include <optional>
#include <string_view>
#include <utility>

#include "broker/engine/queue_table.h"
#include "broker/engine/session_table.h"
#include "broker/storage/key_format.h"

namespace apium::broker {

absl::StatusOr<std::vector<LeaseTable::JournalRow>> LeaseTable::ReadJournal(
    const StoreReader& reader) {
  std::vector<JournalRow> rows;
  absl::Status decoded = absl::OkStatus();
  absl::Status scanned = reader.Scan(
      std::string(1, kLeaseRow), RowsEnd(kLeaseRow),
      [&](std::string_view key, std::string_view value) {
        const std::optional<uint64_t> number = NumberOfRow(key);
        auto stored = DecodeLeaseJournal(value);
        if (!number.has_value() || !stored.ok()) {
          decoded = absl::DataLossError("the store holds a damaged lease row");
          return false;
        }
        rows.push_back({.number = *number, .stored = *std::move(stored)});
        return true;
      });
  if (!scanned.ok()) return scanned;
  if (!decoded.ok()) return decoded;
  return rows;
}

void LeaseTable::Restore(LiveTask* task, Session* session,
                         const StoredLease& lease, uint64_t journal_row,
                         absl::Time grant_time) {
  task->stored.attempt = lease.attempt;
  task->lease = {.epoch = lease.epoch,
                 .session = session,
                 .journal_row = journal_row,
                 .grant_time = grant_time};
  Insert(task);
}

void LeaseTable::FinishRestore(const std::vector<JournalRow>& journal) {
  for (const JournalRow& row : journal) {
    if (!live_in_row_.contains(row.number))
      deletes_.Delete(LeaseRowKey(row.number));
  }
}

void LeaseTable::Insert(LiveTask* task) {
  by_epoch_.emplace_hint(by_epoch_.end(), task->lease.epoch, task);
  task->lease.session->leases[task->lease.epoch] = task;
  task->lease.session->runs_alone = task->stored.suspect;
  ++live_in_row_[task->lease.journal_row];
}

void LeaseTable::Grant(LiveTask* task, Session* session, absl::Time now) {
  if (open_row_ == 0) open_row_ = tickets_->Next();
  ++task->stored.attempt;
  task->lease = {.epoch = tickets_->Next(),
                 .session = session,
                 .journal_row = open_row_,
                 .grant_time = now};
  Insert(task);
  granted_.push_back(task->lease.epoch);
  grant_time_ = now;
}

void LeaseTable::Start(LiveTask* task, Queue* queue, absl::Time start_time) {
  LiveLease& lease = task->lease;
  lease.start_time = start_time;
  if (lease.started) return;
  lease.started = true;
  lease.started_in = queue;
  ++queue->started;
}

void LeaseTable::End(LiveTask* task) {
  const LiveLease& lease = task->lease;
  if (lease.started) --lease.started_in->started;
  task->stored.last_epoch = lease.epoch;
  by_epoch_.erase(lease.epoch);
  lease.session->leases.erase(lease.epoch);
  lease.session->runs_alone = false;
  auto row = live_in_row_.find(lease.journal_row);
  if (--row->second == 0) {
    live_in_row_.erase(row);
    if (lease.journal_row != open_row_)
      deletes_.Delete(LeaseRowKey(lease.journal_row));
  }
  task->lease = LiveLease();
}

LiveTask* LeaseTable::Find(uint64_t epoch) const {
  auto it = by_epoch_.find(epoch);
  return it == by_epoch_.end() ? nullptr : it->second;
}

LiveTask* LeaseTable::After(uint64_t epoch) const {
  auto it = by_epoch_.upper_bound(epoch);
  return it == by_epoch_.end() ? nullptr : it->second;
}

void LeaseTable::Flush(StoreBatch* batch) {
  batch->Append(deletes_);
  deletes_.Clear();
  std::vector<JournalledLease> leases;
  leases.reserve(granted_.size());
  for (uint64_t epoch : granted_) {
    const LiveTask* task = Find(epoch);
    if (task == nullptr) continue;
    leases.push_back({.task_key = task->key,
                      .attempt = task->stored.attempt,
                      .epoch = epoch,
                      .session_id = task->lease.session->session_id,
                      .worker_id = task->lease.session->worker_id});
  }
  if (!leases.empty())
    batch->Put(LeaseRowKey(open_row_), EncodeLeaseJournal(grant_time_, leases));
  granted_.clear();
  open_row_ = 0;
}

}  // namespace apium::broker
