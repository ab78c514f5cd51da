#include "client/retry_session.h"

#include <gtest/gtest.h>

#include <random>

#include "common/error_reason.h"

namespace apium {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1'700'000'000);

class RetrySessionTest : public ::testing::Test {
 protected:
  RetrySession Session(CallKind kind,
                       absl::Duration deadline = absl::Seconds(10),
                       int attempts_max = 0) {
    ClientRetryOptions options;
    options.attempts_max = attempts_max;
    options.backoff = {.initial = absl::Milliseconds(100),
                       .multiplier = 2,
                       .max = absl::Seconds(1),
                       .jitter = 0};
    return RetrySession(options, kind, kStart + deadline);
  }

  // An attempt that failed at once, at `now`.
  std::optional<absl::Duration> Fail(RetrySession& session,
                                     const absl::Status& status,
                                     absl::Time now = kStart) {
    return session.NextDelay(status, now, now, random_);
  }

  std::mt19937 random_{1};
};

TEST_F(RetrySessionTest, UnavailableIsRetriedWithGrowingDelays) {
  RetrySession session = Session(CallKind::kIdempotent);
  EXPECT_EQ(Fail(session, absl::UnavailableError("")), absl::Milliseconds(100));
  EXPECT_EQ(Fail(session, absl::UnavailableError("")), absl::Milliseconds(200));
  EXPECT_EQ(Fail(session, absl::UnavailableError("")), absl::Milliseconds(400));
  EXPECT_EQ(Fail(session, absl::UnavailableError("")), absl::Milliseconds(800));
  EXPECT_EQ(Fail(session, absl::UnavailableError("")), absl::Seconds(1));
}

TEST_F(RetrySessionTest, AServersDelayIsObeyed) {
  RetrySession session = Session(CallKind::kIdempotent);
  EXPECT_EQ(Fail(session,
                 WithRetryDelay(absl::UnavailableError(""), absl::Seconds(3))),
            absl::Seconds(3));
  // But never below the back-off.
  EXPECT_EQ(Fail(session, WithRetryDelay(absl::UnavailableError(""),
                                         absl::Milliseconds(1))),
            absl::Milliseconds(200));
}

TEST_F(RetrySessionTest, ResourceExhaustedIsRetriedOnlyWhereTheServerSaysWhen) {
  RetrySession session = Session(CallKind::kIdempotent);
  EXPECT_EQ(Fail(session, absl::ResourceExhaustedError("")), std::nullopt);
  EXPECT_EQ(Fail(session, WithRetryDelay(absl::ResourceExhaustedError(""),
                                         absl::Seconds(1))),
            absl::Seconds(1));
}

TEST_F(RetrySessionTest, OtherErrorsAreFinal) {
  for (absl::StatusCode code :
       {absl::StatusCode::kCancelled, absl::StatusCode::kUnknown,
        absl::StatusCode::kInvalidArgument, absl::StatusCode::kDeadlineExceeded,
        absl::StatusCode::kNotFound, absl::StatusCode::kAlreadyExists,
        absl::StatusCode::kPermissionDenied,
        absl::StatusCode::kFailedPrecondition, absl::StatusCode::kAborted,
        absl::StatusCode::kOutOfRange, absl::StatusCode::kUnimplemented,
        absl::StatusCode::kInternal, absl::StatusCode::kDataLoss,
        absl::StatusCode::kUnauthenticated}) {
    RetrySession session = Session(CallKind::kIdempotent);
    EXPECT_EQ(Fail(session, absl::Status(code, "")), std::nullopt)
        << absl::StatusCodeToString(code);
  }
}

TEST_F(RetrySessionTest, WhatIsNotIdempotentIsNeverRetried) {
  RetrySession session = Session(CallKind::kNotIdempotent);
  EXPECT_EQ(Fail(session, absl::UnavailableError("")), std::nullopt);
}

TEST_F(RetrySessionTest, NoAttemptIsMadeAfterTheDeadline) {
  RetrySession session =
      Session(CallKind::kIdempotent, absl::Milliseconds(150));
  EXPECT_EQ(Fail(session, absl::UnavailableError("")), absl::Milliseconds(100));
  EXPECT_EQ(Fail(session, absl::UnavailableError(""),
                 kStart + absl::Milliseconds(100)),
            std::nullopt);
}

TEST_F(RetrySessionTest, AttemptsAreBounded) {
  RetrySession session = Session(CallKind::kIdempotent,
                                 absl::InfiniteDuration(), /*attempts_max=*/3);
  EXPECT_NE(Fail(session, absl::UnavailableError("")), std::nullopt);
  EXPECT_NE(Fail(session, absl::UnavailableError("")), std::nullopt);
  EXPECT_EQ(Fail(session, absl::UnavailableError("")), std::nullopt);
}

TEST_F(RetrySessionTest, AnAttemptThatLastedStartsTheCountAnew) {
  RetrySession session =
      Session(CallKind::kWait, absl::InfiniteDuration(), /*attempts_max=*/2);
  EXPECT_NE(Fail(session, absl::UnavailableError("")), std::nullopt);
  EXPECT_EQ(session.NextDelay(absl::UnavailableError(""), kStart,
                              kStart + absl::Minutes(5), random_),
            absl::Milliseconds(100));
}

TEST_F(RetrySessionTest, AWaitThatTheServerEndsIsAskedAgainAtOnce) {
  RetrySession session =
      Session(CallKind::kWait, absl::InfiniteDuration(), /*attempts_max=*/1);
  EXPECT_EQ(session.NextDelay(absl::DeadlineExceededError(""), kStart,
                              kStart + absl::Hours(1), random_),
            absl::ZeroDuration());
}

TEST_F(RetrySessionTest, AServerThatEndsWaitsAtOnceIsNotAskedInATightLoop) {
  RetrySession session = Session(CallKind::kWait);
  EXPECT_EQ(Fail(session, absl::DeadlineExceededError("")),
            absl::Milliseconds(100));
}

TEST_F(RetrySessionTest, TheMessageSaysHowManyAttemptsFailedAndKeepsTheReason) {
  RetrySession session = Session(CallKind::kIdempotent);
  const absl::Status status =
      WithReason(absl::UnavailableError("no route"), reason::kShuttingDown);
  Fail(session, status);
  EXPECT_EQ(session.Annotate(status).message(), "no route");
  Fail(session, status);
  EXPECT_EQ(session.Annotate(status).message(), "no route (after 2 attempts)");
  EXPECT_EQ(ReasonOf(session.Annotate(status)), "SHUTTING_DOWN");
}

TEST_F(RetrySessionTest,
       ADeadlineThatCutsAnAttemptShortDoesNotHideWhatWasWrong) {
  RetrySession session = Session(CallKind::kIdempotent);
  Fail(session,
       WithReason(absl::UnavailableError("starting"), reason::kShuttingDown));
  const absl::Status cut = absl::DeadlineExceededError("Deadline Exceeded");
  EXPECT_EQ(Fail(session, cut), std::nullopt);
  EXPECT_EQ(session.Annotate(cut).ToString(),
            session
                .Annotate(WithReason(absl::UnavailableError("starting"),
                                     reason::kShuttingDown))
                .ToString());
}

TEST_F(RetrySessionTest, AWaitThatRanOutStaysAWaitThatRanOut) {
  RetrySession session = Session(CallKind::kWait);
  Fail(session, absl::UnavailableError("starting"));
  const absl::Status cut = absl::DeadlineExceededError("Deadline Exceeded");
  EXPECT_EQ(Fail(session, cut, kStart + absl::Seconds(20)), std::nullopt);
  EXPECT_EQ(session.Annotate(cut).code(), absl::StatusCode::kDeadlineExceeded);
}

}  // namespace
}  // namespace apium
