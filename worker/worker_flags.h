#ifndef APIUM_WORKER_WORKER_FLAGS_H_
#define APIUM_WORKER_WORKER_FLAGS_H_

#include "absl/time/time.h"
#include "common/server_flags.h"
#include "worker/worker.h"

namespace CLI {
class App;
}

namespace apium {

// What the command line of apium-worker says.
struct WorkerFlags {
  ServerFlags server;
  WorkerOptions worker;
  absl::Duration shutdown_grace = absl::Seconds(30);
};

// Adds all flags to `app`. A bad value ends parsing with a CLI::ParseError that
// names the flag, the value and what would be right. `flags` must outlive the
// parsing.
void AddWorkerFlags(CLI::App* app, WorkerFlags* flags);

}  // namespace apium

#endif  // APIUM_WORKER_WORKER_FLAGS_H_
