#include "worker/task_error.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "common/error_reason.h"
#include "common/strings.h"

namespace apium {
namespace {

// Keys of the status payloads. They never leave the process.
constexpr char kTypeKey[] = "apium.dev/task.failure_type";
constexpr char kNonRetryableKey[] = "apium.dev/task.non_retryable";
constexpr char kRetryAfterKey[] = "apium.dev/task.retry_after_nanos";
constexpr char kHandBackKey[] = "apium.dev/task.hand_back";
constexpr char kThrottledLimitKey[] = "apium.dev/task.throttled_limit";
constexpr char kHandBackDelayKey[] = "apium.dev/task.hand_back_delay_nanos";

// The proto's bound; more cannot be told to the broker.
constexpr absl::Duration kRetryDelayLimit = absl::Hours(24 * 3650);

void SetDelay(const char* key, absl::Duration delay, absl::Status* error) {
  delay = std::clamp(delay, absl::ZeroDuration(), kRetryDelayLimit);
  error->SetPayload(key,
                    absl::Cord(absl::StrCat(absl::ToInt64Nanoseconds(delay))));
}

std::optional<absl::Duration> DelayOf(const char* key,
                                      const absl::Status& error) {
  absl::optional<absl::Cord> text = error.GetPayload(key);
  int64_t nanos = 0;
  if (!text.has_value() || !absl::SimpleAtoi(std::string(*text), &nanos)) {
    return std::nullopt;
  }
  return absl::Nanoseconds(nanos);
}

}  // namespace

absl::Status WithFailureType(absl::Status error, std::string_view type) {
  if (!error.ok()) {
    error.SetPayload(kTypeKey, absl::Cord(AbslView(type)));
  }
  return error;
}

absl::Status TaskError(std::string_view type, std::string_view message) {
  return WithFailureType(absl::UnknownError(AbslView(message)), type);
}

absl::Status NonRetryable(absl::Status error) {
  if (!error.ok()) error.SetPayload(kNonRetryableKey, absl::Cord("1"));
  return error;
}

absl::Status RetryAfter(absl::Duration delay, absl::Status error) {
  if (error.ok()) return error;
  SetDelay(kRetryAfterKey, delay, &error);
  return error;
}

absl::Status HandBack(std::string_view reason,
                      std::optional<absl::Duration> delay) {
  absl::Status status = absl::AbortedError(AbslView(reason));
  status.SetPayload(kHandBackKey, absl::Cord("1"));
  if (delay.has_value()) SetDelay(kHandBackDelayKey, *delay, &status);
  return status;
}

absl::Status Throttled(std::string_view limit, absl::Duration delay,
                       std::string_view reason) {
  absl::Status status = HandBack(reason, delay);
  status.SetPayload(kThrottledLimitKey, absl::Cord(AbslView(limit)));
  return status;
}

absl::Status BadArguments(std::string_view message) {
  return NonRetryable(
      WithFailureType(absl::InvalidArgumentError(AbslView(message)),
                      failure_type::kBadArguments));
}

std::string FailureTypeOf(const absl::Status& error) {
  if (absl::optional<absl::Cord> type = error.GetPayload(kTypeKey)) {
    return std::string(*type);
  }
  std::string reason = ReasonOf(error);
  if (!reason.empty()) return reason;
  return absl::StatusCodeToString(error.code());
}

bool IsNonRetryable(const absl::Status& error) {
  return error.GetPayload(kNonRetryableKey).has_value();
}

std::optional<absl::Duration> RetryAfterOf(const absl::Status& error) {
  return DelayOf(kRetryAfterKey, error);
}

bool IsHandedBack(const absl::Status& error) {
  return error.GetPayload(kHandBackKey).has_value();
}

std::optional<absl::Duration> HandBackDelayOf(const absl::Status& error) {
  return DelayOf(kHandBackDelayKey, error);
}

std::string ThrottledLimitOf(const absl::Status& error) {
  absl::optional<absl::Cord> limit = error.GetPayload(kThrottledLimitKey);
  return limit.has_value() ? std::string(*limit) : "";
}

}  // namespace apium
