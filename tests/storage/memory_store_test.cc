#include "storage/memory_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/support/status_matchers.h"

namespace apium {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> Rows(const Store& store) {
  std::vector<std::string> rows;
  APIUM_EXPECT_OK(
      store.Scan("", "z", [&](std::string_view key, std::string_view value) {
        rows.push_back(std::string(key) + "=" + std::string(value));
        return true;
      }));
  return rows;
}

// Synced: a=1 b=1 c=1. Then, unsynced: b deleted and d put; a overwritten
// twice; everything deleted and e put.
std::unique_ptr<MemoryStore> StoreWithThreeUnsyncedWrites() {
  auto store = std::make_unique<MemoryStore>();
  StoreBatch batch;
  for (const char* key : {"a", "b", "c"}) batch.Put(key, "1");
  APIUM_EXPECT_OK(store->Write(batch));
  APIUM_EXPECT_OK(store->Sync());
  batch.Clear();
  batch.Delete("b");
  batch.Put("d", "1");
  APIUM_EXPECT_OK(store->Write(batch));
  batch.Clear();
  batch.Put("a", "2");
  batch.Put("a", "3");
  APIUM_EXPECT_OK(store->Write(batch));
  batch.Clear();
  batch.DeleteRange("a", "z");
  batch.Put("e", "1");
  APIUM_EXPECT_OK(store->Write(batch));
  return store;
}

TEST(MemoryStoreTest, CrashLosesWhatWasNotSynced) {
  const auto store = StoreWithThreeUnsyncedWrites();
  EXPECT_EQ(store->unsynced_writes(), 3);
  EXPECT_THAT(Rows(*store->CrashCopy()), ElementsAre("a=1", "b=1", "c=1"));
}

TEST(MemoryStoreTest, CrashMayKeepTheFirstUnsyncedWrites) {
  const auto store = StoreWithThreeUnsyncedWrites();
  EXPECT_THAT(Rows(*store->CrashCopy(1)), ElementsAre("a=1", "c=1", "d=1"));
  EXPECT_THAT(Rows(*store->CrashCopy(2)), ElementsAre("a=3", "c=1", "d=1"));
  EXPECT_THAT(Rows(*store->CrashCopy(3)), ElementsAre("e=1"));
  EXPECT_THAT(Rows(*store->CrashCopy(100)), ElementsAre("e=1"));
}

TEST(MemoryStoreTest, CrashAfterSyncLosesNothing) {
  const auto store = StoreWithThreeUnsyncedWrites();
  APIUM_ASSERT_OK(store->Sync());
  EXPECT_EQ(store->unsynced_writes(), 0);
  EXPECT_THAT(Rows(*store->CrashCopy()), ElementsAre("e=1"));
}

TEST(MemoryStoreTest, CrashCopyCountsAsSyncedAndStandsAlone) {
  const auto store = StoreWithThreeUnsyncedWrites();
  const auto copy = store->CrashCopy(1);
  EXPECT_EQ(copy->unsynced_writes(), 0);
  StoreBatch batch;
  batch.Put("only in the copy", "1");
  APIUM_ASSERT_OK(copy->Write(batch));
  EXPECT_THAT(Rows(*copy->CrashCopy()), ElementsAre("a=1", "c=1", "d=1"));
  EXPECT_THAT(Rows(*store), ElementsAre("e=1"));
}

TEST(MemoryStoreTest, StatsFollowTheRows) {
  MemoryStore store;
  StoreBatch batch;
  batch.Put("key", "1234567");
  batch.Put("key", "12");
  batch.Put("other", "1");
  APIUM_ASSERT_OK(store.Write(batch));
  EXPECT_EQ(store.GetStats().estimated_keys, 2);
  EXPECT_EQ(store.GetStats().memtable_bytes, 11);
  EXPECT_EQ(store.CrashCopy(1)->GetStats().memtable_bytes, 11);
  batch.Clear();
  batch.DeleteRange("a", "z");
  APIUM_ASSERT_OK(store.Write(batch));
  EXPECT_EQ(store.GetStats().memtable_bytes, 0);
  EXPECT_THAT(Rows(store), IsEmpty());
}

}  // namespace
}  // namespace apium
