#ifndef APIUM_COMMON_RPC_MESSAGE_BYTES_H_
#define APIUM_COMMON_RPC_MESSAGE_BYTES_H_

#include <grpcpp/support/byte_buffer.h>

#include "absl/status/status.h"

namespace google::protobuf {
class MessageLite;
}

namespace apium {

// Messages of streams whose reactors read and write bytes
// (WithRawCallbackMethod_): to one that reads messages, gRPC reports bytes that
// are no message like the end of the stream, and nobody would hear of them.

// Empties `bytes`. INVALID_ARGUMENT / PROTOCOL_VIOLATION: they are no message
// of this type.
absl::Status ParseMessage(grpc::ByteBuffer* bytes,
                          google::protobuf::MessageLite* message);

void SerializeMessage(const google::protobuf::MessageLite& message,
                      grpc::ByteBuffer* bytes);

}  // namespace apium

#endif  // APIUM_COMMON_RPC_MESSAGE_BYTES_H_
