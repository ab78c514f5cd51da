#include "broker/storage/retry_policy_codec.h"

#include <string>
#include <utility>

#include "absl/time/time.h"
#include "apium/storage/v1/record.pb.h"

namespace apium::broker {

namespace pb = ::apium::storage::v1;

void RetryPolicyToRecord(const RetryPolicy& policy,
                         pb::RetryPolicyRecord* record) {
  record->set_max_attempts(policy.max_attempts);
  record->set_initial_delay_nanos(
      absl::ToInt64Nanoseconds(policy.initial_delay));
  record->set_multiplier(policy.multiplier);
  record->set_max_delay_nanos(absl::ToInt64Nanoseconds(policy.max_delay));
  record->set_jitter(policy.jitter);
  for (const std::string& type : policy.non_retryable_types)
    record->add_non_retryable_types(type);
  record->set_max_crashes(policy.max_crashes);
  record->set_max_returns(policy.max_returns);
  if (policy.total_time_limit != absl::InfiniteDuration()) {
    record->set_total_time_limit_nanos(
        absl::ToInt64Nanoseconds(policy.total_time_limit));
  }
}

RetryPolicy RetryPolicyFromRecord(pb::RetryPolicyRecord* record) {
  RetryPolicy policy;
  policy.max_attempts = record->max_attempts();
  policy.initial_delay = absl::Nanoseconds(record->initial_delay_nanos());
  policy.multiplier = record->multiplier();
  policy.max_delay = absl::Nanoseconds(record->max_delay_nanos());
  policy.jitter = record->jitter();
  for (std::string& type : *record->mutable_non_retryable_types())
    policy.non_retryable_types.push_back(std::move(type));
  policy.max_crashes = record->max_crashes();
  policy.max_returns = record->max_returns();
  if (record->total_time_limit_nanos() != 0) {
    policy.total_time_limit =
        absl::Nanoseconds(record->total_time_limit_nanos());
  }
  return policy;
}

}  // namespace apium::broker
