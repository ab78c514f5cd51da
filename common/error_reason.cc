#include "common/error_reason.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "apium/rpc/v1/error_details.pb.h"
#include "common/check.h"
#include "common/strings.h"
#include "common/utf8.h"

namespace apium {
namespace {

constexpr char kErrorInfoUrl[] = "type.googleapis.com/google.rpc.ErrorInfo";
constexpr char kBadRequestUrl[] = "type.googleapis.com/google.rpc.BadRequest";
constexpr char kRetryInfoUrl[] = "type.googleapis.com/google.rpc.RetryInfo";

constexpr size_t kReasonBytesMax = 63;
constexpr size_t kTextBytesMax = 256;
constexpr int kFieldViolationsMax = 16;
constexpr size_t kMetadataEntriesMax = 16;

bool IsWellFormedReason(std::string_view reason) {
  if (reason.size() < 2 || reason.size() > kReasonBytesMax) return false;
  if (!absl::ascii_isupper(reason.front()) || reason.back() == '_') {
    return false;
  }
  return std::all_of(reason.begin(), reason.end(), [](char c) {
    return absl::ascii_isupper(c) || absl::ascii_isdigit(c) || c == '_';
  });
}

// The payload under `url`, or an empty message if there is none or it cannot be
// parsed (it came from a foreign server).
template <typename Message>
Message PayloadOf(const absl::Status& status, const char* url) {
  Message message;
  const absl::optional<absl::Cord> payload = status.GetPayload(url);
  if (payload.has_value() && !message.ParseFromString(std::string(*payload))) {
    message.Clear();
  }
  return message;
}

template <typename Message>
void SetPayload(const Message& message, const char* url, absl::Status* status) {
  status->SetPayload(url, absl::Cord(message.SerializeAsString()));
}

}  // namespace

absl::Status WithReason(absl::Status status, std::string_view reason,
                        const ErrorMetadata& metadata) {
  APIUM_CHECK(IsWellFormedReason(reason)) << reason;
  if (status.ok()) return status;
  rpc::v1::ErrorInfo info;
  info.set_reason(std::string(reason));
  info.set_domain(std::string(kErrorDomain));
  for (const auto& [key, value] : metadata) {
    if (info.metadata().size() == kMetadataEntriesMax) break;
    (*info.mutable_metadata())[ToValidUtf8(key, kTextBytesMax)] =
        ToValidUtf8(value, kTextBytesMax);
  }
  SetPayload(info, kErrorInfoUrl, &status);
  return status;
}

absl::Status WithFieldViolation(absl::Status status, std::string_view field,
                                std::string_view description) {
  if (status.ok()) return status;
  auto bad_request = PayloadOf<rpc::v1::BadRequest>(status, kBadRequestUrl);
  if (bad_request.field_violations_size() < kFieldViolationsMax) {
    auto* violation = bad_request.add_field_violations();
    violation->set_field(ToValidUtf8(field, kTextBytesMax));
    violation->set_description(ToValidUtf8(description, kTextBytesMax));
    SetPayload(bad_request, kBadRequestUrl, &status);
  }
  return status;
}

absl::Status WithFieldRoot(const absl::Status& status, std::string_view root,
                           std::string_view new_root) {
  if (status.ok()) return status;
  const auto rooted = [&](const std::string& text) {
    const bool begins = text.compare(0, root.size(), root) == 0;
    const bool ends =
        begins && (text.size() == root.size() || text[root.size()] == '.' ||
                   text[root.size()] == ':');
    return ends ? StrCat(new_root, text.substr(root.size())) : text;
  };
  absl::Status moved(status.code(),
                     AbslView(rooted(std::string(status.message()))));
  status.ForEachPayload([&](absl::string_view url, const absl::Cord& payload) {
    moved.SetPayload(url, payload);
  });
  auto bad_request = PayloadOf<rpc::v1::BadRequest>(status, kBadRequestUrl);
  for (auto& violation : *bad_request.mutable_field_violations()) {
    violation.set_field(ToValidUtf8(rooted(violation.field()), kTextBytesMax));
  }
  if (bad_request.field_violations_size() > 0) {
    SetPayload(bad_request, kBadRequestUrl, &moved);
  }
  auto info = PayloadOf<rpc::v1::ErrorInfo>(status, kErrorInfoUrl);
  const auto field = info.mutable_metadata()->find("field");
  if (field != info.metadata().end()) {
    field->second = ToValidUtf8(rooted(field->second), kTextBytesMax);
    SetPayload(info, kErrorInfoUrl, &moved);
  }
  return moved;
}

absl::Status WithRetryDelay(absl::Status status, absl::Duration delay) {
  if (status.ok()) return status;
  // Ten thousand years is what google.protobuf.Duration holds; a day is more
  // than any caller should be told to wait.
  delay = std::clamp(delay, absl::ZeroDuration(), absl::Hours(24));
  rpc::v1::RetryInfo info;
  const int64_t seconds = absl::IDivDuration(delay, absl::Seconds(1), &delay);
  info.mutable_retry_delay()->set_seconds(seconds);
  info.mutable_retry_delay()->set_nanos(
      static_cast<int32_t>(absl::ToInt64Nanoseconds(delay)));
  SetPayload(info, kRetryInfoUrl, &status);
  return status;
}

absl::Status InvalidField(std::string_view field,
                          std::string_view description) {
  return WithFieldViolation(
      WithReason(absl::InvalidArgumentError(StrCat(field, ": ", description)),
                 reason::kInvalidField, {{"field", std::string(field)}}),
      field, description);
}

absl::Status NotImplemented(std::string_view what) {
  return WithReason(
      absl::UnimplementedError(
          StrCat(what, " is not implemented in this version of the server")),
      reason::kNotImplemented);
}

std::string ReasonOf(const absl::Status& status) {
  return PayloadOf<rpc::v1::ErrorInfo>(status, kErrorInfoUrl).reason();
}

ErrorMetadata ReasonMetadataOf(const absl::Status& status) {
  const auto info = PayloadOf<rpc::v1::ErrorInfo>(status, kErrorInfoUrl);
  ErrorMetadata metadata(info.metadata().begin(), info.metadata().end());
  std::sort(metadata.begin(), metadata.end());
  return metadata;
}

std::vector<std::pair<std::string, std::string>> FieldViolationsOf(
    const absl::Status& status) {
  const auto bad_request =
      PayloadOf<rpc::v1::BadRequest>(status, kBadRequestUrl);
  std::vector<std::pair<std::string, std::string>> violations;
  for (const auto& violation : bad_request.field_violations()) {
    violations.emplace_back(violation.field(), violation.description());
  }
  return violations;
}

std::optional<absl::Duration> RetryDelayOf(const absl::Status& status) {
  const auto info = PayloadOf<rpc::v1::RetryInfo>(status, kRetryInfoUrl);
  if (!info.has_retry_delay()) return std::nullopt;
  return std::max(absl::ZeroDuration(),
                  absl::Seconds(info.retry_delay().seconds()) +
                      absl::Nanoseconds(info.retry_delay().nanos()));
}

}  // namespace apium
