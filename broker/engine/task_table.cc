#include "broker/engine/task_table.h"

#include <algorithm>
#include <utility>

#include "broker/storage/key_format.h"
#include "common/status_macros.h"

namespace apium::broker {
namespace {

// No outcome to find, and no id to know again.
bool LeavesNothing(const FinishedTask& row) {
  return row.outbox_position == 0 && row.keep_until_millis == 0;
}

}  // namespace

absl::StatusOr<TaskTable::Found> TaskTable::Find(const std::string& key) {
  Found found;
  if (auto it = tasks_.find(key); it != tasks_.end()) {
    LiveTask* task = it->get();
    if (task->finished()) {
      found.finished = task->finished_row;
      found.outcome = task->outcome;
    } else {
      found.live = task;
    }
    return found;
  }
  absl::Status read = reader_->Get(TaskRowKey(key), &scratch_);
  if (absl::IsNotFound(read)) return found;
  APIUM_RETURN_IF_ERROR(read);
  if (IsFinishedTaskRow(scratch_)) {
    APIUM_ASSIGN_OR_RETURN(FinishedTask finished,
                           DecodeFinishedTaskRow(scratch_));
    found.finished = finished;
    return found;
  }
  APIUM_ASSIGN_OR_RETURN(StoredTask stored, DecodeLiveTaskRow(key, scratch_));
  found.live = InsertRead(key, std::move(stored));
  return found;
}

LiveTask* TaskTable::FindInMemory(const std::string& key) {
  auto it = tasks_.find(key);
  if (it == tasks_.end() || (*it)->finished()) return nullptr;
  return it->get();
}

absl::Status TaskTable::LoadAll(absl::Span<const std::string> keys,
                                std::vector<LiveTask*>* tasks) {
  tasks->assign(keys.size(), nullptr);
  std::vector<std::string> missing;
  std::vector<size_t> positions;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (auto it = tasks_.find(keys[i]); it != tasks_.end()) {
      if (!(*it)->finished()) (*tasks)[i] = it->get();
    } else {
      missing.push_back(TaskRowKey(keys[i]));
      positions.push_back(i);
    }
  }
  if (missing.empty()) return absl::OkStatus();
  std::vector<std::optional<std::string>> values;
  APIUM_RETURN_IF_ERROR(reader_->MultiGet(missing, &values));
  for (size_t i = 0; i < missing.size(); ++i) {
    if (!values[i].has_value() || IsFinishedTaskRow(*values[i])) continue;
    const std::string& key = keys[positions[i]];
    if (auto it = tasks_.find(key); it != tasks_.end()) {  // the same key twice
      (*tasks)[positions[i]] = it->get();
      continue;
    }
    APIUM_ASSIGN_OR_RETURN(StoredTask stored,
                           DecodeLiveTaskRow(key, *values[i]));
    (*tasks)[positions[i]] = InsertRead(key, std::move(stored));
  }
  return absl::OkStatus();
}

LiveTask* TaskTable::Add(std::string key, StoredTask stored) {
  recent_ids_.Add(key, stored.content->task_id);
  LiveTask* task = Insert(std::move(key), std::move(stored));
  task->dirty = true;
  return task;
}

LiveTask* TaskTable::Insert(std::string key, StoredTask stored) {
  auto task = std::make_unique<LiveTask>();
  LiveTask* added = task.get();
  added->key = std::move(key);
  added->stored = std::move(stored);
  const auto [at, is_new] = tasks_.insert(std::move(task));
  if (!is_new) {
    // It takes the place of a task of the same id that finished in this turn
    // and is no longer remembered.
    tasks_.erase(at);
    tasks_.insert(std::move(task));
  }
  Touch(added);
  return added;
}

LiveTask* TaskTable::InsertRead(const std::string& key, StoredTask stored) {
  LiveTask* task = Insert(key, std::move(stored));
  bytes_read_ += task->approximate_bytes();
  return task;
}

void TaskTable::Touch(LiveTask* task) {
  if (task->touched) return;
  task->touched = true;
  touched_.push_back(task);
}

void TaskTable::MarkDirty(LiveTask* task) {
  task->dirty = true;
  Touch(task);
}

void TaskTable::Finish(LiveTask* task, std::shared_ptr<const Outcome> outcome,
                       const FinishedTask& row) {
  task->outcome = std::move(outcome);
  task->finished_row = row;
  MarkDirty(task);
}

void TaskTable::WriteRow(const LiveTask& task, StoreBatch* batch) {
  if (task.finished() && LeavesNothing(task.finished_row)) {
    batch->Delete(TaskRowKey(task.key));
    return;
  }
  if (task.finished()) {
    EncodeTaskRow(task.finished_row, &scratch_);
  } else {
    EncodeTaskRow(task.stored, &scratch_);
  }
  batch->Put(TaskRowKey(task.key), scratch_);
}

void TaskTable::Flush(StoreBatch* batch) {
  // Neighbouring keys make the store's insert cheap; ids that we mint come
  // nearly sorted.
  const auto by_key = [](const LiveTask* a, const LiveTask* b) {
    return a->key < b->key;
  };
  if (!std::is_sorted(touched_.begin(), touched_.end(), by_key)) {
    std::sort(touched_.begin(), touched_.end(), by_key);
  }
  for (LiveTask* task : touched_) {
    if (task->dirty) {
      WriteRow(*task, batch);
      task->dirty = false;
    }
    task->touched = false;
    const bool stays = !task->finished() && (task->in_window || task->leased());
    if (!stays) tasks_.erase(tasks_.find(task->key));
  }
  touched_.clear();
  bytes_read_ = 0;
  if (const auto bound = recent_ids_.TakeBound()) {
    batch->Put(MetaRowKey(kMetaIdsUntil),
               EncodeNumber(static_cast<uint64_t>(*bound)));
  }
}

}  // namespace apium::broker
