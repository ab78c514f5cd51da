#include "broker/engine/ready_lanes.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/engine/lane_class.h"
#include "common/status_macros.h"

namespace apium::broker {
namespace {

// A chunk is what is read ahead at once, so it bounds what a lane can take
// beyond the window's limits.
constexpr size_t kChunkTasksMax = 256;
constexpr size_t kChunkBytesMax = 1024 * 1024;

// There may be many lanes with a class, each with a chunk in memory.
constexpr size_t kClassChunkTasksMax = 16;

std::tuple<uint64_t, uint32_t> PlaceOf(const LiveTask* task) {
  return {task->stored.ready_sequence, task->chunk_index};
}

// Of a lane's class, which may be none.
const Placement& ClassOf(const std::shared_ptr<const Placement>& lane_class) {
  static const Placement* const kNone = new Placement;
  return lane_class == nullptr ? *kNone : *lane_class;
}

// The weight that the task says for its tenant, unless the queue says one.
void NoteWeight(const LiveTask& task, Lane* lane) {
  const Placement* placement = task.content().placement.get();
  if (placement == nullptr || placement->fairness_key.empty()) return;
  const auto& weights = lane->queue->stored.settings.fairness_weights;
  const auto weight = weights.find(placement->fairness_key);
  lane->tenant->weight =
      weight == weights.end() ? placement->fairness_weight : weight->second;
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

ReadyLanes::ReadyLanes(const ReadyLimits& bounds, const StoreReader* reader,
                       TaskTable* tasks, QueueTable* queues, Tickets* tickets,
                       LimitTable* limits)
    : bounds_(bounds),
      reader_(reader),
      tasks_(tasks),
      queues_(queues),
      tickets_(tickets),
      limits_(limits) {}

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
        Lane* lane = LaneAt(queue, *id, position->lane_class);
        lane->count = position->count;
        lane->cold_from = position->head_sequence;
        queue->ready += lane->count;
        List(lane);
        WantRefill(lane);
        return true;
      });
  return scanned.ok() ? visited : scanned;
}

Lane* ReadyLanes::LaneAt(Queue* queue, const LaneId& id,
                         std::shared_ptr<const Placement> lane_class) {
  std::unique_ptr<Lane>& lane = queue->lanes[RankOf(id)];
  if (lane != nullptr) return lane.get();
  if (lane_class != nullptr) ++class_lanes_;
  lane = std::make_unique<Lane>();
  lane->id = id;
  lane->queue = queue;
  const Placement& placement = ClassOf(lane_class);
  lane->tenant = queue->shares.TenantOf(placement.fairness_key);
  ++lane->tenant->lane_count;
  lane->group = &queue->groups[{id.type_id, placement.required_labels}];
  lane->group->type_id = id.type_id;
  lane->group->required_labels = placement.required_labels;
  ++lane->group->lanes;
  lane->lane_class = std::move(lane_class);
  return lane.get();
}

void ReadyLanes::Remove(Lane* lane) {
  Queue* queue = lane->queue;
  LaneGroup* group = lane->group;
  limits_->Drop(&lane->limits);
  queue->shares.DropLane(lane->tenant);
  if (--group->lanes == 0) {
    const auto group_id = std::pair(group->type_id, group->required_labels);
    queue->groups.erase(group_id);
  }
  --class_lanes_;
  queue->lanes.erase(RankOf(lane->id));
}

absl::StatusOr<Lane*> ReadyLanes::LaneOf(const LiveTask& task) {
  if (task.chunk != nullptr) return task.chunk->lane;
  const TaskContent& content = task.content();
  APIUM_ASSIGN_OR_RETURN(Queue * queue, queues_->QueueOf(content));
  APIUM_ASSIGN_OR_RETURN(uint32_t type_id, queues_->InternType(content.type));
  const LaneId id{.queue_id = queue->stored.queue_id,
                  .type_id = type_id,
                  .priority = content.priority,
                  .lane_class = LaneClassId(content)};
  const auto lane = queue->lanes.find(RankOf(id));
  if (lane != queue->lanes.end()) return lane->second.get();
  return LaneAt(queue, id, LaneClassOf(content));
}

