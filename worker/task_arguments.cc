#include "worker/task_arguments.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/names.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "worker/task_error.h"

namespace apium {
namespace {

// The media type without its parameters, lower case.
std::string MediaType(std::string_view content_type) {
  const absl::string_view text = AbslView(content_type);
  return absl::AsciiStrToLower(
      absl::StripAsciiWhitespace(text.substr(0, text.find(';'))));
}

// A parameter of a media type, without quotes; empty if there is none.
std::string MediaTypeParameter(std::string_view content_type,
                               std::string_view name) {
  std::vector<absl::string_view> parts =
      absl::StrSplit(AbslView(content_type), ';');
  for (size_t i = 1; i < parts.size(); ++i) {
    std::pair<absl::string_view, absl::string_view> parameter =
        absl::StrSplit(parts[i], absl::MaxSplits('=', 1));
    if (!absl::EqualsIgnoreCase(absl::StripAsciiWhitespace(parameter.first),
                                AbslView(name))) {
      continue;
    }
    absl::string_view value = absl::StripAsciiWhitespace(parameter.second);
    if (absl::ConsumePrefix(&value, "\"")) absl::ConsumeSuffix(&value, "\"");
    return std::string(value);
  }
  return "";
}

absl::Status CheckNotEncoded(const v1::Payload& payload) {
  if (payload.content_encoding().empty() ||
      payload.content_encoding() == "identity") {
    return absl::OkStatus();
  }
  return BadArguments(StrCat("the payload's content_encoding is ",
                             QuoteForMessage(payload.content_encoding()),
                             "; this handler reads it only without one"));
}

absl::Status WrongType(const v1::Payload& payload, std::string_view wanted) {
  return BadArguments(StrCat("the payload's content_type is ",
                             QuoteForMessage(payload.content_type()),
                             ", expected ", wanted));
}

}  // namespace

absl::StatusOr<TaskArguments> TaskArguments::Parse(const v1::Payload& payload) {
  TaskArguments arguments;
  if (payload.data().empty()) return arguments;
  if (MediaType(payload.content_type()) != kJsonContentType) {
    return WrongType(payload, kJsonContentType);
  }
  APIUM_RETURN_IF_ERROR(CheckNotEncoded(payload));
  nlohmann::json json = nlohmann::json::parse(payload.data(), nullptr,
                                              /*allow_exceptions=*/false);
  constexpr std::string_view kForm =
      "expected {\"args\": [...], \"kwargs\": {...}}";
  if (json.is_discarded()) {
    return BadArguments(StrCat("the payload is not valid JSON; ", kForm));
  }
  if (!json.is_object()) {
    return BadArguments(
        StrCat("the payload is JSON of type ", json.type_name(), "; ", kForm));
  }
  for (auto& [key, value] : json.items()) {
    if (key == "args" && value.is_array()) {
      arguments.positional_ = std::move(value);
    } else if (key == "kwargs" && value.is_object()) {
      arguments.named_ = std::move(value);
    } else {
      return BadArguments(StrCat("the payload's member ", QuoteForMessage(key),
                                 " of type ", value.type_name(),
                                 " is not known; ", kForm));
    }
  }
  return arguments;
}

absl::Status TaskArguments::Bind(const std::vector<std::string>& names,
                                 size_t parameters_max) {
  if (positional_.size() > parameters_max) {
    return BadArguments(StrCat("got ", positional_.size(),
                               " positional arguments, expected at most ",
                               parameters_max));
  }
  bound_.assign(parameters_max, nullptr);
  for (size_t i = 0; i < positional_.size(); ++i) bound_[i] = &positional_[i];
  for (const auto& [name, value] : named_.items()) {
    const size_t index =
        std::find(names.begin(), names.end(), name) - names.begin();
    if (index >= names.size() || index >= parameters_max) {
      return BadArguments(StrCat(
          "unknown named argument ", QuoteForMessage(name),
          names.empty() ? "; this task takes positional ones only" : ""));
    }
    if (bound_[index] != nullptr) {
      return BadArguments(StrCat("argument ", QuoteForMessage(name),
                                 " is given by position and by name"));
    }
    bound_[index] = &value;
  }
  return absl::OkStatus();
}

const nlohmann::json* TaskArguments::Find(size_t index) const {
  return index < bound_.size() ? bound_[index] : nullptr;
}

const nlohmann::json* TaskArguments::FindNamed(std::string_view name) const {
  auto it = named_.find(name);
  return it == named_.end() ? nullptr : &*it;
}

absl::Status TaskArguments::Error(const std::vector<std::string>& names,
                                  size_t index, std::string_view what) {
  std::string label = StrCat("argument ", index + 1);
  if (index < names.size()) StrAppend(&label, " (", names[index], ")");
  return BadArguments(StrCat(label, ": ", what));
}

std::string ProtobufContentType(std::string_view full_name) {
  return StrCat(kProtobufContentType, "; messageType=", full_name);
}

absl::Status CheckProtobufPayload(const v1::Payload& payload,
                                  std::string_view full_name) {
  const std::string type = MediaType(payload.content_type());
  if (type != kProtobufContentType && type != "application/protobuf") {
    return WrongType(payload, ProtobufContentType(full_name));
  }
  APIUM_RETURN_IF_ERROR(CheckNotEncoded(payload));
  const std::string named =
      MediaTypeParameter(payload.content_type(), "messageType");
  if (!named.empty() && named != full_name) {
    return WrongType(payload, ProtobufContentType(full_name));
  }
  return absl::OkStatus();
}

}  // namespace apium
