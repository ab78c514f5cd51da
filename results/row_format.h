// The rows of the result service's store, by byte. docs/storage_format.md
// repeats this grammar; a golden-byte test pins it.
//
//   outcome_key   := 'O' namespace 0x00 task_id
//   outcome_value := expire_ms:fixed64le position:fixed64le outcome
//   log_key       := 'L' namespace 0x00 position:fixed64be
//   log_value     := expire_ms:fixed64le recorded_ms:fixed64le
//                    entry_count:varint32 entry*
//   entry         := flags:uint8 state:uint8 task_id:bytes [queue:bytes]
//                    [type:bytes] [ttl_ms:varint64] finish_ns:zigzag64
//                    size:varint32
//   head_key      := 'N' namespace
//   head_value    := position:fixed64le
//   shard_key     := 'C' shard_id
//   shard_value   := confirmed_position:fixed64le
//   ids_key       := 'J'
//   ids_value     := milliseconds:fixed64le
//   store_key     := 'I'
//   store_value   := store_id, as text
//   bytes         := size:varint32 byte*
//
// An outcome row answers a read by id. `outcome` is an apium.v1.TaskOutcome
// without `namespace` and `task_id`, which the key has: the public message and
// not a copy of it under another name, because the service passes on what it
// was given, fields of newer brokers included. `position` is the log row that
// lists it, so that an older log entry of the same id (forgotten, or expired,
// and then published anew) is told from this one.
//
// A log row lists what one commit recorded in one namespace, in recorded order,
// with what a filter needs; big endian, so that it sorts by position. It is one
// row per commit and not one per outcome, because rows are what costs in the
// memtable. flags: 1 queue, 2 type, 4 ttl_ms are those of the entry before (for
// the first: "", "", 0). finish_ns counts from recorded_ms. `size` is that of
// the outcome row's value, so that a reader fetches what fits its budget.
//
// 'O' is the last kind: ids that brokers mint grow, so that most new outcomes
// sort behind all that files hold, and a look for an earlier outcome of the
// same id skips the files by their range alone.
//
// No task id of an outcome row that is a UUIDv7 is newer than the time in the
// ids row (common/recent_ids.h).
//
// expire_ms comes first in both, so that the compaction filter reads eight
// bytes; a log row's is that of its last entry. The head row keeps a
// namespace's last position when all its log rows are gone: positions, and with
// them cursors, never repeat. All times are Unix milliseconds, except
// finish_ns.

#ifndef APIUM_RESULTS_ROW_FORMAT_H_
#define APIUM_RESULTS_ROW_FORMAT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace apium::results {

// Of the rows above, in the store's identity.
inline constexpr std::string_view kResultStoreName = "apium-results";
inline constexpr uint32_t kResultFormatVersion = 1;

// --- Keys. SetOutcomeKey replaces what `key` holds and reuses its memory. ---

void SetOutcomeKey(std::string_view name_space, std::string_view task_id,
                   std::string* key);
std::string OutcomeKey(std::string_view name_space, std::string_view task_id);
std::string LogKey(std::string_view name_space, uint64_t position);
std::string HeadKey(std::string_view name_space);
std::string ShardKey(std::string_view shard_id);
std::string StoreKey();
std::string IdsUntilKey();

// All rows of a kind are in [first, last).
struct KeyRange {
  std::string first;
  std::string last;
};
KeyRange AllHeads();
KeyRange AllShards();

// The task id in a key that SetOutcomeKey made.
std::string_view TaskIdOfOutcomeKey(std::string_view key);

// The variable part of a key of that kind; DATA_LOSS when it is another kind.
absl::StatusOr<std::string_view> NamespaceOfHeadKey(std::string_view key);
absl::StatusOr<std::string_view> ShardOfShardKey(std::string_view key);
absl::StatusOr<uint64_t> PositionOfLogKey(std::string_view key);

// --- Values ---

std::string PositionValue(uint64_t position);
absl::StatusOr<uint64_t> ParsePositionValue(std::string_view key,
                                            std::string_view value);

struct OutcomeRow {
  int64_t expire_ms = 0;
  uint64_t position = 0;
  std::string_view outcome;  // serialized; points into the parsed value
};
// `value` is set to the fixed part; the caller appends the serialized outcome.
void StartOutcomeValue(int64_t expire_ms, uint64_t position,
                       std::string* value);
absl::StatusOr<OutcomeRow> ParseOutcomeValue(std::string_view key,
                                             std::string_view value);

struct LogEntry {
  int state = 0;  // apium.v1.TaskState
  std::string_view task_id;
  std::string_view queue;
  std::string_view type;
  int64_t ttl_ms = 0;
  int64_t finish_ns = 0;  // Unix nanoseconds
  uint32_t size = 0;      // bytes of the outcome row's value

  friend bool operator==(const LogEntry&, const LogEntry&) = default;
};

// Makes the value of one log row; reusable after Start. `queue` and `type` of
// the last entry must live until the next Add.
class LogRowBuilder {
 public:
  void Start(int64_t recorded_ms);
  void Add(const LogEntry& entry);
  size_t entry_count() const { return count_; }
  // The value. Valid until Start.
  std::string_view Finish();

 private:
  int64_t recorded_ms_ = 0;
  int64_t ttl_max_ms_ = 0;
  uint32_t count_ = 0;
  LogEntry previous_;
  std::string entries_;
  std::string value_;
};

struct LogRow {
  int64_t expire_ms = 0;
  int64_t recorded_ms = 0;
  std::vector<LogEntry> entries;  // point into the parsed value

  int64_t ExpireMsOf(const LogEntry& entry) const {
    return recorded_ms + entry.ttl_ms;
  }
};
// DATA_LOSS, naming the key, when the value is not what the grammar says.
absl::Status ParseLogValue(std::string_view key, std::string_view value,
                           LogRow* row);

// True for outcome and log rows that expired at or before `now_ms`: what the
// compaction filter drops. Rows that it does not understand stay.
bool IsExpiredRow(std::string_view key, std::string_view value, int64_t now_ms);

// True for a row that holds an outcome.
bool IsOutcomeKey(std::string_view key);

}  // namespace apium::results

#endif  // APIUM_RESULTS_ROW_FORMAT_H_
