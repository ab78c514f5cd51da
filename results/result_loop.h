#ifndef APIUM_RESULTS_RESULT_LOOP_H_
#define APIUM_RESULTS_RESULT_LOOP_H_

#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "results/commit_line.h"
#include "results/mailbox.h"
#include "results/result_core.h"

namespace apium {
class Clock;
class Store;
}  // namespace apium

namespace apium::results {

class ResultMetrics;

// Drives ResultCore: takes everything that waits in the mailbox, lets the core
// decide, and hands the effects to the commit line. Two threads: one decides,
// one syncs and releases.
class ResultLoop {
 public:
  struct Parts {
    Mailbox* mailbox = nullptr;
    Store* store = nullptr;
    EffectSink* sink = nullptr;
    const Clock* clock = nullptr;
    ResultMetrics* metrics = nullptr;  // may be null
    // A failed store is final. Called once, on a thread of the loop, after the
    // mailbox is closed; must not destroy the loop.
    std::function<void(const absl::Status&)> on_failure;
  };

  // `core` is recovered. All parts outlive this. Starts the threads.
  ResultLoop(std::unique_ptr<ResultCore> core, Parts parts);
  // Stop, if it was not called.
  ~ResultLoop();
  ResultLoop(const ResultLoop&) = delete;
  ResultLoop& operator=(const ResultLoop&) = delete;

  // Once. Closes the mailbox with `status`, commits and releases all that was
  // accepted, ends every open call and stream with `status`, and joins. After a
  // failure nothing more is committed or released.
  void Stop(const absl::Status& status);

 private:
  void Run();
  void ShowCounts();

  const std::unique_ptr<ResultCore> core_;
  const Parts parts_;
  std::unique_ptr<CommitLine> commit_;
  std::thread thread_;
  absl::Status stop_status_;  // set before the mailbox is closed by Stop
};

}  // namespace apium::results

#endif  // APIUM_RESULTS_RESULT_LOOP_H_
