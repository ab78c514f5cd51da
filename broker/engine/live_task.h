#ifndef APIUM_BROKER_ENGINE_LIVE_TASK_H_
#define APIUM_BROKER_ENGINE_LIVE_TASK_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "broker/engine/task.h"
#include "broker/storage/chunk_codec.h"
#include "broker/storage/record_codec.h"

namespace apium::broker {

struct LimitInstance;
struct Queue;
struct ReadyChunk;
struct Session;

// A worker's right to a task, as the shard holds it. The journal has what must
// survive.
struct LiveLease {
  uint64_t epoch = 0;  // 0: no lease
  Session* session = nullptr;
  uint64_t journal_row = 0;
  absl::Time grant_time;
  bool started = false;
  Queue* started_in = nullptr;  // counts it as running; null: not started
  absl::Time start_time = absl::InfinitePast();
  Progress progress;
  absl::Duration charged;  // to its tenant, as an estimate; 0: nothing
  std::vector<LimitInstance*> limits;  // that count it; see limit_table.h
};

// What the head row of a task's chunks says, or will say after the turn.
struct LiveChunkHead {
  StoredChunkHead stored;
  bool dirty = false;            // it is to be written
  uint32_t refused_attempt = 0;  // takes no more chunks of this attempt
};

// A task in memory: one that waits near the head of its lane, is leased, or is
// touched by the current turn.
struct LiveTask {
  std::string key;              // see key_format.h
  StoredTask stored;            // what its row says, or will say after the turn
  ReadyChunk* chunk = nullptr;  // the loaded chunk that lists it; null when it
                                // is scheduled, or its chunk is not loaded
  uint32_t chunk_index = 0;
  bool in_window = false;  // waits in its lane's window, or among its suspects
  absl::Time ready_time = absl::InfinitePast();  // when it became ready, as far
                                                 // as this process knows
  absl::Time aging_since = absl::InfinitePast();  // the same, leases since then
                                                  // left out of account
  LiveLease lease;
  std::unique_ptr<LiveChunkHead> chunk_head;  // null: not needed so far
  std::shared_ptr<const Outcome>
      outcome;  // set once it is finished, until the end of the turn
  FinishedTask finished_row;
  bool dirty = false;    // its row is to be written
  bool touched = false;  // on the list of the turn

  bool leased() const { return lease.epoch != 0; }
  bool finished() const { return outcome != nullptr; }
  const TaskContent& content() const { return *stored.content; }
  TaskState state() const {
    if (finished()) return outcome->state;
    if (leased())
      return lease.started ? TaskState::kStarted : TaskState::kLeased;
    return stored.state;
  }
  // What it costs to hold it in memory, roughly.
  size_t approximate_bytes() const {
    constexpr size_t kFixedBytes = 512;
    return kFixedBytes + content().payload.data.size();
  }
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_LIVE_TASK_H_
