#include "common/retry_backoff.h"

#include <gtest/gtest.h>

#include <climits>
#include <limits>
#include <random>

#include "absl/time/time.h"

namespace apium {
namespace {

BackoffPolicy Exact() {
  return {.initial = absl::Seconds(1),
          .multiplier = 2,
          .max = absl::Seconds(60),
          .jitter = 0};
}

TEST(BackoffTest, GrowsUpToTheMaximum) {
  std::mt19937_64 random(1);
  EXPECT_EQ(BackoffDelay(Exact(), 1, random), absl::Seconds(1));
  EXPECT_EQ(BackoffDelay(Exact(), 2, random), absl::Seconds(2));
  EXPECT_EQ(BackoffDelay(Exact(), 6, random), absl::Seconds(32));
  EXPECT_EQ(BackoffDelay(Exact(), 7, random), absl::Seconds(60));
  EXPECT_EQ(BackoffDelay(Exact(), INT_MAX, random), absl::Seconds(60));
}

TEST(BackoffTest, TreatsRetriesBelowOneAsTheFirst) {
  std::mt19937_64 random(1);
  EXPECT_EQ(BackoffDelay(Exact(), 0, random), absl::Seconds(1));
  EXPECT_EQ(BackoffDelay(Exact(), INT_MIN, random), absl::Seconds(1));
}

TEST(BackoffTest, JitterTakesAwayAtMostItsShare) {
  std::mt19937_64 random(1);
  BackoffPolicy policy = Exact();
  policy.jitter = 0.25;
  absl::Duration least = absl::InfiniteDuration();
  absl::Duration most = absl::ZeroDuration();
  for (int i = 0; i < 10'000; ++i) {
    const absl::Duration delay = BackoffDelay(policy, 3, random);
    least = std::min(least, delay);
    most = std::max(most, delay);
  }
  EXPECT_GE(least, absl::Seconds(3));
  EXPECT_LE(most, absl::Seconds(4));
  EXPECT_LT(least, absl::Seconds(3.05));
  EXPECT_GT(most, absl::Seconds(3.95));
}

TEST(BackoffTest, SameRandomNumbersGiveTheSameDelay) {
  BackoffPolicy policy = Exact();
  policy.jitter = 1;
  std::mt19937_64 left(4), right(4);
  EXPECT_EQ(BackoffDelay(policy, 5, left), BackoffDelay(policy, 5, right));
}

TEST(BackoffTest, ClampsNonsense) {
  std::mt19937_64 random(1);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  for (double multiplier : {nan, infinity, -1.0, 0.0}) {
    for (double jitter : {nan, infinity, -1.0}) {
      for (int retry : {1, 2, 1000}) {
        const absl::Duration delay = BackoffDelay({.initial = absl::Seconds(1),
                                                   .multiplier = multiplier,
                                                   .max = absl::Seconds(9),
                                                   .jitter = jitter},
                                                  retry, random);
        EXPECT_GE(delay, absl::ZeroDuration());
        EXPECT_LE(delay, absl::Seconds(9));
      }
    }
  }
  EXPECT_EQ(
      BackoffDelay({.initial = -absl::Seconds(1), .max = -absl::Seconds(5)}, 3,
                   random),
      absl::ZeroDuration());
  EXPECT_EQ(BackoffDelay({.initial = absl::ZeroDuration()}, 5000, random),
            absl::ZeroDuration());
}

}  // namespace
}  // namespace apium
