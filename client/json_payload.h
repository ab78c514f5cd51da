// Payloads in the SDKs' common form: JSON {"args": [...], "kwargs": {...}} for
// arguments, any JSON value for results.
//
//   client->Submit({.type = "mail.send", .payload =
//   JsonArguments("ada@example.org", 3)}); absl::StatusOr<int> sum =
//   DecodeJsonAs<int>(task.outcome().result());
//
// A header of its own, because nlohmann/json.hpp is heavy.

#ifndef APIUM_CLIENT_JSON_PAYLOAD_H_
#define APIUM_CLIENT_JSON_PAYLOAD_H_

#include <exception>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apium/v1/task.pb.h"
#include "common/strings.h"

namespace apium {

inline constexpr std::string_view kJsonContentType = "application/json";

// `value` as a payload. Text that is not UTF-8 is repaired with U+FFFD, as JSON
// has no other way to carry it.
v1::Payload JsonPayload(const nlohmann::json& value);

// {"args": args, "kwargs": kwargs}; what is empty is left out, `args` never is.
// `args` must be an array, `kwargs` an object (APIUM_CHECK).
v1::Payload JsonPayloadOfArguments(
    nlohmann::json args, nlohmann::json kwargs = nlohmann::json::object());

// Positional arguments of any type that nlohmann::json converts.
template <typename... Args>
v1::Payload JsonArguments(Args&&... args) {
  nlohmann::json array = nlohmann::json::array();
  (array.push_back(nlohmann::json(std::forward<Args>(args))), ...);
  return JsonPayloadOfArguments(std::move(array));
}

// The JSON value in `payload`. INVALID_ARGUMENT: another content type or
// encoding, or not JSON (says where).
absl::StatusOr<nlohmann::json> DecodeJson(const v1::Payload& payload);

// The same as a T. INVALID_ARGUMENT also when the value is no T.
template <typename T>
absl::StatusOr<T> DecodeJsonAs(const v1::Payload& payload) {
  absl::StatusOr<nlohmann::json> value = DecodeJson(payload);
  if (!value.ok()) return value.status();
  try {
    return value->get<T>();
  } catch (const std::exception& error) {  // nlohmann::json reports type errors
                                           // by exception; it ends here
    return absl::InvalidArgumentError(StrCat("payload: ", error.what()));
  }
}

}  // namespace apium

#endif  // APIUM_CLIENT_JSON_PAYLOAD_H_
