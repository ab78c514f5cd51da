#ifndef APIUM_BROKER_SERVICE_RETRY_POLICY_FROM_PROTO_H_
#define APIUM_BROKER_SERVICE_RETRY_POLICY_FROM_PROTO_H_

#include <string>

#include "absl/status/status.h"
#include "broker/engine/task.h"

namespace apium::v1 {
class RetryPolicy;
}  // namespace apium::v1

namespace apium::broker {

// Checks every field of `proto`, fills in the defaults, and takes its strings.
// INVALID_ARGUMENT / INVALID_FIELD names the field, behind `prefix`
// ("spec.retry_policy"). Any thread.
absl::Status RetryPolicyFromProto(const std::string& prefix,
                                  v1::RetryPolicy* proto, RetryPolicy* policy);

}  // namespace apium::broker

#endif  // APIUM_BROKER_SERVICE_RETRY_POLICY_FROM_PROTO_H_
