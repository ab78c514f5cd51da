#include "cli/output.h"

#include <google/protobuf/message.h>
#include <google/protobuf/util/json_util.h>
#include <yaml-cpp/yaml.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "cli/table.h"
#include "common/check.h"
#include "common/error_reason.h"
#include "common/strings.h"

namespace apium::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string CanonicalJson(const google::protobuf::Message& message) {
  std::string json;
  const auto status =
      google::protobuf::util::MessageToJsonString(message, &json);
  // Our own messages always have a JSON form: there is no Any in them, and
  // texts are UTF-8 or could not be parsed.
  APIUM_CHECK(status.ok()) << status.ToString();
  return json;
}

std::string Dump(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

void EmitYaml(const Json& json, YAML::Emitter* yaml) {
  if (json.is_object()) {
    *yaml << YAML::BeginMap;
    for (const auto& [key, value] : json.items()) {
      *yaml << YAML::Key << key << YAML::Value;
      EmitYaml(value, yaml);
    }
    *yaml << YAML::EndMap;
  } else if (json.is_array()) {
    *yaml << YAML::BeginSeq;
    for (const Json& value : json) EmitYaml(value, yaml);
    *yaml << YAML::EndSeq;
  } else if (json.is_string()) {
    // Quoted, so that a reader never takes "true", "12" or a time for anything
    // but text.
    *yaml << YAML::DoubleQuoted << json.get<std::string>();
  } else {
    *yaml << json.dump();
  }
}

Json ErrorToJson(const absl::Status& status) {
  Json error = {{"code", absl::StatusCodeToString(status.code())},
                {"message", std::string(status.message())}};
  if (std::string reason = ReasonOf(status); !reason.empty())
    error["reason"] = std::move(reason);
  for (const auto& [key, value] : ReasonMetadataOf(status))
    error["metadata"][key] = value;
  for (const auto& [field, description] : FieldViolationsOf(status)) {
    error["fieldViolations"].push_back(
        {{"field", field}, {"description", description}});
  }
  return {{"error", std::move(error)}};
}

}  // namespace

absl::StatusOr<Format> ParseFormat(std::string_view text) {
  if (text == "table") return Format::kTable;
  if (text == "json") return Format::kJson;
  if (text == "yaml") return Format::kYaml;
  return absl::InvalidArgumentError("is none of table, json, yaml");
}

std::string ToJson(const google::protobuf::Message& message) {
  return StrCat(Dump(Json::parse(CanonicalJson(message)), 2), "\n");
}

std::string ToJsonLine(const google::protobuf::Message& message) {
  return StrCat(CanonicalJson(message), "\n");
}

std::string ToYaml(const google::protobuf::Message& message) {
  YAML::Emitter yaml;
  EmitYaml(Json::parse(CanonicalJson(message)), &yaml);
  return StrCat(yaml.c_str(), "\n");
}

void Output::Print(const google::protobuf::Message& message,
                   absl::FunctionRef<void()> print_table) const {
  switch (format_) {
    case Format::kTable:
      print_table();
      break;
    case Format::kJson:
      *out_ << ToJson(message);
      break;
    case Format::kYaml:
      *out_ << ToYaml(message);
      break;
  }
  out_->flush();
}

void Output::PrintOneOfMany(const google::protobuf::Message& message,
                            absl::FunctionRef<void()> print_table) const {
  switch (format_) {
    case Format::kTable:
      print_table();
      break;
    case Format::kJson:
      *out_ << ToJsonLine(message);
      break;
    case Format::kYaml:
      *out_ << "---\n" << ToYaml(message);
      break;
  }
  out_->flush();
}

void Output::Note(std::string_view text) const {
  if (!quiet_) *err_ << text << "\n" << std::flush;
}

void Output::PrintError(const absl::Status& status) const {
  if (format_ != Format::kTable) {
    *err_ << Dump(ErrorToJson(status), 2) << "\n" << std::flush;
    return;
  }
  const std::string reason = ReasonOf(status);
  *err_ << "apium: " << Printable(StdView(status.message())) << " ("
        << absl::StatusCodeToString(status.code())
        << (reason.empty() ? "" : StrCat(", ", reason)) << ")\n"
        << std::flush;
}

}  // namespace apium::cli
