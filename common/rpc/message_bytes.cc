#include "common/rpc/message_bytes.h"

#include <google/protobuf/message_lite.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/impl/grpc_library.h>

#include "common/check.h"
#include "common/error_reason.h"
#include "common/strings.h"

namespace apium {
namespace {

// Fills in the functions behind gRPC's headers. Linked from its archive, a
// program has the library's own initializer only with a channel or a server.
const grpc::internal::GrpcLibraryInitializer grpc_is_initialized;

}  // namespace

absl::Status ParseMessage(grpc::ByteBuffer* bytes,
                          google::protobuf::MessageLite* message) {
  const size_t size = bytes->Length();
  const grpc::Status parsed =
      grpc::GenericDeserialize<grpc::ProtoBufferReader,
                               google::protobuf::MessageLite>(bytes, message);
  if (parsed.ok()) return absl::OkStatus();
  return WithReason(absl::InvalidArgumentError(StrCat("a message of ", size,
                                                      " bytes came that is no ",
                                                      message->GetTypeName())),
                    reason::kProtocolViolation);
}

void SerializeMessage(const google::protobuf::MessageLite& message,
                      grpc::ByteBuffer* bytes) {
  bool own_buffer = false;
  bytes->Clear();
  const grpc::Status status =
      grpc::GenericSerialize<grpc::ProtoBufferWriter,
                             google::protobuf::MessageLite>(message, bytes,
                                                            &own_buffer);
  APIUM_CHECK(status.ok()) << message.GetTypeName();
}

}  // namespace apium
