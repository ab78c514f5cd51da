#include "common/rpc/proto_time.h"

#include <algorithm>
#include <cstdint>
#include <limits>

#include "common/error_reason.h"
#include "common/strings.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"

namespace apium {
namespace {

// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z:
// google/protobuf/timestamp.proto.
constexpr int64_t kTimestampSecondsMin = -62'135'596'800;
constexpr int64_t kTimestampSecondsMax = 253'402'300'799;
// 10,000 years: google/protobuf/duration.proto.
constexpr int64_t kDurationSecondsMax = 315'576'000'000;
constexpr int32_t kNanosMax = 999'999'999;
constexpr int64_t kNanosPerSecond = 1'000'000'000;

}  // namespace

absl::StatusOr<absl::Time> TimeFromProto(
    std::string_view field, const google::protobuf::Timestamp& proto) {
  if (proto.seconds() < kTimestampSecondsMin ||
      proto.seconds() > kTimestampSecondsMax) {
    return InvalidField(
        field, StrCat("seconds is ", proto.seconds(),
                      "; a time is from year 1 to year 9999, seconds in [",
                      kTimestampSecondsMin, ", ", kTimestampSecondsMax, "]"));
  }
  if (proto.nanos() < 0 || proto.nanos() > kNanosMax) {
    return InvalidField(field, StrCat("nanos is ", proto.nanos(),
                                      "; the range is [0, ", kNanosMax, "]"));
  }
  return absl::FromUnixSeconds(proto.seconds()) +
         absl::Nanoseconds(proto.nanos());
}

absl::StatusOr<absl::Duration> DurationFromProto(
    std::string_view field, const google::protobuf::Duration& proto) {
  if (proto.seconds() < -kDurationSecondsMax ||
      proto.seconds() > kDurationSecondsMax) {
    return InvalidField(
        field, StrCat("seconds is ", proto.seconds(), "; the range is +-",
                      kDurationSecondsMax));
  }
  if (proto.nanos() < -kNanosMax || proto.nanos() > kNanosMax) {
    return InvalidField(field, StrCat("nanos is ", proto.nanos(),
                                      "; the range is +-", kNanosMax));
  }
  if ((proto.seconds() > 0 && proto.nanos() < 0) ||
      (proto.seconds() < 0 && proto.nanos() > 0)) {
    return InvalidField(field,
                        StrCat("seconds is ", proto.seconds(), " and nanos is ",
                               proto.nanos(), "; their signs must agree"));
  }
  return absl::Seconds(proto.seconds()) + absl::Nanoseconds(proto.nanos());
}

void TimeToProto(absl::Time time, google::protobuf::Timestamp* proto) {
  // Times of this age fit into one number, which costs a fraction of the
  // general way.
  const int64_t nanos = absl::ToUnixNanos(time);
  if (nanos >= 0 && nanos != std::numeric_limits<int64_t>::max()) {
    proto->set_seconds(nanos / kNanosPerSecond);
    proto->set_nanos(static_cast<int32_t>(nanos % kNanosPerSecond));
    return;
  }
  const absl::Time lowest = absl::FromUnixSeconds(kTimestampSecondsMin);
  const absl::Time highest = absl::FromUnixSeconds(kTimestampSecondsMax) +
                             absl::Nanoseconds(kNanosMax);
  time = std::clamp(time, lowest, highest);
  const int64_t seconds = absl::ToUnixSeconds(time);  // towards the past
  proto->set_seconds(seconds);
  proto->set_nanos(static_cast<int32_t>(
      absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(seconds))));
}

google::protobuf::Timestamp TimeToProto(absl::Time time) {
  google::protobuf::Timestamp proto;
  TimeToProto(time, &proto);
  return proto;
}

void DurationToProto(absl::Duration duration,
                     google::protobuf::Duration* proto) {
  const absl::Duration limit =
      absl::Seconds(kDurationSecondsMax) + absl::Nanoseconds(kNanosMax);
  duration = std::clamp(duration, -limit, limit);
  // Both parts are cut towards zero, so their signs agree.
  const int64_t seconds =
      absl::IDivDuration(duration, absl::Seconds(1), &duration);
  proto->set_seconds(seconds);
  proto->set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(duration)));
}

google::protobuf::Duration DurationToProto(absl::Duration duration) {
  google::protobuf::Duration proto;
  DurationToProto(duration, &proto);
  return proto;
}

}  // namespace apium
