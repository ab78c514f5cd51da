#include "cli/payload_options.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "client/json_payload.h"
#include "common/names.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "common/utf8.h"

namespace apium::cli {
namespace {

// What begins so was meant to be JSON: taking it for text would hide a typing
// mistake.
constexpr std::string_view kJsonStarts = "{[\"";

absl::StatusOr<nlohmann::json> ParseValue(const std::string& text) {
  nlohmann::json value =
      nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!value.is_discarded()) return value;
  if (!text.empty() &&
      kJsonStarts.find(text.front()) != std::string_view::npos) {
    return absl::InvalidArgumentError(
        StrCat(QuoteForMessage(text),
               " begins like JSON but is not; text that begins so must be "
               "quoted as JSON"));
  }
  return nlohmann::json(text);
}

std::string ReadAll(std::istream* in) {
  return std::string(std::istreambuf_iterator<char>(*in),
                     std::istreambuf_iterator<char>());
}

absl::StatusOr<std::string> ReadFile(const std::string& path,
                                     std::istream* in) {
  if (path == "-") return ReadAll(in);
  std::ifstream file(path, std::ios::binary);
  if (!file)
    return absl::NotFoundError(StrCat("cannot read ", QuoteForMessage(path),
                                      ": ", std::strerror(errno)));
  return ReadAll(&file);
}

std::string GuessContentType(const std::string& data) {
  if (nlohmann::json::accept(data)) return "application/json";
  return IsValidUtf8(data) ? "text/plain" : "application/octet-stream";
}

}  // namespace

absl::StatusOr<v1::Payload> MakePayload(const PayloadOptions& options,
                                        std::istream* in) {
  const bool arguments = !options.args.empty() || !options.kwargs.empty();
  if (arguments + options.payload.has_value() +
          options.payload_file.has_value() >
      1) {
    return absl::InvalidArgumentError(
        "give either arguments, or --payload, or --payload-file");
  }
  if (!options.payload.has_value() && !options.payload_file.has_value()) {
    nlohmann::json args = nlohmann::json::array();
    for (const std::string& text : options.args) {
      APIUM_ASSIGN_OR_RETURN(nlohmann::json value, ParseValue(text));
      args.push_back(std::move(value));
    }
    nlohmann::json kwargs = nlohmann::json::object();
    for (const auto& [name, text] : options.kwargs) {
      APIUM_ASSIGN_OR_RETURN(kwargs[name], ParseValue(text));
    }
    return JsonPayloadOfArguments(std::move(args), std::move(kwargs));
  }
  v1::Payload payload;
  if (options.payload.has_value()) {
    payload.set_data(*options.payload == "-" ? ReadAll(in) : *options.payload);
  } else {
    APIUM_ASSIGN_OR_RETURN(*payload.mutable_data(),
                           ReadFile(*options.payload_file, in));
  }
  payload.set_content_type(options.content_type.empty()
                               ? GuessContentType(payload.data())
                               : options.content_type);
  return payload;
}

}  // namespace apium::cli
