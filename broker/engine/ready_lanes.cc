#include "broker/engine/ready_lanes.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace apium::broker {
namespace {

// A chunk is what is read ahead at once, so it bounds what a lane can take
// beyond the window's limits.
constexpr size_t kChunkTasksMax = 256;
constexpr size_t kChunkBytesMax = 1024 * 1024;

std::tuple<uint64_t, uint32_t> PlaceOf(const LiveTask* task) {
  return {task->stored.ready_sequence, task->chunk_index};
}

LaneRank RankOf(const LaneId& id) {
  return {.inverted_priority = static_cast<uint8_t>(255 - id.priority),
          .type_id = id.type_id};
}

// Where the task is in a line, or belongs.
std::deque<LiveTask*>::iterator PlaceIn(std::deque<LiveTask*>& line,
                                        const LiveTask* task) {
  return std::lower_bound(
      line.begin(), line.end(), task,
      [](const LiveTask* a, const LiveTask* b) { return IsAhead(*a, *b); });
}

}  // namespace

bool IsAhead(const LiveTask& a, const LiveTask& b) {
  return PlaceOf(&a) < PlaceOf(&b);
}

ReadyLanes::ReadyLanes(const ReadyLimits& limits, const StoreReader* reader,
                       TaskTable* tasks, QueueTable* queues, Tickets* tickets)
    : limits_(limits),
      reader_(reader),
      tasks_(tasks),
      queues_(queues),
      tickets_(tickets) {}

absl::Status ReadyLanes::Recover() {
  absl::Status visited = absl::OkStatus();
  absl::Status scanned = reader_->Scan(
      std::string(1, kLaneRow), RowsEnd(kLaneRow),
      [&](std::string_view key, std::string_view value) {
        const std::optional<LaneId> id = LaneOfLaneRow(key);
        absl::StatusOr<LanePosition> position = DecodeLane(value);
        Queue* queue =
            id.has_value() ? queues_->FindById(id->queue_id) : nullptr;
        if (queue == nullptr || !position.ok()) {
          visited = absl::DataLossError("the store holds a damaged lane row");
          return false;
        }
        Lane* lane = LaneAt(queue, id->type_id, id->priority);
        lane->count = position->count;
        lane->cold_from = position->head_sequence;
        queue->ready += lane->count;
        UpdateReady(lane);
        WantRefill(lane);
        return true;
      });
  return scanned.ok() ? visited : scanned;
}

Lane* ReadyLanes::LaneAt(Queue* queue, uint32_t type_id, uint8_t priority) {
  const LaneId id{.queue_id = queue->stored.queue_id,
                  .type_id = type_id,
                  .priority = priority};
  std::unique_ptr<Lane>& lane = queue->lanes[RankOf(id)];
  if (lane == nullptr) {
    lane = std::make_unique<Lane>();
    lane->id = id;
    lane->queue = queue;
  }
  return lane.get();
}

absl::StatusOr<Lane*> ReadyLanes::LaneOf(const LiveTask& task) {
  if (task.chunk != nullptr) return task.chunk->lane;
  const TaskContent& content = task.content();
  Queue* queue = queues_->Find(content.namespace_name, content.queue);
  if (queue == nullptr)
    return absl::DataLossError(
        absl::StrCat("task ", content.task_id, " is in no queue"));
  APIUM_ASSIGN_OR_RETURN(uint32_t type_id, queues_->InternType(content.type));
  return LaneAt(queue, type_id, content.priority);
}

bool ReadyLanes::SuspectsFull(const Lane& lane) const {
  return !lane.suspects.empty() &&
         (lane.suspects.size() >= limits_.suspect_window_tasks ||
          suspect_bytes_ >= limits_.window_bytes);
}

bool ReadyLanes::HasRoom(const Lane& lane) const {
  if (SuspectsFull(lane)) return false;
  if (lane.window.empty()) return true;
  return lane.window.size() < limits_.lane_window_tasks &&
         window_bytes_ < limits_.window_bytes;
}

ReadyChunk* ReadyLanes::OpenChunk(Lane* lane) {
  ReadyChunk* open = lane->unwritten.empty() ? nullptr : lane->unwritten.back();
  const bool hot = lane->cold_from == 0 && HasRoom(*lane);
  const bool fits = open != nullptr && open->hot == hot &&
                    open->sequence >= oldest_open_chunk_ &&
                    open->unwritten.size() < kChunkTasksMax &&
                    open->bytes < kChunkBytesMax;
  if (fits) return open;
  auto chunk = std::make_unique<ReadyChunk>();
  open = chunk.get();
  open->lane = lane;
  open->sequence = tickets_->Next();
  open->hot = hot;
  if (!hot && lane->cold_from == 0) {
    lane->cold_from = open->sequence;
    UpdateReady(lane);
  }
  lane->chunks[open->sequence] = std::move(chunk);
  lane->unwritten.push_back(open);
  return open;
}

