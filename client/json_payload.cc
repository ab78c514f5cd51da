#include "client/json_payload.h"

#include "common/check.h"
#include "common/names.h"
#include "common/strings.h"

namespace apium {
namespace {

// "application/json", "application/json; charset=utf-8",
// "application/problem+json"; none at all is tried, too.
bool MayBeJson(std::string_view content_type) {
  const std::string_view type = content_type.substr(0, content_type.find(';'));
  return type.empty() || type == kJsonContentType || type.ends_with("+json");
}

}  // namespace

v1::Payload JsonPayload(const nlohmann::json& value) {
  v1::Payload payload;
  payload.set_content_type(std::string(kJsonContentType));
  payload.set_data(
      value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  return payload;
}

v1::Payload JsonPayloadOfArguments(nlohmann::json args, nlohmann::json kwargs) {
  APIUM_CHECK(args.is_array() && kwargs.is_object());
  nlohmann::json value = {{"args", std::move(args)}};
  if (!kwargs.empty()) value["kwargs"] = std::move(kwargs);
  return JsonPayload(value);
}

absl::StatusOr<nlohmann::json> DecodeJson(const v1::Payload& payload) {
  if (!payload.content_encoding().empty()) {
    return absl::InvalidArgumentError(StrCat(
        "payload: its content_encoding is ",
        QuoteForMessage(payload.content_encoding()), "; decode it first"));
  }
  if (!MayBeJson(payload.content_type())) {
    return absl::InvalidArgumentError(
        StrCat("payload: its content_type is ",
               QuoteForMessage(payload.content_type()), ", not ",
               std::string(kJsonContentType)));
  }
  try {
    return nlohmann::json::parse(payload.data());
  } catch (const nlohmann::json::parse_error&
               error) {  // the only way to learn where the text is wrong
    return absl::InvalidArgumentError(StrCat("payload: ", error.what()));
  }
}

}  // namespace apium
