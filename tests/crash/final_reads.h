#ifndef APIUM_TESTS_CRASH_FINAL_READS_H_
#define APIUM_TESTS_CRASH_FINAL_READS_H_

#include <memory>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "tests/crash/history.h"
#include "tests/crash/log_watch.h"

namespace apium {
class ResultClient;
class TaskClient;
}  // namespace apium

namespace apium::crash {

// What is there when the clients have stopped and nothing is killed any more.
// One thread.
class FinalReads {
 public:
  // The drain may take `timeout`, and so may the reads after it; what cannot be
  // read by then is recorded as such.
  FinalReads(const std::string& broker_address,
             const std::string& results_address, absl::Duration timeout);
  ~FinalReads();

  // Waits until every task that `history` knows of has ended, and its outcome
  // has come to `live`; a last task, which goes into `history`, too, tells that
  // nothing is left in the log before it. Then reads the log, each task at the
  // broker and at the result service, and the queues, into `history`.
  void Read(LogWatch* live, History* history);

 private:
  // Until the deadline; not negative.
  absl::Duration Remaining() const;
  void AwaitEnds(const std::set<std::string>& ids);
  // Submits the last task and waits until `live` has seen it.
  absl::Status EndLog(LogWatch* live, History* history);
  absl::Status ReadLog(History* history);
  void ReadTasks(const std::set<std::string>& ids, History* history);
  absl::Status ReadQueues(History* history);

  const std::string broker_address_;
  const std::string results_address_;
  const absl::Duration timeout_;
  absl::Time deadline_;
  std::unique_ptr<TaskClient> tasks_;
  std::unique_ptr<ResultClient> results_;
};

}  // namespace apium::crash

#endif  // APIUM_TESTS_CRASH_FINAL_READS_H_
