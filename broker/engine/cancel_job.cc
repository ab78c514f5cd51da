#include "broker/engine/cancel_job.h"

#include <utility>

#include "broker/engine/task_filter.h"
#include "broker/storage/key_format.h"
#include "broker/storage/record_codec.h"
#include "common/status_macros.h"

namespace apium::broker {
namespace {

constexpr size_t kSequenceBytes = 8;

// The first key behind the rows of the lane that a ready row belongs to.
std::string EndOfLane(std::string_view ready_row_key) {
  ready_row_key.remove_suffix(kSequenceBytes);
  return std::string(ready_row_key) + std::string(kSequenceBytes, '\xff');
}

}  // namespace

CancelJob::CancelJob(CancelTasksCommand command, uint64_t ticket_limit,
                     std::optional<uint32_t> queue_id)
    : command_(std::move(command)),
      ticket_limit_(ticket_limit),
      queue_id_(queue_id) {
  if (!WantsState(filter(), TaskState::kQueued)) {
    StartTimers();
    return;
  }
  if (!queue_id_.has_value()) {
    cursor_ = std::string(1, kReadyRow);
    end_ = RowsEnd(kReadyRow);
    return;
  }
  cursor_ = ReadyRowKey({.queue_id = *queue_id_, .priority = 255}, 0);
  end_ = ReadyRowKey({.queue_id = *queue_id_ + 1, .priority = 255}, 0);
}

void CancelJob::StartTimers() {
  cursor_ = std::string(1, kTimerRow);
  end_ = RowsEnd(kTimerRow);
  done_ = !WantsState(filter(), TaskState::kScheduled);
}

bool CancelJob::HasYetToMeet(std::string_view row_key) const {
  if (done_) return false;
  if (row_key.front() == cursor_.front()) return row_key >= cursor_;
  return row_key.front() == kTimerRow;  // which come last
}

absl::Status CancelJob::ReadRow(std::string_view key, std::string_view value,
                                std::vector<Place>* places) {
  if (key.front() == kReadyRow) {
    const uint64_t sequence = SequenceOfReadyRow(key).value_or(0);
    APIUM_ASSIGN_OR_RETURN(std::vector<std::string> task_keys,
                           DecodeReadyChunk(value));
    for (std::string& task_key : task_keys) {
      places->push_back(
          {.task_key = std::move(task_key), .sequence = sequence});
    }
    return absl::OkStatus();
  }
  std::optional<TimerId> timer = TimerOfRow(key);
  if (!timer.has_value())
    return absl::DataLossError("the store holds a damaged timer row");
  if (timer->kind == TimerKind::kReady)
    places->push_back({.task_key = std::move(timer->task_key)});
  return absl::OkStatus();
}

absl::StatusOr<std::vector<CancelJob::Place>> CancelJob::Walk(
    const StoreReader& reader, size_t rows_max) {
  std::vector<Place> places;
  size_t rows = 0;
  bool at_end = true;
  absl::Status read = absl::OkStatus();
  APIUM_RETURN_IF_ERROR(reader.Scan(
      cursor_, end_, [&](std::string_view key, std::string_view value) {
        // A ready row lists many tasks.
        if (rows == rows_max || places.size() >= rows_max) {
          cursor_ = std::string(key);
          at_end = false;
          return false;
        }
        ++rows;
        if (key.front() == kReadyRow &&
            SequenceOfReadyRow(key).value_or(0) >= ticket_limit_) {
          cursor_ = EndOfLane(key);
          at_end = false;
          return false;
        }
        read = ReadRow(key, value, &places);
        return read.ok();
      }));
  APIUM_RETURN_IF_ERROR(read);
  if (!at_end) return places;
  if (cursor_.front() == kReadyRow) {
    StartTimers();
  } else {
    done_ = true;
  }
  return places;
}

}  // namespace apium::broker
