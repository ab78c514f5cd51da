#include "worker/stop_signals.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdint>

#include "common/check.h"

namespace apium {

StopSignals::StopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  APIUM_CHECK(pthread_sigmask(SIG_BLOCK, &signals, nullptr) == 0);
  signal_fd_ = signalfd(-1, &signals, SFD_CLOEXEC);
  note_fd_ = eventfd(0, EFD_CLOEXEC);
  APIUM_CHECK(signal_fd_ >= 0 && note_fd_ >= 0) << "no descriptors at start";
}

StopSignals::~StopSignals() {
  close(signal_fd_);
  close(note_fd_);
}

std::string StopSignals::Wait() {
  while (true) {
    pollfd fds[] = {{.fd = signal_fd_, .events = POLLIN},
                    {.fd = note_fd_, .events = POLLIN}};
    if (poll(fds, 2, /*timeout=*/-1) <= 0) continue;  // EINTR
    if (fds[0].revents != 0) {
      signalfd_siginfo info;
      if (read(signal_fd_, &info, sizeof(info)) != sizeof(info)) continue;
      return info.ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT";
    }
    uint64_t count = 0;
    if (read(note_fd_, &count, sizeof(count)) == sizeof(count)) return "";
  }
}

void StopSignals::Note() {
  const uint64_t one = 1;
  APIUM_CHECK(write(note_fd_, &one, sizeof(one)) == sizeof(one));
}

}  // namespace apium
