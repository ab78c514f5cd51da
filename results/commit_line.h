#ifndef APIUM_RESULTS_COMMIT_LINE_H_
#define APIUM_RESULTS_COMMIT_LINE_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "results/effect_sink.h"
#include "results/effects.h"

namespace apium {
class Clock;
class Store;
}  // namespace apium

namespace apium::results {

class ResultMetrics;

// Makes the effects of groups durable, and then releases them, in their order.
// Groups that wait share one sync; while one sync runs, one more group is
// written and the mailbox fills, so that groups grow with the load and no timer
// is needed.
//
// A failed Write or Sync is final: memory is ahead of the disk and must not be
// served. Nothing is released from then on, and `on_failure` is called once.
class CommitLine {
 public:
  // All outlive this; `metrics` may be null. `on_failure` is called on the
  // thread that failed, without a lock, and must not destroy this.
  CommitLine(Store* store, EffectSink* sink, const Clock* clock,
             ResultMetrics* metrics,
             std::function<void(const absl::Status&)> on_failure);
  // Commits what was submitted, then stops the thread.
  ~CommitLine();
  CommitLine(const CommitLine&) = delete;
  CommitLine& operator=(const CommitLine&) = delete;

  // Core thread. Empty effects to fill; waits while enough are on their way.
  // Null after a failure.
  std::unique_ptr<ResultEffects> NewEffects() ABSL_LOCKS_EXCLUDED(mu_);

  // Core thread. Writes at once, so that the core reads its own writes; syncs
  // and releases later. With nothing more to do (`more_waits` false) and
  // nothing else on its way, syncs right here: that saves two wake-ups.
  void Submit(std::unique_ptr<ResultEffects> effects, bool more_waits)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Any thread. What the core found out that ends the service.
  void Fail(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mu_);

  // Any thread. OK, or what ended it.
  absl::Status failure() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Group {
    std::unique_ptr<ResultEffects> effects;
    bool wrote = false;
  };

  void Run();
  // One thread at a time: whoever has set busy_.
  void Commit(std::vector<Group>* groups) ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status SyncAndRelease(const std::vector<Group>& groups);

  Store* const store_;
  EffectSink* const sink_;
  const Clock* const clock_;
  ResultMetrics* const metrics_;
  const std::function<void(const absl::Status&)> on_failure_;

  mutable absl::Mutex mu_;
  absl::CondVar work_;   // for the commit thread
  absl::CondVar space_;  // for the core thread
  std::vector<Group> waiting_ ABSL_GUARDED_BY(mu_);
  std::vector<std::unique_ptr<ResultEffects>> free_ ABSL_GUARDED_BY(mu_);
  bool busy_ ABSL_GUARDED_BY(mu_) = false;  // somebody is in Commit
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status failure_ ABSL_GUARDED_BY(mu_);
  std::thread thread_;
};

}  // namespace apium::results

#endif  // APIUM_RESULTS_COMMIT_LINE_H_
