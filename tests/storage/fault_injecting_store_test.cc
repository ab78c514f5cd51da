#include "tests/support/fault_injecting_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "storage/memory_store.h"
#include "tests/support/status_matchers.h"

namespace apium {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> Keys(const Store& store) {
  std::vector<std::string> keys;
  APIUM_EXPECT_OK(
      store.Scan("", "z", [&](std::string_view key, std::string_view) {
        keys.emplace_back(key);
        return true;
      }));
  return keys;
}

StoreBatch PutOf(std::string_view key) {
  StoreBatch batch;
  batch.Put(key, "value");
  return batch;
}

class FaultInjectingStoreTest : public ::testing::Test {
 protected:
  FaultInjectingStore store_{std::make_unique<MemoryStore>()};
};

TEST_F(FaultInjectingStoreTest, PassesEverythingOnWithoutAFault) {
  APIUM_ASSERT_OK(store_.Write(PutOf("a")));
  APIUM_ASSERT_OK(store_.Sync());
  EXPECT_THAT(Keys(store_.wrapped()), ElementsAre("a"));
  EXPECT_EQ(store_.write_count(), 1);
  EXPECT_EQ(store_.sync_count(), 1);
}

TEST_F(FaultInjectingStoreTest, FailedWriteIsFinalAndWritesNothing) {
  store_.FailWrites(absl::UnavailableError("broken"), 1);
  APIUM_EXPECT_OK(store_.Write(PutOf("a")));
  EXPECT_THAT(store_.Write(PutOf("b")),
              StatusIs(absl::StatusCode::kUnavailable, "broken"));
  EXPECT_THAT(store_.Write(PutOf("c")),
              StatusIs(absl::StatusCode::kUnavailable, "broken"));
  EXPECT_THAT(store_.Sync(),
              StatusIs(absl::StatusCode::kUnavailable, "broken"));
  EXPECT_THAT(Keys(store_), ElementsAre("a"));
}

TEST_F(FaultInjectingStoreTest, FailedSyncIsFinalAndSyncsNothing) {
  store_.FailSyncs(absl::ResourceExhaustedError("full"), 1);
  APIUM_ASSERT_OK(store_.Write(PutOf("a")));
  APIUM_EXPECT_OK(store_.Sync());
  APIUM_ASSERT_OK(store_.Write(PutOf("b")));
  EXPECT_THAT(store_.Sync(), StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(store_.Write(PutOf("c")),
              StatusIs(absl::StatusCode::kResourceExhausted));
  auto& memory = static_cast<MemoryStore&>(store_.wrapped());
  EXPECT_THAT(Keys(*memory.CrashCopy()), ElementsAre("a"));
}

TEST_F(FaultInjectingStoreTest, DelayedWritesArriveTheGivenSyncsLater) {
  store_.DelaySyncedWrites(2);
  APIUM_ASSERT_OK(store_.Write(PutOf("a")));
  APIUM_ASSERT_OK(store_.Sync());
  APIUM_ASSERT_OK(store_.Write(PutOf("b")));
  APIUM_ASSERT_OK(store_.Sync());
  EXPECT_THAT(Keys(store_.wrapped()), IsEmpty());
  EXPECT_THAT(Keys(store_), ElementsAre("a", "b"));
  APIUM_ASSERT_OK(store_.Sync());
  EXPECT_THAT(Keys(store_.wrapped()), ElementsAre("a"));
  APIUM_ASSERT_OK(store_.Sync());
  EXPECT_THAT(Keys(store_.wrapped()), ElementsAre("a", "b"));
  auto& memory = static_cast<MemoryStore&>(store_.wrapped());
  EXPECT_EQ(memory.unsynced_writes(), 0);
}

TEST_F(FaultInjectingStoreTest, DropsThePutsOfAPrefixOnly) {
  store_.DropRows("o");
  StoreBatch batch;
  batch.Put("outbox", "1");
  batch.Put("task", "1");
  APIUM_ASSERT_OK(store_.Write(batch));
  EXPECT_THAT(Keys(store_), ElementsAre("task"));
  batch.Clear();
  batch.Delete("task");
  APIUM_ASSERT_OK(store_.Write(batch));
  EXPECT_THAT(Keys(store_), IsEmpty());
}

TEST_F(FaultInjectingStoreTest, HeldSyncWaitsWhileWritesGoOn) {
  EXPECT_FALSE(store_.WaitForHeldSync(absl::ZeroDuration()));
  store_.HoldSyncs();
  std::thread syncer([this] { APIUM_EXPECT_OK(store_.Sync()); });
  ASSERT_TRUE(store_.WaitForHeldSync(absl::Minutes(1)));
  APIUM_EXPECT_OK(store_.Write(PutOf("a")));
  EXPECT_EQ(store_.sync_count(), 0);
  store_.ReleaseSyncs();
  syncer.join();
  EXPECT_EQ(store_.sync_count(), 1);
}

}  // namespace
}  // namespace apium
