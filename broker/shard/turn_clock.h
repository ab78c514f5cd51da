#ifndef APIUM_BROKER_SHARD_TURN_CLOCK_H_
#define APIUM_BROKER_SHARD_TURN_CLOCK_H_

#include "absl/time/time.h"
#include "broker/engine/turn_time.h"

namespace apium {
class Clock;
}  // namespace apium

namespace apium::broker {

// The engine's time, made of the wall clock and the monotonic one. Follows the
// wall clock forwards at once; when that is set back it goes on by itself, a
// tenth slower until the wall clock has caught up. One thread.
class TurnClock {
 public:
  // `clock` outlives this.
  explicit TurnClock(const Clock* clock);

  // For a turn that begins now.
  TurnTime BeginTurn();
  // What BeginTurn would say of `now`.
  absl::Time Now();

 private:
  void Advance();

  const Clock* const clock_;
  absl::Time now_;
  absl::Duration lead_;
  absl::Duration leap_;  // since the last turn began
  absl::Duration monotonic_;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_SHARD_TURN_CLOCK_H_
