#include "storage/rocksdb_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tests/storage/numbered_batches.h"
#include "tests/storage/store_folder.h"
#include "tests/support/status_matchers.h"

namespace apium {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::unique_ptr<RocksDbStore> MustOpen(const RocksDbOptions& options) {
  auto store = RocksDbStore::Open(options);
  EXPECT_THAT(store, IsOk());
  return store.ok() ? *std::move(store) : nullptr;
}

RocksDbOptions SmallOptions(const std::string& path) {
  return {.path = path, .memtable_bytes = 64 << 10, .max_memtables = 3};
}

// A child running store_process, with its output.
class StoreProcess {
 public:
  explicit StoreProcess(std::vector<std::string> arguments) {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    arguments.insert(arguments.begin(), "tests/storage/store_process");
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    pid_ = fork();
    if (pid_ == 0) {
      dup2(ends[1], STDOUT_FILENO);
      close(ends[0]);
      close(ends[1]);
      execv(argv[0], argv.data());
      _exit(127);
    }
    close(ends[1]);
    output_ = fdopen(ends[0], "r");
  }

  ~StoreProcess() {
    if (pid_ > 0) Kill();
    fclose(output_);
  }

  // The next line without its end; empty when there is no more.
  std::string ReadLine() {
    char line[4096];
    if (fgets(line, sizeof(line), output_) == nullptr) return "";
    std::string text(line);
    if (text.ends_with('\n')) text.pop_back();
    return text;
  }

  void Kill() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

