#include "common/rpc/grpc_status.h"

#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "apium/rpc/v1/error_details.pb.h"
#include "common/error_reason.h"
#include "common/strings.h"
#include "common/utf8.h"

namespace apium {
namespace {

// Trailers of a call, all together, may have 8 KiB before a gRPC peer refuses
// them. The message travels twice: as grpc-message and in the details.
constexpr size_t kMessageBytesMax = 1024;
constexpr size_t kDetailsBytesMax = 4096;

constexpr absl::string_view kGoogleRpcPrefix =
    "type.googleapis.com/google.rpc.";
constexpr absl::string_view kErrorInfoUrl =
    "type.googleapis.com/google.rpc.ErrorInfo";

// NOT_FOUND for an error that nobody gave a reason: every answer carries one.
absl::Status WithSomeReason(const absl::Status& status) {
  if (status.ok() || !ReasonOf(status).empty()) return status;
  return WithReason(status, absl::StatusCodeToString(status.code()));
}

}  // namespace

void StatusToProto(const absl::Status& status, rpc::v1::Status* proto) {
  proto->Clear();
  if (status.ok()) return;
  const absl::Status complete = WithSomeReason(status);
  proto->set_code(static_cast<int>(complete.code()));
  proto->set_message(
      ToValidUtf8(StdView(complete.message()), kMessageBytesMax));
  const auto add = [proto](absl::string_view url, const absl::Cord& payload) {
    google::protobuf::Any* detail = proto->add_details();
    detail->set_type_url(std::string(url));
    detail->set_value(std::string(payload));
  };
  // ErrorInfo goes first, and the others only while they fit.
  size_t bytes = 0;
  if (const auto info = complete.GetPayload(kErrorInfoUrl)) {
    add(kErrorInfoUrl, *info);
    bytes += info->size();
  }
  complete.ForEachPayload(
      [&](absl::string_view url, const absl::Cord& payload) {
        if (url == kErrorInfoUrl || !absl::StartsWith(url, kGoogleRpcPrefix)) {
          return;
        }
        bytes += payload.size();
        if (bytes <= kDetailsBytesMax) add(url, payload);
      });
}

absl::Status StatusFromProto(const rpc::v1::Status& proto) {
  absl::Status status(static_cast<absl::StatusCode>(proto.code()),
                      proto.message());
  for (const google::protobuf::Any& detail : proto.details()) {
    status.SetPayload(detail.type_url(), absl::Cord(detail.value()));
  }
  return status;
}

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  rpc::v1::Status details;
  StatusToProto(status, &details);
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                      details.message(), details.SerializeAsString());
}

absl::Status FromGrpcStatus(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  absl::Status result(static_cast<absl::StatusCode>(status.error_code()),
                      status.error_message());
  rpc::v1::Status details;
  if (details.ParseFromString(status.error_details())) {
    for (const google::protobuf::Any& detail : details.details()) {
      result.SetPayload(detail.type_url(), absl::Cord(detail.value()));
    }
  }
  return result;
}

}  // namespace apium
