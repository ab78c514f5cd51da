// absl::Time / absl::Duration <-> google.protobuf.Timestamp / Duration, with
// the ranges that Protobuf documents.

#ifndef APIUM_COMMON_RPC_PROTO_TIME_H_
#define APIUM_COMMON_RPC_PROTO_TIME_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace google::protobuf {
class Duration;
class Timestamp;
}  // namespace google::protobuf

namespace apium {

// `field` names the request's field in the error: INVALID_ARGUMENT (reason
// INVALID_FIELD) when seconds are outside year 1 to 9999, or nanos outside [0,
// 999999999].
absl::StatusOr<absl::Time> TimeFromProto(
    std::string_view field, const google::protobuf::Timestamp& proto);

// INVALID_ARGUMENT when outside +-10,000 years, or when the signs of seconds
// and nanos differ.
absl::StatusOr<absl::Duration> DurationFromProto(
    std::string_view field, const google::protobuf::Duration& proto);

// To the nanosecond, towards the past. Infinite and out-of-range values become
// the nearest that Protobuf can hold.
void TimeToProto(absl::Time time, google::protobuf::Timestamp* proto);
google::protobuf::Timestamp TimeToProto(absl::Time time);

// To the nanosecond, towards zero. Infinite and out-of-range values become the
// nearest that Protobuf can hold.
void DurationToProto(absl::Duration duration,
                     google::protobuf::Duration* proto);
google::protobuf::Duration DurationToProto(absl::Duration duration);

}  // namespace apium

#endif  // APIUM_COMMON_RPC_PROTO_TIME_H_
