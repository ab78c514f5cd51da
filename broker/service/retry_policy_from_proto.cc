#include "broker/service/retry_policy_from_proto.h"

#include <algorithm>
#include <utility>

#include "apium/v1/task.pb.h"
#include "broker/service/field_checks.h"
#include "common/limits.h"
#include "common/names.h"
#include "common/status_macros.h"
#include "common/strings.h"

namespace apium::broker {
namespace {

// As documented in apium/v1/task.proto.
constexpr uint32_t kCrashesMax = 1'000'000;
constexpr uint32_t kReturnsMax = 1'000'000;
constexpr size_t kFailureTypeBytes = 255;
constexpr int kNonRetryableTypesMax = 64;

absl::Status TakeBackoff(const std::string& prefix,
                         const v1::RetryPolicy& proto, RetryPolicy* policy) {
  if (proto.has_initial_delay()) {
    APIUM_ASSIGN_OR_RETURN(
        policy->initial_delay,
        DurationUpToTenYears(StrCat(prefix, ".initial_delay"),
                             proto.initial_delay(), Zero::kAllowed));
  }
  if (proto.has_max_delay()) {
    APIUM_ASSIGN_OR_RETURN(
        policy->max_delay,
        DurationUpToTenYears(StrCat(prefix, ".max_delay"), proto.max_delay(),
                             Zero::kAllowed));
    if (policy->max_delay < policy->initial_delay) {
      return OutOfRange(StrCat(prefix, ".max_delay"),
                        absl::FormatDuration(policy->max_delay),
                        StrCat("at least initial_delay, which is ",
                               absl::FormatDuration(policy->initial_delay)));
    }
  } else {
    policy->max_delay = std::max(policy->max_delay, policy->initial_delay);
  }
  if (proto.multiplier() != 0) {
    // Written so that NaN is refused.
    if (!(proto.multiplier() >= 1 &&
          proto.multiplier() <= kRetryMultiplierMax)) {
      return OutOfRange(StrCat(prefix, ".multiplier"),
                        StrCat(proto.multiplier()),
                        StrCat("0 or in [1, ", kRetryMultiplierMax, "]"));
    }
    policy->multiplier = proto.multiplier();
  }
  if (proto.has_jitter()) {
    if (!(proto.jitter() >= 0 && proto.jitter() <= 1)) {
      return OutOfRange(StrCat(prefix, ".jitter"), StrCat(proto.jitter()),
                        "in [0, 1]");
    }
    policy->jitter = proto.jitter();
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RetryPolicyFromProto(const std::string& prefix,
                                  v1::RetryPolicy* proto, RetryPolicy* policy) {
  if (proto->max_attempts() > kAttemptsMax) {
    return OutOfRange(StrCat(prefix, ".max_attempts"),
                      StrCat(proto->max_attempts()),
                      StrCat("at most ", kAttemptsMax));
  }
  if (proto->max_attempts() != 0) policy->max_attempts = proto->max_attempts();
  if (proto->max_crashes() > kCrashesMax) {
    return OutOfRange(StrCat(prefix, ".max_crashes"),
                      StrCat(proto->max_crashes()),
                      StrCat("at most ", kCrashesMax));
  }
  if (proto->max_crashes() != 0) policy->max_crashes = proto->max_crashes();
  if (proto->max_returns() > kReturnsMax) {
    return OutOfRange(StrCat(prefix, ".max_returns"),
                      StrCat(proto->max_returns()),
                      StrCat("at most ", kReturnsMax));
  }
  if (proto->max_returns() != 0) policy->max_returns = proto->max_returns();
  if (proto->has_total_time_limit()) {
    APIUM_ASSIGN_OR_RETURN(
        policy->total_time_limit,
        DurationUpToTenYears(StrCat(prefix, ".total_time_limit"),
                             proto->total_time_limit(), Zero::kRefused));
  }
  APIUM_RETURN_IF_ERROR(TakeBackoff(prefix, *proto, policy));
  if (proto->non_retryable_types_size() > kNonRetryableTypesMax) {
    return OutOfRange(StrCat(prefix, ".non_retryable_types"),
                      StrCat(proto->non_retryable_types_size(), " long"),
                      StrCat("at most ", kNonRetryableTypesMax, " entries"));
  }
  for (std::string& type : *proto->mutable_non_retryable_types()) {
    if (type.empty() || type.size() > kFailureTypeBytes) {
      return OutOfRange(StrCat(prefix, ".non_retryable_types"),
                        QuoteForMessage(type),
                        StrCat("1 to ", kFailureTypeBytes, " bytes each"));
    }
    policy->non_retryable_types.push_back(std::move(type));
  }
  return absl::OkStatus();
}

}  // namespace apium::broker
