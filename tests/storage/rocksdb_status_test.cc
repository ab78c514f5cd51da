#include "storage/rocksdb_status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rocksdb/status.h"
#include "tests/support/status_matchers.h"

namespace apium {
namespace {

using ::rocksdb::Status;
using ::testing::AllOf;
using ::testing::HasSubstr;

absl::Status Translate(const Status& status) {
  return FromRocksDbStatus(status, "/data/broker");
}

TEST(RocksDbStatusTest, DamageSaysWhereAndWhatToDo) {
  EXPECT_THAT(
      Translate(Status::Corruption("block checksum mismatch in 000007.sst")),
      StatusIs(absl::StatusCode::kDataLoss,
               AllOf(HasSubstr("/data/broker"), HasSubstr("000007.sst"),
                     HasSubstr("nothing was changed"),
                     HasSubstr("restore the folder from a backup"))));
}

TEST(RocksDbStatusTest, MissingFileIsDamage) {
  EXPECT_THAT(Translate(Status::PathNotFound("While opening 000007.sst")),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("000007.sst")));
}

TEST(RocksDbStatusTest, FullDiskIsExhausted) {
  EXPECT_THAT(
      Translate(Status::NoSpace("While appending to file", "x.log")),
      StatusIs(absl::StatusCode::kResourceExhausted,
               AllOf(HasSubstr("/data/broker is full"), HasSubstr("x.log"))));
  EXPECT_THAT(
      Translate(Status::IOError("x.sst", "Too many open files")),
      StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("ulimit -n")));
  EXPECT_THAT(Translate(Status::MemoryLimit("too much")),
              StatusIs(absl::StatusCode::kResourceExhausted));
}

TEST(RocksDbStatusTest, HeldLockIsAFailedPrecondition) {
  EXPECT_THAT(Translate(Status::IOError("While lock file: /data/broker/LOCK",
                                        "Resource temporarily unavailable")),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("/data/broker is in use by another process")));
}

TEST(RocksDbStatusTest, OtherCodes) {
  EXPECT_THAT(Translate(Status::OK()), IsOk());
  EXPECT_THAT(Translate(Status::NotFound()),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(Translate(Status::IOError("While pread", "Input/output error")),
              StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(Translate(Status::IOError("x.log", "Permission denied")),
              StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_THAT(Translate(Status::IOError("x.log", "Read-only file system")),
              StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_THAT(Translate(Status::InvalidArgument("an option")),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(Translate(Status::ShutdownInProgress()),
              StatusIs(absl::StatusCode::kUnavailable));
}

}  // namespace
}  // namespace apium
