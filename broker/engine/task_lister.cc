#include "broker/engine/task_lister.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/escaping.h"
#include "broker/engine/engine_impl.h"
#include "broker/engine/task_filter.h"
#include "broker/storage/key_format.h"
#include "broker/storage/record_codec.h"
#include "common/error_reason.h"
#include "common/status_macros.h"

namespace apium::broker {
namespace {

// Tasks looked at for one page: a page of a rare kind is short rather than
// slow.
constexpr size_t kLooksPerPage = 5000;

// token := hex(section cursor); section is the kind of row that the cursor is a
// key of.
std::string EncodeToken(char section, const std::string& cursor) {
  return absl::BytesToHexString(std::string(1, section) + cursor);
}

// Keys of the tasks that a ready, timer or blocked row names.
absl::StatusOr<std::vector<std::string>> TaskKeysOf(std::string_view key,
                                                    std::string_view value) {
  if (key.front() == kReadyRow) return DecodeReadyChunk(value);
  if (key.front() == kBlockedRow) {
    std::optional<BlockedTask> task = BlockedTaskOfRow(key);
    if (!task.has_value())
      return absl::DataLossError("the store holds a damaged blocked row");
    return std::vector<std::string>{std::move(task->task_key)};
  }
  std::optional<TimerId> timer = TimerOfRow(key);
  if (!timer.has_value())
    return absl::DataLossError("the store holds a damaged timer row");
  if (timer->kind != TimerKind::kReady) return std::vector<std::string>();
  return std::vector<std::string>{std::move(timer->task_key)};
}

}  // namespace

bool TaskLister::WantsState(TaskState state) const {
  return broker::WantsState(command_.filter, state);
}

bool TaskLister::Matches(const LiveTask& task) const {
  return broker::Matches(command_.filter, task.content(), task.state());
}

absl::StatusOr<TaskLister::Page> TaskLister::List() {
  char section = kLeaseRow;
  std::string cursor;
  if (!command_.page_token.empty()) {
    const std::string token = absl::HexStringToBytes(command_.page_token);
    const bool known =
        !token.empty() && (token[0] == kLeaseRow || token[0] == kReadyRow ||
                           token[0] == kTimerRow || token[0] == kBlockedRow);
    if (!known || absl::BytesToHexString(token) != command_.page_token) {
      return InvalidField("page_token",
                          "is not one that was given out; use next_page_token "
                          "of the page before");
    }
    section = token[0];
    cursor = token.substr(1);
  }
  if (section == kLeaseRow) {
    APIUM_ASSIGN_OR_RETURN(const bool done, ListLeased(&cursor));
    if (!done) return std::move(page_);
    section = kReadyRow;
    cursor.clear();
  }
  if (section == kReadyRow) {
    APIUM_ASSIGN_OR_RETURN(const bool done,
                           ListRows(kReadyRow, TaskState::kQueued, &cursor));
    if (!done) return std::move(page_);
    section = kTimerRow;
    cursor.clear();
  }
  if (section == kTimerRow) {
    APIUM_ASSIGN_OR_RETURN(const bool done,
                           ListRows(kTimerRow, TaskState::kScheduled, &cursor));
    if (!done) return std::move(page_);
    cursor.clear();
  }
  APIUM_RETURN_IF_ERROR(
      ListRows(kBlockedRow, TaskState::kBlocked, &cursor).status());
  return std::move(page_);
}

absl::StatusOr<bool> TaskLister::ListLeased(std::string* cursor) {
  if (!WantsState(TaskState::kLeased) && !WantsState(TaskState::kStarted))
    return true;
  uint64_t epoch = cursor->empty() ? 0 : DecodeNumber(*cursor).value_or(0);
  while (LiveTask* task = leases_.After(epoch)) {
    if (page_.tasks.size() == command_.page_size) {
      page_.next_page_token = EncodeToken(kLeaseRow, EncodeNumber(epoch));
      return false;
    }
    epoch = task->lease.epoch;
    if (Matches(*task)) page_.tasks.push_back(task);
  }
  return true;
}

absl::StatusOr<bool> TaskLister::ListRows(char row_kind, TaskState state,
                                          std::string* cursor) {
  if (!WantsState(state)) return true;
  // cursor := row_key index:64 (tasks of that row already listed)
  std::string begin(1, row_kind);
  size_t skip = 0;
  if (cursor->size() > 8) {
    begin = cursor->substr(0, cursor->size() - 8);
    skip = DecodeNumber(std::string_view(*cursor).substr(begin.size()))
               .value_or(0);
  }
  size_t looks = 0;
  bool done = true;
  absl::Status visited = absl::OkStatus();
  const auto stop_at = [&](std::string_view key, uint64_t index) {
    page_.next_page_token =
        EncodeToken(row_kind, std::string(key) + EncodeNumber(index));
    done = false;
    return false;
  };
  absl::Status scanned = reader_.Scan(
      begin, RowsEnd(row_kind),
      [&](std::string_view key, std::string_view value) {
        if (looks >= kLooksPerPage) return stop_at(key, 0);
        absl::StatusOr<std::vector<std::string>> keys = TaskKeysOf(key, value);
        visited = keys.status();
        if (!visited.ok()) return false;
        looks += 1 + keys->size();
        size_t next = key == begin ? skip : 0;
        while (next < keys->size()) {
          // At least one piece a page, whatever the turn has read before.
          const bool full = page_.tasks.size() == command_.page_size ||
                            (page_is_read_ && !tasks_.may_read_more());
          if (full) return stop_at(key, next);
          page_is_read_ = true;
          visited = ListSome(key, state, *keys, &next);
          if (!visited.ok()) return false;
        }
        return true;
      });
  APIUM_RETURN_IF_ERROR(scanned);
  APIUM_RETURN_IF_ERROR(visited);
  return done;
}

absl::Status TaskLister::ListSome(std::string_view row, TaskState state,
                                  const std::vector<std::string>& keys,
                                  size_t* next) {
  const size_t count = std::min(TaskTable::kTasksAtOnce, keys.size() - *next);
  std::vector<LiveTask*> tasks;
  APIUM_RETURN_IF_ERROR(
      tasks_.LoadAll(absl::MakeConstSpan(keys).subspan(*next, count), &tasks));
  for (LiveTask* task : tasks) {
    if (page_.tasks.size() == command_.page_size) return absl::OkStatus();
    ++*next;
    if (task == nullptr || task->state() != state || !Matches(*task)) continue;
    // A task that was ready before may still be listed by an older row.
    const bool old_row =
        row.front() == kReadyRow &&
        SequenceOfReadyRow(row) !=
            std::optional<uint64_t>(task->stored.ready_sequence);
    if (!old_row) page_.tasks.push_back(task);
  }
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(ListTasksCommand&& command) {
  TaskPageReply reply;
  const std::string& namespace_name = command.filter.namespace_name;
  if (!queues_.HasNamespace(namespace_name)) {
    reply.status = ExistingQueue(namespace_name, "").status();
    AddReply(command.reply, std::move(reply));
    return absl::OkStatus();
  }
  absl::StatusOr<TaskLister::Page> page =
      TaskLister(reader_, &tasks_, &leases_, command).List();
  if (page.ok()) {
    for (const LiveTask* task : page->tasks)
      reply.tasks.push_back(SnapshotOf(*task));
    reply.next_page_token = std::move(page->next_page_token);
  } else if (absl::IsInvalidArgument(page.status())) {
    reply.status = page.status();
  } else {
    return page.status();
  }
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

}  // namespace apium::broker
