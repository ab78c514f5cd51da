#include "broker/storage/key_format.h"

#include <algorithm>

namespace apium::broker {
namespace {

constexpr size_t kLaneIdBytes = 25;
constexpr size_t kDeadLetterPrefixBytes = 5;

template <typename Integer>
void AppendBigEndian(Integer value, std::string* out) {
  for (int shift = (sizeof(Integer) - 1) * 8; shift >= 0; shift -= 8) {
    out->push_back(static_cast<char>((value >> shift) & 0xff));
  }
}

template <typename Integer>
Integer ReadBigEndian(std::string_view bytes) {
  Integer value = 0;
  for (size_t i = 0; i < sizeof(Integer); ++i) {
    value = static_cast<Integer>((value << 8) |
                                 static_cast<unsigned char>(bytes[i]));
  }
  return value;
}

std::string NumberedKey(char kind, uint64_t number) {
  std::string key(1, kind);
  AppendBigEndian(number, &key);
  return key;
}

std::string LanePrefix(char kind, const LaneId& lane) {
  std::string key;
  key.reserve(1 + kLaneIdBytes + sizeof(uint64_t));
  key.push_back(kind);
  AppendBigEndian(lane.queue_id, &key);
  AppendBigEndian(lane.type_id, &key);
  key.push_back(static_cast<char>(255 - lane.priority));
  AppendBigEndian(lane.lane_class.high, &key);
  AppendBigEndian(lane.lane_class.low, &key);
  return key;
}

std::string PrefixedKey(char kind, std::string_view rest) {
  std::string key;
  key.reserve(1 + rest.size());
  key.push_back(kind);
  key.append(rest);
  return key;
}

// Which of the rows of routing a row is.
constexpr char kExchangePart = 'E';
constexpr char kRouteRulesPart = 'R';

std::string RoutingKey(char part, std::string_view rest) {
  std::string key;
  key.reserve(2 + rest.size());
  key.push_back(kRoutingRow);
  key.push_back(part);
  key.append(rest);
  return key;
}

// What is behind the part; nothing: the row is another one.
std::optional<std::string_view> RestOfRoutingRow(char part,
                                                 std::string_view row_key) {
  if (row_key.size() < 3 || row_key[0] != kRoutingRow || row_key[1] != part)
    return std::nullopt;
  return row_key.substr(2);
}

bool HasKindAndSize(std::string_view row_key, char kind, size_t size) {
  return row_key.size() == size && row_key.front() == kind;
}

}  // namespace

std::string MakeTaskKey(std::string_view namespace_name,
                        std::string_view task_id) {
  std::string key;
  key.reserve(namespace_name.size() + 1 + task_id.size());
  key.append(namespace_name).push_back('\0');
  key.append(task_id);
  return key;
}

std::string TaskRowKey(std::string_view task_key) {
  return PrefixedKey(kTaskRow, task_key);
}

std::string ReadyRowKey(const LaneId& lane, uint64_t sequence) {
  std::string key = LanePrefix(kReadyRow, lane);
  AppendBigEndian(sequence, &key);
  return key;
}

std::string ReadyRowsEnd(const LaneId& lane) {
  // Sequences never reach the largest number: tickets are handed out from 1.
  return ReadyRowKey(lane, ~uint64_t{0});
}

std::optional<uint64_t> SequenceOfReadyRow(std::string_view row_key) {
  if (!HasKindAndSize(row_key, kReadyRow, 1 + kLaneIdBytes + 8))
    return std::nullopt;
  return ReadBigEndian<uint64_t>(row_key.substr(1 + kLaneIdBytes));
}

std::string LaneRowKey(const LaneId& lane) {
  return LanePrefix(kLaneRow, lane);
}

std::optional<LaneId> LaneOfLaneRow(std::string_view row_key) {
  if (!HasKindAndSize(row_key, kLaneRow, 1 + kLaneIdBytes)) return std::nullopt;
  return LaneId{
      .queue_id = ReadBigEndian<uint32_t>(row_key.substr(1)),
      .type_id = ReadBigEndian<uint32_t>(row_key.substr(5)),
      .priority =
          static_cast<uint8_t>(255 - static_cast<unsigned char>(row_key[9])),
      .lane_class = {.high = ReadBigEndian<uint64_t>(row_key.substr(10)),
                     .low = ReadBigEndian<uint64_t>(row_key.substr(18))}};
}

std::string TimerRowKey(const TimerId& timer) {
  std::string key;
  key.reserve(10 + timer.task_key.size());
  key.push_back(kTimerRow);
  AppendBigEndian(static_cast<uint64_t>(timer.due_millis), &key);
  key.push_back(static_cast<char>(timer.kind));
  key.append(timer.task_key);
  return key;
}

std::optional<TimerId> TimerOfRow(std::string_view row_key) {
  if (row_key.size() < 11 || row_key.front() != kTimerRow) return std::nullopt;
  const auto kind = static_cast<TimerKind>(row_key[9]);
  if (kind != TimerKind::kReady && kind != TimerKind::kExpiry &&
      kind != TimerKind::kTotalTime && kind != TimerKind::kChunks) {
    return std::nullopt;
  }
  return TimerId{.due_millis = static_cast<int64_t>(
                     ReadBigEndian<uint64_t>(row_key.substr(1))),
                 .kind = kind,
                 .task_key = std::string(row_key.substr(10))};
}

std::string ChunkRowKey(std::string_view task_key, uint64_t position) {
  std::string key;
  key.reserve(1 + task_key.size() + 1 + sizeof(uint64_t));
  key.push_back(kChunkRow);
  key.append(task_key).push_back('\0');
  AppendBigEndian(position, &key);
  return key;
}

std::optional<uint64_t> PositionOfChunkRow(std::string_view row_key) {
  if (row_key.size() < 2 + sizeof(uint64_t) || row_key.front() != kChunkRow)
    return std::nullopt;
  return ReadBigEndian<uint64_t>(
      row_key.substr(row_key.size() - sizeof(uint64_t)));
}

std::string DetailsRowKey(std::string_view task_key) {
  return PrefixedKey(kDetailsRow, task_key);
}

std::string LeaseRowKey(uint64_t row_number) {
  return NumberedKey(kLeaseRow, row_number);
}

std::string OutboxRowKey(uint64_t position) {
  return NumberedKey(kOutboxRow, position);
}

std::optional<uint64_t> NumberOfRow(std::string_view row_key) {
  if (row_key.size() != 9) return std::nullopt;
  return ReadBigEndian<uint64_t>(row_key.substr(1));
}

std::string QueueRowKey(std::string_view namespace_name,
                        std::string_view queue) {
  return PrefixedKey(kQueueRow, MakeTaskKey(namespace_name, queue));
}

std::optional<QueueName> QueueOfRow(std::string_view row_key) {
  if (row_key.empty() || row_key.front() != kQueueRow) return std::nullopt;
  row_key.remove_prefix(1);
  const size_t zero = row_key.find('\0');
  if (zero == std::string_view::npos) return std::nullopt;
  return QueueName{.namespace_name = std::string(row_key.substr(0, zero)),
                   .queue = std::string(row_key.substr(zero + 1))};
}

std::string TypeRowKey(uint32_t type_id) {
  std::string key(1, kTypeRow);
  AppendBigEndian(type_id, &key);
  return key;
}

std::optional<uint32_t> IdOfTypeRow(std::string_view row_key) {
  if (!HasKindAndSize(row_key, kTypeRow, 5)) return std::nullopt;
  return ReadBigEndian<uint32_t>(row_key.substr(1));
}

std::string CountRowKey(uint32_t queue_id) {
  std::string key(1, kCountRow);
  AppendBigEndian(queue_id, &key);
  return key;
}

std::string EndsRowKey(uint32_t queue_id) {
  std::string key(1, kEndsRow);
  AppendBigEndian(queue_id, &key);
  return key;
}

std::string DeadLetterCountRowKey(uint32_t queue_id) {
  return CountRowKey(queue_id) + kDeadLetterRow;
}

std::string BlockedCountRowKey(uint32_t queue_id) {
  return CountRowKey(queue_id) + kBlockedRow;
}

std::string BytesRowKey(uint32_t queue_id) {
  return CountRowKey(queue_id) + 'B';
}

std::string DeadLetterRowKey(uint32_t queue_id, std::string_view task_key) {
  std::string key;
  key.reserve(kDeadLetterPrefixBytes + task_key.size());
  key.push_back(kDeadLetterRow);
  AppendBigEndian(queue_id, &key);
  key.append(task_key);
  return key;
}

std::string_view TaskKeyOfDeadLetterRow(std::string_view row_key) {
  return row_key.substr(std::min(row_key.size(), kDeadLetterPrefixBytes));
}

std::string RedriveRowKey(uint32_t queue_id) {
  std::string key(1, kRedriveRow);
  AppendBigEndian(queue_id, &key);
  return key;
}

std::optional<uint32_t> QueueIdOfRedriveRow(std::string_view row_key) {
  if (!HasKindAndSize(row_key, kRedriveRow, 5)) return std::nullopt;
  return ReadBigEndian<uint32_t>(row_key.substr(1));
}

std::string BreakerRowKey(std::string_view breaker_key) {
  return PrefixedKey(kBreakerRow, breaker_key);
}

std::string LimitRowKey(std::string_view namespace_name,
                        std::string_view limit) {
  return PrefixedKey(kLimitRow, MakeTaskKey(namespace_name, limit));
}

std::string LimitStateRowKey(std::string_view namespace_name,
                             std::string_view limit, std::string_view key) {
  std::string row_key =
      PrefixedKey(kLimitStateRow, MakeTaskKey(namespace_name, limit));
  row_key.push_back('\0');
  row_key.append(key);
  return row_key;
}

std::optional<LimitRowName> LimitOfRow(std::string_view row_key) {
  if (row_key.empty()) return std::nullopt;
  const bool is_state = row_key.front() == kLimitStateRow;
  if (!is_state && row_key.front() != kLimitRow) return std::nullopt;
  row_key.remove_prefix(1);
  const size_t zero = row_key.find('\0');
  if (zero == std::string_view::npos) return std::nullopt;
  LimitRowName name{.namespace_name = std::string(row_key.substr(0, zero))};
  row_key.remove_prefix(zero + 1);
  if (is_state) {
    const size_t end = row_key.find('\0');
    if (end == std::string_view::npos) return std::nullopt;
    name.key = std::string(row_key.substr(end + 1));
    row_key = row_key.substr(0, end);
  }
  name.limit = std::string(row_key);
  return name;
}

std::string ExchangeRowKey(std::string_view exchange_key) {
  return RoutingKey(kExchangePart, exchange_key);
}

std::optional<std::string_view> ExchangeOfRow(std::string_view row_key) {
  return RestOfRoutingRow(kExchangePart, row_key);
}

std::string RouteRulesRowKey(std::string_view namespace_name) {
  return RoutingKey(kRouteRulesPart, namespace_name);
}

std::optional<std::string_view> NamespaceOfRouteRulesRow(
    std::string_view row_key) {
  return RestOfRoutingRow(kRouteRulesPart, row_key);
}

std::string BindingRowKey(uint64_t number) {
  return NumberedKey(kBindingRow, number);
}

std::string MetaRowKey(std::string_view name) {
  return PrefixedKey(kMetaRow, name);
}

std::string BatchRowKey(BatchPart part, std::string_view batch_key) {
  std::string key;
  key.reserve(2 + batch_key.size());
  key.push_back(kBatchRow);
  key.push_back(static_cast<char>(part));
  key.append(batch_key);
  return key;
}

std::string UniqueRowKey(std::string_view unique_key) {
  return PrefixedKey(kUniqueRow, unique_key);
}

std::string RequestRowKey(std::string_view request_key) {
  return PrefixedKey(kRequestRow, request_key);
}

std::string BlockedRowKey(const BlockedTask& task) {
  std::string key;
  key.reserve(5 + task.task_key.size());
  key.push_back(kBlockedRow);
  AppendBigEndian(task.queue_id, &key);
  key.append(task.task_key);
  return key;
}

std::optional<BlockedTask> BlockedTaskOfRow(std::string_view row_key) {
  if (row_key.size() < 6 || row_key.front() != kBlockedRow) return std::nullopt;
  return BlockedTask{.queue_id = ReadBigEndian<uint32_t>(row_key.substr(1)),
                     .task_key = std::string(row_key.substr(5))};
}

std::string OrderingRowKey(const OrderingLineId& line) {
  std::string key;
  key.reserve(5 + line.key.size());
  key.push_back(kOrderingRow);
  AppendBigEndian(line.queue_id, &key);
  key.append(line.key);
  return key;
}

std::string UnsettledRowKey(const OrderingLineId& line) {
  std::string key;
  key.reserve(9 + line.key.size());
  key.push_back(kOrderingRow);
  AppendBigEndian(uint32_t{0}, &key);
  AppendBigEndian(line.queue_id, &key);
  key.append(line.key);
  return key;
}

std::optional<OrderingLineId> LineOfUnsettledRow(std::string_view row_key) {
  if (row_key.size() < 9 || row_key.front() != kOrderingRow ||
      ReadBigEndian<uint32_t>(row_key.substr(1)) != 0) {
    return std::nullopt;
  }
  return OrderingLineId{.queue_id = ReadBigEndian<uint32_t>(row_key.substr(5)),
                        .key = std::string(row_key.substr(9))};
}

std::string OrderingMemberRowKey(const OrderingLineId& line, uint64_t ticket) {
  std::string key;
  key.reserve(14 + line.key.size());
  key.push_back(kOrderingMemberRow);
  AppendBigEndian(line.queue_id, &key);
  key.append(line.key).push_back('\0');
  AppendBigEndian(ticket, &key);
  return key;
}

std::optional<uint64_t> TicketOfMemberRow(std::string_view row_key) {
  if (row_key.size() < 14 || row_key.front() != kOrderingMemberRow)
    return std::nullopt;
  return ReadBigEndian<uint64_t>(
      row_key.substr(row_key.size() - sizeof(uint64_t)));
}

std::string RowsEnd(char row_kind) {
  return std::string(1, static_cast<char>(row_kind + 1));
}

std::string EncodeNumber(uint64_t value) {
  std::string out;
  AppendBigEndian(value, &out);
  return out;
}

std::optional<uint64_t> DecodeNumber(std::string_view value) {
  if (value.size() != 8) return std::nullopt;
  return ReadBigEndian<uint64_t>(value);
}

}  // namespace apium::broker