absl::Status ReadyLanes::Enqueue(LiveTask* task, absl::Time now) {
  APIUM_ASSIGN_OR_RETURN(Lane * lane, LaneOf(*task));
  ReadyChunk* chunk = OpenChunk(lane);
  task->stored.state = TaskState::kQueued;
  task->stored.due_millis = 0;
  task->stored.ready_sequence = chunk->sequence;
  task->chunk = chunk;
  task->chunk_index = static_cast<uint32_t>(chunk->unwritten.size());
  task->ready_time = now;
  chunk->unwritten.push_back(task);
  chunk->bytes += task->approximate_bytes();
  ++chunk->live;
  ++lane->count;
  ++lane->queue->ready;
  if (chunk->hot) AddToLine(lane, task);
  MarkDirty(lane);
  tasks_->MarkDirty(task);
  return absl::OkStatus();
}

absl::Status ReadyLanes::PutBack(LiveTask* task, absl::Time now) {
  APIUM_ASSIGN_OR_RETURN(Lane * lane, LaneOf(*task));
  --lane->queue->leased;
  ++lane->queue->ready;
  task->ready_time = now;
  // A lease that outlived a restart may lie behind the window: then the task is
  // read again in its turn.
  if (task->chunk != nullptr) AddToLine(lane, task);
  tasks_->MarkDirty(task);
  return absl::OkStatus();
}

void ReadyLanes::Take(LiveTask* task) {
  Lane* lane = task->chunk->lane;
  RemoveFromLine(task);
  --lane->queue->ready;
  ++lane->queue->leased;
}

absl::Status ReadyLanes::Leave(LiveTask* task) {
  APIUM_ASSIGN_OR_RETURN(Lane * lane, LaneOf(*task));
  if (task->leased()) {
    --lane->queue->leased;
  } else {
    --lane->queue->ready;
  }
  --lane->count;
  if (task->in_window) RemoveFromLine(task);
  if (task->chunk != nullptr) DropEntry(task);
  // The last rows of an empty lane are void: reading on deletes them.
  if (lane->count == 0 && lane->cold_from != 0) WantRefill(lane);
  MarkDirty(lane);
  return absl::OkStatus();
}

void ReadyLanes::DropEntry(LiveTask* task) {
  ReadyChunk* chunk = task->chunk;
  task->chunk = nullptr;
  --chunk->live;
  if (!chunk->stored) {
    chunk->unwritten[task->chunk_index] = nullptr;
  } else if (chunk->live == 0) {
    deletes_.Delete(ReadyRowKey(chunk->lane->id, chunk->sequence));
    chunk->lane->chunks.erase(uint64_t{chunk->sequence});
  }
}

void ReadyLanes::AddToLine(Lane* lane, LiveTask* task) {
  const bool suspect = task->stored.suspect;
  std::deque<LiveTask*>& line = suspect ? lane->suspects : lane->window;
  if (line.empty()) ++(suspect ? suspect_lanes_ : ready_lanes_);
  if (line.empty() || PlaceOf(line.back()) < PlaceOf(task)) {
    line.push_back(task);
  } else {
    line.insert(PlaceIn(line, task), task);
  }
  task->in_window = true;
  (suspect ? suspect_bytes_ : window_bytes_) += task->approximate_bytes();
  UpdateReady(lane);
}

void ReadyLanes::RemoveFromLine(LiveTask* task) {
  Lane* lane = task->chunk->lane;
  const bool suspect = task->stored.suspect;
  std::deque<LiveTask*>& line = suspect ? lane->suspects : lane->window;
  if (line.front() == task) {
    line.pop_front();
  } else {
    line.erase(PlaceIn(line, task));
  }
  task->in_window = false;
  (suspect ? suspect_bytes_ : window_bytes_) -= task->approximate_bytes();
  if (line.empty()) --(suspect ? suspect_lanes_ : ready_lanes_);
  UpdateReady(lane);
  if (lane->cold_from != 0 &&
      lane->window.size() <= limits_.lane_window_tasks / 4)
    WantRefill(lane);
}

void ReadyLanes::UpdateReady(Lane* lane) {
  const auto update = [lane](bool listed, bool* was_listed,
                             std::map<LaneRank, Lane*>* lanes) {
    if (listed == *was_listed) return;
    *was_listed = listed;
    if (listed) {
      (*lanes)[RankOf(lane->id)] = lane;
    } else {
      lanes->erase(RankOf(lane->id));
    }
  };
  update(!lane->window.empty() || lane->cold_from != 0, &lane->listed_ready,
         &lane->queue->ready_lanes);
  update(!lane->suspects.empty(), &lane->listed_suspect,
         &lane->queue->suspect_lanes);
}

void ReadyLanes::WantRefill(Lane* lane) {
  if (lane->refill_wanted) return;
  lane->refill_wanted = true;
  refills_.push_back(lane);
}

void ReadyLanes::MarkDirty(Lane* lane) {
  if (lane->dirty) return;
  lane->dirty = true;
  dirty_.push_back(lane);
}

