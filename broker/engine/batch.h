#ifndef APIUM_BROKER_ENGINE_BATCH_H_
#define APIUM_BROKER_ENGINE_BATCH_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "broker/engine/task.h"

// What the engine knows of a batch: a group of tasks whose common end is
// noticed.
namespace apium::broker {

// As apium.v1.BatchState, with the same numbers.
enum class BatchState : uint8_t { kOpen = 1, kClosed = 2, kComplete = 3 };

// What a batch can submit a task for. Stored by number.
enum class BatchEvent : uint8_t {
  kFirstFailure = 1,
  kSuccess = 2,
  kComplete = 3
};
inline constexpr std::array<BatchEvent, 3> kBatchEvents = {
    BatchEvent::kFirstFailure, BatchEvent::kSuccess, BatchEvent::kComplete};

// One value for each event.
template <typename Value>
class PerBatchEvent {
 public:
  Value& operator[](BatchEvent event) {
    return values_[static_cast<size_t>(event) - 1];
  }
  const Value& operator[](BatchEvent event) const {
    return values_[static_cast<size_t>(event) - 1];
  }

 private:
  std::array<Value, kBatchEvents.size()> values_;
};

// A task that the engine submits by itself. The times count from that moment.
struct BatchCallback {
  std::shared_ptr<const TaskContent> content;  // null: none is wanted
  std::optional<absl::Duration> delay;
  std::optional<absl::Duration> expire_after;
};
using BatchCallbacks = PerBatchEvent<BatchCallback>;

// Header of every callback; its value is the batch's id.
inline constexpr std::string_view kBatchIdHeader = "apium-batch-id";

// A batch as its readers see it.
struct BatchInfo {
  std::string batch_id;
  std::string description;
  std::shared_ptr<const BatchCallbacks> callbacks;  // null: none, or in a list
  BatchState state = BatchState::kOpen;
  uint64_t members = 0;
  uint64_t pending = 0;
  uint64_t succeeded = 0;
  uint64_t unsuccessful = 0;
  absl::Time create_time;
  // InfiniteFuture: it is not complete.
  absl::Time complete_time = absl::InfiniteFuture();
  PerBatchEvent<std::string> callback_task_ids;  // empty: not submitted
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_BATCH_H_
