// What a command prints, in the format that the user chose.

#ifndef APIUM_CLI_OUTPUT_H_
#define APIUM_CLI_OUTPUT_H_

#include <ostream>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace google::protobuf {
class Message;
}

namespace apium::cli {

enum class Format {
  kTable,
  kJson,  // Protobuf's canonical JSON mapping
  kYaml,  // the same data
};

// "table" | "json" | "yaml". INVALID_ARGUMENT names the choices.
absl::StatusOr<Format> ParseFormat(std::string_view text);

// Indented by two, in the order of the fields' numbers, with a line end.
std::string ToJson(const google::protobuf::Message& message);
// One line, with its end.
std::string ToJsonLine(const google::protobuf::Message& message);
std::string ToYaml(const google::protobuf::Message& message);

// Data goes to one stream, messages to the other.
class Output {
 public:
  // Borrows the streams.
  Output(Format format, bool color, bool quiet, std::ostream* out,
         std::ostream* err)
      : format_(format), color_(color), quiet_(quiet), out_(out), err_(err) {}

  Format format() const { return format_; }
  bool quiet() const { return quiet_; }
  // Of what goes to out().
  bool color() const { return color_; }
  std::ostream* out() const { return out_; }

  // `message`, or what `print_table` writes to out() if that is the format.
  void Print(const google::protobuf::Message& message,
             absl::FunctionRef<void()> print_table) const;
  // One of many that come one by one: a line of JSON, a document of YAML.
  void PrintOneOfMany(const google::protobuf::Message& message,
                      absl::FunctionRef<void()> print_table) const;

  // A remark for people; nothing if quiet.
  void Note(std::string_view text) const;
  // Why the command failed: text, or JSON in the formats for programs.
  void PrintError(const absl::Status& status) const;

 private:
  const Format format_;
  const bool color_;
  const bool quiet_;
  std::ostream* const out_;
  std::ostream* const err_;
};

}  // namespace apium::cli

#endif  // APIUM_CLI_OUTPUT_H_
