// What attempts charge to limits, and when a session says it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/support/status_matchers.h"
#include "tests/worker/session_harness.h"

namespace apium {
namespace {

const absl::Status kBroken = absl::UnavailableError("connection lost");

class SessionChargesTest : public ::testing::Test {
 protected:
  SessionChargesTest() {
    APIUM_EXPECT_OK(h_.Welcome("s1"));
    h_.Report();
    APIUM_EXPECT_OK(h_.Deliver({1, 2}));
    h_.Start(1);
    h_.Start(2);
    h_.Advance(kReportDelay);
    h_.Report();
  }

  SessionHarness h_{2};
};

TEST_F(SessionChargesTest, AreGatheredForAMomentAndSaidOnce) {
  APIUM_EXPECT_OK(h_.Charge(1, "tokens", 3));
  APIUM_EXPECT_OK(h_.Charge(2, "tokens", 1));
  APIUM_EXPECT_OK(h_.Charge(1, "tokens", 4.5));
  APIUM_EXPECT_OK(h_.Charge(1, "calls", -1));
  EXPECT_EQ(h_.Report(), "");
  h_.Advance(kReportDelay);
  EXPECT_EQ(h_.Report(),
            "charge=1:calls:-1 charge=1:tokens:7.5 "
            "charge=2:tokens:1");
  h_.Advance(kReportDelay);
  EXPECT_EQ(h_.Report(), "");
}

TEST_F(SessionChargesTest, GoWithTheOutcomeAtTheLatest) {
  APIUM_EXPECT_OK(h_.Charge(1, "tokens", 3));
  h_.Finish(1);
  EXPECT_EQ(h_.Report(), "charge=1:tokens:3 outcomes=1 credit=1");
  h_.Advance(kReportDelay);
  EXPECT_EQ(h_.Report(), "");
}

TEST_F(SessionChargesTest, GoWithProgress) {
  h_.SetProgress(1, 7);
  APIUM_EXPECT_OK(h_.Charge(1, "tokens", 3));
  h_.Advance(kReportDelay);
  EXPECT_EQ(h_.Report(), "progress=1:7 charge=1:tokens:3");
}

TEST_F(SessionChargesTest, WaitForTheNextStream) {
  h_.CloseStream(kBroken);
  APIUM_EXPECT_OK(h_.Charge(1, "tokens", 3));
  h_.Advance(kReportDelay);
  EXPECT_EQ(h_.Report(), "");
  APIUM_EXPECT_OK(h_.Welcome("s1", /*resumed=*/true));
  h_.Advance(kReportDelay);
  EXPECT_THAT(h_.Report(), ::testing::HasSubstr("charge=1:tokens:3"));
}

TEST_F(SessionChargesTest, ThatWereSentAreNotSaidAgain) {
  APIUM_EXPECT_OK(h_.Charge(1, "tokens", 3));
  h_.Advance(kReportDelay);
  h_.Report();
  h_.CloseStream(kBroken);
  APIUM_EXPECT_OK(h_.Welcome("s1", /*resumed=*/true));
  h_.Advance(kReportDelay);
  EXPECT_THAT(h_.Report(), ::testing::Not(::testing::HasSubstr("charge")));
}

TEST_F(SessionChargesTest, WhatIsGivenBackAtOnceIsNotSaid) {
  APIUM_EXPECT_OK(h_.Charge(1, "tokens", 3));
  APIUM_EXPECT_OK(h_.Charge(1, "tokens", -3));
  h_.Advance(kReportDelay);
  EXPECT_EQ(h_.Report(), "");
}

TEST_F(SessionChargesTest, OfManyLimitsAreRefusedUntilTheyAreSent) {
  for (size_t i = 0; i < kChargedLimitsMax; ++i)
    APIUM_EXPECT_OK(h_.Charge(1, absl::StrCat("l", i), 1));
  EXPECT_THAT(h_.Charge(1, "one-more", 1),
              StatusIs(absl::StatusCode::kResourceExhausted));
  APIUM_EXPECT_OK(h_.Charge(1, "l0", 1));
  h_.Advance(kReportDelay);
  h_.Report();
  APIUM_EXPECT_OK(h_.Charge(1, "one-more", 1));
}

TEST_F(SessionChargesTest, StayFinite) {
  const double most = std::numeric_limits<double>::max();
  APIUM_EXPECT_OK(h_.Charge(1, "tokens", most));
  EXPECT_THAT(h_.Charge(1, "tokens", most),
              StatusIs(absl::StatusCode::kInvalidArgument));
  APIUM_EXPECT_OK(h_.Charge(1, "tokens", -most));
}

}  // namespace
}  // namespace apium
