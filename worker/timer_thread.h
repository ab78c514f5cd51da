#ifndef APIUM_WORKER_TIMER_THREAD_H_
#define APIUM_WORKER_TIMER_THREAD_H_

#include <functional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/clock.h"

namespace apium {

// Calls a function when it is time: heartbeats, reconnects, time limits of all
// sessions of a worker. One thread, asleep until something is due.
class TimerThread {
 public:
  // `run` gets the monotonic time and returns when it wants to be called next
  // (infinite: not until WakeBy). `clock` outlives this.
  TimerThread(const Clock* clock,
              std::function<absl::Duration(absl::Duration now)> run);
  // Joins. `run` is not called afterwards.
  ~TimerThread();
  TimerThread(const TimerThread&) = delete;
  TimerThread& operator=(const TimerThread&) = delete;

  // Calls `run` at `monotonic` at the latest. Any thread; cheap if it would be
  // called by then anyway.
  void WakeBy(absl::Duration monotonic) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Loop() ABSL_LOCKS_EXCLUDED(mu_);

  const Clock* const clock_;
  const std::function<absl::Duration(absl::Duration)> run_;
  absl::Mutex mu_;
  absl::CondVar changed_;
  absl::Duration wake_at_ ABSL_GUARDED_BY(mu_) = absl::ZeroDuration();
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace apium

#endif  // APIUM_WORKER_TIMER_THREAD_H_
