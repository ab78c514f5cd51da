#include "common/port_file.h"

#include <string.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string_view>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/strings.h"

namespace apium {
namespace {

absl::Status FileError(std::string_view verb, std::string_view path,
                       int error) {
  return absl::UnavailableError(
      StrCat("cannot ", verb, " the port file ", path, ": ", strerror(error)));
}

}  // namespace

absl::Status WritePortFile(const std::string& path, const BoundPorts& ports) {
  // The process id keeps two processes that share a path by mistake from
  // writing into each other's file.
  const std::string temporary = StrCat(path, ".", getpid(), ".tmp");
  {
    std::ofstream file(temporary, std::ios::trunc);
    if (!file) return FileError("create", temporary, errno);
    file << "grpc=" << ports.grpc << "\nhttp=" << ports.http << "\n";
    file.close();
    if (!file) {
      const int error = errno;
      std::remove(temporary.c_str());
      return FileError("write", temporary, error);
    }
  }
  if (std::rename(temporary.c_str(), path.c_str()) != 0) {
    const int error = errno;
    std::remove(temporary.c_str());
    return FileError("rename to", path, error);
  }
  return absl::OkStatus();
}

absl::StatusOr<BoundPorts> ReadPortFile(const std::string& path) {
  std::ifstream file(path);
  if (!file) return absl::NotFoundError(StrCat("there is no port file ", path));
  std::stringstream text;
  text << file.rdbuf();
  BoundPorts ports;
  for (absl::string_view line :
       absl::StrSplit(text.str(), '\n', absl::SkipEmpty())) {
    bool understood = false;
    if (absl::ConsumePrefix(&line, "grpc=")) {
      understood = absl::SimpleAtoi(line, &ports.grpc);
    } else if (absl::ConsumePrefix(&line, "http=")) {
      understood = absl::SimpleAtoi(line, &ports.http);
    }
    if (!understood) {
      return absl::InvalidArgumentError(
          StrCat(path, " is not a port file: it has the line \"", line, "\""));
    }
  }
  return ports;
}

}  // namespace apium
