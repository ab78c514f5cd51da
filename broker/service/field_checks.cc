#include "broker/service/field_checks.h"

#include <algorithm>

#include "common/error_reason.h"
#include "common/limits.h"
#include "common/names.h"
#include "common/rpc/proto_time.h"
#include "common/status_macros.h"
#include "common/strings.h"

namespace apium::broker {
namespace {

constexpr absl::Duration kTenYears = kEtaAheadMax;

}  // namespace

absl::Status OutOfRange(std::string_view field, std::string_view value,
                        std::string_view range) {
  return InvalidField(field, StrCat("is ", value, "; must be ", range));
}

absl::StatusOr<absl::Duration> DurationUpToTenYears(
    std::string_view field, const google::protobuf::Duration& proto,
    Zero zero) {
  APIUM_ASSIGN_OR_RETURN(const absl::Duration duration,
                         DurationFromProto(field, proto));
  const bool too_short =
      duration < absl::ZeroDuration() ||
      (zero == Zero::kRefused && duration == absl::ZeroDuration());
  if (too_short || duration > kTenYears) {
    return OutOfRange(
        field, absl::FormatDuration(duration),
        StrCat(zero == Zero::kRefused ? "above 0 and at most " : "in [0, ",
               absl::FormatDuration(kTenYears),
               zero == Zero::kRefused ? "" : "]"));
  }
  return duration;
}

absl::Status CheckTextLength(std::string_view field, const std::string& text,
                             size_t bytes_max) {
  if (text.size() <= bytes_max) return absl::OkStatus();
  return OutOfRange(field, StrCat(text.size(), " bytes"),
                    StrCat("at most ", bytes_max, " bytes"));
}

absl::Status CheckKey(std::string_view field, const std::string& key) {
  if (key.size() <= kKeyBytesMax && key.find('\0') == std::string::npos) {
    return absl::OkStatus();
  }
  return OutOfRange(
      field, StrCat(key.size(), " bytes"),
      StrCat("at most ", kKeyBytesMax, " bytes without a zero byte"));
}

absl::Status CheckGlob(std::string_view field, const std::string& pattern) {
  const bool printable = std::all_of(pattern.begin(), pattern.end(),
                                     [](char c) { return c > ' ' && c < 127; });
  if (printable && !pattern.empty() && pattern.size() <= kNameBytesMax) {
    return absl::OkStatus();
  }
  return OutOfRange(
      field, QuoteForMessage(pattern),
      StrCat("1 to ", kNameBytesMax, " printable characters without spaces"));
}

}  // namespace apium::broker
