#include "broker/engine/cancel_job.h"

#include <iterator>
#include <utility>

#include "broker/engine/task_filter.h"
#include "broker/storage/key_format.h"
#include "broker/storage/record_codec.h"
#include "common/status_macros.h"

namespace apium::broker {
namespace {

constexpr size_t kSequenceBytes = 8;

// What the walk passes, in order.
struct Section {
  char row_kind;
  TaskState state;
};
constexpr Section kSections[] = {{kReadyRow, TaskState::kQueued},
                                 {kTimerRow, TaskState::kScheduled},
                                 {kBlockedRow, TaskState::kBlocked}};

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
  StartNextSection();
}

void CancelJob::StartNextSection() {
  while (++section_ < std::size(kSections)) {
    const Section& section = kSections[section_];
    if (!WantsState(filter(), section.state)) continue;
    cursor_ = std::string(1, section.row_kind);
    end_ = RowsEnd(section.row_kind);
    if (!queue_id_.has_value()) return;
    const uint32_t queue_id = *queue_id_;
    if (section.row_kind == kReadyRow) {
      cursor_ = ReadyRowKey({.queue_id = queue_id, .priority = 255}, 0);
      end_ = ReadyRowKey({.queue_id = queue_id + 1, .priority = 255}, 0);
    } else if (section.row_kind == kBlockedRow) {
      cursor_ = BlockedRowKey({.queue_id = queue_id});
      end_ = BlockedRowKey({.queue_id = queue_id + 1});
    }
    return;
  }
}

bool CancelJob::done() const { return section_ == std::size(kSections); }

bool CancelJob::HasYetToMeet(std::string_view row_key) const {
  size_t section = 0;
  while (kSections[section].row_kind != row_key.front()) ++section;
  return section == section_ ? row_key >= cursor_ : section > section_;
}

absl::Status CancelJob::ReadRow(std::string_view key, std::string_view value,
                                std::vector<Place>* places) {
  if (key.front() == kReadyRow) {
    const uint64_t sequence = SequenceOfReadyRow(key).value_or(0);
    APIUM_ASSIGN_OR_RETURN(std::vector<std::string> task_keys,
                           DecodeReadyChunk(value));
    for (std::string& task_key : task_keys) {
      places->push_back({.task_key = std::move(task_key),
                         .state = TaskState::kQueued,
                         .sequence = sequence});
    }
    return absl::OkStatus();
  }
  if (key.front() == kBlockedRow) {
    std::optional<BlockedTask> task = BlockedTaskOfRow(key);
    if (!task.has_value())
      return absl::DataLossError("the store holds a damaged blocked row");
    places->push_back(
        {.task_key = std::move(task->task_key), .state = TaskState::kBlocked});
    return absl::OkStatus();
  }
  std::optional<TimerId> timer = TimerOfRow(key);
  if (!timer.has_value())
    return absl::DataLossError("the store holds a damaged timer row");
  if (timer->kind == TimerKind::kReady)
    places->push_back({.task_key = std::move(timer->task_key),
                       .state = TaskState::kScheduled});
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
  if (at_end) StartNextSection();
  return places;
}

}  // namespace apium::broker
