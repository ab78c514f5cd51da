#ifndef APIUM_BROKER_ENGINE_ENGINE_H_
#define APIUM_BROKER_ENGINE_ENGINE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "broker/engine/command.h"
#include "broker/engine/effects.h"
#include "broker/engine/turn_time.h"

namespace apium {
class StoreReader;
}  // namespace apium

namespace apium::broker {

// Bounds and times of an engine. Every default is documented in
// docs/flow_control.md.
struct EngineOptions {
  std::vector<std::string> namespaces = {"default"};
  // Makes a queue on its first submit or subscription instead of answering
  // NOT_FOUND / QUEUE_NOT_FOUND.
  bool create_queues_on_use = false;
  // A session without a sign of life for this long loses its leases.
  absl::Duration lease_duration = absl::Seconds(30);
  // A session whose stream broke (or whose broker restarted) keeps its leases
  // for this long.
  absl::Duration reattach_grace = absl::Seconds(15);
  // How long the id of a finished task is remembered, for submits that repeat
  // it. Only ids chosen by submitters.
  absl::Duration finished_retention = absl::Hours(24);
  // Tasks of one lane (queue, type, priority) held in memory ahead of dispatch;
  // the rest waits on disk.
  size_t lane_window_tasks = 8192;
  // Tasks of one lane that wait to run alone after a crash, held in memory; a
  // lane that has as many dispatches nothing else.
  size_t suspect_window_tasks = 8192;
  // Bytes of waiting tasks held in memory over all lanes; as many again of
  // tasks that wait to run alone.
  size_t ready_window_bytes = 64 * 1024 * 1024;
  // Lanes with a class (tenant, limit keys, required labels) that have tasks.
  // Beyond, a submit that would need another one is RESOURCE_EXHAUSTED /
  // TOO_MANY_LANES, and what becomes due waits.
  size_t max_lanes = 20'000;
  // Timers held in memory, soonest first; the rest waits on disk.
  size_t timer_window = 16384;
  // Upper bound of a session's outstanding credit and leases.
  uint32_t max_credit = 65536;
  // Callers of WaitTask and WatchTask, and submits that asked for their
  // outcome; beyond: RESOURCE_EXHAUSTED / TOO_MANY_WAITERS.
  size_t max_waiters = 1000000;
  // Limits of one namespace; beyond: RESOURCE_EXHAUSTED / TOO_MANY_LIMITS.
  size_t max_limits = 1000;
  // Keys of limits held in memory only for the points that were taken or for
  // their pause, while no task of them waits or runs; the rest is on disk.
  size_t limit_key_window = 100000;
  // How long a batch that is complete is known.
  absl::Duration batch_retention = absl::Hours(24);
  // Batches held in memory besides those that the turn changes: the ones that
  // were used last; the rest is on disk.
  size_t batch_window = 4096;
  // Bounds of what a task's attempts append: of one chunk, and of all of a
  // task. Beyond: RESOURCE_EXHAUSTED / CHUNK_LIMIT.
  size_t chunk_bytes_max = 64 * 1024;
  uint64_t task_chunks_max = 100000;
  uint64_t task_chunk_bytes_max = 64 * 1024 * 1024;
  // How long chunks are kept after the end of their task, unless its result is
  // kept for longer.
  absl::Duration chunk_retention = absl::Hours(24);
  // Of the shard. Beyond: RESOURCE_EXHAUSTED / TOO_MANY_EXCHANGES,
  // TOO_MANY_BINDINGS.
  size_t max_exchanges = 1000;
  size_t max_bindings = 100000;
  // What the tasks that routing copies in one turn may take in memory and in
  // its write: each copy has the payload. Submits of more: FAILED_PRECONDITION /
  // TOO_MANY_COPIES; what does not fit beside others: RESOURCE_EXHAUSTED /
  // BROKER_BUSY.
  size_t copy_bytes_per_turn = 64 * 1024 * 1024;
  // After what time a copy of a broadcast expires that was given no time of its
  // own: its worker may never come back.
  absl::Duration broadcast_expiry = absl::Hours(1);
  // Partition that minted ids carry.
  uint16_t partition = 0;
  // Seed of the engine's randomness (jitter, ids). Same seed, store and
  // commands: same effects.
  uint64_t random_seed = 1;
};

// The state machine of one shard: queues, leases, timers, retries, identity,
// outbox. It knows no clock, thread, disk or network: commands and the time
// come in, effects go out, and what does not fit in memory is read through
// `reader`.
//
// One turn: BeginTurn, Apply for each command, EndTurn. The caller then
// applies Effects.writes to the store behind `reader`, before the next turn.
// One thread.
//
// An error of BeginTurn, Apply or EndTurn means that the store could not be
// read or holds what the engine never wrote (DATA_LOSS): the turn must be
// thrown away and the shard stopped. Answers to bad commands are replies, not
// errors.
class Engine {
 public:
  // `reader` outlives the engine. Reads what is stored and is then ready for
  // the first turn; its effects (a first store's identity, default queue)
  // belong to that turn. Sessions that held leases come back detached, with the
  // grace from `now`.
  static absl::StatusOr<std::unique_ptr<Engine>> Recover(
      const EngineOptions& options, const StoreReader* reader, absl::Time now);
  ~Engine();

  // Refills windows from the store and carries out what is due: ETAs, expiries,
  // retries, lost sessions, waits. `time.now` never goes back between turns; an
  // earlier one is taken as the last.
  absl::Status BeginTurn(const TurnTime& time);
  absl::Status Apply(Command command);
  // Dispatches what can be dispatched and adds the turn's effects to `effects`,
  // which the caller has cleared.
  absl::Status EndTurn(Effects* effects);

  // When BeginTurn has something to do without a command: in the past
  // (InfinitePast) when another turn is wanted at once.
  absl::Time NextTurnTime() const;

  // Identity of the store, minted when it was made.
  const std::string& shard_id() const;
  // Outbox position up to which the result service has confirmed, and the last
  // one that was written.
  uint64_t outbox_confirmed_position() const;
  uint64_t outbox_last_position() const;

 private:
  class Impl;
  explicit Engine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// For the store's compaction: true for rows whose time is over (ids of finished
// tasks that are no longer remembered, batches that are complete for long).
// Pure; any thread. `confirmed_position` as last told by the engine.
bool IsDroppableRow(std::string_view key, std::string_view value,
                    absl::Time now, uint64_t confirmed_position);

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_ENGINE_H_
