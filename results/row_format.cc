#include "results/row_format.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace apium::results {
namespace {

constexpr char kOutcomeKind = 'O';
constexpr char kLogKind = 'L';
constexpr char kHeadKind = 'N';
constexpr char kShardKind = 'C';
constexpr char kStoreKind = 'I';
constexpr char kIdsKind = 'J';

constexpr uint8_t kSameQueue = 1;
constexpr uint8_t kSameType = 2;
constexpr uint8_t kSameTtl = 4;

constexpr size_t kOutcomeFixedBytes = 16;

void AppendFixed64(uint64_t number, std::string* out) {
  for (int shift = 0; shift < 64; shift += 8) {
    out->push_back(static_cast<char>(number >> shift));
  }
}

void AppendFixed64BigEndian(uint64_t number, std::string* out) {
  for (int shift = 56; shift >= 0; shift -= 8) {
    out->push_back(static_cast<char>(number >> shift));
  }
}

// `bytes` has at least eight.
uint64_t LoadFixed64(const char* bytes) {
  uint64_t number = 0;
  for (int i = 7; i >= 0; --i) {
    number = number << 8 | static_cast<uint8_t>(bytes[i]);
  }
  return number;
}

uint64_t LoadFixed64BigEndian(const char* bytes) {
  uint64_t number = 0;
  for (int i = 0; i < 8; ++i) {
    number = number << 8 | static_cast<uint8_t>(bytes[i]);
  }
  return number;
}

void AppendVarint(uint64_t number, std::string* out) {
  while (number >= 0x80) {
    out->push_back(static_cast<char>(number | 0x80));
    number >>= 7;
  }
  out->push_back(static_cast<char>(number));
}

void AppendBytes(std::string_view bytes, std::string* out) {
  AppendVarint(bytes.size(), out);
  out->append(bytes);
}

bool TakeVarint(std::string_view* rest, uint64_t* number) {
  *number = 0;
  for (int shift = 0; shift < 64 && !rest->empty(); shift += 7) {
    const uint8_t byte = static_cast<uint8_t>(rest->front());
    rest->remove_prefix(1);
    *number |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) {
      return true;
    }
  }
  return false;
}

bool TakeBytes(std::string_view* rest, std::string_view* bytes) {
  uint64_t size = 0;
  if (!TakeVarint(rest, &size) || size > rest->size()) {
    return false;
  }
  *bytes = rest->substr(0, size);
  rest->remove_prefix(size);
  return true;
}

bool TakeByte(std::string_view* rest, uint8_t* byte) {
  if (rest->empty()) {
    return false;
  }
  *byte = static_cast<uint8_t>(rest->front());
  rest->remove_prefix(1);
  return true;
}

uint64_t ZigZag(int64_t number) {
  return (static_cast<uint64_t>(number) << 1) ^
         static_cast<uint64_t>(number >> 63);
}

int64_t UnZigZag(uint64_t number) {
  return static_cast<int64_t>((number >> 1) ^ (~(number & 1) + 1));
}

// The differences wrap, so that no pair of times overflows.
int64_t WrappingSubtract(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) -
                              static_cast<uint64_t>(b));
}
int64_t WrappingAdd(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) +
                              static_cast<uint64_t>(b));
}
int64_t NanosOfMillis(int64_t ms) {
  return static_cast<int64_t>(static_cast<uint64_t>(ms) * 1'000'000u);
}

int64_t LoadMillis(const char* bytes) {
  return static_cast<int64_t>(LoadFixed64(bytes));
}

absl::Status Damaged(std::string_view key, const std::string& what) {
  return absl::DataLossError(absl::StrCat(
      "row ", absl::CHexEscape(absl::string_view(key.data(), key.size())),
      " is damaged: ", what));
}

