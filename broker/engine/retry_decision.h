#ifndef APIUM_BROKER_ENGINE_RETRY_DECISION_H_
#define APIUM_BROKER_ENGINE_RETRY_DECISION_H_

#include <cstdint>
#include <optional>

#include "absl/random/bit_gen_ref.h"
#include "absl/time/time.h"
#include "broker/engine/task.h"

namespace apium::broker {

// What follows a failure: the back-off before the next attempt, or nothing if
// the task is to end. `failures` counts this one. `asked_delay`: the handler
// wants this back-off instead of the policy's. Pure, but for a number drawn
// from `random`.
std::optional<absl::Duration> DecideRetry(
    const RetryPolicy& policy, const Failure& failure, uint32_t failures,
    std::optional<absl::Duration> asked_delay, absl::BitGenRef random);

// From here on no attempt of the task begins (RetryPolicy.total_time_limit);
// InfiniteFuture: no limit.
absl::Time AttemptsEnd(const TaskContent& content);

// How long a task waits that was handed back unharmed, `returns` times with
// this one: not at all at first, then ever longer. A worker that cannot run
// what it is given must not keep the broker busy.
absl::Duration ReturnDelay(uint32_t returns);

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_RETRY_DECISION_H_
