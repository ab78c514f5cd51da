// Tells a script which ports a server got when it asked for port 0.

#ifndef APIUM_COMMON_PORT_FILE_H_
#define APIUM_COMMON_PORT_FILE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace apium {

struct BoundPorts {
  int grpc = 0;  // 0: no such listener
  int http = 0;

  friend bool operator==(const BoundPorts&, const BoundPorts&) = default;
};

// Writes "grpc=PORT\nhttp=PORT\n" to a temporary file beside `path` and renames
// it, so that a reader sees all or nothing. Write it last, when the server
// answers.
absl::Status WritePortFile(const std::string& path, const BoundPorts& ports);

// NOT_FOUND while the file is not there yet; INVALID_ARGUMENT when it is
// something else.
absl::StatusOr<BoundPorts> ReadPortFile(const std::string& path);

}  // namespace apium

#endif  // APIUM_COMMON_PORT_FILE_H_
