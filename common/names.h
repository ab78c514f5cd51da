// What names may look like. Names appear in keys, metric labels, URLs and
// shells, so the alphabets are narrow.
//
// Every Validate function returns OK, or INVALID_ARGUMENT with reason
// INVALID_FIELD that names `field`, what is wrong and what would be right. Any
// thread.

#ifndef APIUM_COMMON_NAMES_H_
#define APIUM_COMMON_NAMES_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace apium {

inline constexpr std::string_view kDefaultNamespace = "default";
inline constexpr std::string_view kDefaultQueue = "default";

// 255 bytes: what file names, DNS-like tools and AIP-122 resource segments
// take.
inline constexpr size_t kNameBytesMax = 255;
// A UUID has 36; hosts, content hashes and paths of a caller's own scheme fit
// as well.
inline constexpr size_t kTaskIdBytesMax = 128;
inline constexpr size_t kHeaderNameBytesMax = 128;

// 1 to 63 of a-z 0-9 -, first and last a letter or digit: a DNS label, as
// Kubernetes namespaces are.
absl::Status ValidateNamespace(std::string_view field, std::string_view value);
// 1 to 255 of A-Z a-z 0-9 _ . : -, first a letter or digit.
absl::Status ValidateQueueName(std::string_view field, std::string_view value);
// As a queue's name: "text.count_words".
absl::Status ValidateTaskType(std::string_view field, std::string_view value);
// 1 to 128 of A-Z a-z 0-9 _ . : @ = + -, any order.
absl::Status ValidateTaskId(std::string_view field, std::string_view value);
// As a task id: an idempotency key.
absl::Status ValidateIdempotencyKey(std::string_view field,
                                    std::string_view value);
// 1 to 255 of A-Z a-z 0-9 _ . : @ = + -, first a letter or digit:
// "host-7@1234".
absl::Status ValidateWorkerId(std::string_view field, std::string_view value);
// 1 to 128 of a-z 0-9 _ . -, first a letter or digit: lower case, as HTTP/2
// wants it.
absl::Status ValidateHeaderName(std::string_view field, std::string_view value);
// As a queue's name: keys of worker labels and task tags.
absl::Status ValidateLabelName(std::string_view field, std::string_view value);

// `value` quoted and escaped for an error message, cut at 64 bytes: input from
// outside never reaches a terminal raw.
std::string QuoteForMessage(std::string_view value);

}  // namespace apium

#endif  // APIUM_COMMON_NAMES_H_