bool ReadyLanes::HasNoLaneFor(const Queue& queue,
                              const TaskContent& content) const {
  if (class_lanes_ < bounds_.class_lanes_max || content.placement == nullptr)
    return false;
  const Fingerprint lane_class = LaneClassId(content);
  if (lane_class == Fingerprint()) return false;
  const std::optional<uint32_t> type_id = queues_->FindType(content.type);
  if (!type_id.has_value()) return true;
  return !queue.lanes.contains(RankOf({.type_id = *type_id,
                                       .priority = content.priority,
                                       .lane_class = lane_class}));
}

bool ReadyLanes::SuspectsFull(const Lane& lane) const {
  return !lane.suspects.empty() &&
         (lane.suspects.size() >= bounds_.suspect_window_tasks ||
          suspect_bytes_ >= bounds_.window_bytes);
}

bool ReadyLanes::HasRoom(const Lane& lane) const {
  if (SuspectsFull(lane)) return false;
  if (lane.window.empty()) return true;
  return lane.window.size() < bounds_.lane_window_tasks &&
         window_bytes_ < bounds_.window_bytes;
}

ReadyChunk* ReadyLanes::OpenChunk(Lane* lane) {
  ReadyChunk* open = lane->unwritten.empty() ? nullptr : lane->unwritten.back();
  const bool hot = lane->cold_from == 0 && HasRoom(*lane);
  const bool fits = open != nullptr && open->hot == hot &&
                    open->sequence >= oldest_open_chunk_ &&
                    open->unwritten.size() < (lane->lane_class == nullptr
                                                  ? kChunkTasksMax
                                                  : kClassChunkTasksMax) &&
                    open->bytes < kChunkBytesMax;
  if (fits) return open;
  auto chunk = std::make_unique<ReadyChunk>();
  open = chunk.get();
  open->lane = lane;
  open->sequence = tickets_->Next();
  open->hot = hot;
  if (!hot && lane->cold_from == 0) {
    lane->cold_from = open->sequence;
    List(lane);
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
  task->aging_since = now;
  NoteWeight(*task, lane);
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
  --lane->leased;
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
  RestoreLease(lane);
}

void ReadyLanes::RestoreLease(Lane* lane) {
  --lane->queue->ready;
  ++lane->queue->leased;
  ++lane->leased;
}

absl::Status ReadyLanes::Leave(LiveTask* task) {
  APIUM_ASSIGN_OR_RETURN(Lane * lane, LaneOf(*task));
  if (task->leased()) {
    --lane->queue->leased;
    --lane->leased;
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
  if (suspect) {
    ListSuspects(lane);
  } else if (line.front() == task) {
    List(lane);
  }
}

void ReadyLanes::RemoveFromLine(LiveTask* task) {
  Lane* lane = task->chunk->lane;
  const bool suspect = task->stored.suspect;
  std::deque<LiveTask*>& line = suspect ? lane->suspects : lane->window;
  const bool was_head = line.front() == task;
  if (was_head) {
    line.pop_front();
  } else {
    line.erase(PlaceIn(line, task));
  }
  task->in_window = false;
  (suspect ? suspect_bytes_ : window_bytes_) -= task->approximate_bytes();
  if (line.empty()) --(suspect ? suspect_lanes_ : ready_lanes_);
  if (suspect) {
    ListSuspects(lane);
  } else if (was_head) {
    List(lane);
  }
  if (lane->cold_from != 0 &&
      lane->window.size() <= bounds_.lane_window_tasks / 4)
    WantRefill(lane);
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
  List(lane);
  if (more) return absl::OkStatus();
  lane->cold_from = 0;
  List(lane);
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
    if (task->aging_since == absl::InfinitePast())
      task->aging_since = task->ready_time;
    NoteWeight(*task, lane);
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
  for (const auto& [rank, lane] : queue->lanes) {
    if (lane->lane_class != nullptr) --class_lanes_;
    if (lane->order != nullptr) Unlist(lane.get());
    limits_->Drop(&lane->limits);
  }
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
    lane->dirty = false;
    const bool ended = lane->lane_class != nullptr && lane->count == 0 &&
                       lane->chunks.empty() && lane->cold_from == 0 &&
                       !lane->refill_wanted;
    if (ended) {
      batch->Delete(LaneRowKey(lane->id));
      Remove(lane);
      continue;
    }
    batch->Put(LaneRowKey(lane->id),
               EncodeLane({.count = lane->count,
                           .head_sequence = head,
                           .lane_class = lane->lane_class}));
  }
  dirty_.clear();
}

}  // namespace apium::broker
