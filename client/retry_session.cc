#include "client/retry_session.h"

#include <algorithm>
#include <optional>

#include "common/error_reason.h"
#include "common/strings.h"

namespace apium {
namespace {

// An attempt that lived so long had reached its server: what follows is a new
// trouble, not more of the old.
constexpr absl::Duration kHealthyAttempt = absl::Seconds(1);

}  // namespace

RetrySession::RetrySession(const ClientRetryOptions& options, CallKind kind,
                           absl::Time deadline)
    : options_(options), kind_(kind), deadline_(deadline) {}

std::optional<absl::Duration> RetrySession::NextDelay(
    const absl::Status& status, absl::Time attempt_start, absl::Time now,
    absl::BitGenRef random) {
  ++attempts_;
  const bool healthy = now - attempt_start >= kHealthyAttempt;
  failures_in_a_row_ = healthy ? 1 : failures_in_a_row_ + 1;
  if (kind_ == CallKind::kNotIdempotent) return std::nullopt;

  absl::Duration delay =
      BackoffDelay(options_.backoff, failures_in_a_row_, random);
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
      if (std::optional<absl::Duration> asked = RetryDelayOf(status))
        delay = std::max(delay, *asked);
      break;
    case absl::StatusCode::kResourceExhausted: {
      std::optional<absl::Duration> asked = RetryDelayOf(status);
      if (!asked.has_value()) return std::nullopt;
      delay = std::max(delay, *asked);
      break;
    }
    case absl::StatusCode::kDeadlineExceeded:
      if (kind_ != CallKind::kWait) return std::nullopt;
      // The server's bound on a wait, not the caller's. One that ends waits at
      // once must not be asked in a tight loop.
      if (healthy) delay = absl::ZeroDuration();
      break;
    default:
      return std::nullopt;
  }
  if (status.code() != absl::StatusCode::kDeadlineExceeded &&
      options_.attempts_max > 0 &&
      failures_in_a_row_ >= options_.attempts_max) {
    return std::nullopt;
  }
  if (now + delay >= deadline_) return std::nullopt;
  last_retried_ = status;
  return delay;
}

absl::Status RetrySession::Annotate(const absl::Status& status) const {
  if (status.ok() || attempts_ < 2) return status;
  const bool cut_short = kind_ == CallKind::kIdempotent &&
                         status.code() == absl::StatusCode::kDeadlineExceeded &&
                         ReasonOf(status).empty();
  const absl::Status& cause = cut_short ? last_retried_ : status;
  absl::Status annotated(cause.code(), StrCat(cause.message(), " (after ",
                                              attempts_, " attempts)"));
  cause.ForEachPayload(
      [&annotated](absl::string_view type_url, const absl::Cord& payload) {
        annotated.SetPayload(type_url, payload);
      });
  return annotated;
}

}  // namespace apium
