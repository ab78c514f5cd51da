#include "broker/engine/queue_table.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/engine/ready_lanes.h"
#include "broker/storage/end_counts_codec.h"
#include "broker/storage/key_format.h"
#include "common/error_reason.h"
#include "common/status_macros.h"

namespace apium::broker {
namespace {

// For the numbers that outlive a restart and for those of metrics, which begin
// anew.
template <typename Counts>
void AddEnd(TaskState state, Counts* counts) {
  switch (state) {
    case TaskState::kSucceeded:
      ++counts->succeeded;
      break;
    case TaskState::kCancelled:
      ++counts->cancelled;
      break;
    case TaskState::kExpired:
      ++counts->expired;
      break;
    case TaskState::kDeadLettered:
      ++counts->dead_lettered;
      break;
    default:
      ++counts->failed;
  }
}

// A type costs a row and some memory for ever; more than this is a name that
// carries an id by mistake.
constexpr size_t kTaskTypesMax = 100000;

// Sets `count` to the number in a row; whether there is one.
absl::StatusOr<bool> ReadCount(const StoreReader& reader,
                               const std::string& row_key, uint64_t* count) {
  std::string value;
  const absl::Status read = reader.Get(row_key, &value);
  if (absl::IsNotFound(read)) return false;
  APIUM_RETURN_IF_ERROR(read);
  *count = DecodeNumber(value).value_or(0);
  return true;
}

// Of stores that have no count of them yet.
absl::Status CountBlocked(const StoreReader& reader, Queue* queue) {
  const uint32_t id = queue->stored.queue_id;
  return reader.Scan(BlockedRowKey({.queue_id = id}),
                     BlockedRowKey({.queue_id = id + 1}),
                     [queue](std::string_view, std::string_view) {
                       ++queue->blocked;
                       return true;
                     });
}

absl::Status ScanRows(
    const StoreReader& reader, char kind,
    absl::FunctionRef<absl::Status(std::string_view, std::string_view)> visit) {
  absl::Status visited = absl::OkStatus();
  absl::Status scanned =
      reader.Scan(std::string(1, kind), RowsEnd(kind),
                  [&](std::string_view key, std::string_view value) {
                    visited = visit(key, value);
                    return visited.ok();
                  });
  return scanned.ok() ? visited : scanned;
}

}  // namespace

QueueTable::QueueTable(const std::vector<std::string>& namespaces)
    : namespaces_(namespaces.begin(), namespaces.end()) {
  type_names_.push_back(std::make_unique<std::string>());
}

QueueTable::~QueueTable() = default;

absl::Status QueueTable::RecoverTypes(const StoreReader& reader) {
  return ScanRows(
      reader, kTypeRow,
      [&](std::string_view key, std::string_view value) -> absl::Status {
        const std::optional<uint32_t> id = IdOfTypeRow(key);
        if (id != type_names_.size())
          return absl::DataLossError(
              "the store's task types are not numbered without gaps");
        type_names_.push_back(std::make_unique<std::string>(value));
        type_ids_[std::string(value)] = *id;
        return absl::OkStatus();
      });
}

absl::Status QueueTable::RecoverCounts(const StoreReader& reader,
                                       Queue* queue) {
  const uint32_t id = queue->stored.queue_id;
  APIUM_RETURN_IF_ERROR(
      ReadCount(reader, CountRowKey(id), &queue->scheduled).status());
  APIUM_RETURN_IF_ERROR(
      ReadCount(reader, DeadLetterCountRowKey(id), &queue->dead_letters)
          .status());
  APIUM_RETURN_IF_ERROR(
      ReadCount(reader, BytesRowKey(id), &queue->bytes).status());
  APIUM_ASSIGN_OR_RETURN(
      const bool counted,
      ReadCount(reader, BlockedCountRowKey(id), &queue->blocked));
  if (!counted) APIUM_RETURN_IF_ERROR(CountBlocked(reader, queue));
  std::string value;
  const absl::Status read = reader.Get(EndsRowKey(id), &value);
  if (absl::IsNotFound(read)) return absl::OkStatus();
  APIUM_RETURN_IF_ERROR(read);
  APIUM_ASSIGN_OR_RETURN(queue->ends, DecodeEndCounts(value));
  return absl::OkStatus();
}

absl::Status QueueTable::Recover(const StoreReader& reader) {
  APIUM_RETURN_IF_ERROR(RecoverTypes(reader));
  return ScanRows(
      reader, kQueueRow,
      [&](std::string_view key, std::string_view value) -> absl::Status {
        const std::optional<QueueName> name = QueueOfRow(key);
        if (!name.has_value())
          return absl::DataLossError("the store holds a damaged queue row");
        APIUM_ASSIGN_OR_RETURN(StoredQueue stored, DecodeQueue(value));
        auto queue = std::make_unique<Queue>();
        queue->namespace_name = name->namespace_name;
        queue->name = name->queue;
        queue->stored = std::move(stored);
        APIUM_RETURN_IF_ERROR(RecoverCounts(reader, queue.get()));
        last_queue_id_ = std::max(last_queue_id_, queue->stored.queue_id);
        by_id_[queue->stored.queue_id] = queue.get();
        by_name_[queue->namespace_name][queue->name] = queue.get();
        queues_[queue->namespace_name][queue->name] = std::move(queue);
        return absl::OkStatus();
      });
}

Queue* QueueTable::Find(const std::string& namespace_name,
                        const std::string& name) {
  auto names = by_name_.find(namespace_name);
  if (names == by_name_.end()) return nullptr;
  auto queue = names->second.find(name);
  return queue == names->second.end() ? nullptr : queue->second;
}

absl::StatusOr<Queue*> QueueTable::QueueOf(const TaskContent& content) {
  Queue* queue = Find(content.namespace_name, content.queue);
  if (queue != nullptr) return queue;
  return absl::DataLossError(
      absl::StrCat("task ", content.task_id, " is in no queue"));
}

Queue* QueueTable::FindById(uint32_t queue_id) {
  auto it = by_id_.find(queue_id);
  return it == by_id_.end() ? nullptr : it->second;
}

Queue* QueueTable::Create(const std::string& namespace_name,
                          const std::string& name, absl::Time now) {
  auto owned = std::make_unique<Queue>();
  Queue* queue = owned.get();
  queue->namespace_name = namespace_name;
  queue->name = name;
  queue->stored.queue_id = ++last_queue_id_;
  queue->stored.create_time = now;
  by_id_[queue->stored.queue_id] = queue;
  by_name_[namespace_name][name] = queue;
  queues_[namespace_name][name] = std::move(owned);
  MarkSettingsDirty(queue);
  return queue;
}

void QueueTable::Delete(Queue* queue) {
  const uint32_t id = queue->stored.queue_id;
  deletes_.Delete(QueueRowKey(queue->namespace_name, queue->name));
  deletes_.Delete(CountRowKey(id));
  deletes_.Delete(DeadLetterCountRowKey(id));
  deletes_.Delete(BlockedCountRowKey(id));
  deletes_.Delete(BytesRowKey(id));
  deletes_.Delete(EndsRowKey(id));
  deletes_.DeleteRange(LaneRowKey({.queue_id = id, .priority = 255}),
                       LaneRowKey({.queue_id = id + 1, .priority = 255}));
  deletes_.DeleteRange(ReadyRowKey({.queue_id = id, .priority = 255}, 0),
                       ReadyRowKey({.queue_id = id + 1, .priority = 255}, 0));
  // Ordering keys that are blocked, and hold up nobody.
  deletes_.DeleteRange(OrderingRowKey({.queue_id = id}),
                       OrderingRowKey({.queue_id = id + 1}));
  deletes_.DeleteRange(UnsettledRowKey({.queue_id = id}),
                       UnsettledRowKey({.queue_id = id + 1}));
  dirty_.erase(std::remove(dirty_.begin(), dirty_.end(), queue), dirty_.end());
  by_id_.erase(id);
  by_name_[queue->namespace_name].erase(queue->name);
  auto names = queues_.find(queue->namespace_name);
  names->second.erase(std::string(queue->name));
}

absl::StatusOr<uint32_t> QueueTable::InternType(const std::string& type) {
  if (auto it = type_ids_.find(type); it != type_ids_.end()) return it->second;
  if (type_names_.size() > kTaskTypesMax) {
    return WithReason(
        absl::ResourceExhaustedError(absl::StrCat(
            "task type ", type, " would be one more than the limit of ",
            kTaskTypesMax, " types")),
        "TOO_MANY_TASK_TYPES");
  }
  const uint32_t id = static_cast<uint32_t>(type_names_.size());
  type_names_.push_back(std::make_unique<std::string>(type));
  type_ids_[type] = id;
  new_types_.push_back(id);
  return id;
}

std::optional<uint32_t> QueueTable::FindType(const std::string& type) const {
  const auto it = type_ids_.find(type);
  if (it == type_ids_.end()) return std::nullopt;
  return it->second;
}

void QueueTable::MarkSettingsDirty(Queue* queue) {
  queue->settings_dirty = true;
  dirty_.push_back(queue);
}

void QueueTable::MarkDirty(Queue* queue, bool* flag) {
  if (*flag) return;
  *flag = true;
  dirty_.push_back(queue);
}

void QueueTable::AddScheduled(Queue* queue, int64_t difference) {
  queue->scheduled += difference;
  MarkDirty(queue, &queue->scheduled_dirty);
}

void QueueTable::AddDeadLetters(Queue* queue, int64_t difference) {
  queue->dead_letters += difference;
  MarkDirty(queue, &queue->dead_letters_dirty);
}

void QueueTable::AddBlocked(Queue* queue, int64_t difference) {
  queue->blocked += difference;
  MarkDirty(queue, &queue->blocked_dirty);
}

void QueueTable::AddBytes(Queue* queue, int64_t difference) {
  if (difference == 0) return;
  // The tasks of a store that did not count bytes yet were not added.
  const bool below_zero =
      difference < 0 && queue->bytes < static_cast<uint64_t>(-difference);
  queue->bytes = below_zero ? 0 : queue->bytes + difference;
  MarkDirty(queue, &queue->bytes_dirty);
}

void QueueTable::CountEnd(Queue* queue, TaskState state) {
  AddEnd(state, &queue->ends);
  AddEnd(state, &queue->stats);
  MarkDirty(queue, &queue->ends_dirty);
}

void QueueTable::Flush(StoreBatch* batch) {
  batch->Append(deletes_);
  deletes_.Clear();
  for (uint32_t id : new_types_) batch->Put(TypeRowKey(id), *type_names_[id]);
  new_types_.clear();
  for (Queue* queue : dirty_) {
    if (queue->settings_dirty) {
      batch->Put(QueueRowKey(queue->namespace_name, queue->name),
                 EncodeQueue(queue->stored));
    }
    if (queue->scheduled_dirty) {
      batch->Put(CountRowKey(queue->stored.queue_id),
                 EncodeNumber(queue->scheduled));
    }
    if (queue->dead_letters_dirty) {
      batch->Put(DeadLetterCountRowKey(queue->stored.queue_id),
                 EncodeNumber(queue->dead_letters));
    }
    if (queue->blocked_dirty) {
      batch->Put(BlockedCountRowKey(queue->stored.queue_id),
                 EncodeNumber(queue->blocked));
    }
    if (queue->bytes_dirty) {
      batch->Put(BytesRowKey(queue->stored.queue_id),
                 EncodeNumber(queue->bytes));
    }
    if (queue->ends_dirty) {
      batch->Put(EndsRowKey(queue->stored.queue_id),
                 EncodeEndCounts(queue->ends));
    }
    queue->settings_dirty = false;
    queue->scheduled_dirty = false;
    queue->ends_dirty = false;
    queue->dead_letters_dirty = false;
    queue->blocked_dirty = false;
    queue->bytes_dirty = false;
  }
  dirty_.clear();
}

const QueueTable::Names& QueueTable::QueuesOf(
    const std::string& namespace_name) const {
  static const Names* const kNone = new Names;
  auto it = queues_.find(namespace_name);
  return it == queues_.end() ? *kNone : it->second;
}

}  // namespace apium::broker
