#ifndef APIUM_BROKER_ENGINE_READY_LANES_H_
#define APIUM_BROKER_ENGINE_READY_LANES_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "broker/engine/lane_order.h"
#include "broker/engine/limit_table.h"
#include "broker/engine/live_task.h"
#include "broker/engine/queue_table.h"
#include "broker/engine/task_table.h"
#include "broker/engine/tickets.h"
#include "broker/storage/key_format.h"
#include "storage/store.h"
#include "storage/store_batch.h"

namespace apium::broker {

struct Lane;

// Tasks that became ready in one turn, as one row lists them. In memory only
// while some of them are.
struct ReadyChunk {
  Lane* lane = nullptr;
  uint64_t sequence = 0;
  uint32_t live = 0;                 // entries that still wait or are leased
  bool hot = true;                   // its tasks stay in memory
  bool stored = false;               // the row exists
  size_t bytes = 0;                  // of the tasks that were added
  std::vector<LiveTask*> unwritten;  // entries of the turn that makes it; null
                                     // where one has left again
};

// Ready tasks of one queue, type, priority and class, first in first out. The
// head is in memory (the window); what lies behind `cold_from` is only on disk
// and is read ahead chunk by chunk. A task keeps its place while it is leased,
// so that one that comes back runs before those that came after it. Suspects,
// which run alone, keep their places in the chunks too, but wait in a line of
// their own.
struct Lane {
  LaneId id;
  Queue* queue = nullptr;
  std::shared_ptr<const Placement> lane_class;  // null: none
  LaneGroup* group = nullptr;
  LimitShare limits;                   // that count its tasks
  uint64_t limits_revision = 0;        // of the rules by which they were found
  LimitInstance* parked_at = nullptr;  // `order` is of the lanes that wait for
                                       // it; null: of the open ones
  Tenant* tenant = nullptr;
  LaneOrder* order = nullptr;  // where it is listed; null: nothing waits
  LanePlace place;             // in `order`
  size_t tenant_index = 0;     // in tenant->lanes, while it is listed
  uint64_t count = 0;          // live entries of all chunks: waiting and leased
  uint64_t leased = 0;
  uint64_t cold_from =
      0;  // sequence of the first chunk that is not in memory; 0: all are
  std::deque<LiveTask*> window;    // in order of (sequence, index)
  std::deque<LiveTask*> suspects;  // the same; tasks that run alone wait here
  std::map<uint64_t, std::unique_ptr<ReadyChunk>>
      chunks;  // in memory: loaded, or made by this turn
  std::vector<ReadyChunk*>
      unwritten;  // made by this turn, in order; the last is being filled
  bool dirty = false;
  bool listed_suspect = false;  // in Queue::suspect_lanes
  bool refill_wanted = false;

  uint64_t waiting() const { return count - leased; }
};

inline LaneRank RankOf(const LaneId& id) {
  return {.inverted_priority = static_cast<uint8_t>(255 - id.priority),
          .type_id = id.type_id,
          .class_high = id.lane_class.high,
          .class_low = id.lane_class.low};
}

// Whether `a` became ready before `b`. Both are in a window.
bool IsAhead(const LiveTask& a, const LiveTask& b);

struct ReadyLimits {
  size_t lane_window_tasks = 8192;
  size_t suspect_window_tasks = 8192;
  size_t window_bytes = 64 * 1024 * 1024;
  size_t class_lanes_max = 20'000;
};

// All lanes of the shard. Writes ready rows and lane rows.
class ReadyLanes {
 public:
  // Borrows all; they outlive it.
  ReadyLanes(const ReadyLimits& bounds, const StoreReader* reader,
             TaskTable* tasks, QueueTable* queues, Tickets* tickets,
             LimitTable* limits);

  absl::Status Recover();

  // At the start of a turn: reads on where a window runs low.
  absl::Status Refill(absl::Time now);
  // Whether Refill has something to do.
  bool WantsRefill() const { return !refills_.empty(); }

  // The task becomes ready, behind all others of its lane.
  absl::Status Enqueue(LiveTask* task, absl::Time now);
  // A task that was taken waits again, at its old place.
  absl::Status PutBack(LiveTask* task, absl::Time now);
  // Takes a task out of its line because it is leased. It stays in its lane.
  void Take(LiveTask* task);
  // The task leaves its lane: it ended, or waits for its time. It may wait or
  // be leased.
  absl::Status Leave(LiveTask* task);

