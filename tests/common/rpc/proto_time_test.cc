#include "common/rpc/proto_time.h"

#include <gtest/gtest.h>

#include "absl/time/time.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"
#include "tests/support/status_matchers.h"

namespace apium {
namespace {

using ::testing::HasSubstr;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

google::protobuf::Timestamp Timestamp(int64_t seconds, int32_t nanos) {
  google::protobuf::Timestamp proto;
  proto.set_seconds(seconds);
  proto.set_nanos(nanos);
  return proto;
}

google::protobuf::Duration Duration(int64_t seconds, int32_t nanos) {
  google::protobuf::Duration proto;
  proto.set_seconds(seconds);
  proto.set_nanos(nanos);
  return proto;
}

TEST(ProtoTimeTest, TimesSurviveTheRoundTrip) {
  for (absl::Time time :
       {absl::UnixEpoch(), absl::FromUnixNanos(1'700'000'000'123'456'789),
        absl::FromUnixNanos(-1), absl::FromUnixSeconds(253'402'300'799)}) {
    EXPECT_THAT(TimeFromProto("t", TimeToProto(time)), IsOkAndHolds(time));
  }
}

TEST(ProtoTimeTest, NanosOfATimeAreNeverNegative) {
  const google::protobuf::Timestamp proto =
      TimeToProto(absl::FromUnixNanos(-1));
  EXPECT_EQ(proto.seconds(), -1);
  EXPECT_EQ(proto.nanos(), 999'999'999);
}

TEST(ProtoTimeTest, RefusesTimesOutsideTheYears1To9999) {
  EXPECT_THAT(TimeFromProto("t", Timestamp(-62'135'596'800, 0)), IsOk());
  EXPECT_THAT(TimeFromProto("task.eta", Timestamp(-62'135'596'801, 0)),
              StatusIs(kInvalid, HasSubstr("task.eta: ")));
  EXPECT_THAT(TimeFromProto("t", Timestamp(253'402'300'800, 0)),
              StatusIs(kInvalid, HasSubstr("253402300800")));
  EXPECT_THAT(TimeFromProto("t", Timestamp(0, -1)), StatusIs(kInvalid));
  EXPECT_THAT(TimeFromProto("t", Timestamp(0, 1'000'000'000)),
              StatusIs(kInvalid));
}

TEST(ProtoTimeTest, InfiniteTimesBecomeTheNearestOnTheWire) {
  EXPECT_EQ(TimeToProto(absl::InfiniteFuture()).seconds(), 253'402'300'799);
  EXPECT_EQ(TimeToProto(absl::InfinitePast()).seconds(), -62'135'596'800);
  EXPECT_THAT(TimeFromProto("t", TimeToProto(absl::InfiniteFuture())), IsOk());
}

TEST(ProtoTimeTest, DurationsSurviveTheRoundTrip) {
  for (absl::Duration duration :
       {absl::ZeroDuration(), absl::Nanoseconds(1), absl::Nanoseconds(-1),
        absl::Seconds(-3) - absl::Nanoseconds(7), absl::Hours(1'000'000)}) {
    EXPECT_THAT(DurationFromProto("d", DurationToProto(duration)),
                IsOkAndHolds(duration));
  }
}

TEST(ProtoTimeTest, RefusesDurationsWithMixedSigns) {
  EXPECT_THAT(DurationFromProto("d", Duration(1, -1)),
              StatusIs(kInvalid, HasSubstr("signs")));
  EXPECT_THAT(DurationFromProto("d", Duration(-1, 1)),
              StatusIs(kInvalid, HasSubstr("signs")));
  EXPECT_THAT(DurationFromProto("d", Duration(0, -1)),
              IsOkAndHolds(absl::Nanoseconds(-1)));
}

TEST(ProtoTimeTest, RefusesDurationsOfMoreThanTenThousandYears) {
  EXPECT_THAT(DurationFromProto("d", Duration(315'576'000'001, 0)),
              StatusIs(kInvalid));
  EXPECT_THAT(DurationFromProto("d", Duration(-315'576'000'001, 0)),
              StatusIs(kInvalid));
  EXPECT_THAT(DurationFromProto("d", Duration(0, 1'000'000'000)),
              StatusIs(kInvalid));
}

TEST(ProtoTimeTest, InfiniteDurationsBecomeTheNearestOnTheWire) {
  EXPECT_EQ(DurationToProto(absl::InfiniteDuration()).seconds(),
            315'576'000'000);
  EXPECT_EQ(DurationToProto(-absl::InfiniteDuration()).seconds(),
            -315'576'000'000);
}

}  // namespace
}  // namespace apium
