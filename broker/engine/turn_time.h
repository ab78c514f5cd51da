#ifndef APIUM_BROKER_ENGINE_TURN_TIME_H_
#define APIUM_BROKER_ENGINE_TURN_TIME_H_

#include "absl/time/time.h"

namespace apium::broker {

// The time of a turn, in whole nanoseconds, which is what is stored of it.
// `now` measures: leases, back-offs and waits. It follows the wall clock,
// except that it never goes back and never stands still.
struct TurnTime {
  absl::Time now;
  // How far `now` is ahead of the wall clock, because that was set back: an ETA
  // is a time of the wall clock and waits for it.
  absl::Duration lead = absl::ZeroDuration();
  // By how much the wall clock was set forward since the last turn: nobody was
  // silent for that time.
  absl::Duration leap = absl::ZeroDuration();
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_TURN_TIME_H_
