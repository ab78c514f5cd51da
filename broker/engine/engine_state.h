#ifndef APIUM_BROKER_ENGINE_ENGINE_STATE_H_
#define APIUM_BROKER_ENGINE_ENGINE_STATE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "broker/engine/batch_table.h"
#include "broker/engine/breaker_table.h"
#include "broker/engine/cancel_job.h"
#include "broker/engine/chunk_table.h"
#include "broker/engine/command.h"
#include "broker/engine/confirm_waiters.h"
#include "broker/engine/dead_letter_table.h"
#include "broker/engine/details_table.h"
#include "broker/engine/effects.h"
#include "broker/engine/engine.h"
#include "broker/engine/exchange_table.h"
#include "broker/engine/lease_table.h"
#include "broker/engine/limit_table.h"
#include "broker/engine/live_task.h"
#include "broker/engine/ordering.h"
#include "broker/engine/ordering_table.h"
#include "broker/engine/outbox.h"
#include "broker/engine/queue_table.h"
#include "broker/engine/ready_lanes.h"
#include "broker/engine/redrive_table.h"
#include "broker/engine/request_table.h"
#include "broker/engine/session_table.h"
#include "broker/engine/sticky_workers.h"
#include "broker/engine/task_table.h"
#include "broker/engine/tickets.h"
#include "broker/engine/timer_index.h"
#include "broker/engine/unique_table.h"
#include "broker/engine/waiter_table.h"

namespace apium::broker {

// All that an engine knows: its tables, what is under way, and what the turn
// has to say so far. The rules over it are Engine::Impl's.
class EngineState {
 public:
  // What the meta rows say; 0 for a new store.
  struct Meta {
    uint64_t reserved_tickets = 0;
    int64_t ids_until = 0;
    std::string shard_id;
  };
  EngineState(const EngineOptions& options, const StoreReader* reader,
              Meta meta);

  const std::string& shard_id() const { return shard_id_; }
  const Outbox& outbox() const { return outbox_; }

 protected:
  // A purge that is under way. Only what waited when it was asked for is
  // cancelled.
  struct Purge {
    ReplyAddress reply;
    std::string namespace_name;
    std::string queue;
    uint64_t ticket_limit =
        0;  // what became ready or scheduled from here on is newer
    bool lanes_done = false;
    std::string
        timer_cursor;  // next timer row to look at; empty: from the start
    bool timers_done = false;
    std::string blocked_cursor;  // as timer_cursor
    uint64_t purged = 0;
  };

  // A look at all dead letters that a queue had when it was asked for.
  struct LetterScan {
    enum class Kind : uint8_t { kPurge, kDryRun };
    ReplyAddress reply;
    Kind kind = Kind::kPurge;
    uint32_t queue_id = 0;
    uint64_t number_limit = 0;  // letters from here on are newer
    std::string cursor;         // key of the last task that was looked at
    uint64_t purged = 0;
    Redrive redrive;  // kDryRun
  };

  template <typename Body>
  void AddReply(const ReplyAddress& to, Body body) {
    turn_.replies.push_back({.to = to, .reply = {.body = std::move(body)}});
  }
  template <typename Body>
  void Push(const Session& session, Body body) {
    if (session.connected()) PushTo(session.sink, std::move(body));
  }
  template <typename Body>
  void PushTo(const std::shared_ptr<WorkerSink>& sink, Body body) {
    turn_.pushes.push_back({.to = sink, .push = {.body = std::move(body)}});
  }

  const EngineOptions options_;
  const StoreReader* const reader_;
  const std::string shard_id_;
  const bool new_store_;
  std::mt19937_64 random_;
  absl::Time now_ = absl::InfinitePast();
  absl::Duration lead_;  // of now_ over the wall clock, see TurnTime

  Tickets tickets_;
  TaskTable tasks_;
  QueueTable queues_;
  ReadyLanes lanes_;
  TimerIndex timers_;
  LeaseTable leases_;
  SessionTable sessions_;
  WaiterTable waiters_;
  Outbox outbox_;
  BatchTable batches_;
  ChunkTable chunks_;
  DetailsTable details_;
  DeadLetterTable dead_letters_;
  RedriveTable redrives_;
  BreakerTable breakers_;
  LimitTable limits_;
  UniqueTable unique_keys_;
  OrderingTable ordering_;
  RequestTable requests_;
  StickyWorkers sticky_workers_;
  ExchangeTable exchanges_;

  std::deque<Purge> purges_;
  std::deque<LetterScan> letter_scans_;
  uint32_t last_redrive_queue_ = 0;  // the next turn goes on behind it
  std::deque<std::unique_ptr<CancelJob>> cancel_jobs_;
  size_t sweeps_ = 0;  // of cancel_jobs_
  absl::Time sweep_time_ =
      absl::InfiniteFuture();      // of the next; see WantSweep
  size_t copy_bytes_of_turn_ = 0;  // of tasks that routing copied
  ConfirmWaiters confirm_waiters_;
  absl::Status admission_;
  uint64_t submits_rejected_ = 0;
  uint64_t next_session_ = 0;  // session number where the next dispatch begins
  uint64_t reserved_session_ = 0;  // number; see ReserveSession; 0: none
  absl::Time suspects_time_ =
      absl::InfiniteFuture();  // when limits let suspects go on by time alone
  uint64_t last_control_id_ = 0;
  size_t chunk_deletes_left_ = 0;  // of this turn
  absl::Status failed_read_;       // ends the turn
  bool more_to_do_ = false;        // another turn is wanted at once
  Effects turn_;  // what the turn has to say so far; its writes are only what
                  // no table writes
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_ENGINE_STATE_H_
