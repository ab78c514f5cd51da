#ifndef APIUM_COMMON_LISTEN_ADDRESS_H_
#define APIUM_COMMON_LISTEN_ADDRESS_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace apium {

// Where a server listens, or where a client connects: "host:port",
// "[::1]:port", ":port" (all interfaces).
struct HostPort {
  std::string host;  // without brackets; empty: all interfaces
  int port = 0;      // 0: any free port
};

// INVALID_ARGUMENT names what is wrong with `text`.
absl::StatusOr<HostPort> ParseHostPort(std::string_view text);

// "host:port", with brackets around an IPv6 address.
std::string FormatHostPort(const HostPort& address);

// The address to dial on this machine for a server that listens at `address`: a
// wildcard becomes loopback.
HostPort LoopbackOf(const HostPort& address);

// Tries to bind `address` and lets go again. For the message after a library
// failed to bind without saying why: UNAVAILABLE with reason ADDRESS_IN_USE if
// it is taken, else another error that names the cause; OK if it would work.
absl::Status CheckCanListen(const HostPort& address);

}  // namespace apium

#endif  // APIUM_COMMON_LISTEN_ADDRESS_H_
