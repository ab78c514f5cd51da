#include "common/uuid.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"

namespace apium {
namespace {

const absl::Time kNow =
    absl::FromUnixMillis(0x017F22E279B0);  // the time of RFC 9562's example

TEST(UuidV7Test, HasTheFormOfTheStandard) {
  UuidV7Generator generator(1);
  const std::string id = generator.Next(kNow);
  ASSERT_EQ(id.size(), 36u);
  EXPECT_EQ(id.substr(0, 15), "017f22e2-79b0-7");
  EXPECT_NE(std::string("89ab").find(id[19]), std::string::npos) << id;
  for (size_t dash : {8, 13, 18, 23}) EXPECT_EQ(id[dash], '-') << id;
  EXPECT_EQ(id.find_first_not_of("0123456789abcdef-"), std::string::npos) << id;
}

TEST(UuidV7Test, TellsItsTime) {
  EXPECT_EQ(UuidV7Time(UuidV7Generator(1).Next(kNow)), kNow);
  EXPECT_EQ(UuidV7Time("not a uuid"), std::nullopt);
  // Version 4.
  EXPECT_EQ(UuidV7Time("017f22e2-79b0-4cc3-98c4-dc0c0c07398f"), std::nullopt);
  // Upper case is not canonical: two spellings of one id would be two tasks.
  EXPECT_EQ(UuidV7Time("017F22E2-79B0-7CC3-98C4-DC0C0C07398F"), std::nullopt);
  EXPECT_TRUE(UuidV7Time("017f22e2-79b0-7cc3-98c4-dc0c0c07398f").has_value());
}

TEST(UuidV7Test, AscendsWithinAMillisecond) {
  UuidV7Generator generator(2);
  std::string last = generator.Next(kNow);
  for (int i = 0; i < 20'000; ++i) {
    std::string next = generator.Next(kNow);
    ASSERT_LT(last, next);
    last = std::move(next);
  }
}

TEST(UuidV7Test, AscendsWhenTheClockStepsBack) {
  UuidV7Generator generator(3);
  const std::string first = generator.Next(kNow);
  const std::string second = generator.Next(kNow - absl::Hours(1));
  EXPECT_LT(first, second);
  EXPECT_LT(second, generator.Next(kNow + absl::Milliseconds(1)));
}

TEST(UuidV7Test, ClampsTimesOutsideItsRange) {
  EXPECT_EQ(UuidV7Time(UuidV7Generator(1).Next(absl::InfinitePast())),
            absl::UnixEpoch());
  EXPECT_EQ(UuidV7Time(UuidV7Generator(1).Next(absl::InfiniteFuture())),
            absl::FromUnixMillis((int64_t{1} << 48) - 1));
}

TEST(UuidV7Test, SameSeedGivesTheSameIds) {
  UuidV7Generator left(7), right(7), other(8);
  const std::string id = left.Next(kNow);
  EXPECT_EQ(id, right.Next(kNow));
  EXPECT_NE(id, other.Next(kNow));
}

TEST(UuidV7Test, ThreadsNeverGetTheSameId) {
  constexpr int kThreads = 4;
  constexpr int kIdsEach = 5000;
  std::vector<std::vector<std::string>> ids(kThreads);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&ids, i] {
      for (int j = 0; j < kIdsEach; ++j) ids[i].push_back(NewUuidV7(kNow));
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::set<std::string> distinct;
  for (const auto& some : ids) distinct.insert(some.begin(), some.end());
  EXPECT_EQ(distinct.size(), size_t{kThreads} * kIdsEach);
}

TEST(TaskIdTest, CarriesItsPartition) {
  std::mt19937_64 random(5);
  for (int partition : {0, 1, 255, 256, 0x1234, 0xFFFF}) {
    const std::string id =
        MintTaskId(kNow, static_cast<uint16_t>(partition), random);
    EXPECT_EQ(PartitionOf(id), partition) << id;
    EXPECT_EQ(UuidV7Time(id), kNow) << id;
  }
}

TEST(TaskIdTest, MintsDistinctIds) {
  std::mt19937_64 random(5);
  std::set<std::string> ids;
  for (int i = 0; i < 10'000; ++i) ids.insert(MintTaskId(kNow, 9, random));
  EXPECT_EQ(ids.size(), 10'000u);
}

// A stored task is looked up by the partition of its id: these values never
// change.
TEST(TaskIdTest, PartitionIsStableForEver) {
  EXPECT_EQ(PartitionOf("017f22e2-79b0-7cc3-98c4-dc0c0c07398f"), 0x6313);
  EXPECT_EQ(PartitionOf("order-4711"), 60254);
  EXPECT_EQ(PartitionOf(""), 0x2d06);
}

TEST(TaskIdTest, SpreadsForeignIdsOverPartitions) {
  std::set<uint16_t> partitions;
  for (int i = 0; i < 1000; ++i)
    partitions.insert(PartitionOf("order-" + std::to_string(i)));
  EXPECT_GT(partitions.size(), 950u);
}

}  // namespace
}  // namespace apium
