// What a submitter may ask for, with C++ types.

#ifndef APIUM_CLIENT_SUBMIT_OPTIONS_H_
#define APIUM_CLIENT_SUBMIT_OPTIONS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "apium/v1/task.pb.h"

namespace apium {

// Each field left as it is means the server's default; see TaskSpec and
// RetryPolicy in apium/v1/task.proto for ranges.
struct SubmitRetryOptions {
  std::optional<uint32_t> attempts_max;
  std::optional<absl::Duration> initial_delay;
  std::optional<double> multiplier;
  std::optional<absl::Duration> delay_max;
  std::optional<double> jitter;
  std::vector<std::string> non_retryable_types;
  std::optional<uint32_t> crashes_max;
  std::optional<uint32_t> returns_max;
  std::optional<absl::Duration> total_time_limit;
};

// At most one task per key: see Unique in apium/v1/task.proto.
struct SubmitUniqueOptions {
  std::string key;  // empty: none
  v1::UniqueScope scope = v1::UNIQUE_SCOPE_UNSPECIFIED;
  std::optional<absl::Duration> window;
  v1::UniqueConflict on_conflict = v1::UNIQUE_CONFLICT_UNSPECIFIED;
};

// Its place among others, and on workers: see TaskSpec in apium/v1/task.proto,
// and docs/queues.md.
struct SubmitPlacementOptions {
  std::string fairness_key;               // empty: none
  std::optional<double> fairness_weight;  // with a fairness key
  std::string ordering_key;               // empty: none
  v1::OrderingFailurePolicy ordering_failure_policy =
      v1::ORDERING_FAILURE_POLICY_UNSPECIFIED;  // with an ordering key
  std::map<std::string, std::string> required_labels;
  std::map<std::string, std::string> preferred_labels;
  std::string sticky_key;  // empty: none
  std::map<std::string, std::string> limit_keys;
};

//   client->Submit({.type = "mail.send", .payload = JsonArguments(7), .delay =
//   absl::Minutes(5)});
struct SubmitOptions {
  std::string type;  // required
  v1::Payload payload;
  // Empty: the client mints a UUIDv7, so that its retries do not submit twice.
  std::string task_id;
  std::string queue;                      // or exchange
  std::string exchange;                   // or queue
  std::string routing_key;                // with an exchange
  std::optional<uint32_t> priority;       // 0 to 255, higher first
  std::optional<absl::Duration> delay;    // or eta
  std::optional<absl::Time> eta;          // or delay
  std::optional<absl::Duration> expires;  // from acceptance; or expire_time
  std::optional<absl::Time> expire_time;  // or expires
  SubmitRetryOptions retry;
  std::optional<absl::Duration> result_ttl;
  std::optional<absl::Duration> soft_time_limit;
  std::map<std::string, std::string> headers;
  v1::ResultMode result_mode = v1::RESULT_MODE_UNSPECIFIED;
  v1::DeliveryMode delivery_mode = v1::DELIVERY_MODE_UNSPECIFIED;
  std::string batch_id;  // open batch that it joins; empty: none
  SubmitUniqueOptions unique;
  SubmitPlacementOptions placement;
  // Of the call, not of the task: another call with the same id and content
  // gets the same answer for 24 h. Empty: the client mints one where its own
  // retries need it.
  std::string request_id;
};

// The same as a message, without `request_id`. Nothing is checked: the server
// is the judge.
v1::TaskSpec ToTaskSpec(SubmitOptions options);

}  // namespace apium

#endif  // APIUM_CLIENT_SUBMIT_OPTIONS_H_
