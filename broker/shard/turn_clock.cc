#include "broker/shard/turn_clock.h"

#include <algorithm>
#include <utility>

#include "common/clock.h"

namespace apium::broker {
namespace {

// Slow enough to end a lead, fast enough that no lease or back-off is off by
// more than clocks are anyway.
constexpr double kPaceWhileAhead = 0.9;

// Less is the time that passes between reading the one clock and the other.
constexpr absl::Duration kLeapMin = absl::Seconds(1);

// What is stored of a time, so that it is the same when it is read.
absl::Time WholeNanoseconds(absl::Time time) {
  return absl::FromUnixNanos(absl::ToUnixNanos(time));
}

}  // namespace

TurnClock::TurnClock(const Clock* clock)
    : clock_(clock), now_(clock->Now()), monotonic_(clock->Monotonic()) {}

TurnTime TurnClock::BeginTurn() {
  Advance();
  return {.now = now_,
          .lead = lead_,
          .leap = std::exchange(leap_, absl::ZeroDuration())};
}

absl::Time TurnClock::Now() {
  Advance();
  return now_;
}

void TurnClock::Advance() {
  const absl::Duration monotonic = clock_->Monotonic();
  const absl::Time wall = clock_->Now();
  const absl::Duration passed = monotonic - monotonic_;
  const absl::Time before = now_;
  const bool ahead = lead_ > absl::ZeroDuration();
  const absl::Time steady =
      WholeNanoseconds(before + (ahead ? passed * kPaceWhileAhead : passed));
  now_ = std::max(wall, steady);
  lead_ = now_ - wall;
  monotonic_ = monotonic;
  const absl::Duration leap = now_ - (before + passed);
  if (leap >= kLeapMin) leap_ += leap;
}

}  // namespace apium::broker
