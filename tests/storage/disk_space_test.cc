#include "storage/disk_space.h"

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace apium {
namespace {

TEST(DiskSpaceTest, TellsSizeAndFreeSpaceOfAFolder) {
  const auto space = GetDiskSpace(::testing::TempDir());
  APIUM_ASSERT_OK(space);
  EXPECT_GT(space->total_bytes, 1 << 20);
  EXPECT_LE(space->free_bytes, space->total_bytes);
}

TEST(DiskSpaceTest, NamesAPathThatIsNotThere) {
  EXPECT_THAT(GetDiskSpace("/no/such/folder"),
              StatusIs(absl::StatusCode::kNotFound,
                       ::testing::HasSubstr("/no/such/folder")));
  EXPECT_THAT(GetDiskSpace(""), StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace apium
