// Damaged stores: they are opened complete, or not at all.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "storage/rocksdb_store.h"
#include "tests/storage/numbered_batches.h"
#include "tests/storage/store_folder.h"
#include "tests/support/status_matchers.h"

namespace apium {
namespace {

using ::testing::AllOf;
using ::testing::Gt;
using ::testing::HasSubstr;
using ::testing::SizeIs;

// In two sessions: a fourth table would start a compaction, and RocksDB waits a
// second when one fails.
constexpr int kBatchesInTables = 60;
constexpr int kSessions = 2;
constexpr int kBatchesInLog = 6;
constexpr int kBatches = kBatchesInTables + kBatchesInLog;

class RocksDbDamageTest : public ::testing::Test {
 protected:
  // A store as a killed process leaves it, with rows in tables and in the log.
  static void SetUpTestSuite() {
    const std::string path = NewPath();
    int n = 0;
    for (int session = 0; session < kSessions; ++session) {
      auto store = RocksDbStore::Open({.path = path});
      APIUM_ASSERT_OK(store);
      for (int i = 0; i < kBatchesInTables / kSessions; ++i) {
        APIUM_ASSERT_OK((*store)->Write(NumberedBatch(n++)));
      }
    }
    auto store = RocksDbStore::Open({.path = path});
    APIUM_ASSERT_OK(store);
    for (int i = 0; i < kBatchesInLog; ++i) {
      APIUM_ASSERT_OK((*store)->Write(NumberedBatch(n++)));
    }
    APIUM_ASSERT_OK((*store)->Sync());
    store_folder_ = new std::string(CopyFolder(path));
  }

  // The number of batches in the store, or the error of opening or reading it.
  static absl::StatusOr<int> OpenAndCount(const std::string& folder) {
    auto store = RocksDbStore::Open({.path = folder});
    if (!store.ok()) return store.status();
    return FirstMissingBatch(**store);
  }

  // Flips one bit in every `step`th byte of each file of the kind, and each
  // time expects all rows or DATA_LOSS.
  static void FlipBits(std::string_view prefix, std::string_view suffix,
                       size_t step) {
    const auto files = DataFiles(*store_folder_, prefix, suffix);
    ASSERT_THAT(files, SizeIs(Gt(0)));
    int noticed = 0;
    for (const auto& [name, content] : files) {
      for (size_t at = 0; at < content.size(); at += step) {
        const std::string folder = CopyFolder(*store_folder_);
        std::string damaged = content;
        damaged[at] = static_cast<char>(damaged[at] ^ (1 << (at / step % 8)));
        WriteFile(folder + "/" + name, damaged);
        const auto count = OpenAndCount(folder);
        if (count.ok()) {
          EXPECT_EQ(*count, kBatches) << name << " at byte " << at;
        } else {
          EXPECT_THAT(count, StatusIs(absl::StatusCode::kDataLoss))
              << name << " at byte " << at;
          ++noticed;
        }
        std::filesystem::remove_all(folder);
      }
    }
    EXPECT_GT(noticed, 0);
  }

  // The log that has rows.
  static std::pair<std::string, std::string> Log() {
    const auto logs = DataFiles(*store_folder_, "", ".log");
    EXPECT_THAT(logs, SizeIs(Gt(0)));
    return *logs.rbegin();
  }

  // Removes the files of the kind; expects DATA_LOSS that says `message`,
  // and all other files as they were.
  static void ExpectMissed(std::string_view prefix, std::string_view suffix,
                           const std::string& message) {
    const std::string folder = CopyFolder(*store_folder_);
    const auto files = DataFiles(folder, prefix, suffix);
    ASSERT_THAT(files, SizeIs(Gt(0)));
    for (const auto& [name, content] : files) {
      std::filesystem::remove(folder + "/" + name);
    }
    const auto before = DataFiles(folder);
    EXPECT_THAT(OpenAndCount(folder),
                StatusIs(absl::StatusCode::kDataLoss,
                         AllOf(HasSubstr(folder), HasSubstr(message),
                               HasSubstr("restore the folder"))));
    EXPECT_TRUE(DataFiles(folder) == before);
  }

