// What every Store does, whatever is behind it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/memory_store.h"
#include "storage/rocksdb_store.h"
#include "storage/store.h"
#include "tests/storage/store_folder.h"
#include "tests/support/fault_injecting_store.h"
#include "tests/support/status_matchers.h"

namespace apium {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct Implementation {
  const char* name;
  std::function<std::unique_ptr<Store>()> make;
};

std::unique_ptr<Store> MakeRocksDb() {
  // Small memtables, so that rows come from files, too.
  auto store = RocksDbStore::Open(
      {.path = NewPath(), .memtable_bytes = 64 << 10, .max_memtables = 3});
  EXPECT_THAT(store, IsOk());
  return *std::move(store);
}

std::unique_ptr<Store> MakeDelaying() {
  auto store =
      std::make_unique<FaultInjectingStore>(std::make_unique<MemoryStore>());
  store->DelaySyncedWrites(2);
  return store;
}

class StoreConformanceTest : public ::testing::TestWithParam<Implementation> {
 protected:
  void SetUp() override {
    store_ = GetParam().make();
    ASSERT_NE(store_, nullptr);
  }

  void Put(std::string_view key, std::string_view value) {
    StoreBatch batch;
    batch.Put(key, value);
    APIUM_ASSERT_OK(store_->Write(batch));
  }

  // "key=value" of every row in the range, in the order of the scan.
  std::vector<std::string> Rows(std::string_view begin, std::string_view end) {
    std::vector<std::string> rows;
    APIUM_EXPECT_OK(
        store_->Scan(begin, end, [&](std::string_view k, std::string_view v) {
          rows.push_back(std::string(k) + "=" + std::string(v));
          return true;
        }));
    return rows;
  }