 private:
  pid_t pid_ = -1;
  FILE* output_ = nullptr;
};

TEST(RocksDbStoreTest, KeepsItsRowsWhenItIsOpenedAgain) {
  const std::string path = NewPath() + "/with/parents";
  for (int n = 0; n < 6; ++n) {
    auto store = MustOpen({.path = path});
    ASSERT_NE(store, nullptr);
    EXPECT_THAT(FirstMissingBatch(*store), IsOkAndHolds(n * 20));
    for (int i = 0; i < 20; ++i) {
      APIUM_ASSERT_OK(store->Write(NumberedBatch(n * 20 + i)));
    }
    if (n % 2 == 0) {
      APIUM_ASSERT_OK(store->Sync());
    }
  }
}

TEST(RocksDbStoreTest, KeepsEverythingOverManyMemtablesAndConcurrentSyncs) {
  const std::string path = NewPath();
  constexpr int kBatches = 5000;
  {
    auto store = MustOpen(SmallOptions(path));
    ASSERT_NE(store, nullptr);
    std::atomic<bool> done = false;
    std::thread syncer([&] {
      while (!done) APIUM_EXPECT_OK(store->Sync());
    });
    for (int n = 0; n < kBatches; ++n) {
      APIUM_EXPECT_OK(store->Write(NumberedBatch(n)));
    }
    done = true;
    syncer.join();
    EXPECT_THAT(FirstMissingBatch(*store), IsOkAndHolds(kBatches));
    APIUM_EXPECT_OK(store->VerifyChecksums());
  }
  auto store = MustOpen(SmallOptions(path));
  ASSERT_NE(store, nullptr);
  EXPECT_THAT(FirstMissingBatch(*store), IsOkAndHolds(kBatches));
  EXPECT_GT(store->GetStats().sst_bytes, 0);
}

// Fills a store with rows and ranges of the same kind: each batch adds ten
// rows, and removes the seven in the middle of the ten before them. Returns the
// rows that should be left.
std::vector<std::string> WriteRowsAndRanges(Store* store) {
  const auto key = [](int row) { return absl::StrCat("row", 100000 + row); };
  std::vector<std::string> left;
  constexpr int kRows = 6000;
  for (int row = 0; row < kRows; row += 10) {
    StoreBatch batch;
    for (int i = row; i < row + 10; ++i) batch.Put(key(i), "value");
    if (row > 0) batch.DeleteRange(key(row - 9), key(row - 2));
    batch.Put("row", key(row));
    APIUM_EXPECT_OK(store->Write(batch));
  }
  left.push_back("row");
  for (int row = 0; row < kRows; ++row) {
    const bool is_in_range = row % 10 >= 1 && row % 10 <= 7;
    if (!is_in_range || row >= kRows - 10) left.push_back(key(row));
  }
  return left;
}

std::vector<std::string> KeysOfRows(const Store& store) {
  std::vector<std::string> keys;
  APIUM_EXPECT_OK(
      store.Scan("row", "rox", [&](std::string_view key, std::string_view) {
        keys.emplace_back(key);
        return true;
      }));
  return keys;
}

TEST(RocksDbStoreTest, KeepsRowsAndRangesApartOverManyMemtables) {
  const RocksDbOptions options = SmallOptions(NewPath());
  auto store = MustOpen(options);
  ASSERT_NE(store, nullptr);
  const std::vector<std::string> left = WriteRowsAndRanges(store.get());
  EXPECT_TRUE(KeysOfRows(*store) == left);
  store.reset();
  EXPECT_TRUE(KeysOfRows(*MustOpen(options)) == left);
}

TEST(RocksDbStoreTest, KeepsRowsAndRangesApartWhenTheLogIsReplayed) {
  const std::string path = NewPath();
  auto store = MustOpen({.path = path});
  ASSERT_NE(store, nullptr);
  const std::vector<std::string> left = WriteRowsAndRanges(store.get());
  EXPECT_TRUE(KeysOfRows(*store) == left);
  APIUM_ASSERT_OK(store->Sync());
  const std::string killed = CopyFolder(path);
  EXPECT_TRUE(KeysOfRows(*MustOpen({.path = killed})) == left);
}

// What is on disk while the store is open is what a kill leaves.
TEST(RocksDbStoreTest, OpensWhatAnUnfinishedProcessHasLeft) {
  const std::string path = NewPath();
  auto store = MustOpen({.path = path});
  ASSERT_NE(store, nullptr);
  std::string copy = CopyFolder(path);
  EXPECT_THAT(FirstMissingBatch(*MustOpen({.path = copy})), IsOkAndHolds(0));
  for (int n = 0; n < 50; ++n) APIUM_ASSERT_OK(store->Write(NumberedBatch(n)));
  APIUM_ASSERT_OK(store->Sync());
  copy = CopyFolder(path);
  EXPECT_THAT(FirstMissingBatch(*MustOpen({.path = copy})), IsOkAndHolds(50));
}

TEST(RocksDbStoreTest, LosesNoSyncedBatchWhenItsProcessIsKilled) {
  const std::string path = NewPath();
  int acknowledged = 0;
  for (int kill = 0; kill < 8; ++kill) {
    StoreProcess writer({"write", path});
    // The first line tells what was there; some more commits before the kill.
    for (int line = 0; line < 2 + 7 * kill; ++line) {
      int synced = 0;
      const std::string text = writer.ReadLine();
      ASSERT_TRUE(absl::SimpleAtoi(text, &synced)) << text;
      ASSERT_GE(synced, acknowledged);
      acknowledged = synced;
    }
    writer.Kill();
  }
  EXPECT_GT(acknowledged, 0);
  auto store = MustOpen(SmallOptions(path));
  ASSERT_NE(store, nullptr);
  const auto found = FirstMissingBatch(*store);
  APIUM_ASSERT_OK(found);
  EXPECT_GE(*found, acknowledged);
}

TEST(RocksDbStoreTest, RefusesASecondOpenerInThisProcess) {
  const std::string path = NewPath();
  auto store = MustOpen({.path = path});
  ASSERT_NE(store, nullptr);
  EXPECT_THAT(RocksDbStore::Open({.path = path}),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr(path), HasSubstr("already open"))));
  // The first one is unharmed, and still guarded.
  APIUM_EXPECT_OK(store->Write(NumberedBatch(0)));
  APIUM_EXPECT_OK(store->Sync());
  EXPECT_THAT(RocksDbStore::Open({.path = path}),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  store.reset();
  EXPECT_THAT(FirstMissingBatch(*MustOpen({.path = path})), IsOkAndHolds(1));
}