  static const std::string* store_folder_;
};

const std::string* RocksDbDamageTest::store_folder_ = nullptr;

TEST_F(RocksDbDamageTest, UndamagedStoreIsComplete) {
  EXPECT_THAT(OpenAndCount(CopyFolder(*store_folder_)), IsOkAndHolds(kBatches));
}

TEST_F(RocksDbDamageTest, NoticesEveryFlippedByteOfTheManifest) {
  FlipBits("MANIFEST-", "", 1);
}

TEST_F(RocksDbDamageTest, NoticesEveryFlippedByteOfTheLog) {
  FlipBits("", ".log", 3);
}

TEST_F(RocksDbDamageTest, NoticesFlippedBytesOfTables) {
  FlipBits("", ".sst", 101);
}

TEST_F(RocksDbDamageTest, NoticesFlippedBytesOfCurrent) {
  FlipBits("CURRENT", "", 1);
}

TEST_F(RocksDbDamageTest, VerifyChecksumsNoticesADamagedTable) {
  const std::string folder = CopyFolder(*store_folder_);
  const auto files = DataFiles(folder, "", ".sst");
  ASSERT_THAT(files, SizeIs(Gt(0)));
  auto [name, content] = *files.begin();
  content[content.size() / 4] ^= 1;
  WriteFile(folder + "/" + name, content);
  auto store = RocksDbStore::Open({.path = folder});
  APIUM_ASSERT_OK(store);
  EXPECT_THAT((*store)->VerifyChecksums(),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr(name)));
}

TEST_F(RocksDbDamageTest, MissesEachKindOfFile) {
  ExpectMissed("CURRENT", "", "CURRENT");
  ExpectMissed("MANIFEST-", "", "MANIFEST-");
  ExpectMissed("", ".sst", ".sst");
  ExpectMissed("", ".log", ".log");
}

TEST_F(RocksDbDamageTest, NoticesAShortTable) {
  const std::string folder = CopyFolder(*store_folder_);
  const auto files = DataFiles(folder, "", ".sst");
  const std::string table = folder + "/" + files.begin()->first;
  std::filesystem::resize_file(table, files.begin()->second.size() - 1);
  EXPECT_THAT(OpenAndCount(folder), StatusIs(absl::StatusCode::kDataLoss));
}

TEST_F(RocksDbDamageTest, UnfinishedNewStoreIsMadeAgain) {
  const std::string folder = NewPath();
  std::filesystem::create_directories(folder);
  WriteFile(folder + "/LOCK", "");
  WriteFile(folder + "/MANIFEST-000001", "");
  WriteFile(folder + "/000001.dbtmp", "MANIFEST-000001\n");
  EXPECT_THAT(OpenAndCount(folder), IsOkAndHolds(0));
}

// A crash leaves the log cut off anywhere behind the last sync. Whole batches
// before the cut must be there.
TEST_F(RocksDbDamageTest, OpensALogThatIsCutOffAnywhere) {
  const auto [name, content] = Log();
  ASSERT_GT(content.size(), 1000);
  int last = kBatchesInTables;
  for (size_t size = 0; size <= content.size(); size += 13) {
    const std::string folder = CopyFolder(*store_folder_);
    std::filesystem::resize_file(folder + "/" + name, size);
    const auto count = OpenAndCount(folder);
    APIUM_ASSERT_OK(count) << "cut at " << size;
    EXPECT_GE(*count, last) << "cut at " << size;
    last = *count;
    std::filesystem::remove_all(folder);
  }
  EXPECT_GE(last, kBatches - 1);
}

TEST_F(RocksDbDamageTest, OpensALogThatEndsInZeros) {
  const std::string folder = CopyFolder(*store_folder_);
  const auto [name, content] = Log();
  WriteFile(folder + "/" + name, content + std::string(50000, '\0'));
  EXPECT_THAT(OpenAndCount(folder), IsOkAndHolds(kBatches));
}

TEST_F(RocksDbDamageTest, NoticesZerosBetweenRecordsOfTheLog) {
  const std::string folder = CopyFolder(*store_folder_);
  const auto [name, content] = Log();
  // The rest of the first block is lost, the second one has records.
  WriteFile(folder + "/" + name,
            content + std::string(32768 - content.size(), '\0') + content);
  EXPECT_THAT(OpenAndCount(folder),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("zeros")));
}

}  // namespace
}  // namespace apium
