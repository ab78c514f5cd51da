#ifndef APIUM_TESTS_CRASH_LOG_WATCH_H_
#define APIUM_TESTS_CRASH_LOG_WATCH_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "apium/v1/task.pb.h"
#include "client/result_client.h"

namespace apium::crash {

// Watches the result service's log from its beginning, and goes on where it was
// whenever the service comes back. Any thread.
class LogWatch {
 public:
  // `on_outcome` runs for each outcome, on a thread of gRPC's; may be empty.
  LogWatch(const std::string& results_address,
           std::function<void()> on_outcome);
  // Ends the watch.
  ~LogWatch();
  LogWatch(const LogWatch&) = delete;
  LogWatch& operator=(const LogWatch&) = delete;

  // Waits for the outcome of a task. DEADLINE_EXCEEDED; or why the watch ended.
  absl::Status AwaitTask(const std::string& task_id, absl::Duration timeout)
      ABSL_LOCKS_EXCLUDED(mu_);
  // What it saw, in order.
  std::vector<v1::TaskOutcome> outcomes() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  const std::function<void()> on_outcome_;
  mutable absl::Mutex mu_;
  std::vector<v1::TaskOutcome> outcomes_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_set<std::string> tasks_ ABSL_GUARDED_BY(mu_);
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status end_ ABSL_GUARDED_BY(mu_);
  // Last, so that its callbacks end first.
  std::unique_ptr<ResultClient> client_;
};

}  // namespace apium::crash

#endif  // APIUM_TESTS_CRASH_LOG_WATCH_H_
