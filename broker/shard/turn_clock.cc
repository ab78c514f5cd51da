#include "broker/shard/turn_clock.h"

#include <algorithm>

#include "common/clock.h"

namespace apium::broker {
namespace {

// Slow enough to end a lead, fast enough that no lease or back-off is off by
// more than clocks are anyway.
constexpr double kPaceWhileAhead = 0.9;

// Less is the time that passes between reading the one clock and the other.
constexpr absl::Duration kLeapMin = absl::Seconds(1);

}  // namespace

TurnClock::TurnClock(const Clock* clock)
    : clock_(clock), now_(clock->Now()), monotonic_(clock->Monotonic()) {}

TurnTime TurnClock::Read() {
  const absl::Duration monotonic = clock_->Monotonic();
  const absl::Time wall = clock_->Now();
  const absl::Duration passed = monotonic - monotonic_;
  const absl::Time before = now_;
  const absl::Time steady =
      now_ + (lead_ > absl::ZeroDuration() ? passed * kPaceWhileAhead : passed);
  monotonic_ = monotonic;
  now_ = std::max(steady, wall);
  lead_ = now_ - wall;
  const absl::Duration leap = now_ - (before + passed);
  return {.now = now_,
          .lead = lead_,
          .leap = leap < kLeapMin ? absl::ZeroDuration() : leap};
}

}  // namespace apium::broker
