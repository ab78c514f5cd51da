// Time as an argument: engines are given `now`; whoever calls them reads it
// from a Clock, which tests replace (tests/support/fake_clock.h).

#ifndef APIUM_COMMON_CLOCK_H_
#define APIUM_COMMON_CLOCK_H_

#include "absl/time/time.h"

namespace apium {

// Any thread.
class Clock {
 public:
  virtual ~Clock() = default;

  // Wall time: for ETAs, schedules and time stamps. May step backwards.
  virtual absl::Time Now() const = 0;

  // Time since an arbitrary start, never backwards: for measuring and for
  // time-outs.
  virtual absl::Duration Monotonic() const = 0;
};

// The machine's clocks (CLOCK_REALTIME, CLOCK_MONOTONIC).
class SystemClock final : public Clock {
 public:
  // One shared instance that is never destroyed.
  static const SystemClock* Get();

  absl::Time Now() const override;
  absl::Duration Monotonic() const override;
};

}  // namespace apium

#endif  // APIUM_COMMON_CLOCK_H_
