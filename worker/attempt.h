#ifndef APIUM_WORKER_ATTEMPT_H_
#define APIUM_WORKER_ATTEMPT_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "apium/v1/worker_service.pb.h"
#include "worker/cancel_signal.h"
#include "worker/chunk_window.h"

namespace apium {

class Attempt;

// Limits of which an attempt may have charges that were not sent yet: each has
// one entry, so this bounds the memory of a handler that charges in a loop
// while the broker is away.
inline constexpr size_t kChargedLimitsMax = 16;

// Where an attempt came from and goes back to: the session with its broker.
class AttemptOwner {
 public:
  virtual ~AttemptOwner() = default;

  // The attempts are over: nobody else touches them any more, and each has its
  // outcome. Any thread, never under a lock of the pool.
  virtual void OnFinished(
      absl::Span<const std::shared_ptr<Attempt>> attempts) = 0;

  // The attempt has progress or charges that were not taken yet. Any thread.
  virtual void OnProgress(const Attempt& attempt) = 0;

  // The attempt has chunks that were not taken yet. Any thread.
  virtual void OnChunks(const Attempt&) {}
  // What chunks take their bytes from; null: this owner takes no chunks.
  virtual std::shared_ptr<ChunkWindow> chunk_window() { return nullptr; }
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

  // Replaces what was said before, but for details that it does not have. True
  // if the last one was taken already, so that the owner must be told.
  bool StoreProgress(v1::Progress progress) ABSL_LOCKS_EXCLUDED(mu_);
  // Progress since the last call; with details if they are new.
  std::optional<v1::Progress> TakeProgress() ABSL_LOCKS_EXCLUDED(mu_);

  // Adds `points`, finite, to what is to be charged of `limit`, and tells the
  // owner. RESOURCE_EXHAUSTED: kChargedLimitsMax others wait to be sent.
  // INVALID_ARGUMENT: their sum is not finite. Handler only.
  absl::Status Charge(std::string_view limit, double points)
      ABSL_LOCKS_EXCLUDED(mu_);
  // Adds what was charged since the last call. The bytes that were added.
  size_t TakeCharges(v1::WorkerReport* report) ABSL_LOCKS_EXCLUDED(mu_);

  // Puts the chunk behind the others and tells the owner, once there is room
  // for it. CANCELLED: the attempt is to stop, and there was none;
  // DEADLINE_EXCEEDED: nor by `deadline`; else the broker's refusal of an
  // earlier one. Handler only.
  absl::Status AppendChunk(v1::Payload chunk, absl::Time deadline)
      ABSL_LOCKS_EXCLUDED(mu_);
  // Waits until all chunks are acknowledged. Errors as AppendChunk.
  absl::Status FlushChunks(absl::Time deadline) ABSL_LOCKS_EXCLUDED(mu_);

  // True once there were chunks, details or charges: then an outcome may go
  // only behind them. Any thread.
  bool has_stream() const {
    return has_stream_.load(std::memory_order_acquire);
  }
  // Adds chunks that were not sent on this stream yet, up to about `bytes_max`,
  // at least one if there is one. The bytes that were added.
  size_t TakeChunks(size_t bytes_max, v1::WorkerReport* report)
      ABSL_LOCKS_EXCLUDED(mu_);
  bool HasUnsentChunks() const ABSL_LOCKS_EXCLUDED(mu_);
  bool HasUnsentDetails() const ABSL_LOCKS_EXCLUDED(mu_);
  // Those up to `number` are durable, or refused with `status`.
  void AcknowledgeChunks(uint64_t number, const absl::Status& status)
      ABSL_LOCKS_EXCLUDED(mu_);
  // A new stream: what was said on the last one may not have arrived.
  void SendAgain() ABSL_LOCKS_EXCLUDED(mu_);
  // The lease is lost: nobody waits for them any more.
  void DropChunks(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mu_);

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
  mutable absl::Mutex mu_;
  std::unique_ptr<v1::Progress> progress_ ABSL_GUARDED_BY(mu_);  // no details
  bool progress_taken_ ABSL_GUARDED_BY(mu_) = true;
  std::unique_ptr<v1::Payload> details_ ABSL_GUARDED_BY(mu_);
  bool details_taken_ ABSL_GUARDED_BY(mu_) = true;
  // By limit; null: nothing is to be charged.
  std::unique_ptr<std::map<std::string, double, std::less<>>> charges_
      ABSL_GUARDED_BY(mu_);
  std::atomic<bool> has_stream_{false};

  // What an attempt that appends has more than others.
  struct Chunk {
    uint64_t number;
    v1::Payload payload;
    ChunkHold hold;
  };
  struct Chunks {
    std::shared_ptr<ChunkWindow> window;
    uint64_t last_number = 0;
    uint64_t last_sent = 0;  // on this stream
    std::deque<Chunk> unacknowledged;
    absl::Status refusal;
  };
  Chunks* ChunksOf() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::unique_ptr<Chunks> chunks_ ABSL_GUARDED_BY(mu_);
};

}  // namespace apium

#endif  // APIUM_WORKER_ATTEMPT_H_
