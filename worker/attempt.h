#ifndef APIUM_WORKER_ATTEMPT_H_
#define APIUM_WORKER_ATTEMPT_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "apium/v1/worker_service.pb.h"
#include "worker/cancel_signal.h"

namespace apium {

class Attempt;

// Where an attempt came from and goes back to: the session with its broker.
class AttemptOwner {
 public:
  virtual ~AttemptOwner() = default;

  // The attempts are over: nobody else touches them any more, and each has its
  // outcome. Any thread, never under a lock of the pool.
  virtual void OnFinished(
      absl::Span<const std::shared_ptr<Attempt>> attempts) = 0;

  // The attempt has progress that was not taken yet. Any thread.
  virtual void OnProgress(const Attempt& attempt) = 0;
};

// One delivery in this worker's hands. The session makes it, the pool runs it,
// the session keeps it until its outcome is acknowledged. Shared, because a
// cancel may come at any moment of that.
class Attempt {
 public:
  // `owner` outlives the attempt's execution. `delivery` may be a part of a
  // larger message and is let go by ForgetDelivery; null for an attempt that
  // never runs.
  Attempt(AttemptOwner* owner, const v1::Lease& lease,
          std::shared_ptr<const v1::Delivery> delivery);
  ~Attempt();
  Attempt(const Attempt&) = delete;
  Attempt& operator=(const Attempt&) = delete;

  AttemptOwner* owner() const { return owner_; }
  const v1::Lease& lease() const { return lease_; }
  uint64_t epoch() const { return lease_.epoch(); }

  // Pool only, until OnFinished.
  const v1::Delivery& delivery() const { return *delivery_; }
  // Frees the arguments, which nobody needs once there is an outcome. Pool
  // only, before OnFinished.
  void ForgetDelivery() { delivery_.reset(); }

  CancelSignal& cancel() { return cancel_; }
  const CancelSignal& cancel() const { return cancel_; }

  // The handler is about to run. `wall` is after 1970. Pool only, once.
  void MarkStarted(absl::Time wall, absl::Duration monotonic);
  bool started() const { return started_.load(std::memory_order_acquire); }
  // Valid when started. Any thread.
  absl::Time start_time() const { return start_time_; }
  absl::Duration start_monotonic() const { return start_monotonic_; }

  // Replaces what was said before. True if the last one was taken already, so
  // that the owner must be told.
  bool StoreProgress(v1::Progress progress) ABSL_LOCKS_EXCLUDED(mu_);
  // Progress since the last call.
  std::optional<v1::Progress> TakeProgress() ABSL_LOCKS_EXCLUDED(mu_);

  // How it ended: lease and start time are there, the rest is written once, by
  // the pool before OnFinished. Then it is the session's.
  v1::ExecutionOutcome* mutable_outcome() { return &outcome_; }
  const v1::ExecutionOutcome& outcome() const { return outcome_; }
  // Most attempts have a result: it is written in place, and becomes the
  // outcome with UseResult.
  v1::Payload* mutable_result() { return &result_; }
  void UseResult();

 private:
  AttemptOwner* const owner_;
  // These three are lent to outcome_, which thus costs no allocation of its
  // own: at 500,000 tasks a second they are felt.
  v1::Lease lease_;
  google::protobuf::Timestamp start_proto_;
  v1::Payload result_;
  bool result_lent_ = false;
  v1::ExecutionOutcome outcome_;

  std::shared_ptr<const v1::Delivery> delivery_;
  CancelSignal cancel_;
  // Written before started_ is set, constant after it.
  absl::Time start_time_;
  absl::Duration start_monotonic_;
  std::atomic<bool> started_{false};
  absl::Mutex mu_;
  std::unique_ptr<v1::Progress> progress_ ABSL_GUARDED_BY(mu_);
};

}  // namespace apium

#endif  // APIUM_WORKER_ATTEMPT_H_
