#ifndef APIUM_BROKER_STORAGE_RECORD_VALUE_H_
#define APIUM_BROKER_STORAGE_RECORD_VALUE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "broker/storage/key_format.h"

// What the codecs of the broker's rows share.
namespace apium::broker {

// DATA_LOSS: a row of kind `what` is not as an encoder writes it.
inline absl::Status DamagedRow(const char* what) {
  return absl::DataLossError(
      absl::StrCat("the store holds a damaged ", what, " row"));
}

template <typename Message>
bool ParseRecord(std::string_view value, Message* message) {
  return message->ParseFromArray(value.data(), static_cast<int>(value.size()));
}

// Values that go by compaction: the time comes first, so that the filter reads
// eight bytes, and the message behind it.
//   value := keep_until_millis:64 message
inline constexpr size_t kKeepUntilBytes = 8;

// Nothing: the value is too short to be one.
inline std::optional<int64_t> KeepUntilOf(std::string_view value) {
  if (value.size() < kKeepUntilBytes) return std::nullopt;
  return static_cast<int64_t>(*DecodeNumber(value.substr(0, kKeepUntilBytes)));
}

template <typename Message>
std::string SerializeKept(int64_t keep_until_millis, const Message& message) {
  std::string value = EncodeNumber(static_cast<uint64_t>(keep_until_millis));
  message.AppendToString(&value);
  return value;
}

template <typename Message>
bool ParseKept(std::string_view value, Message* message) {
  if (value.size() < kKeepUntilBytes) return false;
  return ParseRecord(value.substr(kKeepUntilBytes), message);
}

}  // namespace apium::broker

#endif  // APIUM_BROKER_STORAGE_RECORD_VALUE_H_
