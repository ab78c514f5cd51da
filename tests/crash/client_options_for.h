#ifndef APIUM_TESTS_CRASH_CLIENT_OPTIONS_FOR_H_
#define APIUM_TESTS_CRASH_CLIENT_OPTIONS_FOR_H_

#include <string>

#include "absl/time/time.h"
#include "client/client_options.h"

namespace apium::crash {

// How this test's clients reach a server: with shorter back-offs than usual,
// because a restart takes a fraction of a second here.
ClientOptions ClientOptionsFor(const std::string& address,
                               absl::Duration deadline);

}  // namespace apium::crash

#endif  // APIUM_TESTS_CRASH_CLIENT_OPTIONS_FOR_H_
