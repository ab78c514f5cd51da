// The payload of a task from the command line.

#ifndef APIUM_CLI_PAYLOAD_OPTIONS_H_
#define APIUM_CLI_PAYLOAD_OPTIONS_H_

#include <istream>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "apium/v1/task.pb.h"

namespace apium::cli {

// Either arguments, or a payload, or the name of its file; "-" stands for `in`
// in both.
struct PayloadOptions {
  std::vector<std::string> args;
  std::map<std::string, std::string> kwargs;
  std::optional<std::string> payload;
  std::optional<std::string> payload_file;
  // Default: application/json if it is JSON, else text/plain if it is UTF-8,
  // else application/octet-stream.
  std::string content_type;
};

// Arguments become {"args": [...], "kwargs": {...}}. Each value is JSON, or
// else text: alice, 3, true, '{"a": 1}'. INVALID_ARGUMENT: more than one kind
// is given, or a value that begins like JSON is none. NOT_FOUND: no such file.
absl::StatusOr<v1::Payload> MakePayload(const PayloadOptions& options,
                                        std::istream* in);

}  // namespace apium::cli

#endif  // APIUM_CLI_PAYLOAD_OPTIONS_H_
