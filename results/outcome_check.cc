#include "results/outcome_check.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "apium/v1/result_service.pb.h"
#include "apium/v1/task.pb.h"
#include "common/check.h"
#include "common/error_reason.h"
#include "common/limits.h"
#include "common/names.h"

namespace apium::results {
namespace {

constexpr int64_t kTtlMinMs = 1000;

bool IsTerminal(int state) {
  return state >= v1::TASK_STATE_SUCCEEDED &&
         state <= v1::TASK_STATE_DEAD_LETTERED;
}

// `at` is the path of the outcome, or "" to learn only whether it is right:
// making the path for each one would cost more than the checks.
absl::Status CheckOutcome(const std::string& at, bool check_namespace,
                          const v1::TaskOutcome& outcome) {
  if (check_namespace) {
    absl::Status status =
        ValidateNamespace(absl::StrCat(at, ".namespace"), outcome.namespace_());
    if (!status.ok()) {
      return status;
    }
  }
  absl::Status status =
      ValidateTaskId(at.empty() ? at : at + ".task_id", outcome.task_id());
  if (!status.ok()) {
    return status;
  }
  if (!IsTerminal(outcome.state())) {
    return InvalidField(at + ".state",
                        absl::StrCat(outcome.state(),
                                     " is not a terminal state of "
                                     "apium.v1.TaskState"));
  }
  if (outcome.queue().size() > kNameBytesMax) {
    return InvalidField(at + ".queue",
                        absl::StrCat("it has ", outcome.queue().size(),
                                     " bytes; the limit is ", kNameBytesMax));
  }
  if (outcome.type().size() > kNameBytesMax) {
    return InvalidField(at + ".type",
                        absl::StrCat("it has ", outcome.type().size(),
                                     " bytes; the limit is ", kNameBytesMax));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckAndCompleteOutcomes(v1::OutcomeBatch* batch) {
  const std::string* checked_namespace = nullptr;
  for (int i = 0; i < batch->outcomes_size(); ++i) {
    v1::TaskOutcome* outcome = batch->mutable_outcomes(i);
    if (outcome->namespace_().empty()) {
      outcome->mutable_namespace_()->assign(kDefaultNamespace);
    }
    const bool new_namespace = checked_namespace == nullptr ||
                               *checked_namespace != outcome->namespace_();
    if (!CheckOutcome("", new_namespace, *outcome).ok()) {
      return CheckOutcome(absl::StrCat("batch.outcomes[", i, "]"),
                          new_namespace, *outcome);
    }
    checked_namespace = &outcome->namespace_();
  }
  return absl::OkStatus();
}

int64_t ResultTtlMs(const v1::TaskOutcome& outcome, int64_t default_ttl_ms) {
  if (!outcome.has_result_ttl()) {
    return default_ttl_ms;
  }
  // Saturates on both sides.
  const absl::Duration ttl = absl::Seconds(outcome.result_ttl().seconds()) +
                             absl::Nanoseconds(outcome.result_ttl().nanos());
  return std::clamp(absl::ToInt64Milliseconds(ttl), kTtlMinMs,
                    absl::ToInt64Milliseconds(kResultTtlMax));
}

void AppendOutcome(v1::TaskOutcome* outcome, std::string* out) {
  std::string name_space;
  std::string task_id;
  name_space.swap(*outcome->mutable_namespace_());
  task_id.swap(*outcome->mutable_task_id());
  APIUM_CHECK(outcome->AppendToString(out)) << "a message beyond 2 GiB";
  name_space.swap(*outcome->mutable_namespace_());
  task_id.swap(*outcome->mutable_task_id());
}

}  // namespace apium::results
