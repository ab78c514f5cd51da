#ifndef APIUM_WORKER_SLOT_LEDGER_H_
#define APIUM_WORKER_SLOT_LEDGER_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace apium {

// Divides what a worker can hold (slots + prefetch) among its brokers. A place
// is taken when credit for it is granted and given back when the task that used
// the credit is over.
//
// One broker gets everything. With several, credit cannot be taken back from a
// broker that has no work, so each may hold only a share of unused credit; a
// share is reserved for each, and the rest goes to whoever asks first. A busy
// broker asks again as its credit is used and so grows beyond its share; an
// idle one keeps no more than its share idle. Any thread.
class SlotLedger {
 public:
  // `capacity` >= 1, `brokers` >= 1. With more brokers than capacity each still
  // gets one place, or it could never be heard.
  SlotLedger(uint32_t capacity, size_t brokers);
  SlotLedger(const SlotLedger&) = delete;
  SlotLedger& operator=(const SlotLedger&) = delete;

  // Most unused credit that one broker may hold.
  uint32_t share() const { return share_; }
  uint32_t capacity() const { return capacity_; }

  // Takes at most `want` places for `broker`, and says how many.
  uint32_t Take(size_t broker, uint32_t want) ABSL_LOCKS_EXCLUDED(mu_);

  // Gives `count` places of `broker` back. True if another broker got less than
  // it wanted since: tell it.
  bool Give(size_t broker, uint32_t count) ABSL_LOCKS_EXCLUDED(mu_);

  // Places that `broker` holds.
  uint32_t held(size_t broker) const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Account {
    uint32_t held = 0;
    bool wants_more = false;
  };

  const uint32_t capacity_;
  const uint32_t share_;
  mutable absl::Mutex mu_;
  // Places beyond the reserved shares.
  uint32_t unreserved_free_ ABSL_GUARDED_BY(mu_);
  std::vector<Account> accounts_ ABSL_GUARDED_BY(mu_);
};

}  // namespace apium

#endif  // APIUM_WORKER_SLOT_LEDGER_H_
