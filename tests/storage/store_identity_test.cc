#include "storage/store_identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "storage/memory_store.h"
#include "tests/support/fault_injecting_store.h"
#include "tests/support/status_matchers.h"

namespace apium {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string IdentityOf(const Store& store) {
  std::string value;
  const absl::Status status = store.Get(kStoreIdentityKey, &value);
  return status.ok() ? value : status.ToString();
}

TEST(StoreIdentityTest, NewStoreGetsItDurably) {
  MemoryStore store;
  APIUM_ASSERT_OK(CheckOrWriteIdentity(
      store, {.name = "apium-broker", .format_version = 3}));
  EXPECT_EQ(IdentityOf(store), "apium-broker 3");
  EXPECT_EQ(store.unsynced_writes(), 0);
}

TEST(StoreIdentityTest, SameProgramOpensItsStoreAgain) {
  MemoryStore store;
  const StoreApplication broker{.name = "apium-broker", .format_version = 3};
  APIUM_ASSERT_OK(CheckOrWriteIdentity(store, broker));
  StoreBatch batch;
  batch.Put("row", "value");
  APIUM_ASSERT_OK(store.Write(batch));
  APIUM_EXPECT_OK(CheckOrWriteIdentity(store, broker));
}

TEST(StoreIdentityTest, RefusesTheStoreOfAnotherApplication) {
  MemoryStore store;
  APIUM_ASSERT_OK(CheckOrWriteIdentity(
      store, {.name = "apium-results", .format_version = 1}));
  EXPECT_THAT(CheckOrWriteIdentity(
                  store, {.name = "apium-broker", .format_version = 1}),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("written by apium-results"),
                             HasSubstr("this is apium-broker"))));
  EXPECT_EQ(IdentityOf(store), "apium-results 1");
}

TEST(StoreIdentityTest, RefusesANewerFormat) {
  MemoryStore store;
  APIUM_ASSERT_OK(CheckOrWriteIdentity(
      store, {.name = "apium-broker", .format_version = 9}));
  EXPECT_THAT(
      CheckOrWriteIdentity(store, {.name = "apium-broker",
                                   .format_version = 8,
                                   .readable_versions = {7, 9}}),
      StatusIs(absl::StatusCode::kFailedPrecondition,
               AllOf(HasSubstr("format version 9"), HasSubstr("version 8"),
                     HasSubstr("run the newer program"))));
  EXPECT_EQ(IdentityOf(store), "apium-broker 9");
}

TEST(StoreIdentityTest, UpgradesAReadableOlderFormat) {
  MemoryStore store;
  APIUM_ASSERT_OK(CheckOrWriteIdentity(
      store, {.name = "apium-broker", .format_version = 2}));
  APIUM_EXPECT_OK(CheckOrWriteIdentity(store, {.name = "apium-broker",
                                               .format_version = 3,
                                               .readable_versions = {1, 2}}));
  EXPECT_EQ(IdentityOf(store), "apium-broker 3");
  EXPECT_EQ(store.unsynced_writes(), 0);
}

TEST(StoreIdentityTest, RefusesAnOlderFormatThatIsNotListed) {
  MemoryStore store;
  APIUM_ASSERT_OK(CheckOrWriteIdentity(
      store, {.name = "apium-broker", .format_version = 1}));
  EXPECT_THAT(
      CheckOrWriteIdentity(store, {.name = "apium-broker",
                                   .format_version = 3,
                                   .readable_versions = {2}}),
      StatusIs(absl::StatusCode::kFailedPrecondition,
               AllOf(HasSubstr("format version 1"), HasSubstr("version 3"),
                     HasSubstr("by way of a release"))));
  EXPECT_EQ(IdentityOf(store), "apium-broker 1");
}

TEST(StoreIdentityTest, RefusesRowsOfNobody) {
  MemoryStore store;
  StoreBatch batch;
  batch.Put("\xf0row", "value");
  APIUM_ASSERT_OK(store.Write(batch));
  EXPECT_THAT(
      CheckOrWriteIdentity(store,
                           {.name = "apium-broker", .format_version = 1}),
      StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("has rows")));
}

TEST(StoreIdentityTest, ReportsAnUnreadableIdentity) {
  for (const char* value : {"", "apium-broker", "apium-broker ", " 1",
                            "apium-broker x", "apium-broker 0"}) {
    MemoryStore store;
    StoreBatch batch;
    batch.Put(kStoreIdentityKey, value);
    APIUM_ASSERT_OK(store.Write(batch));
    EXPECT_THAT(CheckOrWriteIdentity(
                    store, {.name = "apium-broker", .format_version = 1}),
                StatusIs(absl::StatusCode::kDataLoss))
        << value;
  }
}

TEST(StoreIdentityTest, PassesOnAFailedSync) {
  FaultInjectingStore store(std::make_unique<MemoryStore>());
  store.FailSyncs(absl::UnavailableError("disk is gone"));
  EXPECT_THAT(CheckOrWriteIdentity(
                  store, {.name = "apium-broker", .format_version = 1}),
              StatusIs(absl::StatusCode::kUnavailable, "disk is gone"));
}

}  // namespace
}  // namespace apium
