#ifndef APIUM_BROKER_SHARD_SHARD_H_
#define APIUM_BROKER_SHARD_SHARD_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "broker/shard/group_commit.h"
#include "broker/shard/mailbox.h"
#include "broker/shard/turn_clock.h"

namespace apium {
class Clock;
}  // namespace apium

namespace apium::broker {

class Engine;

// How much the engine applies before its effects go to the disk.
struct TurnLimits {
  // Some tens of milliseconds of work.
  size_t items_max = 4096;
  // The outcomes of a turn are one message to the result service, which must
  // stay below the limit of a message (kGrpcMessageBytesMax) with their names.
  size_t bytes_max = 2 * 1024 * 1024;
};

// The thread that owns an engine: takes commands from the mailbox, lets the
// engine turn, and hands the effects to the group commit. Sleeps while there is
// nothing to do.
class Shard {
 public:
  // All outlive this. `confirmed_position` is kept up to date for the store's
  // compaction; may be null. Starts the thread.
  Shard(TurnLimits limits, std::unique_ptr<Engine> engine, Mailbox* mailbox,
        GroupCommit* commit, const Clock* clock,
        std::atomic<uint64_t>* confirmed_position);
  // Stop, if it was not called.
  ~Shard();
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  // Any thread. The result service has everything up to `position`.
  void ConfirmOutbox(uint64_t position);

  // Any thread, once. Closes the mailbox with `status`, applies and commits
  // what is in it, and ends the thread.
  void Stop(absl::Status status);

 private:
  void Run();
  // One turn with up to TurnLimits of taken_. False: the shard has to stop.
  bool DoTurn();
  absl::Status ApplyTaken(Turn* turn);
  // The mailbox gave work since it was last looked at, or there is some left.
  bool HasMore() const;
  absl::Duration SleepTime();

  const TurnLimits limits_;
  const std::unique_ptr<Engine> engine_;
  Mailbox* const mailbox_;
  GroupCommit* const commit_;
  std::atomic<uint64_t>* const confirmed_position_;

  // Written by ConfirmOutbox, read once per turn: many confirmations become
  // one.
  std::atomic<uint64_t> outbox_confirmed_{0};

  // Of the shard's thread.
  TurnClock clock_;
  std::vector<QueuedCommand> taken_;
  size_t next_taken_ = 0;
  uint64_t outbox_applied_ = 0;
  std::thread thread_;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_SHARD_SHARD_H_
