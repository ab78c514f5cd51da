#include "broker/storage/ordering_codec.h"

#include <utility>

#include "apium/storage/v1/ordering.pb.h"
#include "broker/storage/record_value.h"

namespace apium::broker {

std::string EncodeOrderingLine(const StoredOrderingLine& line) {
  apium::storage::v1::OrderingLineRecord record;
  record.set_head(line.head);
  record.set_waiting(line.waiting);
  record.set_first_ticket(line.first_ticket);
  record.set_blocked(line.blocked);
  record.set_failed(line.failed);
  if (line.blocked) record.set_block_nanos(absl::ToUnixNanos(line.block_time));
  record.set_fail_limit(line.fail_limit);
  return record.SerializeAsString();
}

absl::StatusOr<StoredOrderingLine> DecodeOrderingLine(std::string_view value) {
  apium::storage::v1::OrderingLineRecord record;
  if (!ParseRecord(value, &record)) return DamagedRow("ordering key");
  StoredOrderingLine line;
  line.head = std::move(*record.mutable_head());
  line.waiting = record.waiting();
  line.first_ticket = record.first_ticket();
  line.blocked = record.blocked();
  line.failed = std::move(*record.mutable_failed());
  if (line.blocked) line.block_time = absl::FromUnixNanos(record.block_nanos());
  line.fail_limit = record.fail_limit();
  // A line that holds nobody has no row.
  if (line.empty()) return DamagedRow("ordering key");
  return line;
}

}  // namespace apium::broker