bool TakeEntry(int64_t base_ns, const LogEntry& previous,
               std::string_view* rest, LogEntry* entry) {
  uint8_t flags = 0;
  uint8_t state = 0;
  if (!TakeByte(rest, &flags) || !TakeByte(rest, &state) ||
      !TakeBytes(rest, &entry->task_id)) {
    return false;
  }
  entry->state = state;
  entry->queue = previous.queue;
  if ((flags & kSameQueue) == 0 && !TakeBytes(rest, &entry->queue)) {
    return false;
  }
  entry->type = previous.type;
  if ((flags & kSameType) == 0 && !TakeBytes(rest, &entry->type)) {
    return false;
  }
  entry->ttl_ms = previous.ttl_ms;
  uint64_t number = 0;
  if ((flags & kSameTtl) == 0) {
    if (!TakeVarint(rest, &number)) {
      return false;
    }
    entry->ttl_ms = static_cast<int64_t>(number);
  }
  if (!TakeVarint(rest, &number)) {
    return false;
  }
  entry->finish_ns = WrappingAdd(base_ns, UnZigZag(number));
  if (!TakeVarint(rest, &number)) {
    return false;
  }
  entry->size = static_cast<uint32_t>(number);
  return true;
}

std::string KindKey(char kind, std::string_view rest) {
  std::string key(1, kind);
  key.append(rest);
  return key;
}

KeyRange AllOfKind(char kind) {
  return {.first = std::string(1, kind),
          .last = std::string(1, static_cast<char>(kind + 1))};
}

absl::StatusOr<std::string_view> AfterKind(char kind, std::string_view key) {
  if (key.empty() || key.front() != kind) {
    return Damaged(key, "it is of another kind");
  }
  return key.substr(1);
}

}  // namespace

void SetOutcomeKey(std::string_view name_space, std::string_view task_id,
                   std::string* key) {
  key->clear();
  key->push_back(kOutcomeKind);
  key->append(name_space);
  key->push_back('\0');
  key->append(task_id);
}

std::string OutcomeKey(std::string_view name_space, std::string_view task_id) {
  std::string key;
  SetOutcomeKey(name_space, task_id, &key);
  return key;
}

std::string LogKey(std::string_view name_space, uint64_t position) {
  std::string key = KindKey(kLogKind, name_space);
  key.push_back('\0');
  AppendFixed64BigEndian(position, &key);
  return key;
}

std::string HeadKey(std::string_view name_space) {
  return KindKey(kHeadKind, name_space);
}

std::string ShardKey(std::string_view shard_id) {
  return KindKey(kShardKind, shard_id);
}

std::string StoreKey() { return KindKey(kStoreKind, ""); }

std::string IdsUntilKey() { return KindKey(kIdsKind, ""); }

std::string_view TaskIdOfOutcomeKey(std::string_view key) {
  return key.substr(key.find('\0') + 1);
}

KeyRange AllHeads() { return AllOfKind(kHeadKind); }

KeyRange AllShards() { return AllOfKind(kShardKind); }

absl::StatusOr<std::string_view> NamespaceOfHeadKey(std::string_view key) {
  return AfterKind(kHeadKind, key);
}

absl::StatusOr<std::string_view> ShardOfShardKey(std::string_view key) {
  return AfterKind(kShardKind, key);
}

absl::StatusOr<uint64_t> PositionOfLogKey(std::string_view key) {
  if (key.size() < 10 || key.front() != kLogKind) {
    return Damaged(key, "it is not a log row");
  }
  return LoadFixed64BigEndian(key.data() + key.size() - 8);
}

std::string PositionValue(uint64_t position) {
  std::string value;
  AppendFixed64(position, &value);
  return value;
}

absl::StatusOr<uint64_t> ParsePositionValue(std::string_view key,
                                            std::string_view value) {
  if (value.size() != 8) {
    return Damaged(key, absl::StrCat("its value has ", value.size(),
                                     " bytes instead of 8"));
  }
  return LoadFixed64(value.data());
}

void StartOutcomeValue(int64_t expire_ms, uint64_t position,
                       std::string* value) {
  value->clear();
  AppendFixed64(static_cast<uint64_t>(expire_ms), value);
  AppendFixed64(position, value);
}

