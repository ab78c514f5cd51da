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

// Mounts a file system of 4 MiB, visible to this process only. The process
// leaves the others' mounts once, before RocksDB starts threads, which would
// stay behind.
bool MountSmallDisk(const std::string& path) {
  static const bool is_alone =
      unshare(CLONE_NEWNS) == 0 &&
      mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
  std::filesystem::create_directories(path);
  return is_alone && mount("tmpfs", path.c_str(), "tmpfs", 0, "size=4m") == 0;
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
  void FreeDisk() {
    for (const auto& file : std::filesystem::directory_iterator(disk_)) {
      if (file.is_regular_file()) std::filesystem::remove(file);
    }
  }

  // Writes and syncs batches until the disk is full.
  void FillDiskAndRecover(const RocksDbOptions& options) {
    int synced = 0;
    {
      auto store = RocksDbStore::Open(options);
      APIUM_ASSERT_OK(store);
      absl::Status status;
      while (status.ok() && synced < 1000000) {
        status = (*store)->Write(NumberedBatch(synced));
        if (status.ok()) status = (*store)->Sync();
        if (status.ok()) ++synced;
        if (synced == 1000) FillDisk();
      }
      EXPECT_THAT(status,
                  StatusIs(absl::StatusCode::kResourceExhausted,
                           AllOf(HasSubstr(store_path_), HasSubstr("full"))));
      // Also when there is space again: what is in memory may be ahead.
      FreeDisk();
      EXPECT_EQ((*store)->Write(NumberedBatch(synced)), status);
      EXPECT_EQ((*store)->Sync(), status);
      std::string value;
      APIUM_EXPECT_OK((*store)->Get("count", &value));
    }
    EXPECT_GE(synced, 1000);
    auto store = RocksDbStore::Open(options);
    APIUM_ASSERT_OK(store);
    const auto found = FirstMissingBatch(**store);
    APIUM_ASSERT_OK(found);
    EXPECT_GE(*found, synced);
  }

  const std::string disk_ = NewPath();
  const std::string store_path_ = disk_ + "/store";
};

// The disk is full for the log.
TEST_F(RocksDbFullDiskTest, WriteFailsForGoodAndLosesNothingSynced) {
  FillDiskAndRecover({.path = store_path_});
}

// The disk is full for tables, too.
TEST_F(RocksDbFullDiskTest, LosesNothingSyncedWhenTablesCannotBeWritten) {
  FillDiskAndRecover(
      {.path = store_path_, .memtable_bytes = 64 << 10, .max_memtables = 3});
}

TEST_F(RocksDbFullDiskTest, OpenSaysThatTheDiskIsFull) {
  FillDisk();
  EXPECT_THAT(
      RocksDbStore::Open({.path = store_path_}),
      StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr(store_path_)));
}

}  // namespace
}  // namespace apium
