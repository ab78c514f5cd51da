#include "worker/pool/thread_pool.h"

#include <pthread.h>

#include <algorithm>
#include <iterator>
#include <system_error>
#include <utility>

#include "absl/types/span.h"
#include "common/check.h"
#include "common/log.h"

namespace apium {

ThreadPool::ThreadPool(uint32_t slots, std::function<void(Attempt*)> execute)
    : execute_(std::move(execute)), threads_max_(slots) {}

ThreadPool::~ThreadPool() {
  std::vector<std::thread> threads;
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
    for (Sleeper* sleeper : idle_) sleeper->wake_up.Signal();
    threads.swap(threads_);
  }
  for (std::thread& thread : threads) thread.join();
}

void ThreadPool::Run(Attempts* attempts) {
  if (attempts->empty()) return;
  absl::MutexLock lock(&mu_);
  unfinished_ += attempts->size();
  std::move(attempts->begin(), attempts->end(), std::back_inserter(queue_));
  attempts->clear();
  WakeOne();
}

void ThreadPool::WakeOne() {
  if (on_its_way_ || queue_.empty() || stopping_) return;
  if (!idle_.empty()) {
    on_its_way_ = true;
    idle_.back()->woken = true;
    idle_.back()->wake_up.Signal();
    idle_.pop_back();
  } else if (threads_.size() < threads_max_) {
    try {
      threads_.emplace_back([this] { RunThread(); });
      on_its_way_ = true;
    } catch (const std::system_error& error) {
      // The operating system gives no more: make do with those that there are.
      APIUM_CHECK(!threads_.empty())
          << "cannot make a thread: " << error.what();
      threads_max_ = threads_.size();
      LogWarning("cannot make another thread for tasks",
                 {{"threads", threads_max_}, {"error", error.what()}});
    }
  }
}

void ThreadPool::RunThread() {
  // Or it would be called like the thread that made it.
  pthread_setname_np(pthread_self(), "task");
  Attempts handed_over;
  mu_.Lock();
  bool was_woken = true;
  while (true) {
    if (was_woken) on_its_way_ = false;
    std::shared_ptr<Attempt> attempt;
    if (!queue_.empty() && !stopping_) {
      attempt = std::move(queue_.front());
      queue_.pop_front();
      ++busy_;
      WakeOne();
    }
    // Nobody else comes for what is finished, or this thread is the one.
    if (!finished_.empty() &&
        (attempt == nullptr || was_woken || !on_its_way_)) {
      handed_over.swap(finished_);
      mu_.Unlock();
      const size_t count = handed_over.size();
      HandOver(&handed_over);
      mu_.Lock();
      unfinished_ -= count;
      if (attempt == nullptr) {
        was_woken = false;
        continue;  // there may be work now
      }
    }
    was_woken = false;
    if (attempt == nullptr) {
      if (stopping_) break;
      Sleeper self;
      idle_.push_back(&self);
      while (!self.woken && !stopping_) self.wake_up.Wait(&mu_);
      was_woken = true;
      continue;
    }
    mu_.Unlock();
    execute_(attempt.get());
    mu_.Lock();
    --busy_;
    finished_.push_back(std::move(attempt));
  }
  mu_.Unlock();
}

void ThreadPool::HandOver(Attempts* finished) {
  const absl::Span<const std::shared_ptr<Attempt>> all(*finished);
  size_t begin = 0;
  while (begin < all.size()) {
    AttemptOwner* const owner = all[begin]->owner();
    size_t end = begin + 1;
    while (end < all.size() && all[end]->owner() == owner) ++end;
    owner->OnFinished(all.subspan(begin, end - begin));
    begin = end;
  }
  finished->clear();
}

void ThreadPool::Cancel(const std::shared_ptr<Attempt>& attempt,
                        CancelCause cause, std::string_view reason) {
  attempt->cancel().Cancel(cause, reason);
  {
    absl::MutexLock lock(&mu_);
    auto it = std::find(queue_.begin(), queue_.end(), attempt);
    if (it == queue_.end()) return;
    queue_.erase(it);
  }
  Attempts cancelled = {attempt};
  GiveBack(&cancelled);
}

void ThreadPool::CancelWaiting(CancelCause cause, std::string_view reason) {
  Attempts cancelled;
  {
    absl::MutexLock lock(&mu_);
    std::move(queue_.begin(), queue_.end(), std::back_inserter(cancelled));
    queue_.clear();
  }
  for (const auto& attempt : cancelled) {
    attempt->cancel().Cancel(cause, reason);
  }
  GiveBack(&cancelled);
}

void ThreadPool::GiveBack(Attempts* cancelled) {
  const size_t count = cancelled->size();
  for (const auto& attempt : *cancelled) {
    execute_(attempt.get());  // sees the cancel and does not run it
  }
  HandOver(cancelled);
  absl::MutexLock lock(&mu_);
  unfinished_ -= count;
}

uint32_t ThreadPool::busy() const {
  absl::MutexLock lock(&mu_);
  return busy_;
}

bool ThreadPool::WaitIdle(absl::Duration timeout) {
  absl::MutexLock lock(&mu_);
  return mu_.AwaitWithTimeout(
      absl::Condition(
          +[](uint64_t* unfinished) { return *unfinished == 0; }, &unfinished_),
      timeout);
}

}  // namespace apium
