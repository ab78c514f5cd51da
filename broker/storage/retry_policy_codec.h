#ifndef APIUM_BROKER_STORAGE_RETRY_POLICY_CODEC_H_
#define APIUM_BROKER_STORAGE_RETRY_POLICY_CODEC_H_

#include "broker/engine/task.h"

namespace apium::storage::v1 {
class RetryPolicyRecord;
}  // namespace apium::storage::v1

namespace apium::broker {

// A part of the rows of tasks and queues.
void RetryPolicyToRecord(const RetryPolicy& policy,
                         apium::storage::v1::RetryPolicyRecord* record);
// Takes from `record`.
RetryPolicy RetryPolicyFromRecord(
    apium::storage::v1::RetryPolicyRecord* record);

}  // namespace apium::broker

#endif  // APIUM_BROKER_STORAGE_RETRY_POLICY_CODEC_H_
