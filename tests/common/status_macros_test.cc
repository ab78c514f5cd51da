#include "common/status_macros.h"

#include <gtest/gtest.h>

#include <memory>

#include "tests/support/status_matchers.h"

namespace apium {
namespace {

absl::StatusOr<int> Half(int value) {
  if (value % 2 != 0) return absl::InvalidArgumentError("odd");
  return value / 2;
}

absl::StatusOr<int> Quarter(int value) {
  APIUM_ASSIGN_OR_RETURN(const int half, Half(value));
  int quarter = 0;
  APIUM_ASSIGN_OR_RETURN(quarter, Half(half));
  return quarter;
}

absl::Status Even(int value) {
  APIUM_RETURN_IF_ERROR(Half(value).status());
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<int>> Boxed(int value) {
  return std::make_unique<int>(value);
}

absl::StatusOr<int> Unboxed(int value) {
  APIUM_ASSIGN_OR_RETURN(std::unique_ptr<int> box, Boxed(value));
  return *box;
}

TEST(StatusMacrosTest, AssignsTheValue) {
  EXPECT_THAT(Quarter(12), IsOkAndHolds(3));
}

TEST(StatusMacrosTest, ReturnsTheFirstError) {
  EXPECT_THAT(Quarter(6), StatusIs(absl::StatusCode::kInvalidArgument, "odd"));
  EXPECT_THAT(Even(3), StatusIs(absl::StatusCode::kInvalidArgument, "odd"));
  EXPECT_THAT(Even(4), IsOk());
}

TEST(StatusMacrosTest, MovesWhatCannotBeCopied) {
  EXPECT_THAT(Unboxed(5), IsOkAndHolds(5));
}

}  // namespace
}  // namespace apium