  absl::StatusOr<Lane*> LaneOf(const LiveTask& task);
  // A task of the lane that waited before a restart was found to be leased.
  void RestoreLease(Lane* lane);
  // Whether a task of this content would need a lane of its own, and there are
  // as many as there may be.
  bool HasNoLaneFor(const Queue& queue, const TaskContent& content) const;

  // The settings that order the lanes of the queue have changed.
  void Reorder(Queue* queue);
  // What counts the lane's tasks.
  const LimitShare& LimitsOf(Lane* lane);
  // The lane, which is open, is not to be looked at before the limit lets one
  // through.
  void Park(Lane* lane, LimitInstance* limit);
  // The limit lets one through: of the lanes that wait for it, the first of
  // each group is open again.
  void Wake(LimitInstance* limit);
  // What became free since the last call.
  void WakeFreed(absl::Time now);
  // The task, which was just taken, is charged to its tenant.
  void Charge(LiveTask* task);
  // The task's lease ends, after `run`.
  void Settle(LiveTask* task, absl::Duration run);

  // The queue, which is empty, is about to be deleted.
  void Forget(const Queue* queue);

  // What becomes ready from here on gets sequences above all given so far, also
  // within the turn.
  void StartNewChunks() { oldest_open_chunk_ = tickets_->Peek(); }

  void Flush(StoreBatch* batch);

  size_t window_bytes() const { return window_bytes_ + suspect_bytes_; }
  // Lanes with a class.
  size_t class_lanes() const { return class_lanes_; }
  // Lanes that have a task in their window.
  size_t ready_lanes() const { return ready_lanes_; }
  // Lanes that have suspects in memory.
  size_t suspect_lanes() const { return suspect_lanes_; }
  // Whether the lane is to take no further tasks into memory, and to dispatch
  // no others, before some of its suspects have run.
  bool SuspectsFull(const Lane& lane) const;

 private:
  // `lane_class`: null for a lane without one.
  Lane* LaneAt(Queue* queue, const LaneId& id,
               std::shared_ptr<const Placement> lane_class);
  // The lane has no tasks and is of a class: it goes.
  void Remove(Lane* lane);
  // The chunk that the next ready task of the lane goes to.
  ReadyChunk* OpenChunk(Lane* lane);
  bool HasRoom(const Lane& lane) const;
  absl::Status RefillLane(Lane* lane, absl::Time now);
  absl::Status LoadChunk(Lane* lane, uint64_t sequence, std::string_view value,
                         absl::Time now);
  // The line that the task waits in: the window, or the suspects.
  void AddToLine(Lane* lane, LiveTask* task);
  void RemoveFromLine(LiveTask* task);
  // The head of the lane changed, or what orders it.
  void List(Lane* lane);
  void Unlist(Lane* lane);
  // Takes the lane out of the order that it is in.
  void TakeOut(Lane* lane);
  void Unpark(Lane* lane);
  void ListSuspects(Lane* lane);
  LanePlace LanePlaceOf(const Lane& lane) const;
  void WantRefill(Lane* lane);
  void DropEntry(LiveTask* task);
  void MarkDirty(Lane* lane);
  void WriteChunks(Lane* lane, StoreBatch* batch);

  // Lanes that wait for one limit.
  using ParkedLanes = std::map<LaneGroup*, LaneOrder>;

  const ReadyLimits bounds_;
  const StoreReader* const reader_;
  TaskTable* const tasks_;
  QueueTable* const queues_;
  Tickets* const tickets_;
  LimitTable* const limits_;
  absl::flat_hash_map<LimitInstance*, ParkedLanes> parked_;
  uint64_t limits_revision_ = 0;  // of the rules by which lanes were parked
  size_t window_bytes_ = 0;
  size_t suspect_bytes_ = 0;
  size_t ready_lanes_ = 0;
  size_t suspect_lanes_ = 0;
  size_t class_lanes_ = 0;
  uint64_t oldest_open_chunk_ = 0;  // see StartNewChunks
  std::vector<Lane*> dirty_;
  std::vector<Lane*> refills_;
  StoreBatch deletes_;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_READY_LANES_H_
