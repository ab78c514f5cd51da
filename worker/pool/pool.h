#ifndef APIUM_WORKER_POOL_POOL_H_
#define APIUM_WORKER_POOL_POOL_H_

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "worker/attempt.h"

namespace apium {

// Where attempts run. Each attempt that is taken over goes back to its owner
// once, with an outcome (Attempt::owner()->OnFinished). Any thread.
class Pool {
 public:
  virtual ~Pool() = default;

  // Takes the attempts over, to be started in their order; returns at once.
  // `attempts` is left empty.
  virtual void Run(std::vector<std::shared_ptr<Attempt>>* attempts) = 0;

  // Tells the attempt to stop. One that waits for a slot is over at once.
  virtual void Cancel(const std::shared_ptr<Attempt>& attempt,
                      CancelCause cause, std::string_view reason) = 0;

  // The same to all attempts that wait for a slot.
  virtual void CancelWaiting(CancelCause cause, std::string_view reason) = 0;

  // Attempts that run now.
  virtual uint32_t busy() const = 0;

  // Waits until no attempt runs or waits, at most `timeout`. True if so.
  virtual bool WaitIdle(absl::Duration timeout) = 0;
};

}  // namespace apium

#endif  // APIUM_WORKER_POOL_POOL_H_
