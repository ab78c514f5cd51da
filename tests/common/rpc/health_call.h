#ifndef APIUM_TESTS_COMMON_RPC_HEALTH_CALL_H_
#define APIUM_TESTS_COMMON_RPC_HEALTH_CALL_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace grpc {
class Channel;
}

namespace apium {

// Calls grpc.health.v1.Health/Check for `service`, with messages encoded by
// hand because Debian does not carry health.proto. True if SERVING, false if
// NOT_SERVING.
absl::StatusOr<bool> CheckHealth(const std::shared_ptr<grpc::Channel>& channel,
                                 const std::string& service);

}  // namespace apium

#endif  // APIUM_TESTS_COMMON_RPC_HEALTH_CALL_H_
