#ifndef APIUM_COMMON_RPC_SELF_PROBE_H_
#define APIUM_COMMON_RPC_SELF_PROBE_H_

#include <functional>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace apium {

struct SelfProbeOptions {
  std::string target;  // RpcServer::local_target()
  absl::Duration period = absl::Seconds(5);
  // Of one probe: a new connection and one health call.
  absl::Duration timeout = absl::Seconds(3);
  int failures_max = 3;
  // Called once, on the probe's thread, after `failures_max` failures in a row,
  // with the last error. Must not destroy the probe. A process should end
  // itself: what is wrong with its listener does not heal.
  std::function<void(const absl::Status&)> on_dead;
};

// Dials the process's own listener as a stranger would. gRPC 1.51 stops
// accepting for ever when accept() once runs out of descriptors, while its open
// connections and its in-process health go on: only a new connection shows it.
class SelfProbe {
 public:
  explicit SelfProbe(SelfProbeOptions options);
  // Joins; waits for a running probe, at most `timeout`. Destroy before the
  // server shuts down.
  ~SelfProbe();
  SelfProbe(const SelfProbe&) = delete;
  SelfProbe& operator=(const SelfProbe&) = delete;

  // One probe, on the calling thread: OK if the health service at `target`
  // answered over a new connection, whatever it said.
  static absl::Status ProbeOnce(const std::string& target,
                                absl::Duration timeout);

 private:
  void Run();

  const SelfProbeOptions options_;
  absl::Mutex mu_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace apium

#endif  // APIUM_COMMON_RPC_SELF_PROBE_H_
