#ifndef APIUM_WORKER_POOL_THREAD_POOL_H_
#define APIUM_WORKER_POOL_THREAD_POOL_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "worker/pool/pool.h"

namespace apium {

// Runs attempts on at most `slots` threads of this process, made as they are
// needed.
//
// A batch of short tasks must not cost a wake-up for each task. So whoever adds
// work wakes (or makes) one thread. A thread that finds more work behind its
// own wakes the next before it runs its task, unless one is on its way already.
// A batch of long tasks thus spreads over the threads one wake-up after the
// other; a batch of very short ones is done by the first before the second is
// awake.
//
// Outcomes are collected: a thread that goes on to its next task leaves them to
// the thread that is on its way, which hands over everything that it finds.
// Without one on its way it hands them over first, because its next task may be
// long.
class ThreadPool final : public Pool {
 public:
  // `execute` gives an attempt its outcome, on the calling thread; it outlives
  // the pool.
  ThreadPool(uint32_t slots, std::function<void(Attempt*)> execute);
  // Waits for what runs; what waits is dropped. Handlers that do not obey a
  // cancel keep it waiting.
  ~ThreadPool() override;

  void Run(std::vector<std::shared_ptr<Attempt>>* attempts) override
      ABSL_LOCKS_EXCLUDED(mu_);
  void Cancel(const std::shared_ptr<Attempt>& attempt, CancelCause cause,
              std::string_view reason) override ABSL_LOCKS_EXCLUDED(mu_);
  void CancelWaiting(CancelCause cause, std::string_view reason) override
      ABSL_LOCKS_EXCLUDED(mu_);
  uint32_t busy() const override ABSL_LOCKS_EXCLUDED(mu_);
  bool WaitIdle(absl::Duration timeout) override ABSL_LOCKS_EXCLUDED(mu_);

 private:
  using Attempts = std::vector<std::shared_ptr<Attempt>>;

  // One thread that waits to be woken, on that thread's stack.
  struct Sleeper {
    absl::CondVar wake_up;
    bool woken = false;  // guarded by mu_
  };

  void RunThread() ABSL_LOCKS_EXCLUDED(mu_);
  // If there is work that nobody is on the way to, wakes or makes a thread.
  void WakeOne() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Gives attempts that were cancelled before they ran back to their owners.
  void GiveBack(Attempts* cancelled) ABSL_LOCKS_EXCLUDED(mu_);
  // Hands outcomes to their owners.
  static void HandOver(Attempts* finished);

  const std::function<void(Attempt*)> execute_;

  mutable absl::Mutex mu_;
  std::deque<std::shared_ptr<Attempt>> queue_ ABSL_GUARDED_BY(mu_);
  Attempts finished_ ABSL_GUARDED_BY(mu_);  // not handed over yet
  uint32_t busy_ ABSL_GUARDED_BY(mu_) = 0;
  // Threads that sleep. The last one to fall asleep is woken first: its stack
  // and its allocator's cache are warm.
  std::vector<Sleeper*> idle_ ABSL_GUARDED_BY(mu_);
  // A thread was woken or made and has not looked at the queue yet.
  bool on_its_way_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  // Attempts taken over and not handed back.
  uint64_t unfinished_ ABSL_GUARDED_BY(mu_) = 0;
  // `slots`, or fewer if the operating system gives no more.
  size_t threads_max_ ABSL_GUARDED_BY(mu_);
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(mu_);
};

}  // namespace apium

#endif  // APIUM_WORKER_POOL_THREAD_POOL_H_
