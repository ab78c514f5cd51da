#ifndef APIUM_TESTS_CRASH_RECORDER_H_
#define APIUM_TESTS_CRASH_RECORDER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "tests/crash/history.h"

namespace apium::crash {

struct Progress {
  int64_t acks = 0;      // of new tasks
  int64_t outcomes = 0;  // at the result service
};

// What the clients of a run saw, gathered from all their threads, and how far
// the run is. Any thread.
class Recorder {
 public:
  // A submit that got its answer, or gave up. `first`: of its task id.
  void AddSubmit(SubmitRecord submit, bool first) ABSL_LOCKS_EXCLUDED(mu_);
  void AddCancel(CancelRecord cancel) ABSL_LOCKS_EXCLUDED(mu_);
  void AddObservation(ObservationRecord observation) ABSL_LOCKS_EXCLUDED(mu_);
  // A task has ended.
  void CountOutcome() ABSL_LOCKS_EXCLUDED(mu_);
  void AddMishap(std::string mishap) ABSL_LOCKS_EXCLUDED(mu_);

  // Waits until fewer than `backlog_max` accepted tasks have no outcome yet.
  // False: the run is over.
  bool AwaitRoom(int64_t backlog_max) ABSL_LOCKS_EXCLUDED(mu_);
  // Waits until there are so many acknowledgements and outcomes, at most
  // `timeout`. False: there are not.
  bool AwaitProgress(const Progress& wanted, absl::Duration timeout)
      ABSL_LOCKS_EXCLUDED(mu_);
  // Waits for anything to happen, at most `timeout`. False: the run is over.
  bool AwaitAnything(absl::Duration timeout) ABSL_LOCKS_EXCLUDED(mu_);

  // The clients end.
  void Stop() ABSL_LOCKS_EXCLUDED(mu_);
  bool stopped() const ABSL_LOCKS_EXCLUDED(mu_);

  Progress progress() const ABSL_LOCKS_EXCLUDED(mu_);
  // What was gathered so far.
  History history() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  mutable absl::Mutex mu_;
  History history_ ABSL_GUARDED_BY(mu_);
  Progress progress_ ABSL_GUARDED_BY(mu_);
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace apium::crash

#endif  // APIUM_TESTS_CRASH_RECORDER_H_
