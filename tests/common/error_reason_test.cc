#include "common/error_reason.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/status/status.h"
#include "tests/support/status_matchers.h"

namespace apium {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

TEST(ErrorReasonTest, CarriesReasonAndMetadata) {
  const absl::Status status =
      WithReason(absl::FailedPreconditionError("lease lost"),
                 reason::kLeaseLost, {{"task_id", "t1"}, {"epoch", "3"}});
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(status.message(), "lease lost");
  EXPECT_EQ(ReasonOf(status), "LEASE_LOST");
  EXPECT_THAT(ReasonMetadataOf(status),
              ElementsAre(Pair("epoch", "3"), Pair("task_id", "t1")));
}

TEST(ErrorReasonTest, LeavesOkAlone) {
  EXPECT_EQ(WithReason(absl::OkStatus(), "SOME_REASON"), absl::OkStatus());
  EXPECT_EQ(WithRetryDelay(absl::OkStatus(), absl::Seconds(1)),
            absl::OkStatus());
  EXPECT_EQ(ReasonOf(absl::OkStatus()), "");
}

TEST(ErrorReasonTest, HasNothingUnlessGiven) {
  const absl::Status status = absl::InternalError("bug");
  EXPECT_EQ(ReasonOf(status), "");
  EXPECT_THAT(ReasonMetadataOf(status), IsEmpty());
  EXPECT_THAT(FieldViolationsOf(status), IsEmpty());
  EXPECT_EQ(RetryDelayOf(status), std::nullopt);
}

TEST(ErrorReasonTest, KeepsTheRetryDelayToTheNanosecond) {
  const absl::Duration delay = absl::Milliseconds(1500) + absl::Nanoseconds(7);
  EXPECT_EQ(RetryDelayOf(WithRetryDelay(absl::UnavailableError("x"), delay)),
            delay);
}

TEST(ErrorReasonTest, NeverAsksForANegativeOrEndlessDelay) {
  EXPECT_EQ(RetryDelayOf(
                WithRetryDelay(absl::UnavailableError("x"), -absl::Seconds(1))),
            absl::ZeroDuration());
  EXPECT_EQ(RetryDelayOf(WithRetryDelay(absl::UnavailableError("x"),
                                        absl::InfiniteDuration())),
            absl::Hours(24));
}

TEST(ErrorReasonTest, NamesTheInvalidField) {
  const absl::Status status = InvalidField("task.priority", "300 is above 255");
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument,
                               "task.priority: 300 is above 255"));
  EXPECT_THAT(status, HasReason("INVALID_FIELD"));
  EXPECT_THAT(FieldViolationsOf(status),
              ElementsAre(Pair("task.priority", "300 is above 255")));
}

TEST(ErrorReasonTest, CollectsSeveralViolationsUpToABound) {
  absl::Status status = InvalidField("a", "wrong");
  for (int i = 0; i < 100; ++i)
    status = WithFieldViolation(status, "b", "wrong too");
  EXPECT_EQ(FieldViolationsOf(status).size(), 16u);
  EXPECT_THAT(FieldViolationsOf(status)[1], Pair("b", "wrong too"));
}

TEST(ErrorReasonTest, CutsAndCleansTextFromOutside) {
  const std::string hostile = "\xff\xfe" + std::string(10'000, 'x');
  const absl::Status status =
      WithReason(absl::InternalError("x"), "SOME_REASON", {{"value", hostile}});
  const std::string value = ReasonMetadataOf(status)[0].second;
  EXPECT_EQ(value.substr(0, 3), "??x");
  EXPECT_EQ(value.size(), 256u);
}

TEST(ErrorReasonTest, AFieldMovesUnderAnotherRoot) {
  const absl::Status moved = WithFieldRoot(
      WithRetryDelay(InvalidField("spec.queue", "is wrong"), absl::Seconds(1)),
      "spec", "specs[3]");
  EXPECT_EQ(moved.message(), "specs[3].queue: is wrong");
  EXPECT_EQ(moved.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ReasonOf(moved), "INVALID_FIELD");
  EXPECT_THAT(FieldViolationsOf(moved),
              ElementsAre(Pair("specs[3].queue", "is wrong")));
  EXPECT_THAT(ReasonMetadataOf(moved),
              ElementsAre(Pair("field", "specs[3].queue")));
  EXPECT_EQ(RetryDelayOf(moved), absl::Seconds(1));
}

TEST(ErrorReasonTest, OnlyAWholePartOfAPathIsARoot) {
  EXPECT_EQ(WithFieldRoot(InvalidField("special", "x"), "spec", "other"),
            InvalidField("special", "x"));
  EXPECT_EQ(WithFieldRoot(InvalidField("spec", "x"), "spec", "other"),
            InvalidField("other", "x"));
  EXPECT_EQ(WithFieldRoot(absl::OkStatus(), "a", "b"), absl::OkStatus());
}

TEST(ErrorReasonTest, ReplacesAnEarlierReason) {
  const absl::Status first =
      WithReason(absl::InternalError("x"), "FIRST", {{"a", "1"}});
  const absl::Status second = WithReason(first, "SECOND");
  EXPECT_EQ(ReasonOf(second), "SECOND");
  EXPECT_THAT(ReasonMetadataOf(second), IsEmpty());
}

TEST(ErrorReasonDeathTest, RefusesAMalformedReason) {
  for (const char* reason :
       {"", "x", "lower_case", "A", "ENDS_", "1ST", "WITH SPACE"}) {
    EXPECT_DEATH(WithReason(absl::InternalError("x"), reason), "check failed")
        << reason;
  }
}

TEST(ErrorReasonTest, SurvivesPayloadsThatAreNotProtos) {
  absl::Status status = absl::InternalError("x");
  status.SetPayload("type.googleapis.com/google.rpc.ErrorInfo",
                    absl::Cord("\xff\xff\xff"));
  EXPECT_EQ(ReasonOf(status), "");
}

}  // namespace
}  // namespace apium
