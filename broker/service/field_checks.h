#ifndef APIUM_BROKER_SERVICE_FIELD_CHECKS_H_
#define APIUM_BROKER_SERVICE_FIELD_CHECKS_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/map.h"

// What many requests have in common. Each answers INVALID_ARGUMENT /
// INVALID_FIELD with the field, its value and what would be right. Any thread.
namespace apium::broker {

absl::Status OutOfRange(std::string_view field, std::string_view value,
                        std::string_view range);

enum class Zero { kAllowed, kRefused };

// In [0, 10 years], or above 0.
absl::StatusOr<absl::Duration> DurationUpToTenYears(
    std::string_view field, const google::protobuf::Duration& proto, Zero zero);

// A text for people.
absl::Status CheckTextLength(std::string_view field, const std::string& text,
                             size_t bytes_max);

// A key of the application's own, or none: at most kKeyBytesMax bytes without
// a zero byte, which ends keys in the store.
inline constexpr size_t kKeyBytesMax = 128;
absl::Status CheckKey(std::string_view field, const std::string& key);

// A glob of names: 1 to 255 printable characters, of which "*" and "?" stand
// for others.
absl::Status CheckGlob(std::string_view field, const std::string& pattern);

}  // namespace apium::broker

#endif  // APIUM_BROKER_SERVICE_FIELD_CHECKS_H_
