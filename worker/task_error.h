// What a handler may say with the absl::Status that it returns.
//
//   return absl::UnavailableError("smtp server is down");   // retried by the
//                                          // task's policy, type "UNAVAILABLE"
//   return TaskError("mail.Bounced", "mailbox is full");    // a type of its
//   own
//   return NonRetryable(TaskError("mail.NoSuchUser", address));
//   return RetryAfter(absl::Minutes(5), absl::ResourceExhaustedError("quota"));
//   return HandBack("the model is not loaded yet", absl::Seconds(10));
//   return Throttled("smtp", absl::Seconds(30), "the server says 429");
//
// The type of a failure is, in this order: what TaskError said; the reason of
// the status (common/error_reason.h), as errors of Apium's own client have;
// the name of its code.

#ifndef APIUM_WORKER_TASK_ERROR_H_
#define APIUM_WORKER_TASK_ERROR_H_

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace apium {

// Failure types that the worker library itself gives.
namespace failure_type {
// The payload does not fit the handler's parameters. Never retried.
inline constexpr std::string_view kBadArguments = "apium.BadArguments";
// What the handler returned cannot be sent. Never retried.
inline constexpr std::string_view kBadResult = "apium.BadResult";
// The handler obeyed its soft time limit.
inline constexpr std::string_view kTimeLimit = "apium.TimeLimit";
// The worker was given a task that it has no handler for.
inline constexpr std::string_view kUnknownTaskType = "apium.UnknownTaskType";
}  // namespace failure_type

// UNKNOWN with `type` as the failure's type (at most 255 bytes).
absl::Status TaskError(std::string_view type, std::string_view message);

// Gives any error a failure type. OK stays OK.
absl::Status WithFailureType(absl::Status error, std::string_view type);

// `error` fails the task at once, whatever its retry policy says. OK stays OK.
absl::Status NonRetryable(absl::Status error);

// Another attempt after `delay` instead of the policy's back-off; counted as a
// failure. Negative delays count as zero. OK stays OK.
absl::Status RetryAfter(absl::Duration delay, absl::Status error);

// Hands the task back, as if it had not run: it is no failure, but counted as a
// return (RetryPolicy.max_returns), and runs again after `delay`, here or
// elsewhere. Without one the broker chooses: at once for the first returns.
// Negative delays count as zero. A task that may run at most once fails
// instead.
absl::Status HandBack(std::string_view reason,
                      std::optional<absl::Duration> delay = std::nullopt);

// The task met a limit that is not Apium's, for example an answer 429: what the
// limit `limit` (LimitService) counts under this task's key is held up for
// `delay`, this task with it. Else as HandBack, but that it is not counted as a
// return, however often it comes.
absl::Status Throttled(std::string_view limit, absl::Duration delay,
                       std::string_view reason = "throttled");

// INVALID_ARGUMENT of type apium.BadArguments, not retryable.
absl::Status BadArguments(std::string_view message);

// What the functions above put in.
std::string FailureTypeOf(const absl::Status& error);
bool IsNonRetryable(const absl::Status& error);
std::optional<absl::Duration> RetryAfterOf(const absl::Status& error);
bool IsHandedBack(const absl::Status& error);
std::optional<absl::Duration> HandBackDelayOf(const absl::Status& error);
// Name of the limit; empty: it was not throttled.
std::string ThrottledLimitOf(const absl::Status& error);

}  // namespace apium

#endif  // APIUM_WORKER_TASK_ERROR_H_
