#include "broker/engine/ordering_table.h"

#include <utility>

#include "common/status_macros.h"

namespace apium::broker {

absl::Status OrderingTable::Recover() {
  APIUM_ASSIGN_OR_RETURN(const std::vector<OrderingLineId> unsettled,
                         UnsettledFrom(UnsettledRowKey({}), 1));
  any_unsettled_ = !unsettled.empty();
  return absl::OkStatus();
}

absl::StatusOr<OrderingLine*> OrderingTable::Find(uint32_t queue_id,
                                                  const std::string& key) {
  OrderingLineId id = {.queue_id = queue_id, .key = key};
  if (auto it = looked_at_.find(id); it != looked_at_.end()) return &it->second;
  OrderingLine line;
  std::string value;
  const absl::Status read = reader_->Get(OrderingRowKey(id), &value);
  if (!read.ok() && !absl::IsNotFound(read)) return read;
  if (read.ok()) {
    APIUM_ASSIGN_OR_RETURN(line.stored, DecodeOrderingLine(value));
    line.has_row = true;
  }
  line.id = id;
  return &looked_at_.emplace(std::move(id), std::move(line)).first->second;
}

void OrderingTable::AddMember(OrderingLine* line, uint64_t ticket,
                              std::string task_id) {
  line->changes[ticket] = std::move(task_id);
  // So that a search does not pass the rows of those that have left.
  if (line->stored.waiting == 0) line->stored.first_ticket = ticket;
  ++line->stored.waiting;
  line->dirty = true;
}

absl::StatusOr<bool> OrderingTable::HasMember(const OrderingLine& line,
                                              uint64_t ticket) const {
  if (auto it = line.changes.find(ticket); it != line.changes.end())
    return !it->second.empty();
  std::string value;
  const absl::Status read =
      reader_->Get(OrderingMemberRowKey(line.id, ticket), &value);
  if (!read.ok() && !absl::IsNotFound(read)) return read;
  return read.ok();
}

absl::StatusOr<bool> OrderingTable::RemoveMember(OrderingLine* line,
                                                 uint64_t ticket) {
  APIUM_ASSIGN_OR_RETURN(const bool there, HasMember(*line, ticket));
  if (!there) return false;
  // One that came in this turn has no row.
  if (line->changes.erase(ticket) == 0) line->changes[ticket] = "";
  --line->stored.waiting;
  line->dirty = true;
  return true;
}

absl::StatusOr<std::vector<OrderingTable::Member>> OrderingTable::FirstMembers(
    const OrderingLine& line, uint64_t limit, size_t max) const {
  std::vector<Member> members;
  if (line.stored.waiting == 0) return members;
  absl::Status decoded = absl::OkStatus();
  APIUM_RETURN_IF_ERROR(reader_->Scan(
      OrderingMemberRowKey(line.id, line.stored.first_ticket),
      OrderingMemberRowKey(line.id, limit),
      [&](std::string_view key, std::string_view value) {
        if (members.size() == max) return false;
        const std::optional<uint64_t> ticket = TicketOfMemberRow(key);
        if (!ticket.has_value() || value.empty()) {
          decoded = absl::DataLossError(
              "the store holds a damaged row of a member of a line");
          return false;
        }
        if (line.changes.count(*ticket) == 0)
          members.push_back({.ticket = *ticket, .task_id = std::string(value)});
        return true;
      }));
  APIUM_RETURN_IF_ERROR(decoded);
  // Those that came in this turn have higher tickets than all that are stored.
  for (const auto& [ticket, task_id] : line.changes) {
    if (members.size() == max || ticket >= limit) break;
    if (!task_id.empty())
      members.push_back({.ticket = ticket, .task_id = task_id});
  }
  return members;
}

absl::StatusOr<std::vector<OrderingLineId>> OrderingTable::UnsettledFrom(
    const std::string& begin, size_t max) const {
  std::vector<OrderingLineId> lines;
  absl::Status decoded = absl::OkStatus();
  // Queue ids begin with 1.
  APIUM_RETURN_IF_ERROR(reader_->Scan(
      begin, OrderingRowKey({.queue_id = 1}),
      [&](std::string_view key, std::string_view) {
        if (lines.size() == max) return false;
        std::optional<OrderingLineId> line = LineOfUnsettledRow(key);
        if (!line.has_value()) {
          decoded =
              absl::DataLossError("the store holds a damaged ordering row");
          return false;
        }
        lines.push_back(*std::move(line));
        return true;
      }));
  APIUM_RETURN_IF_ERROR(decoded);
  return lines;
}

absl::StatusOr<std::vector<OrderingLineId>> OrderingTable::UnsettledLines(
    size_t max) {
  if (!unsettled_cursor_.empty()) {
    APIUM_ASSIGN_OR_RETURN(std::vector<OrderingLineId> lines,
                           UnsettledFrom(unsettled_cursor_, max));
    if (!lines.empty()) return lines;
    unsettled_cursor_.clear();
  }
  APIUM_ASSIGN_OR_RETURN(std::vector<OrderingLineId> lines,
                         UnsettledFrom(UnsettledRowKey({}), max));
  if (lines.empty()) {
    // Those of this turn have no rows yet.
    any_unsettled_ = false;
    for (const auto& [id, line] : looked_at_)
      any_unsettled_ = any_unsettled_ || line.unsettled.value_or(false);
  }
  return lines;
}

void OrderingTable::Flush(StoreBatch* batch) {
  for (const auto& [id, line] : looked_at_) {
    for (const auto& [ticket, task_id] : line.changes) {
      if (task_id.empty()) {
        batch->Delete(OrderingMemberRowKey(id, ticket));
      } else {
        batch->Put(OrderingMemberRowKey(id, ticket), task_id);
      }
    }
    if (line.unsettled.has_value()) {
      if (*line.unsettled) {
        batch->Put(UnsettledRowKey(id), "");
      } else {
        batch->Delete(UnsettledRowKey(id));
      }
    }
    if (!line.dirty) continue;
    if (!line.stored.empty()) {
      batch->Put(OrderingRowKey(id), EncodeOrderingLine(line.stored));
    } else if (line.has_row) {
      batch->Delete(OrderingRowKey(id));
    }
  }
  looked_at_.clear();
}

}  // namespace apium::broker
