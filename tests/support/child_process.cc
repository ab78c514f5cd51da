#include "tests/support/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace apium {
namespace {

// Between looks at a file that another process writes.
constexpr int kLookMillis = 2;

// Becomes readable when the process ends.
int OpenPidFd(pid_t pid) {
  return static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
}

// Waits for the end of the process, at most `timeout`.
void AwaitEnd(pid_t pid, absl::Duration timeout) {
  const int fd = OpenPidFd(pid);
  if (fd < 0) return;
  pollfd waiting{.fd = fd, .events = POLLIN, .revents = 0};
  const int64_t millis = absl::ToInt64Milliseconds(timeout);
  poll(&waiting, 1,
       timeout == absl::InfiniteDuration()
           ? -1
           : static_cast<int>(std::min<int64_t>(millis, 1 << 30)));
  close(fd);
}

}  // namespace

absl::StatusOr<std::unique_ptr<ChildProcess>> ChildProcess::Start(
    const Options& options) {
  if (access(options.arguments.front().c_str(), X_OK) != 0) {
    return absl::NotFoundError(absl::StrCat(
        "cannot execute ", options.arguments.front(), ": ", strerror(errno)));
  }
  std::vector<char*> arguments;
  for (const std::string& argument : options.arguments) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) return absl::UnavailableError(strerror(errno));
  if (pid > 0) {
    return std::unique_ptr<ChildProcess>(new ChildProcess(pid));
  }
  // Only async-signal-safe calls: the parent may have threads.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);
  if (!options.output_file.empty()) {
    const int output = open(options.output_file.c_str(),
                            O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
  }
  execv(arguments[0], arguments.data());
  _exit(127);
}

ChildProcess::~ChildProcess() { Kill(); }

void ChildProcess::Signal(int signal) {
  if (!HasEnded()) kill(pid_, signal);
}

bool ChildProcess::HasEnded() {
  if (!ended_ && waitpid(pid_, &wait_status_, WNOHANG) == pid_) ended_ = true;
  return ended_;
}

int ChildProcess::Wait(absl::Duration timeout) {
  if (HasEnded()) return wait_status_;
  AwaitEnd(pid_, timeout);
  if (!HasEnded()) {
    kill(pid_, SIGKILL);
    waitpid(pid_, &wait_status_, 0);
    ended_ = true;
  }
  return wait_status_;
}

void ChildProcess::Kill() {
  Signal(SIGKILL);
  Wait();
}

size_t ChildProcess::ResidentBytes() const {
  std::ifstream status(absl::StrCat("/proc/", pid_, "/status"));
  std::string word;
  while (status >> word) {
    size_t kibibytes = 0;
    if (word == "VmRSS:" && status >> kibibytes) return kibibytes * 1024;
  }
  return 0;
}

absl::Duration ChildProcess::CpuTime() const {
  clockid_t clock;
  timespec used{};
  if (clock_getcpuclockid(pid_, &clock) != 0) return absl::ZeroDuration();
  if (clock_gettime(clock, &used) != 0) return absl::ZeroDuration();
  return absl::DurationFromTimespec(used);
}

absl::StatusOr<BoundPorts> AwaitPortFile(ChildProcess* process,
                                         const std::string& path,
                                         absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  while (true) {
    absl::StatusOr<BoundPorts> ports = ReadPortFile(path);
    if (ports.ok()) return ports;
    if (process->HasEnded()) {
      return absl::FailedPreconditionError(
          "the process ended before it wrote its port file");
    }
    if (absl::Now() > deadline) {
      return absl::DeadlineExceededError(absl::StrCat(
          "no port file ", path, " after ", absl::FormatDuration(timeout)));
    }
    poll(nullptr, 0, kLookMillis);
  }
}

}  // namespace apium
