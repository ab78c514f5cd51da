#include "client/connection.h"

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace apium {
namespace {

using ::testing::HasSubstr;

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

TEST(GrpcTargetTest, OneAddressIsTakenAsItIs) {
  EXPECT_THAT(GrpcTarget({"localhost:7450"}),
              IsOkAndHolds(std::string("localhost:7450")));
  EXPECT_THAT(GrpcTarget({"[::1]:7450"}),
              IsOkAndHolds(std::string("[::1]:7450")));
  EXPECT_THAT(GrpcTarget({"dns:///broker:7450"}),
              IsOkAndHolds(std::string("dns:///broker:7450")));
  EXPECT_THAT(GrpcTarget({"unix:/run/apium.sock"}),
              IsOkAndHolds(std::string("unix:/run/apium.sock")));
}

TEST(GrpcTargetTest, SeveralIpAddressesBecomeOneTarget) {
  EXPECT_THAT(GrpcTarget({"10.0.0.1:7450", "10.0.0.2:7450"}),
              IsOkAndHolds(std::string("ipv4:10.0.0.1:7450,10.0.0.2:7450")));
  EXPECT_THAT(GrpcTarget({"[::1]:1", "[::2]:2"}),
              IsOkAndHolds(std::string("ipv6:[::1]:1,[::2]:2")));
}

TEST(GrpcTargetTest, SeveralNamesAreRefusedWithTheWayToDoIt) {
  EXPECT_THAT(GrpcTarget({"a:1", "b:2"}),
              StatusIs(kInvalid, HasSubstr("dns:///")));
  EXPECT_THAT(GrpcTarget({"10.0.0.1:1", "[::1]:2"}),
              StatusIs(kInvalid, HasSubstr("must all be IPv4")));
}

TEST(GrpcTargetTest, WhatIsNoAddressIsNamed) {
  EXPECT_THAT(GrpcTarget({}), StatusIs(kInvalid, HasSubstr("addresses")));
  EXPECT_THAT(GrpcTarget({"localhost"}),
              StatusIs(kInvalid, HasSubstr("\"localhost\"")));
  EXPECT_THAT(GrpcTarget({"localhost:0"}),
              StatusIs(kInvalid, HasSubstr("1 to 65535")));
  EXPECT_THAT(GrpcTarget({"localhost:70000"}),
              StatusIs(kInvalid, HasSubstr("70000")));
  EXPECT_THAT(GrpcTarget({":7450"}),
              StatusIs(kInvalid, HasSubstr("\":7450\"")));
}

TEST(ConnectionTest, WrongOptionsAreNamed) {
  EXPECT_THAT(Connection::Open({.namespace_name = "Not Good"}),
              StatusIs(kInvalid, HasSubstr("namespace")));
  EXPECT_THAT(Connection::Open({.deadline = absl::ZeroDuration()}),
              StatusIs(kInvalid, HasSubstr("deadline")));
  EXPECT_THAT(Connection::Open({.keepalive = absl::Seconds(1)}),
              StatusIs(kInvalid, HasSubstr("10s")));
  EXPECT_THAT(Connection::Open({.retry = {.attempts_max = -1}}),
              StatusIs(kInvalid, HasSubstr("attempts_max")));
}

TEST(ConnectionTest, OpeningTouchesNoNetwork) {
  EXPECT_THAT(Connection::Open({.addresses = {"host.invalid:7450"}}), IsOk());
}

}  // namespace
}  // namespace apium
