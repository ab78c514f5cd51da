#include "common/clock.h"

#include <gtest/gtest.h>

#include "absl/time/time.h"
#include "tests/support/fake_clock.h"

namespace apium {
namespace {

TEST(SystemClockTest, MonotonicTimeNeverGoesBack) {
  const SystemClock* clock = SystemClock::Get();
  absl::Duration last = clock->Monotonic();
  for (int i = 0; i < 1000; ++i) {
    const absl::Duration now = clock->Monotonic();
    ASSERT_GE(now, last);
    last = now;
  }
}

TEST(FakeClockTest, StandsStillUntilAdvanced) {
  FakeClock clock;
  const absl::Time now = clock.Now();
  const absl::Duration monotonic = clock.Monotonic();
  EXPECT_EQ(clock.Now(), now);
  clock.Advance(absl::Seconds(5));
  EXPECT_EQ(clock.Now(), now + absl::Seconds(5));
  EXPECT_EQ(clock.Monotonic(), monotonic + absl::Seconds(5));
}

TEST(FakeClockTest, SettingTheWallClockLeavesTheMonotonicOne) {
  FakeClock clock;
  const absl::Duration monotonic = clock.Monotonic();
  clock.SetNow(absl::UnixEpoch());
  EXPECT_EQ(clock.Now(), absl::UnixEpoch());
  EXPECT_EQ(clock.Monotonic(), monotonic);
}

}  // namespace
}  // namespace apium
