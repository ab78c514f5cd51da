// How a client reaches its server.

#ifndef APIUM_CLIENT_CLIENT_OPTIONS_H_
#define APIUM_CLIENT_CLIENT_OPTIONS_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/limits.h"
#include "common/retry_backoff.h"

namespace apium {

// When a call that failed is tried again. Only what cannot do harm is repeated:
// UNAVAILABLE always (every call that the client repeats is idempotent),
// RESOURCE_EXHAUSTED only where the server names a delay, anything else never.
struct ClientRetryOptions {
  // Attempts in a row that may fail, the first included. 0: as many as the
  // deadline has room for; 1: no retry.
  int attempts_max = 0;
  BackoffPolicy backoff = {.initial = absl::Milliseconds(100),
                           .multiplier = 2,
                           .max = absl::Seconds(5),
                           .jitter = 0.5};
};

struct ClientOptions {
  // host:port, or a gRPC target such as "dns:///apium-broker:7450" or
  // "unix:/run/apium.sock". Several must be IP addresses of one family with
  // ports: the first that can be reached is used, and the next one when it is
  // lost.
  std::vector<std::string> addresses = {"127.0.0.1:7450"};
  // What every request names.
  std::string namespace_name = "default";
  // Time for one call with all its attempts; for a call that waits, the wait's
  // own timeout counts instead. > 0.
  absl::Duration deadline = absl::Seconds(10);
  ClientRetryOptions retry;
  // Put before gRPC's own in "user-agent", for example "billing/3.1".
  std::string user_agent;
  // An HTTP/2 ping after so much silence finds a dead peer behind a silent
  // network while calls are open. >= 10 s, which is what servers permit.
  absl::Duration keepalive = kKeepalivePing;
};

}  // namespace apium

#endif  // APIUM_CLIENT_CLIENT_OPTIONS_H_
