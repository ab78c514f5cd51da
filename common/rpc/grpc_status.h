// absl::Status <-> grpc::Status: the only place that translates.

#ifndef APIUM_COMMON_RPC_GRPC_STATUS_H_
#define APIUM_COMMON_RPC_GRPC_STATUS_H_

#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace apium::rpc::v1 {
class Status;
}

namespace apium {

// For a server's answer. Code and message are kept; the facts that
// common/error_reason put on `status` travel as a google.rpc.Status in
// `grpc-status-details-bin`. An error without a reason gets one named after its
// code, so that every answer carries exactly one ErrorInfo.
grpc::Status ToGrpcStatus(const absl::Status& status);

// For a client's result. Details that cannot be parsed are left out, the code
// and message are kept.
absl::Status FromGrpcStatus(const grpc::Status& status);

// The same as a message, for per-item statuses inside a response
// (wire-compatible with google.rpc.Status).
void StatusToProto(const absl::Status& status, apium::rpc::v1::Status* proto);
absl::Status StatusFromProto(const apium::rpc::v1::Status& proto);

}  // namespace apium

#endif  // APIUM_COMMON_RPC_GRPC_STATUS_H_
