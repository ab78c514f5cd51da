#include "broker/shard/turn_clock.h"

#include <gtest/gtest.h>

#include "tests/support/fake_clock.h"

namespace apium::broker {
namespace {

TEST(TurnClockTest, FollowsTheWallClock) {
  FakeClock clock;
  TurnClock turns(&clock);
  clock.Advance(absl::Seconds(3));
  const TurnTime time = turns.BeginTurn();
  EXPECT_EQ(time.now, clock.Now());
  EXPECT_EQ(time.lead, absl::ZeroDuration());
  EXPECT_EQ(time.leap, absl::ZeroDuration());
}

TEST(TurnClockTest, TellsOfALeapOnce) {
  FakeClock clock;
  TurnClock turns(&clock);
  clock.Advance(absl::Seconds(3));
  clock.SetNow(clock.Now() + absl::Hours(1));
  const TurnTime time = turns.BeginTurn();
  EXPECT_EQ(time.now, clock.Now());
  EXPECT_EQ(time.leap, absl::Hours(1));
  EXPECT_EQ(turns.BeginTurn().leap, absl::ZeroDuration());
}

TEST(TurnClockTest, ALeapIsKeptForTheTurn) {
  FakeClock clock;
  TurnClock turns(&clock);
  clock.SetNow(clock.Now() + absl::Hours(1));
  EXPECT_EQ(turns.Now(), clock.Now());
  EXPECT_EQ(turns.BeginTurn().leap, absl::Hours(1));
}

TEST(TurnClockTest, TakesTheTimeBetweenTwoReadingsForNoLeap) {
  FakeClock clock;
  TurnClock turns(&clock);
  clock.SetNow(clock.Now() + absl::Milliseconds(20));
  EXPECT_EQ(turns.BeginTurn().leap, absl::ZeroDuration());
}

TEST(TurnClockTest, GoesOnATenthSlowerUntilTheWallClockHasCaughtUp) {
  FakeClock clock;
  TurnClock turns(&clock);
  const absl::Time start = clock.Now();
  clock.SetNow(start - absl::Seconds(10));
  TurnTime time = turns.BeginTurn();
  EXPECT_EQ(time.now, start);
  EXPECT_EQ(time.lead, absl::Seconds(10));
  clock.Advance(absl::Seconds(50));
  time = turns.BeginTurn();
  EXPECT_EQ(time.now, start + absl::Seconds(45));
  EXPECT_EQ(time.lead, absl::Seconds(5));
  clock.Advance(absl::Seconds(60));
  time = turns.BeginTurn();
  EXPECT_EQ(time.now, clock.Now());
  EXPECT_EQ(time.lead, absl::ZeroDuration());
  EXPECT_EQ(time.leap, absl::ZeroDuration());
}

TEST(TurnClockTest, TimesAreWholeNanoseconds) {
  FakeClock clock;
  TurnClock turns(&clock);
  clock.SetNow(clock.Now() - absl::Seconds(10));
  turns.BeginTurn();
  for (int i = 0; i < 10; ++i) {
    clock.Advance(absl::Nanoseconds(333));
    const absl::Time now = turns.BeginTurn().now;
    EXPECT_EQ(now, absl::FromUnixNanos(absl::ToUnixNanos(now)));
  }
}

}  // namespace
}  // namespace apium::broker
