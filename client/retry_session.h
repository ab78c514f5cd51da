// Whether a call that failed is tried again, and when.

#ifndef APIUM_CLIENT_RETRY_SESSION_H_
#define APIUM_CLIENT_RETRY_SESSION_H_

#include <optional>

#include "absl/random/bit_gen_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/client_options.h"

namespace apium {

enum class CallKind {
  kIdempotent,     // repeating it does no harm
  kNotIdempotent,  // the answer to a repetition could mislead: never repeated
  kWait,  // idempotent, and the server may end it early with DEADLINE_EXCEEDED:
          // then it is asked again
};

// The attempts of one call. No clock and no randomness of its own. One thread
// at a time.
class RetrySession {
 public:
  // `deadline` bounds all attempts; absl::InfiniteFuture() does not.
  RetrySession(const ClientRetryOptions& options, CallKind kind,
               absl::Time deadline);

  // After an attempt that began at `attempt_start` and failed with `status`:
  // how long to wait before the next one, or nothing if `status` is final.
  std::optional<absl::Duration> NextDelay(const absl::Status& status,
                                          absl::Time attempt_start,
                                          absl::Time now,
                                          absl::BitGenRef random);

  // What to tell the caller when `status` ended the call: with the number of
  // attempts if there were several. A call whose last attempt was cut short by
  // the deadline tells what kept the earlier ones from succeeding.
  absl::Status Annotate(const absl::Status& status) const;

  absl::Time deadline() const { return deadline_; }

 private:
  const ClientRetryOptions options_;
  const CallKind kind_;
  const absl::Time deadline_;
  absl::Status last_retried_;
  int attempts_ = 0;
  int failures_in_a_row_ = 0;
};

}  // namespace apium

#endif  // APIUM_CLIENT_RETRY_SESSION_H_
