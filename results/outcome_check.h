#ifndef APIUM_RESULTS_OUTCOME_CHECK_H_
#define APIUM_RESULTS_OUTCOME_CHECK_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace apium::v1 {
class OutcomeBatch;
class TaskOutcome;
}  // namespace apium::v1

namespace apium::results {

// Checks what a broker publishes: names well formed, state terminal. Fills in
// the default namespace. INVALID_ARGUMENT names the field, as
// "batch.outcomes[3].state"; nothing of the batch is to be recorded then.
absl::Status CheckAndCompleteOutcomes(v1::OutcomeBatch* batch);

// How long to keep the outcome, milliseconds, in [1 s, kResultTtlMax]: what it
// asks for, else `default_ttl_ms`. A time outside the range is taken to its
// edge, because a broker cannot do anything about it.
int64_t ResultTtlMs(const v1::TaskOutcome& outcome, int64_t default_ttl_ms);

// Appends the serialized outcome without namespace and task_id, which its key
// has. Takes them out for the time being, as a copy of the message would cost
// more than its serialization; `outcome` is the same afterwards.
void AppendOutcome(v1::TaskOutcome* outcome, std::string* out);

}  // namespace apium::results

#endif  // APIUM_RESULTS_OUTCOME_CHECK_H_
