#ifndef APIUM_BROKER_ENGINE_CONFIRM_WAITERS_H_
#define APIUM_BROKER_ENGINE_CONFIRM_WAITERS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "broker/engine/sinks.h"

namespace apium::broker {

// Callers that wait until the result service has confirmed a position of the
// outbox. Few, and not for long: a plain list. Memory only.
class ConfirmWaiters {
 public:
  static constexpr size_t kMax = 1000;

  struct Waiter {
    uint64_t position = 0;
    ReplyAddress to;
    absl::Time deadline = absl::InfiniteFuture();
  };

  bool empty() const { return waiters_.empty(); }
  bool full() const { return waiters_.size() >= kMax; }
  void Add(Waiter waiter) { waiters_.push_back(std::move(waiter)); }

  // Those who wait for `position` or less, who are then forgotten.
  std::vector<ReplyAddress> TakeConfirmed(uint64_t position) {
    return TakeIf([&](const Waiter& w) { return w.position <= position; });
  }
  // Those whose deadline has come, who are then forgotten.
  std::vector<ReplyAddress> TakeExpired(absl::Time now) {
    return TakeIf([&](const Waiter& w) { return w.deadline <= now; });
  }
  void Forget(const ReplySink* sink) {
    TakeIf([&](const Waiter& w) { return w.to.sink.get() == sink; });
  }
  absl::Time NextTime() const {
    absl::Time next = absl::InfiniteFuture();
    for (const Waiter& waiter : waiters_)
      next = std::min(next, waiter.deadline);
    return next;
  }

 private:
  template <typename Condition>
  std::vector<ReplyAddress> TakeIf(Condition condition) {
    std::vector<ReplyAddress> taken;
    std::vector<Waiter> others;
    for (Waiter& waiter : waiters_) {
      if (condition(waiter)) {
        taken.push_back(std::move(waiter.to));
      } else {
        others.push_back(std::move(waiter));
      }
    }
    waiters_.swap(others);
    return taken;
  }

  std::vector<Waiter> waiters_;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_CONFIRM_WAITERS_H_
