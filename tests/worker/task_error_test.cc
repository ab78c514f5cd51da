#include "worker/task_error.h"

#include <gtest/gtest.h>

#include "common/error_reason.h"

namespace apium {
namespace {

TEST(TaskErrorTest, TypeIsWhatTheHandlerSaid) {
  EXPECT_EQ(FailureTypeOf(TaskError("mail.Bounced", "full")), "mail.Bounced");
  EXPECT_EQ(TaskError("mail.Bounced", "full").message(), "full");
}

TEST(TaskErrorTest, TypeIsTheReasonOfAStatusThatHasOne) {
  EXPECT_EQ(FailureTypeOf(WithReason(absl::NotFoundError("x"), "NO_SUCH_USER")),
            "NO_SUCH_USER");
}

TEST(TaskErrorTest, TypeIsTheCodeOtherwise) {
  EXPECT_EQ(FailureTypeOf(absl::UnavailableError("x")), "UNAVAILABLE");
}

TEST(TaskErrorTest, ErrorsAreRetryableUnlessMarked) {
  EXPECT_FALSE(IsNonRetryable(absl::UnavailableError("x")));
  EXPECT_TRUE(IsNonRetryable(NonRetryable(absl::UnavailableError("x"))));
  EXPECT_TRUE(IsNonRetryable(BadArguments("x")));
}

TEST(TaskErrorTest, RetryAfterCarriesTheDelayToTheNanosecond) {
  EXPECT_EQ(RetryAfterOf(absl::UnavailableError("x")), std::nullopt);
  const absl::Duration delay = absl::Minutes(5) + absl::Nanoseconds(1);
  EXPECT_EQ(RetryAfterOf(RetryAfter(delay, absl::UnavailableError("x"))),
            delay);
}

TEST(TaskErrorTest, RetryAfterIsClampedToWhatTheBrokerTakes) {
  const absl::Status error = absl::UnavailableError("x");
  EXPECT_EQ(RetryAfterOf(RetryAfter(-absl::Seconds(1), error)),
            absl::ZeroDuration());
  EXPECT_EQ(RetryAfterOf(RetryAfter(absl::InfiniteDuration(), error)),
            absl::Hours(24 * 3650));
}

TEST(TaskErrorTest, HandBackSaysWhyAndMaybeWhen) {
  EXPECT_FALSE(IsHandedBack(absl::AbortedError("x")));
  const absl::Status soon = HandBack("not loaded");
  EXPECT_FALSE(soon.ok());
  EXPECT_TRUE(IsHandedBack(soon));
  EXPECT_EQ(soon.message(), "not loaded");
  EXPECT_EQ(HandBackDelayOf(soon), std::nullopt);
  EXPECT_EQ(HandBackDelayOf(HandBack("later", absl::Seconds(3))),
            absl::Seconds(3));
  EXPECT_EQ(HandBackDelayOf(HandBack("x", -absl::Seconds(3))),
            absl::ZeroDuration());
}

TEST(TaskErrorTest, ThrottledIsHandedBackWithItsLimit) {
  const absl::Status throttled = Throttled("smtp", absl::Seconds(30));
  EXPECT_TRUE(IsHandedBack(throttled));
  EXPECT_EQ(ThrottledLimitOf(throttled), "smtp");
  EXPECT_EQ(HandBackDelayOf(throttled), absl::Seconds(30));
  EXPECT_EQ(throttled.message(), "throttled");
  EXPECT_EQ(ThrottledLimitOf(HandBack("not now")), "");
}

TEST(TaskErrorTest, OkStaysOk) {
  EXPECT_TRUE(NonRetryable(absl::OkStatus()).ok());
  EXPECT_TRUE(RetryAfter(absl::Seconds(1), absl::OkStatus()).ok());
  EXPECT_TRUE(WithFailureType(absl::OkStatus(), "x").ok());
}

}  // namespace
}  // namespace apium
