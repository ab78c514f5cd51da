#ifndef APIUM_BROKER_ERROR_REASONS_H_
#define APIUM_BROKER_ERROR_REASONS_H_

#include <string_view>

// Reasons (common/error_reason.h) that only the rim of the broker gives.
namespace apium::reason {

// RESOURCE_EXHAUSTED: more commands wait than the broker's bound allows.
inline constexpr std::string_view kMailboxFull = "MAILBOX_FULL";
// RESOURCE_EXHAUSTED: the data folder's disk has too little free space.
inline constexpr std::string_view kDiskLow = "DISK_LOW";
// RESOURCE_EXHAUSTED: a stream has more unanswered tasks than its window.
inline constexpr std::string_view kWindowExceeded = "WINDOW_EXCEEDED";
// RESOURCE_EXHAUSTED: the peer of a stream does not read what it asked for.
inline constexpr std::string_view kSlowReader = "SLOW_READER";
// INVALID_ARGUMENT: a worker's result is above the payload limit.
inline constexpr std::string_view kResultTooLarge = "RESULT_TOO_LARGE";

}  // namespace apium::reason

#endif  // APIUM_BROKER_ERROR_REASONS_H_
