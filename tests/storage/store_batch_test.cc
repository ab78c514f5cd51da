#include "storage/store_batch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "rocksdb/write_batch.h"

namespace apium {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct Lines {
  void Put(std::string_view key, std::string_view value) {
    lines.push_back("put " + std::string(key) + "=" + std::string(value));
  }
  void Delete(std::string_view key) {
    lines.push_back("delete " + std::string(key));
  }
  void DeleteRange(std::string_view begin, std::string_view end) {
    lines.push_back("delete " + std::string(begin) + ".." + std::string(end));
  }
  std::vector<std::string> lines;
};

std::vector<std::string> LinesOf(const StoreBatch& batch) {
  Lines lines;
  batch.ForEach(lines);
  return lines.lines;
}

TEST(StoreBatchTest, VisitsChangesInTheOrderOfTheirCalls) {
  StoreBatch batch;
  batch.Put("b", "1");
  batch.Delete("a");
  batch.DeleteRange("c", "d");
  batch.Put("b", "");
  EXPECT_THAT(LinesOf(batch),
              ElementsAre("put b=1", "delete a", "delete c..d", "put b="));
  EXPECT_EQ(batch.count(), 4);
}

TEST(StoreBatchTest, KeepsLongKeysAndValuesWhole) {
  for (size_t size : {127, 128, 16383, 16384, 3000000}) {
    StoreBatch batch;
    const std::string key(size, 'k');
    const std::string value(size, 'v');
    batch.Put(key, value);
    batch.Delete("end");
    EXPECT_THAT(LinesOf(batch),
                ElementsAre("put " + key + "=" + value, "delete end"));
  }
}

TEST(StoreBatchTest, KnowsWhetherItHasRanges) {
  StoreBatch batch;
  batch.Put("a", "1");
  batch.Delete("a");
  EXPECT_FALSE(batch.has_ranges());
  StoreBatch other;
  other.DeleteRange("a", "b");
  EXPECT_TRUE(other.has_ranges());
  batch.Append(other);
  batch.Append(StoreBatch());
  EXPECT_TRUE(batch.has_ranges());
  batch.Clear();
  EXPECT_FALSE(batch.has_ranges());
}

TEST(StoreBatchTest, LeavesOutRangesWithoutKeys) {
  StoreBatch batch;
  batch.DeleteRange("b", "a");
  batch.DeleteRange("a", "a");
  EXPECT_TRUE(batch.empty());
  EXPECT_FALSE(batch.has_ranges());
  EXPECT_EQ(batch.byte_size(), 0);
}

TEST(StoreBatchTest, AppendAddsBehind) {
  StoreBatch first;
  first.Put("a", "1");
  StoreBatch second;
  second.Delete("a");
  second.Put("b", "2");
  first.Append(second);
  EXPECT_THAT(LinesOf(first), ElementsAre("put a=1", "delete a", "put b=2"));
  EXPECT_EQ(first.count(), 3);
}

TEST(StoreBatchTest, ClearForgetsChanges) {
  StoreBatch batch;
  batch.Put("a", "1");
  EXPECT_FALSE(batch.empty());
  batch.Clear();
  EXPECT_TRUE(batch.empty());
  EXPECT_EQ(batch.count(), 0);
  EXPECT_THAT(LinesOf(batch), IsEmpty());
  batch.Put("b", "2");
  EXPECT_THAT(LinesOf(batch), ElementsAre("put b=2"));
}

TEST(StoreBatchTest, AllocatesNothingOnceItHasGrown) {
  StoreBatch batch;
  const auto fill = [&batch] {
    for (int i = 0; i < 1000; ++i) batch.Put("key", std::string(200, 'v'));
  };
  fill();
  const char* memory = batch.records().data();
  batch.Clear();
  fill();
  EXPECT_EQ(batch.records().data(), memory);
}

// The RocksDB store hands records over as they are.
TEST(StoreBatchTest, RecordsAreThoseOfRocksDb) {
  const std::string long_value(100000, 'v');
  StoreBatch ours;
  ours.Put("key", "value");
  ours.Put(std::string("\0k\xff", 3), long_value);
  ours.Delete("key");
  ours.DeleteRange("a", std::string(300, 'b'));
  rocksdb::WriteBatch theirs;
  ASSERT_TRUE(theirs.Put("key", "value").ok());
  ASSERT_TRUE(theirs.Put(std::string("\0k\xff", 3), long_value).ok());
  ASSERT_TRUE(theirs.Delete("key").ok());
  ASSERT_TRUE(theirs.DeleteRange("a", std::string(300, 'b')).ok());
  constexpr size_t kHeaderBytes = 12;
  EXPECT_EQ(ours.records(), theirs.Data().substr(kHeaderBytes));
}

}  // namespace
}  // namespace apium
