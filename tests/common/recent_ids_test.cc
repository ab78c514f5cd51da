#include "common/recent_ids.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/uuid.h"

namespace apium {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);

std::string KeyOf(const std::string& id) { return "default/" + id; }

TEST(RecentIdsTest, KnowsThatANewIdIsNew) {
  UuidV7Generator ids(1);
  RecentIds recent(0);
  const std::string id = ids.Next(kNow);
  EXPECT_FALSE(recent.MayContain(KeyOf(id), id));
  recent.Add(KeyOf(id), id);
  EXPECT_TRUE(recent.MayContain(KeyOf(id), id));
  EXPECT_FALSE(recent.MayContain("other/" + id, id));
}

TEST(RecentIdsTest, KnowsNothingOfIdsWithoutATime) {
  RecentIds recent(0);
  EXPECT_TRUE(recent.MayContain("default/order-1", "order-1"));
  recent.Add("default/order-1", "order-1");
  EXPECT_FALSE(recent.TakeBound().has_value());
}

TEST(RecentIdsTest, AfterARestartEveryIdUpToTheBoundMayBeStored) {
  UuidV7Generator ids(1);
  RecentIds before(0);
  const std::string stored = ids.Next(kNow);
  before.Add(KeyOf(stored), stored);
  const auto bound = before.TakeBound();
  ASSERT_TRUE(bound.has_value());
  EXPECT_FALSE(before.TakeBound().has_value()) << "nothing was added since";

  const RecentIds after(*bound);
  EXPECT_TRUE(after.MayContain(KeyOf(stored), stored));
  const std::string later = ids.Next(kNow + absl::Minutes(1));
  EXPECT_FALSE(after.MayContain(KeyOf(later), later));
}

TEST(RecentIdsTest, AsksForANewBoundOnlyOnceInAWhile) {
  UuidV7Generator ids(1);
  RecentIds recent(0);
  int bounds = 0;
  for (int i = 0; i < 60; ++i) {
    const std::string id = ids.Next(kNow + absl::Seconds(i));
    recent.Add(KeyOf(id), id);
    if (recent.TakeBound().has_value()) ++bounds;
  }
  EXPECT_GE(bounds, 2);
  EXPECT_LE(bounds, 7);
}

TEST(RecentIdsTest, AnIdFromAheadMakesItUselessAndNotWrong) {
  UuidV7Generator ids(1);
  RecentIds recent(0, /*generation=*/2);
  const std::string ahead = UuidV7Generator(2).Next(kNow + absl::Hours(1));
  recent.Add(KeyOf(ahead), ahead);
  for (int i = 0; i < 10; ++i) {
    const std::string id = ids.Next(kNow);
    recent.Add(KeyOf(id), id);
  }
  EXPECT_TRUE(recent.MayContain(KeyOf(ahead), ahead));
  const std::string fresh = ids.Next(kNow + absl::Minutes(1));
  EXPECT_TRUE(recent.MayContain(KeyOf(fresh), fresh));
}

// Against a set of all that was ever added, with restarts, submitters whose
// clocks differ, and repeated ids.
TEST(RecentIdsTest, NeverCallsAStoredIdNew) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    std::mt19937_64 random(seed);
    UuidV7Generator ids(seed);
    RecentIds recent(0, /*generation=*/16);
    int64_t stored_bound = 0;
    std::vector<std::string> added;
    int known_new = 0;
    absl::Time now = kNow;
    for (int step = 0; step < 2000; ++step) {
      now += absl::Milliseconds(random() % 200);
      if (random() % 500 == 0) recent = RecentIds(stored_bound, 16);
      if (!added.empty() && random() % 3 == 0) {
        const std::string& id = added[random() % added.size()];
        ASSERT_TRUE(recent.MayContain(KeyOf(id), id))
            << "seed " << seed << " step " << step;
        continue;
      }
      const absl::Duration skew =
          absl::Milliseconds(static_cast<int64_t>(random() % 2000) - 1000);
      const std::string id = UuidV7Generator(random()).Next(now + skew);
      if (!recent.MayContain(KeyOf(id), id)) ++known_new;
      recent.Add(KeyOf(id), id);
      if (const auto bound = recent.TakeBound()) stored_bound = *bound;
      added.push_back(id);
    }
    EXPECT_GT(known_new, 50) << "seed " << seed;
  }
}

}  // namespace
}  // namespace apium
