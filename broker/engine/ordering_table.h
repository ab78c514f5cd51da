#ifndef APIUM_BROKER_ENGINE_ORDERING_TABLE_H_
#define APIUM_BROKER_ENGINE_ORDERING_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "broker/storage/key_format.h"
#include "broker/storage/ordering_codec.h"
#include "storage/store.h"
#include "storage/store_batch.h"

namespace apium::broker {

// A line of tasks with the same ordering key: one of them, the head, may run;
// the others, the members, wait behind it in the order of their tickets.
struct OrderingLine {
  OrderingLineId id;
  StoredOrderingLine stored;
  // What the turn changed: ids of members that came, empty ids of those that
  // left.
  std::map<uint64_t, std::string> changes;
  std::optional<bool> unsettled;  // set: what the turn says, see Unsettle
  bool has_row = false;
  bool dirty = false;
};

// The lines of all ordering keys. In memory only for the turn that looks at
// them: there may be millions, and millions of members. Writes the ordering
// rows and their members.
class OrderingTable {
 public:
  // `reader` outlives the table.
  explicit OrderingTable(const StoreReader* reader) : reader_(reader) {}

  absl::Status Recover();

  // The line, which may be empty, until the end of the turn.
  absl::StatusOr<OrderingLine*> Find(uint32_t queue_id, const std::string& key);
  // The line's `stored` was changed.
  void MarkDirty(OrderingLine* line) { line->dirty = true; }

  struct Member {
    uint64_t ticket = 0;
    std::string task_id;
  };
  // `ticket` is higher than every one that was given out before.
  void AddMember(OrderingLine* line, uint64_t ticket, std::string task_id);
  // Whether it was there.
  absl::StatusOr<bool> RemoveMember(OrderingLine* line, uint64_t ticket);
  // At most `max` members with tickets below `limit`, in order.
  absl::StatusOr<std::vector<Member>> FirstMembers(const OrderingLine& line,
                                                   uint64_t limit,
                                                   size_t max) const;
  // Whether a task with this ticket waits in the line.
  absl::StatusOr<bool> HasMember(const OrderingLine& line,
                                 uint64_t ticket) const;

  // A line is unsettled that has to move on in later turns, because this one
  // has done enough.
  void Unsettle(OrderingLine* line) {
    line->unsettled = true;
    any_unsettled_ = true;
  }
  void Settle(OrderingLine* line) { line->unsettled = false; }
  // Whether there may be such lines.
  bool any_unsettled() const { return any_unsettled_; }
  // Some of those that earlier turns left so. Each call goes on behind the
  // lines for which Passed was called, and begins anew behind the last.
  absl::StatusOr<std::vector<OrderingLineId>> UnsettledLines(size_t max);
  void Passed(const OrderingLineId& line) {
    unsettled_cursor_ = UnsettledRowKey(line) + '\0';
  }

  void Flush(StoreBatch* batch);

 private:
  absl::StatusOr<std::vector<OrderingLineId>> UnsettledFrom(
      const std::string& begin, size_t max) const;

  const StoreReader* const reader_;
  std::map<OrderingLineId, OrderingLine> looked_at_;  // in this turn
  bool any_unsettled_ = false;
  std::string unsettled_cursor_;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_ORDERING_TABLE_H_