absl::StatusOr<OutcomeRow> ParseOutcomeValue(std::string_view key,
                                             std::string_view value) {
  if (value.size() < kOutcomeFixedBytes) {
    return Damaged(key,
                   absl::StrCat("its value has only ", value.size(), " bytes"));
  }
  return OutcomeRow{.expire_ms = LoadMillis(value.data()),
                    .position = LoadFixed64(value.data() + 8),
                    .outcome = value.substr(kOutcomeFixedBytes)};
}

void LogRowBuilder::Start(int64_t recorded_ms) {
  recorded_ms_ = recorded_ms;
  ttl_max_ms_ = 0;
  count_ = 0;
  previous_ = LogEntry();
  entries_.clear();
}

void LogRowBuilder::Add(const LogEntry& entry) {
  const bool same_queue = entry.queue == previous_.queue;
  const bool same_type = entry.type == previous_.type;
  const bool same_ttl = entry.ttl_ms == previous_.ttl_ms;
  entries_.push_back(static_cast<char>((same_queue ? kSameQueue : 0) |
                                       (same_type ? kSameType : 0) |
                                       (same_ttl ? kSameTtl : 0)));
  entries_.push_back(static_cast<char>(entry.state));
  AppendBytes(entry.task_id, &entries_);
  if (!same_queue) {
    AppendBytes(entry.queue, &entries_);
  }
  if (!same_type) {
    AppendBytes(entry.type, &entries_);
  }
  if (!same_ttl) {
    AppendVarint(static_cast<uint64_t>(entry.ttl_ms), &entries_);
  }
  AppendVarint(
      ZigZag(WrappingSubtract(entry.finish_ns, NanosOfMillis(recorded_ms_))),
      &entries_);
  AppendVarint(entry.size, &entries_);
  previous_ = entry;
  ttl_max_ms_ = std::max(ttl_max_ms_, entry.ttl_ms);
  ++count_;
}

std::string_view LogRowBuilder::Finish() {
  value_.clear();
  AppendFixed64(static_cast<uint64_t>(recorded_ms_ + ttl_max_ms_), &value_);
  AppendFixed64(static_cast<uint64_t>(recorded_ms_), &value_);
  AppendVarint(count_, &value_);
  value_.append(entries_);
  return value_;
}

absl::Status ParseLogValue(std::string_view key, std::string_view value,
                           LogRow* row) {
  row->entries.clear();
  if (value.size() < 17) {
    return Damaged(key,
                   absl::StrCat("its value has only ", value.size(), " bytes"));
  }
  row->expire_ms = LoadMillis(value.data());
  row->recorded_ms = LoadMillis(value.data() + 8);
  std::string_view rest = value.substr(16);
  uint64_t count = 0;
  if (!TakeVarint(&rest, &count)) {
    return Damaged(key, "its entry count is cut off");
  }
  const int64_t base_ns = NanosOfMillis(row->recorded_ms);
  LogEntry previous;
  for (uint64_t i = 0; i < count; ++i) {
    LogEntry entry;
    if (!TakeEntry(base_ns, previous, &rest, &entry)) {
      return Damaged(key,
                     absl::StrCat("entry ", i, " of ", count, " is cut off"));
    }
    row->entries.push_back(entry);
    previous = entry;
  }
  if (!rest.empty()) {
    return Damaged(key, absl::StrCat(rest.size(),
                                     " bytes follow its last "
                                     "entry"));
  }
  return absl::OkStatus();
}

bool IsExpiredRow(std::string_view key, std::string_view value,
                  int64_t now_ms) {
  if (key.empty() || (key.front() != kOutcomeKind && key.front() != kLogKind)) {
    return false;
  }
  return value.size() >= 8 && LoadMillis(value.data()) <= now_ms;
}

bool IsOutcomeKey(std::string_view key) {
  return !key.empty() && key.front() == kOutcomeKind;
}

}  // namespace apium::results
