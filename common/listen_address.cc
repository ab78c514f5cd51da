#include "common/listen_address.h"

#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "absl/strings/numbers.h"
#include "common/error_reason.h"
#include "common/strings.h"

namespace apium {
namespace {

constexpr int kPortMax = 65535;

absl::Status BadAddress(std::string_view text, std::string_view problem) {
  return WithReason(
      absl::InvalidArgumentError(StrCat(
          "\"", text, "\" is not an address: ", problem,
          "; write host:port, [ipv6]:port, or :port for all interfaces")),
      reason::kInvalidField);
}

// Binds a socket to `address` as a listener would; returns 0 or errno.
int TryListen(const addrinfo& address) {
  const int fd = socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  // As servers do, so that connections of an earlier process in TIME_WAIT do
  // not count as "taken".
  const int yes = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  int error = 0;
  if (bind(fd, address.ai_addr, address.ai_addrlen) != 0 ||
      listen(fd, 1) != 0) {
    error = errno;
  }
  close(fd);
  return error;
}

}  // namespace

absl::StatusOr<HostPort> ParseHostPort(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    return BadAddress(text, "there is no port");
  }
  std::string_view host = text.substr(0, colon);
  if (!host.empty() && host.front() == '[') {
    if (host.back() != ']') return BadAddress(text, "a bracket is open");
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return BadAddress(text, "an IPv6 address needs brackets");
  }
  HostPort address = {.host = std::string(host)};
  const std::string_view port = text.substr(colon + 1);
  // SimpleAtoi would take spaces and signs.
  if (port.empty() ||
      port.find_first_not_of("0123456789") != std::string_view::npos ||
      !absl::SimpleAtoi(AbslView(port), &address.port) ||
      address.port > kPortMax) {
    return BadAddress(text, "the port is not a number from 0 to 65535");
  }
  return address;
}

std::string FormatHostPort(const HostPort& address) {
  if (address.host.find(':') != std::string::npos) {
    return StrCat("[", address.host, "]:", address.port);
  }
  return StrCat(address.host, ":", address.port);
}

HostPort LoopbackOf(const HostPort& address) {
  if (address.host.empty() || address.host == "0.0.0.0") {
    return {.host = "127.0.0.1", .port = address.port};
  }
  if (address.host == "::") return {.host = "::1", .port = address.port};
  return address;
}

absl::Status CheckCanListen(const HostPort& address) {
  addrinfo hints = {};
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const std::string shown = FormatHostPort(address);
  const int lookup =
      getaddrinfo(address.host.empty() ? nullptr : address.host.c_str(),
                  StrCat(address.port).c_str(), &hints, &found);
  if (lookup != 0) {
    return WithReason(
        absl::InvalidArgumentError(
            StrCat("cannot listen at ", shown,
                   ": the host does not resolve: ", gai_strerror(lookup))),
        reason::kInvalidField);
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> addresses(
      found, &freeaddrinfo);
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    const int error = TryListen(*each);
    // A host without IPv6 still listens on IPv4.
    if (error == 0 || error == EAFNOSUPPORT) continue;
    if (error == EADDRINUSE) {
      return WithReason(
          absl::UnavailableError(StrCat(
              "cannot listen at ", shown,
              ": another process already listens there; stop it or choose "
              "another port")),
          reason::kAddressInUse, {{"address", shown}});
    }
    return absl::FailedPreconditionError(
        StrCat("cannot listen at ", shown, ": ", strerror(error)));
  }
  return absl::OkStatus();
}

}  // namespace apium
