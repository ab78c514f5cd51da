// SIGTERM and SIGINT become a request to stop.

#ifndef APIUM_COMMON_SHUTDOWN_H_
#define APIUM_COMMON_SHUTDOWN_H_

#include <atomic>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace apium {

// One per process, made in main before any other thread starts: it blocks the
// two signals in the calling thread, and threads inherit that. A thread of its
// own then waits for them, so that no code runs in a signal handler. The second
// signal ends the process at once with status 128 + signal number.
class ShutdownSignal {
 public:
  ShutdownSignal();
  ~ShutdownSignal();
  ShutdownSignal(const ShutdownSignal&) = delete;
  ShutdownSignal& operator=(const ShutdownSignal&) = delete;

  // Returns when a stop is requested. Any thread, any number of times.
  void Wait();
  // Waits at most `timeout`; true if a stop is requested.
  bool WaitFor(absl::Duration timeout);
  bool requested() const;
  // "SIGTERM", "SIGINT", or what was given to Request; empty before. Any
  // thread.
  std::string reason() const;

  // Requests a stop from inside. The first reason is kept. Any thread.
  void Request(std::string reason);

 private:
  void WatchSignals();

  mutable absl::Mutex mu_;
  bool requested_ ABSL_GUARDED_BY(mu_) = false;
  std::string reason_ ABSL_GUARDED_BY(mu_);
  std::atomic<bool> closing_{false};
  std::thread watcher_;
};

}  // namespace apium

#endif  // APIUM_COMMON_SHUTDOWN_H_
