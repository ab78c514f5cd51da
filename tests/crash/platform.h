#ifndef APIUM_TESTS_CRASH_PLATFORM_H_
#define APIUM_TESTS_CRASH_PLATFORM_H_

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tests/crash/history.h"
#include "tests/support/child_process.h"

namespace apium::crash {

struct PlatformOptions {
  // For data, logs and histories. Must not exist yet.
  std::string folder;
  std::string broker_binary = "broker/apium-broker";
  std::vector<std::string> broker_flags;
  // Of history_worker, each with 4 slots and a prefetch of 2.
  size_t workers = 2;
  // An apium-worker on the queue "builtin".
  bool builtin_worker = true;
};

// The real binaries as processes of their own: broker, result service, workers.
// One thread, which must outlive it: its processes die with that thread.
class Platform {
 public:
  // The queues that the workers take tasks from.
  static constexpr char kQueue[] = "crash";
  static constexpr char kBuiltinQueue[] = "builtin";
  // Places in the list of processes; the built-in worker and the other workers
  // follow.
  static constexpr size_t kBroker = 0;
  static constexpr size_t kResults = 1;
  static constexpr size_t kFirstWorker = 2;

  // Starts all of it, and makes the queues.
  static absl::StatusOr<std::unique_ptr<Platform>> Start(
      PlatformOptions options);

  const std::string& broker_address() const { return broker_address_; }
  const std::string& results_address() const { return results_address_; }
  size_t process_count() const { return processes_.size(); }
  ProcessKind kind(size_t process) const { return processes_[process].kind; }

  // SIGKILL to all of `processes` at once; returns when they are gone.
  void Kill(const std::vector<size_t>& processes, size_t round);
  // Starts what is dead; waits for nothing.
  absl::Status StartDead();
  // Waits until broker and result service serve. DEADLINE_EXCEEDED, or
  // FAILED_PRECONDITION when one of them ended by itself.
  absl::Status AwaitServing(absl::Duration timeout);
  // FAILED_PRECONDITION names a process that ended by itself.
  absl::Status CheckAlive();

  const std::vector<KillRecord>& kills() const { return kills_; }
  // All that the workers wrote so far.
  absl::StatusOr<std::vector<ExecutionRecord>> ReadExecutions() const;

 private:
  struct Process {
    ProcessKind kind = ProcessKind::kBroker;
    std::string name;  // of its files
    std::vector<std::string> arguments;
    std::unique_ptr<ChildProcess> child;  // null: dead
    size_t starts = 0;
    bool serving = false;
  };
  struct HistoryFile {
    std::string path;
    std::string worker;
  };

  explicit Platform(PlatformOptions options);
  absl::Status StartAll();
  absl::Status MakeQueues();
  absl::Status StartProcess(Process* process);
  std::string PortFile(const Process& process) const;
  // As in KillRecord.
  static std::string NameOf(const Process& process);

  const PlatformOptions options_;
  std::string broker_address_;
  std::string results_address_;
  std::vector<Process> processes_;
  std::vector<KillRecord> kills_;
  std::vector<HistoryFile> histories_;
};

}  // namespace apium::crash

#endif  // APIUM_TESTS_CRASH_PLATFORM_H_
