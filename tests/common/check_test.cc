#include "common/check.h"

#include <gtest/gtest.h>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace apium {
namespace {

TEST(CheckTest, DoesNothingWhenTheConditionHolds) {
  int evaluated = 0;
  APIUM_CHECK(++evaluated == 1) << "never seen " << ++evaluated;
  EXPECT_EQ(evaluated, 1);
}

TEST(CheckTest, BelongsToTheIfItIsWrittenUnder) {
  bool reached_else = false;
  if (reached_else)
    APIUM_CHECK(true);
  else
    reached_else = true;
  EXPECT_TRUE(reached_else);
}

TEST(CheckDeathTest, AbortsWithPlaceConditionAndMessage) {
  EXPECT_DEATH(APIUM_CHECK(1 + 1 == 3) << "sum of " << 2,
               "check_test.cc:[0-9]+: check failed: 1 \\+ 1 == 3: sum of 2");
}

TEST(CheckDeathTest, AbortsWithTheStatus) {
  EXPECT_DEATH(APIUM_CHECK_OK(absl::NotFoundError("no such file")),
               "NOT_FOUND: no such file");
  EXPECT_DEATH(APIUM_CHECK_OK(absl::StatusOr<int>(absl::DataLossError("torn"))),
               "DATA_LOSS: torn");
}

TEST(CheckTest, AcceptsOkStatusAndValue) {
  APIUM_CHECK_OK(absl::OkStatus());
  APIUM_CHECK_OK(absl::StatusOr<int>(1));
}

}  // namespace
}  // namespace apium
