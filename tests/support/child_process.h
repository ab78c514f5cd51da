#ifndef APIUM_TESTS_SUPPORT_CHILD_PROCESS_H_
#define APIUM_TESTS_SUPPORT_CHILD_PROCESS_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/port_file.h"

namespace apium {

// A program that runs as a child of this one, and dies with it. One thread.
class ChildProcess {
 public:
  struct Options {
    std::vector<std::string> arguments;  // the program first, as a path
    std::string output_file;  // stdout and stderr are appended; empty: as ours
  };
  static absl::StatusOr<std::unique_ptr<ChildProcess>> Start(
      const Options& options);
  // Kills it, unless it has ended.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  void Signal(int signal);
  // True once it has ended; never waits.
  bool HasEnded();
  // Waits for the end and returns what waitpid says, with kill(SIGKILL) after
  // `timeout`.
  int Wait(absl::Duration timeout = absl::InfiniteDuration());
  // SIGKILL, and waits for the end.
  void Kill();

  // Resident memory and CPU time used so far; 0 once it has ended.
  size_t ResidentBytes() const;
  absl::Duration CpuTime() const;

 private:
  explicit ChildProcess(pid_t pid) : pid_(pid) {}

  const pid_t pid_;
  bool ended_ = false;
  int wait_status_ = 0;
};

// Waits until a server has written its port file (its --port-file flag).
// DEADLINE_EXCEEDED, or FAILED_PRECONDITION when the process ends before.
absl::StatusOr<BoundPorts> AwaitPortFile(ChildProcess* process,
                                         const std::string& path,
                                         absl::Duration timeout);

}  // namespace apium

#endif  // APIUM_TESTS_SUPPORT_CHILD_PROCESS_H_
