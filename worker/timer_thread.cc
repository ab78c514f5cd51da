#include "worker/timer_thread.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

namespace apium {

TimerThread::TimerThread(const Clock* clock,
                         std::function<absl::Duration(absl::Duration)> run)
    : clock_(clock), run_(std::move(run)), thread_([this] { Loop(); }) {}

TimerThread::~TimerThread() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
    changed_.Signal();
  }
  thread_.join();
}

void TimerThread::WakeBy(absl::Duration monotonic) {
  absl::MutexLock lock(&mu_);
  if (monotonic >= wake_at_) return;
  wake_at_ = monotonic;
  changed_.Signal();
}

void TimerThread::Loop() {
  pthread_setname_np(pthread_self(), "timer");
  mu_.Lock();
  while (!stopping_) {
    const absl::Duration now = clock_->Monotonic();
    if (now < wake_at_) {
      changed_.WaitWithTimeout(&mu_, wake_at_ - now);
      continue;
    }
    wake_at_ = absl::InfiniteDuration();
    mu_.Unlock();
    const absl::Duration next = run_(now);
    mu_.Lock();
    wake_at_ = std::min(wake_at_, next);
  }
  mu_.Unlock();
}

}  // namespace apium