TEST(RocksDbStoreTest, RefusesASecondProcess) {
  const std::string path = NewPath();
  auto store = MustOpen({.path = path});
  ASSERT_NE(store, nullptr);
  EXPECT_THAT(StoreProcess({"open", path}).ReadLine(),
              AllOf(StartsWith("FAILED_PRECONDITION"), HasSubstr(path),
                    HasSubstr("in use by another process (LOCK held)")));
  // The same again after an Open of our own that was refused.
  EXPECT_FALSE(RocksDbStore::Open({.path = path}).ok());
  EXPECT_THAT(StoreProcess({"open", path}).ReadLine(),
              StartsWith("FAILED_PRECONDITION"));
  store.reset();
  EXPECT_EQ(StoreProcess({"open", path}).ReadLine(), "OK");
}

TEST(RocksDbStoreTest, RefusesAPathThatIsNotAFolder) {
  EXPECT_THAT(RocksDbStore::Open({.path = ""}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("empty")));
  const std::string file = NewPath();
  WriteFile(file, "not a folder");
  for (const std::string& path : {file, file + "/below"}) {
    EXPECT_THAT(RocksDbStore::Open({.path = path}),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(path)));
  }
  EXPECT_EQ(ReadFile(file), "not a folder");
}

TEST(RocksDbStoreTest, RefusesAFolderOfAnotherUser) {
  constexpr uid_t kNobody = 65534;
  if (geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  const std::string path = NewPath();
  std::filesystem::create_directories(path);
  std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  const std::string answer =
      StoreProcess({"open_as", absl::StrCat(kNobody), path}).ReadLine();
  if (answer.empty()) GTEST_SKIP() << "another user cannot run the program";
  EXPECT_THAT(answer, AllOf(StartsWith("PERMISSION_DENIED"), HasSubstr(path)));
}

TEST(RocksDbStoreTest, NamesAnOptionOutOfRange) {
  const std::string path = NewPath();
  const std::pair<const char*, RocksDbOptions> cases[] = {
      {"memtable_bytes is 1000", {.path = path, .memtable_bytes = 1000}},
      {"max_memtables is 1", {.path = path, .max_memtables = 1}},
      {"max_open_files is 0", {.path = path, .max_open_files = -1}},
      {"drop_within is 10ms",
       {.path = path, .drop_within = absl::Milliseconds(10)}},
  };
  for (const auto& [message, options] : cases) {
    EXPECT_THAT(
        RocksDbStore::Open(options),
        StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(message)));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(RocksDbStoreTest, CompactionDropsRowsThatAreNotWanted) {
  RocksDbOptions options{.path = NewPath()};
  options.should_drop = [](std::string_view key, std::string_view value) {
    EXPECT_FALSE(key.starts_with('\0'));
    return value == "expired";
  };
  auto store = MustOpen(options);
  ASSERT_NE(store, nullptr);
  StoreBatch batch;
  const std::string reserved("\0reserved", 9);
  batch.Put(reserved, "expired");
  batch.Put("a", "expired");
  batch.Put("b", "valid");
  batch.Put("c", "expired");
  APIUM_ASSERT_OK(store->Write(batch));
  APIUM_ASSERT_OK(store->Compact());
  std::vector<std::string> keys;
  APIUM_ASSERT_OK(
      store->Scan("", "z", [&](std::string_view key, std::string_view) {
        keys.emplace_back(key);
        return true;
      }));
  EXPECT_THAT(keys, ElementsAre(reserved, "b"));
}

TEST(RocksDbStoreTest, StatsTellMemoryAndDisk) {
  auto store = MustOpen(SmallOptions(NewPath()));
  ASSERT_NE(store, nullptr);
  for (int n = 0; n < 1000; ++n) {
    APIUM_ASSERT_OK(store->Write(NumberedBatch(n)));
  }
  APIUM_ASSERT_OK(store->Compact());
  APIUM_ASSERT_OK(FirstMissingBatch(*store));
  const StoreStats stats = store->GetStats();
  EXPECT_EQ(stats.estimated_keys, 201);
  EXPECT_GT(stats.memtable_bytes, 0);
  EXPECT_GT(stats.block_cache_bytes, 0);
  EXPECT_GT(stats.sst_bytes, 201 * 30);
  EXPECT_EQ(stats.l0_files, 0);
  EXPECT_EQ(stats.background_errors, 0);
  EXPECT_FALSE(stats.write_stopped);
}

}  // namespace
}  // namespace apium
