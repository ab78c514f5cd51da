#include "storage/rocksdb_log_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/rocksdb_store.h"
#include "tests/storage/store_folder.h"
#include "tests/support/status_matchers.h"

namespace apium {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr size_t kHeaderBytes = 7;
constexpr size_t kBlockBytes = 32 * 1024;

size_t LengthAt(const std::string& log, size_t header) {
  return static_cast<uint8_t>(log[header + 4]) |
         static_cast<size_t>(static_cast<uint8_t>(log[header + 5])) << 8;
}

// The places of all record headers.
std::vector<size_t> HeadersOf(const std::string& log) {
  std::vector<size_t> headers;
  for (size_t at = 0; at + kHeaderBytes <= log.size();) {
    if (kBlockBytes - at % kBlockBytes < kHeaderBytes) {
      at += kBlockBytes - at % kBlockBytes;
      continue;
    }
    headers.push_back(at);
    at += kHeaderBytes + LengthAt(log, at);
  }
  return headers;
}

class RocksDbLogCheckTest : public ::testing::Test {
 protected:
  // The log of a store with `writes` writes of `value_bytes` each.
  static std::string MakeLog(int writes, size_t value_bytes) {
    const std::string folder = NewPath();
    auto store = RocksDbStore::Open({.path = folder});
    EXPECT_THAT(store, IsOk());
    for (int i = 0; i < writes; ++i) {
      StoreBatch batch;
      batch.Put(absl::StrCat("key", i), std::string(value_bytes, 'a' + i % 26));
      EXPECT_THAT((*store)->Write(batch), IsOk());
    }
    const auto logs = DataFiles(folder, "", ".log");
    EXPECT_THAT(logs, SizeIs(1));
    return logs.begin()->second;
  }

  absl::Status Check(const std::string& content) {
    WriteFile(path_, content);
    return CheckRocksDbLog(path_);
  }

  const std::string path_ = NewPath();
};

TEST_F(RocksDbLogCheckTest, AcceptsGoodLogs) {
  APIUM_EXPECT_OK(Check(""));
  APIUM_EXPECT_OK(Check(MakeLog(1, 10)));
  APIUM_EXPECT_OK(Check(MakeLog(2000, 100)));
  APIUM_EXPECT_OK(Check(MakeLog(5, 100000)));
}

TEST_F(RocksDbLogCheckTest, AcceptsALogCutOffAtAnyByte) {
  const std::string log = MakeLog(5, 10000);
  ASSERT_GT(log.size(), kBlockBytes);
  for (size_t size = 0; size < log.size(); size += 97) {
    APIUM_EXPECT_OK(Check(log.substr(0, size))) << size;
  }
}

TEST_F(RocksDbLogCheckTest, NoticesALengthThatReachesPastTheEnd) {
  for (size_t value_bytes : {20, 300}) {
    const std::string log = MakeLog(4, value_bytes);
    const auto headers = HeadersOf(log);
    ASSERT_THAT(headers, SizeIs(4));
    for (size_t header : headers) {
      std::string damaged = log;
      damaged[header + 5] = static_cast<char>(damaged[header + 5] | 0x40);
      EXPECT_THAT(Check(damaged),
                  StatusIs(absl::StatusCode::kDataLoss,
                           AllOf(HasSubstr(path_),
                                 HasSubstr(absl::StrCat("byte ", header)),
                                 HasSubstr("wrong length"))));
    }
  }
}

// Also where a later write was cut off: the record behind the damaged one is
// whole.
TEST_F(RocksDbLogCheckTest, NoticesALengthAlsoWhenTheLogIsCutOff) {
  std::string log = MakeLog(4, 20);
  log[HeadersOf(log)[1] + 5] = 0x40;
  log.resize(log.size() - 3);
  EXPECT_THAT(Check(log), StatusIs(absl::StatusCode::kDataLoss));
}

TEST_F(RocksDbLogCheckTest, NoticesALengthThatReachesPastItsBlock) {
  std::string log = MakeLog(2000, 100);
  const auto headers = HeadersOf(log);
  log[headers[10] + 5] = 0x7f;
  EXPECT_THAT(Check(log),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("wrong length")));
}

TEST_F(RocksDbLogCheckTest, NoticesTypesThatTheStoreDoesNotWrite) {
  const std::string log = MakeLog(4, 20);
  for (size_t header : HeadersOf(log)) {
    for (int type : {0, 5, 8, 129}) {
      std::string damaged = log;
      damaged[header + 6] = static_cast<char>(type);
      EXPECT_THAT(Check(damaged), StatusIs(absl::StatusCode::kDataLoss,
                                           HasSubstr("unknown type")));
    }
  }
}

TEST_F(RocksDbLogCheckTest, AcceptsZerosAtTheEndOnly) {
  const std::string log = MakeLog(4, 20);
  for (size_t zeros : {1, 6, 7, 1000, 32768, 100000}) {
    const std::string longer = log + std::string(zeros, '\0');
    APIUM_EXPECT_OK(Check(longer)) << zeros;
    if (zeros > kHeaderBytes) {
      EXPECT_THAT(Check(longer + "x"), StatusIs(absl::StatusCode::kDataLoss,
                                                HasSubstr("gap of zeros")));
    }
  }
}

TEST_F(RocksDbLogCheckTest, SaysThatAFileCannotBeRead) {
  EXPECT_THAT(CheckRocksDbLog(path_ + "/none"),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr(path_)));
}

}  // namespace
}  // namespace apium
