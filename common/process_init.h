#ifndef APIUM_COMMON_PROCESS_INIT_H_
#define APIUM_COMMON_PROCESS_INIT_H_

#include "common/log.h"

namespace apium {

// What every main does first, after its flags and before its first thread:
// logging (gRPC's own messages too), SIGPIPE ignored (a write to a closed
// socket is an error code, not a death), the limit of open files raised, and
// Abseil's deadlock detection off (Debian's build has it on; it costs 3 to 6 %
// of the CPU of a unary call).
void InitProcess(const LogOptions& log_options);

}  // namespace apium

#endif  // APIUM_COMMON_PROCESS_INIT_H_
