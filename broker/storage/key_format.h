#ifndef APIUM_BROKER_STORAGE_KEY_FORMAT_H_
#define APIUM_BROKER_STORAGE_KEY_FORMAT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/fingerprint.h"

// The keys of the broker's rows. Integers are big endian so that keys sort as
// numbers do; names hold no zero byte, so a zero byte ends them. Values are in
// record_codec.h; the whole format is in docs/storage_format.md.
//
// The engine knows a task by its key:
//   task_key := namespace 0x00 task_id
//
//   task          'T' task_key              live, or a stub of a finished one
//   ready         'R' lane sequence:64
//                 sorts in dispatch order within a lane, so that reading ahead
//                 is one forward scan
//   lane          'C' lane
//                 lane := queue_id:32 type_id:32 inverted_priority:8
//                 lane_class:128 (zero: none; what it stands for is in the
//                 lane's row)
//   timer         'D' due_millis:64 kind:8 task_key        sorts by time
//   lease         'L' row_number:64         the lease journal
//   outbox        'O' position:64
//   queue         'Q' namespace 0x00 queue
//   type          'Y' type_id:32            the name of the task type
//   count         'S' queue_id:32           number of scheduled tasks, 64 bits
//   dead letters  'S' queue_id:32 'X'       number of dead letters, 64 bits
//   blocked       'S' queue_id:32 'W'       number of blocked tasks, 64 bits
//   bytes         'S' queue_id:32 'B'       bytes of the payloads of live tasks,
//                 64 bits
//   ends          'E' queue_id:32           tasks that ended, by how
//   batch         'G' part:8 namespace 0x00 batch_id
//                 part: 'S' state and counts, 'C' callbacks
//   unique        'U' namespace 0x00 key    who holds a unique key
//   blocked       'W' queue_id:32 task_key  a task that is BLOCKED
//   request       'I' namespace 0x00 request_id            what was answered
//   chunk         'K' task_key 0x00 position:64
//                 position 0: the head of the task's chunks
//   details       'P' task_key              last details of a live task
//   dead letter   'X' queue_id:32 task_key
//   redrive       'J' queue_id:32           the queue's latest
//   breaker       'B' namespace 0x00 type
//   limit         'V' namespace 0x00 limit
//   limit state   'Z' namespace 0x00 limit 0x00 key        what is used of it
//   ordering      'A' queue_id:32 key       a line of tasks with the same key;
//                 queue ids begin with 1
//   unsettled     'A' 0:32 queue_id:32 key  a line that is to move on
//   member        'N' queue_id:32 key 0x00 ticket:64       waits in a line
//   exchange      'F' 'E' namespace 0x00 exchange
//   route rules   'F' 'R' namespace         all of the namespace
//   binding       'H' number:64
//   meta          'M' name
namespace apium::broker {

// Which of a task's possible timers a row is.
enum class TimerKind : uint8_t {
  kReady = 1,      // the ETA or a back-off ends
  kExpiry = 2,     // the task expires
  kTotalTime = 3,  // no further attempt may begin
  kChunks = 8,     // its chunks are deleted; the task ended long ago
};

inline constexpr char kTaskRow = 'T';
inline constexpr char kReadyRow = 'R';
inline constexpr char kTimerRow = 'D';
inline constexpr char kLeaseRow = 'L';
inline constexpr char kOutboxRow = 'O';
inline constexpr char kLaneRow = 'C';
inline constexpr char kQueueRow = 'Q';
inline constexpr char kTypeRow = 'Y';
inline constexpr char kCountRow = 'S';
inline constexpr char kMetaRow = 'M';
inline constexpr char kBatchRow = 'G';
inline constexpr char kChunkRow = 'K';
inline constexpr char kDetailsRow = 'P';
inline constexpr char kDeadLetterRow = 'X';
inline constexpr char kRedriveRow = 'J';
inline constexpr char kBreakerRow = 'B';
inline constexpr char kUniqueRow = 'U';
inline constexpr char kBlockedRow = 'W';
inline constexpr char kRequestRow = 'I';
inline constexpr char kEndsRow = 'E';
inline constexpr char kLimitRow = 'V';
inline constexpr char kLimitStateRow = 'Z';
inline constexpr char kOrderingRow = 'A';
inline constexpr char kOrderingMemberRow = 'N';
inline constexpr char kRoutingRow = 'F';
inline constexpr char kBindingRow = 'H';

// Names of meta rows.
inline constexpr std::string_view kMetaShardId = "shard_id";
inline constexpr std::string_view kMetaTicket = "ticket";
inline constexpr std::string_view kMetaOutbox = "outbox";
inline constexpr std::string_view kMetaIdsUntil = "ids_until";

std::string MakeTaskKey(std::string_view namespace_name,
                        std::string_view task_id);
std::string TaskRowKey(std::string_view task_key);

struct LaneId {
  uint32_t queue_id = 0;
  uint32_t type_id = 0;
  uint8_t priority = 0;
  Fingerprint lane_class{};  // of LaneClass; 0: none
  friend bool operator==(const LaneId&, const LaneId&) = default;
};
std::string ReadyRowKey(const LaneId& lane, uint64_t sequence);
// First key behind the ready rows of `lane`.
std::string ReadyRowsEnd(const LaneId& lane);
// The sequence in a ready row's key.
std::optional<uint64_t> SequenceOfReadyRow(std::string_view row_key);
std::string LaneRowKey(const LaneId& lane);
std::optional<LaneId> LaneOfLaneRow(std::string_view row_key);

struct TimerId {
  int64_t due_millis = 0;  // not negative
  TimerKind kind = TimerKind::kReady;
  std::string task_key;
  friend auto operator<=>(const TimerId&, const TimerId&) = default;
};
std::string TimerRowKey(const TimerId& timer);
std::optional<TimerId> TimerOfRow(std::string_view row_key);

std::string LeaseRowKey(uint64_t row_number);
std::string OutboxRowKey(uint64_t position);
std::string BindingRowKey(uint64_t number);
// The number at the end of a lease, outbox or binding row's key.
std::optional<uint64_t> NumberOfRow(std::string_view row_key);

std::string QueueRowKey(std::string_view namespace_name,
                        std::string_view queue);
struct QueueName {
  std::string namespace_name;
  std::string queue;
};
std::optional<QueueName> QueueOfRow(std::string_view row_key);
std::string TypeRowKey(uint32_t type_id);
std::optional<uint32_t> IdOfTypeRow(std::string_view row_key);
std::string CountRowKey(uint32_t queue_id);
std::string DeadLetterCountRowKey(uint32_t queue_id);
std::string BlockedCountRowKey(uint32_t queue_id);
std::string BytesRowKey(uint32_t queue_id);
std::string DeadLetterRowKey(uint32_t queue_id, std::string_view task_key);
// The task's key in a dead letter row's key.
std::string_view TaskKeyOfDeadLetterRow(std::string_view row_key);
std::string RedriveRowKey(uint32_t queue_id);
std::optional<uint32_t> QueueIdOfRedriveRow(std::string_view row_key);
// `breaker_key` is a task's key with the type in place of the id.
std::string BreakerRowKey(std::string_view breaker_key);
// `exchange_key` is a task's key with the exchange in place of the id.
std::string ExchangeRowKey(std::string_view exchange_key);
// The exchange's key in an exchange row's key; nothing: it is none.
std::optional<std::string_view> ExchangeOfRow(std::string_view row_key);
std::string RouteRulesRowKey(std::string_view namespace_name);
// Nothing: it is none.
std::optional<std::string_view> NamespaceOfRouteRulesRow(
    std::string_view row_key);
std::string EndsRowKey(uint32_t queue_id);
std::string LimitRowKey(std::string_view namespace_name,
                        std::string_view limit);
std::string LimitStateRowKey(std::string_view namespace_name,
                             std::string_view limit, std::string_view key);
// The names in the key of a limit's row, or of one of its states'.
struct LimitRowName {
  std::string namespace_name;
  std::string limit;
  std::string key;  // of a state
};
std::optional<LimitRowName> LimitOfRow(std::string_view row_key);
std::string MetaRowKey(std::string_view name);

// Which of a batch's two rows a row is.
enum class BatchPart : char {
  kState = 'S',      // counts and settings: changes with every member
  kCallbacks = 'C',  // what is submitted: there if there are any
};
// `batch_key` as a task's key.
std::string BatchRowKey(BatchPart part, std::string_view batch_key);

// Position 0 is the head of the task's chunks.
std::string ChunkRowKey(std::string_view task_key, uint64_t position);
// The position in a chunk row's key.
std::optional<uint64_t> PositionOfChunkRow(std::string_view row_key);
std::string DetailsRowKey(std::string_view task_key);

// `unique_key` and `request_key` as a task's key.
std::string UniqueRowKey(std::string_view unique_key);
std::string RequestRowKey(std::string_view request_key);
struct BlockedTask {
  uint32_t queue_id = 0;
  std::string task_key;
};
std::string BlockedRowKey(const BlockedTask& task);
std::optional<BlockedTask> BlockedTaskOfRow(std::string_view row_key);

// A line of tasks of one queue with the same ordering key, which holds no zero
// byte.
struct OrderingLineId {
  uint32_t queue_id = 0;
  std::string key;
  friend auto operator<=>(const OrderingLineId&,
                          const OrderingLineId&) = default;
};
std::string OrderingRowKey(const OrderingLineId& line);
// With an empty `line`: the first key of that kind.
std::string UnsettledRowKey(const OrderingLineId& line);
std::optional<OrderingLineId> LineOfUnsettledRow(std::string_view row_key);
std::string OrderingMemberRowKey(const OrderingLineId& line, uint64_t ticket);
// The ticket in a member row's key.
std::optional<uint64_t> TicketOfMemberRow(std::string_view row_key);

// First key behind all rows that begin with `row_kind`.
std::string RowsEnd(char row_kind);

// Fixed 64-bit values of meta and count rows.
std::string EncodeNumber(uint64_t value);
std::optional<uint64_t> DecodeNumber(std::string_view value);

}  // namespace apium::broker

#endif  // APIUM_BROKER_STORAGE_KEY_FORMAT_H_
