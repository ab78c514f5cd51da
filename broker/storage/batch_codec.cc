#include "broker/storage/batch_codec.h"

#include <optional>
#include <utility>

#include "apium/storage/v1/batch.pb.h"
#include "broker/storage/key_format.h"
#include "broker/storage/record_codec.h"
#include "broker/storage/record_value.h"
#include "common/status_macros.h"

namespace apium::broker {
namespace {

namespace pb = ::apium::storage::v1;

std::optional<BatchEvent> EventFrom(uint32_t number) {
  if (number < 1 || number > kBatchEvents.size()) return std::nullopt;
  return static_cast<BatchEvent>(number);
}

}  // namespace

std::string EncodeBatch(const StoredBatch& batch) {
  pb::BatchRecord record;
  record.set_description(batch.description);
  record.set_closed(batch.closed);
  record.set_members(batch.members);
  record.set_succeeded(batch.succeeded);
  record.set_unsuccessful(batch.unsuccessful);
  record.set_create_nanos(absl::ToUnixNanos(batch.create_time));
  if (batch.complete())
    record.set_complete_nanos(absl::ToUnixNanos(batch.complete_time));
  record.set_fingerprint_high(batch.fingerprint.high);
  record.set_fingerprint_low(batch.fingerprint.low);
  for (const BatchEvent event : kBatchEvents) {
    const StoredBatch::Callback& callback = batch.callbacks[event];
    if (!callback.wanted) continue;
    pb::BatchCallbackState* added = record.add_callbacks();
    added->set_event(static_cast<uint32_t>(event));
    added->set_task_id(callback.task_id);
  }
  return SerializeKept(batch.keep_until_millis, record);
}

absl::StatusOr<StoredBatch> DecodeBatch(std::string_view value) {
  pb::BatchRecord record;
  if (!ParseKept(value, &record)) return DamagedRow("batch");
  StoredBatch batch;
  batch.keep_until_millis = *KeepUntilOf(value);
  batch.description = std::move(*record.mutable_description());
  batch.closed = record.closed();
  batch.members = record.members();
  batch.succeeded = record.succeeded();
  batch.unsuccessful = record.unsuccessful();
  batch.create_time = absl::FromUnixNanos(record.create_nanos());
  if (record.complete_nanos() != 0)
    batch.complete_time = absl::FromUnixNanos(record.complete_nanos());
  batch.fingerprint = {.high = record.fingerprint_high(),
                       .low = record.fingerprint_low()};
  for (pb::BatchCallbackState& callback : *record.mutable_callbacks()) {
    const std::optional<BatchEvent> event = EventFrom(callback.event());
    if (!event.has_value()) return DamagedRow("batch");
    batch.callbacks[*event] = {
        .wanted = true, .task_id = std::move(*callback.mutable_task_id())};
  }
  const bool counts_fit = batch.succeeded <= batch.members &&
                          batch.unsuccessful <= batch.members - batch.succeeded;
  if (!counts_fit) return DamagedRow("batch");
  return batch;
}

std::string EncodeBatchCallbacks(const BatchCallbacks& callbacks,
                                 int64_t keep_until_millis) {
  pb::BatchCallbacksRecord record;
  for (const BatchEvent event : kBatchEvents) {
    const BatchCallback& callback = callbacks[event];
    if (callback.content == nullptr) continue;
    pb::BatchCallbackRecord* added = record.add_callbacks();
    added->set_event(static_cast<uint32_t>(event));
    EncodeTaskRow(StoredTask{.content = callback.content},
                  added->mutable_task_row());
    if (callback.delay.has_value())
      added->set_delay_nanos(absl::ToInt64Nanoseconds(*callback.delay));
    if (callback.expire_after.has_value()) {
      added->set_expire_after_nanos(
          absl::ToInt64Nanoseconds(*callback.expire_after));
    }
  }
  return SerializeKept(keep_until_millis, record);
}

absl::StatusOr<BatchCallbacks> DecodeBatchCallbacks(
    std::string_view namespace_name, std::string_view value) {
  pb::BatchCallbacksRecord record;
  if (!ParseKept(value, &record)) return DamagedRow("batch callbacks");
  BatchCallbacks callbacks;
  for (const pb::BatchCallbackRecord& stored : record.callbacks()) {
    const std::optional<BatchEvent> event = EventFrom(stored.event());
    if (!event.has_value()) return DamagedRow("batch callbacks");
    APIUM_ASSIGN_OR_RETURN(
        StoredTask task,
        DecodeLiveTaskRow(MakeTaskKey(namespace_name, ""), stored.task_row()));
    BatchCallback& callback = callbacks[*event];
    callback.content = std::move(task.content);
    if (stored.has_delay_nanos())
      callback.delay = absl::Nanoseconds(stored.delay_nanos());
    if (stored.has_expire_after_nanos())
      callback.expire_after = absl::Nanoseconds(stored.expire_after_nanos());
  }
  return callbacks;
}

}  // namespace apium::broker