  std::unique_ptr<Store> store_;
};

TEST_P(StoreConformanceTest, GetsWhatWasPut) {
  Put("a", "1");
  std::string value = "before";
  APIUM_ASSERT_OK(store_->Get("a", &value));
  EXPECT_EQ(value, "1");
  EXPECT_THAT(store_->Get("b", &value), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(store_->Get("", &value), StatusIs(absl::StatusCode::kNotFound));
}

TEST_P(StoreConformanceTest, KeysAndValuesAreAnyBytes) {
  const std::string key("\x00\xff\x00", 3);
  const std::string value("\x00\x01\n\xff", 4);
  Put(key, value);
  Put("empty", "");
  std::string found;
  APIUM_ASSERT_OK(store_->Get(key, &found));
  EXPECT_EQ(found, value);
  found = "before";
  APIUM_ASSERT_OK(store_->Get("empty", &found));
  EXPECT_EQ(found, "");
}

TEST_P(StoreConformanceTest, KeepsLargeValues) {
  const std::string value(5 << 20, 'v');
  Put("large", value);
  APIUM_ASSERT_OK(store_->Sync());
  std::string found;
  APIUM_ASSERT_OK(store_->Get("large", &found));
  EXPECT_TRUE(found == value);
}

TEST_P(StoreConformanceTest, LaterChangeOfTheSameBatchWins) {
  StoreBatch batch;
  batch.Put("a", "1");
  batch.Put("a", "2");
  batch.Put("b", "1");
  batch.Delete("b");
  batch.Delete("c");
  batch.Put("c", "1");
  APIUM_ASSERT_OK(store_->Write(batch));
  EXPECT_THAT(Rows("a", "z"), ElementsAre("a=2", "c=1"));
}

TEST_P(StoreConformanceTest, DeleteOfAnAbsentRowDoesNothing) {
  StoreBatch batch;
  batch.Delete("a");
  APIUM_ASSERT_OK(store_->Write(batch));
  EXPECT_THAT(Rows("a", "z"), IsEmpty());
}

TEST_P(StoreConformanceTest, DeleteRangeRemovesFromItsBeginToBeforeItsEnd) {
  for (const char* key : {"a", "b", "c", "d"}) Put(key, "1");
  APIUM_ASSERT_OK(store_->Sync());
  StoreBatch batch;
  batch.Put("bb", "same batch");
  batch.DeleteRange("b", "d");
  batch.Put("c", "later");
  APIUM_ASSERT_OK(store_->Write(batch));
  EXPECT_THAT(Rows("a", "z"), ElementsAre("a=1", "c=later", "d=1"));
}

TEST_P(StoreConformanceTest, EmptyBatchDoesNothing) {
  APIUM_EXPECT_OK(store_->Write(StoreBatch()));
  StoreBatch inverted;
  inverted.DeleteRange("z", "a");
  APIUM_EXPECT_OK(store_->Write(inverted));
  APIUM_EXPECT_OK(store_->Sync());
}

TEST_P(StoreConformanceTest, MultiGetAnswersInTheOrderOfItsKeys) {
  Put("a", "1");
  Put("c", "");
  std::vector<std::optional<std::string>> values = {"before"};
  APIUM_ASSERT_OK(store_->MultiGet({"c", "b", "a", "c"}, &values));
  EXPECT_THAT(values, ElementsAre("", std::nullopt, "1", ""));
  APIUM_ASSERT_OK(store_->MultiGet({}, &values));
  EXPECT_THAT(values, IsEmpty());
}

TEST_P(StoreConformanceTest, ScanVisitsItsRangeInByteOrder) {
  for (const char* key : {"\x80", "b", "\xff", "a", "ab", "c"}) Put(key, "1");
  EXPECT_THAT(Rows("a", "\xff\xff"),
              ElementsAre("a=1", "ab=1", "b=1", "c=1", "\x80=1", "\xff=1"));
  EXPECT_THAT(Rows("ab", "c"), ElementsAre("ab=1", "b=1"));
  EXPECT_THAT(Rows("aa", "aaa"), IsEmpty());
  EXPECT_THAT(Rows("b", "b"), IsEmpty());
  EXPECT_THAT(Rows("c", "a"), IsEmpty());
}

TEST_P(StoreConformanceTest, ScanStopsWhenItsVisitorSaysSo) {
  for (int i = 0; i < 100; ++i) Put(absl::StrCat(1000 + i), "");
  int visited = 0;
  APIUM_ASSERT_OK(store_->Scan(
      "1", "2",
      [&](std::string_view, std::string_view) { return ++visited < 40; }));
  EXPECT_EQ(visited, 40);
}

TEST_P(StoreConformanceTest, ScanVisitorMayReadFromTheStore) {
  for (int i = 0; i < 100; ++i) Put(absl::StrCat(1000 + i), absl::StrCat(i));
  int same = 0;
  APIUM_ASSERT_OK(
      store_->Scan("1", "2", [&](std::string_view key, std::string_view value) {
        std::string found;
        same += store_->Get(key, &found).ok() && found == value;
        return true;
      }));
  EXPECT_EQ(same, 100);
}

// Enough rows for several pieces, memtables and files; every third is
// overwritten and every fifth deleted.
TEST_P(StoreConformanceTest, ScanFindsAllRowsOfALargeStore) {
  std::vector<std::string> expected;
  for (int i = 0; i < 20000; i += 100) {
    StoreBatch batch;
    for (int row = i; row < i + 100; ++row) {
      batch.Put(absl::StrCat(100000 + row), "old");
    }
    for (int row = i; row < i + 100; ++row) {
      const std::string key = absl::StrCat(100000 + row);
      if (row % 3 == 0) batch.Put(key, "new");
      if (row % 5 == 0) batch.Delete(key);
      if (row % 5 != 0) expected.push_back(key + (row % 3 ? "=old" : "=new"));
    }
    APIUM_ASSERT_OK(store_->Write(batch));
    if (i % 1000 == 0) {
      APIUM_ASSERT_OK(store_->Sync());
    }
  }
  EXPECT_TRUE(Rows("1", "2") == expected);
}

TEST_P(StoreConformanceTest, SyncRunsBesideWritesAndReads) {
  std::atomic<bool> done = false;
  std::thread syncer([&] {
    while (!done) APIUM_EXPECT_OK(store_->Sync());
  });
  // Both rows are written together, so nobody may see them differ.
  std::thread reader([&] {
    while (!done) {
      std::vector<std::optional<std::string>> values;
      APIUM_EXPECT_OK(store_->MultiGet({"first", "second"}, &values));
      EXPECT_EQ(values[0], values[1]);
    }
  });
  constexpr int kWrites = 2000;
  for (int i = 0; i < kWrites; ++i) {
    StoreBatch batch;
    batch.Put("first", absl::StrCat(i));
    batch.Put(absl::StrCat("row", 10000 + i), std::string(100, 'v'));
    batch.Put("second", absl::StrCat(i));
    APIUM_EXPECT_OK(store_->Write(batch));
  }
  done = true;
  syncer.join();
  reader.join();
  APIUM_EXPECT_OK(store_->Sync());
  EXPECT_EQ(Rows("row", "rox").size(), kWrites);
}

TEST_P(StoreConformanceTest, StatsCountRows) {
  for (int i = 0; i < 10; ++i) Put(absl::StrCat("row", i), "value");
  for (int i = 0; i < 4; ++i) APIUM_ASSERT_OK(store_->Sync());
  const StoreStats stats = store_->GetStats();
  EXPECT_EQ(stats.estimated_keys, 10);
  EXPECT_GT(stats.memtable_bytes, 0);
  EXPECT_EQ(stats.background_errors, 0);
  EXPECT_FALSE(stats.write_stopped);
}

INSTANTIATE_TEST_SUITE_P(
    Stores, StoreConformanceTest,
    ::testing::Values(Implementation{"Memory",
                                     [] {
                                       return std::make_unique<MemoryStore>();
                                     }},
                      Implementation{"RocksDb", MakeRocksDb},
                      Implementation{"Delaying", MakeDelaying}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace apium
