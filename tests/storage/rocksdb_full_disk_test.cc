// On a small file system of its own, where the machine lets us mount one.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>

#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "storage/disk_space.h"
#include "storage/rocksdb_store.h"
#include "tests/storage/numbered_batches.h"
#include "tests/storage/store_folder.h"
#include "tests/support/status_matchers.h"

namespace apium {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// Mounts a file system of 4 MiB, visible to this process only.
bool MountSmallDisk(const std::string& path) {
  std::filesystem::create_directories(path);
  return unshare(CLONE_NEWNS) == 0 &&
         mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         mount("tmpfs", path.c_str(), "tmpfs", 0, "size=4m") == 0;
}

class RocksDbFullDiskTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!MountSmallDisk(disk_)) GTEST_SKIP() << "cannot mount a tmpfs";
  }
  void TearDown() override { umount2(disk_.c_str(), MNT_DETACH); }

  void FillDisk() {
    const std::string piece(4096, 'x');
    for (int i = 0; GetDiskSpace(disk_)->free_bytes > 0; ++i) {
      WriteFile(absl::StrCat(disk_, "/ballast", i), piece);
    }
  }

  const std::string disk_ = NewPath();
  const std::string store_path_ = disk_ + "/store";
};

TEST_F(RocksDbFullDiskTest, WriteFailsForGoodAndLosesNothingSynced) {
  int synced = 0;
  {
    auto store = RocksDbStore::Open({.path = store_path_});
    APIUM_ASSERT_OK(store);
    for (; synced < 10; ++synced) {
      APIUM_ASSERT_OK((*store)->Write(NumberedBatch(synced)));
    }
    APIUM_ASSERT_OK((*store)->Sync());
    FillDisk();
    absl::Status status;
    for (int n = synced; status.ok() && n < 1000000; ++n) {
      status = (*store)->Write(NumberedBatch(n));
      if (status.ok()) status = (*store)->Sync();
      if (status.ok()) synced = n + 1;
    }
    EXPECT_THAT(status,
                StatusIs(absl::StatusCode::kResourceExhausted,
                         AllOf(HasSubstr(store_path_), HasSubstr("is full"))));
    // Also when there is space again: what is in memory may be ahead.
    for (int i = 0; i < 100; ++i) {
      std::filesystem::remove(absl::StrCat(disk_, "/ballast", i));
    }
    EXPECT_THAT((*store)->Write(NumberedBatch(synced)), status);
    EXPECT_THAT((*store)->Sync(), status);
    std::string value;
    APIUM_EXPECT_OK((*store)->Get("count", &value));
  }
  auto store = RocksDbStore::Open({.path = store_path_});
  APIUM_ASSERT_OK(store);
  const auto found = FirstMissingBatch(**store);
  APIUM_ASSERT_OK(found);
  EXPECT_GE(*found, synced);
}

TEST_F(RocksDbFullDiskTest, OpenSaysThatTheDiskIsFull) {
  FillDisk();
  EXPECT_THAT(
      RocksDbStore::Open({.path = store_path_}),
      StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr(store_path_)));
}

}  // namespace
}  // namespace apium