absl::Status ReadyLanes::Refill(absl::Time now) {
  std::vector<Lane*> refills;
  refills.swap(refills_);
  for (Lane* lane : refills) {
    lane->refill_wanted = false;
    if (lane->cold_from != 0 && HasRoom(*lane))
      APIUM_RETURN_IF_ERROR(RefillLane(lane, now));
  }
  return absl::OkStatus();
}

absl::Status ReadyLanes::RefillLane(Lane* lane, absl::Time now) {
  absl::Status loaded = absl::OkStatus();
  bool more = false;
  absl::Status scanned = reader_->Scan(
      ReadyRowKey(lane->id, lane->cold_from), ReadyRowsEnd(lane->id),
      [&](std::string_view key, std::string_view value) {
        const uint64_t sequence = SequenceOfReadyRow(key).value_or(0);
        more = !HasRoom(*lane);
        lane->cold_from = sequence;
        if (more) return false;
        loaded = LoadChunk(lane, sequence, value, now);
        return loaded.ok();
      });
  APIUM_RETURN_IF_ERROR(scanned);
  APIUM_RETURN_IF_ERROR(loaded);
  MarkDirty(lane);
  if (more) return absl::OkStatus();
  lane->cold_from = 0;
  UpdateReady(lane);
  uint64_t live = 0;
  for (const auto& [sequence, chunk] : lane->chunks) live += chunk->live;
  if (live != lane->count) {
    return absl::DataLossError(
        absl::StrCat("a lane of queue ", lane->queue->name, " counts ",
                     lane->count, " ready tasks, and its rows hold ", live));
  }
  return absl::OkStatus();
}

absl::Status ReadyLanes::LoadChunk(Lane* lane, uint64_t sequence,
                                   std::string_view value, absl::Time now) {
  APIUM_ASSIGN_OR_RETURN(std::vector<std::string> keys,
                         DecodeReadyChunk(value));
  std::vector<LiveTask*> tasks;
  APIUM_RETURN_IF_ERROR(tasks_->LoadAll(keys, &tasks));
  auto chunk = std::make_unique<ReadyChunk>();
  chunk->lane = lane;
  chunk->sequence = sequence;
  chunk->stored = true;
  for (size_t i = 0; i < tasks.size(); ++i) {
    LiveTask* task = tasks[i];
    const bool listed = task != nullptr &&
                        task->stored.state == TaskState::kQueued &&
                        task->stored.ready_sequence == sequence;
    if (!listed) continue;  // it ended, or waits elsewhere
    task->chunk = chunk.get();
    task->chunk_index = static_cast<uint32_t>(i);
    ++chunk->live;
    if (task->leased()) continue;
    if (task->ready_time == absl::InfinitePast()) {
      task->ready_time = std::min(
          now, std::max(task->content().create_time, task->content().eta));
    }
    AddToLine(lane, task);
  }
  if (chunk->live == 0) {
    deletes_.Delete(ReadyRowKey(lane->id, sequence));
  } else {
    lane->chunks[sequence] = std::move(chunk);
  }
  return absl::OkStatus();
}

void ReadyLanes::Forget(const Queue* queue) {
  const auto of_queue = [queue](const Lane* lane) {
    return lane->queue == queue;
  };
  dirty_.erase(std::remove_if(dirty_.begin(), dirty_.end(), of_queue),
               dirty_.end());
  refills_.erase(std::remove_if(refills_.begin(), refills_.end(), of_queue),
                 refills_.end());
}

void ReadyLanes::WriteChunks(Lane* lane, StoreBatch* batch) {
  std::vector<std::string_view> keys;
  for (ReadyChunk* chunk : lane->unwritten) {
    keys.clear();
    uint32_t index = 0;
    for (LiveTask* task : chunk->unwritten) {
      if (task == nullptr) continue;
      keys.push_back(task->key);
      task->chunk_index = index++;
      if (!chunk->hot) task->chunk = nullptr;
    }
    if (chunk->live > 0) {
      batch->Put(ReadyRowKey(lane->id, chunk->sequence),
                 EncodeReadyChunk(keys));
      chunk->stored = true;
      std::vector<LiveTask*>().swap(chunk->unwritten);
    }
    if (chunk->live == 0 || !chunk->hot)
      lane->chunks.erase(uint64_t{chunk->sequence});
  }
  lane->unwritten.clear();
}

void ReadyLanes::Flush(StoreBatch* batch) {
  for (Lane* lane : dirty_) WriteChunks(lane, batch);
  batch->Append(deletes_);
  deletes_.Clear();
  for (Lane* lane : dirty_) {
    uint64_t head = tickets_->Peek();
    if (!lane->chunks.empty()) {
      head = lane->chunks.begin()->first;
    } else if (lane->cold_from != 0) {
      head = lane->cold_from;
    }
    batch->Put(LaneRowKey(lane->id),
               EncodeLane({.count = lane->count, .head_sequence = head}));
    lane->dirty = false;
  }
  dirty_.clear();
}

}  // namespace apium::broker
