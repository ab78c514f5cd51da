#include "common/shutdown.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <utility>

#include "common/check.h"

namespace apium {
namespace {

sigset_t StopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

}  // namespace

ShutdownSignal::ShutdownSignal() {
  const sigset_t signals = StopSignals();
  APIUM_CHECK(pthread_sigmask(SIG_BLOCK, &signals, nullptr) == 0);
  watcher_ = std::thread([this] { WatchSignals(); });
}

ShutdownSignal::~ShutdownSignal() {
  closing_ = true;
  // Wakes sigwait in that thread alone.
  pthread_kill(watcher_.native_handle(), SIGTERM);
  watcher_.join();
}

void ShutdownSignal::WatchSignals() {
  const sigset_t signals = StopSignals();
  bool first = true;
  while (true) {
    int signal = 0;
    if (sigwait(&signals, &signal) != 0) continue;
    if (closing_) return;
    // Whoever sends a second signal does not want to wait for an orderly end.
    // No destructors, no flush: what must survive is on disk already.
    if (!first) _exit(128 + signal);
    first = false;
    Request(signal == SIGTERM ? "SIGTERM" : "SIGINT");
  }
}

void ShutdownSignal::Wait() { WaitFor(absl::InfiniteDuration()); }

bool ShutdownSignal::WaitFor(absl::Duration timeout) {
  absl::MutexLock lock(&mu_);
  return mu_.AwaitWithTimeout(absl::Condition(&requested_), timeout);
}

bool ShutdownSignal::requested() const {
  absl::MutexLock lock(&mu_);
  return requested_;
}

std::string ShutdownSignal::reason() const {
  absl::MutexLock lock(&mu_);
  return reason_;
}

void ShutdownSignal::Request(std::string reason) {
  absl::MutexLock lock(&mu_);
  if (requested_) return;
  requested_ = true;
  reason_ = std::move(reason);
}

}  // namespace apium
