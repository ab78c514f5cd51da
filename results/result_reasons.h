#ifndef APIUM_RESULTS_RESULT_REASONS_H_
#define APIUM_RESULTS_RESULT_REASONS_H_

#include <string_view>

namespace apium::reason {

// Reasons that only the result service gives; the others are in
// common/error_reason.h.
inline constexpr std::string_view kResultNotFound =
    "RESULT_NOT_FOUND";  // NOT_FOUND
inline constexpr std::string_view kWaitTimeout =
    "WAIT_TIMEOUT";  // DEADLINE_EXCEEDED
inline constexpr std::string_view kCursorExpired =
    "CURSOR_EXPIRED";  // OUT_OF_RANGE
inline constexpr std::string_view kPublisherReplaced =
    "PUBLISHER_REPLACED";  // FAILED_PRECONDITION
inline constexpr std::string_view kPositionGap =
    "POSITION_GAP";  // INVALID_ARGUMENT
inline constexpr std::string_view kTooManyWaiters =
    "TOO_MANY_WAITERS";  // RESOURCE_EXHAUSTED
inline constexpr std::string_view kTooManyWatchers =
    "TOO_MANY_WATCHERS";  // RESOURCE_EXHAUSTED
inline constexpr std::string_view kResultsBusy =
    "RESULTS_BUSY";  // RESOURCE_EXHAUSTED: mailbox full

}  // namespace apium::reason

#endif  // APIUM_RESULTS_RESULT_REASONS_H_
