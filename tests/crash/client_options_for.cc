#include "tests/crash/client_options_for.h"

namespace apium::crash {

ClientOptions ClientOptionsFor(const std::string& address,
                               absl::Duration deadline) {
  ClientOptions options;
  options.addresses = {address};
  options.deadline = deadline;
  options.retry.backoff = {.initial = absl::Milliseconds(10),
                           .multiplier = 2,
                           .max = absl::Milliseconds(100),
                           .jitter = 0.5};
  return options;
}

}  // namespace apium::crash
