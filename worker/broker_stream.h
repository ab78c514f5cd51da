#ifndef APIUM_WORKER_BROKER_STREAM_H_
#define APIUM_WORKER_BROKER_STREAM_H_

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "apium/v1/worker_service.grpc.pb.h"
#include "common/clock.h"
#include "common/retry_backoff.h"
#include "worker/attempt.h"
#include "worker/pool/pool.h"
#include "worker/session_core.h"
#include "worker/worker_metrics.h"

namespace apium {

struct BrokerStreamOptions {
  // For logs and errors: "127.0.0.1:7450".
  std::string target;
  std::shared_ptr<grpc::Channel> channel;
  // `owner` is set by the stream.
  SessionCoreOptions core;
  BackoffPolicy backoff;

  // Borrowed; outlive the stream.
  Pool* pool = nullptr;
  const Clock* clock = nullptr;
  WorkerMetrics* metrics = nullptr;

  // Each is called on any thread, without locks held, and must be short.
  // OnTimer is wanted at this monotonic time.
  std::function<void(absl::Duration)> wake_by;
  // Another stream may take places that became free: call its Pump().
  std::function<void()> places_freed;
  // An operator wants the worker to drain.
  std::function<void()> drain_requested;
  // connected() may have changed, or, in a drain, idle() or running().
  std::function<void()> changed;
};

// The worker's side of WorkerService.Work with one broker: opens the stream,
// keeps one write in flight, opens it again with back-off when it breaks, and
// resumes the session. What to say is decided by SessionCore. Any thread.
class BrokerStream final : public AttemptOwner {
 public:
  explicit BrokerStream(BrokerStreamOptions options);
  // Close must have returned.
  ~BrokerStream() override;

  // Opens the first stream. Once.
  void Start();

  // Starts a write if there is something to say and none is in flight.
  void Pump() ABSL_LOCKS_EXCLUDED(mu_);

  // Does what is due, and says when something is due next.
  absl::Duration OnTimer(absl::Duration now) ABSL_LOCKS_EXCLUDED(mu_);

  // See SessionCore.
  void Drain() ABSL_LOCKS_EXCLUDED(mu_);
  void CancelAll(std::string_view reason) ABSL_LOCKS_EXCLUDED(mu_);
  void ReturnAll(std::string_view reason) ABSL_LOCKS_EXCLUDED(mu_);

  // Ends the stream and opens no other; waits at most `timeout` for the broker
  // to agree, then breaks it off. When it returns nothing calls back any more.
  void Close(absl::Duration timeout) ABSL_LOCKS_EXCLUDED(mu_);

  // Between the broker's Welcome and the end of the stream.
  bool connected() const ABSL_LOCKS_EXCLUDED(mu_);
  // Holds no lease: everything is acknowledged, and after Drain() the broker
  // knows.
  bool idle() const ABSL_LOCKS_EXCLUDED(mu_);
  size_t held() const ABSL_LOCKS_EXCLUDED(mu_);
  // Leases of these whose attempt is not over.
  size_t running() const ABSL_LOCKS_EXCLUDED(mu_);
  // Why the last stream ended; OK if none did.
  absl::Status last_error() const ABSL_LOCKS_EXCLUDED(mu_);
  const std::string& target() const { return options_.target; }

  // AttemptOwner.
  void OnFinished(absl::Span<const std::shared_ptr<Attempt>> attempts) override
      ABSL_LOCKS_EXCLUDED(mu_);
  void OnProgress(const Attempt& attempt) override ABSL_LOCKS_EXCLUDED(mu_);
  void OnChunks(const Attempt& attempt) override ABSL_LOCKS_EXCLUDED(mu_);
  std::shared_ptr<ChunkWindow> chunk_window() override { return chunk_window_; }

 private:
  class Call;
  enum class State {
    kWaiting,  // for reconnect_at_
    kOpen,     // a call runs and may be written to; holds it
    kEnding,   // a call runs and is not written to any more
    kClosed,   // for good
  };

  void OpenCall() ABSL_LOCKS_EXCLUDED(mu_);
  // The next report, to be written by the caller on what is returned after it
  // let mu_ go; null: nothing to write now.
  Call* PrepareWrite() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void CarryOut(SessionEffects* effects) ABSL_LOCKS_EXCLUDED(mu_);
  absl::Duration NextTimer() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // If OnTimer is wanted earlier than was said, that time; else infinite.
  absl::Duration EarlierTimer() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void WakeBy(absl::Duration when) const;
  // Reactions of the call.
  void OnRead(const std::shared_ptr<const v1::WorkResponse>& response,
              DeliveryStorage storage) ABSL_LOCKS_EXCLUDED(mu_);
  void OnReadsEnded() ABSL_LOCKS_EXCLUDED(mu_);
  void OnWritten() ABSL_LOCKS_EXCLUDED(mu_);
  void OnCallDone(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mu_);

  const BrokerStreamOptions options_;
  const std::unique_ptr<v1::WorkerService::Stub> stub_;
  // Shared with the messages that attempts keep alive.
  const std::shared_ptr<std::atomic<size_t>> shared_bytes_;
  const std::shared_ptr<ChunkWindow> chunk_window_ =
      std::make_shared<ChunkWindow>();

  mutable absl::Mutex mu_;
  SessionCore core_ ABSL_GUARDED_BY(mu_);
  State state_ ABSL_GUARDED_BY(mu_) = State::kWaiting;
  bool closing_ ABSL_GUARDED_BY(mu_) = false;
  bool draining_ ABSL_GUARDED_BY(mu_) = false;
  std::unique_ptr<Call> call_ ABSL_GUARDED_BY(mu_);  // null: no call runs
  bool write_in_flight_ ABSL_GUARDED_BY(mu_) = false;
  // The message in flight. Written under mu_ when none is, read by gRPC.
  v1::WorkRequest request_;
  // Why this side broke the call off; OK: it did not.
  absl::Status own_error_ ABSL_GUARDED_BY(mu_);
  int failures_ ABSL_GUARDED_BY(mu_) = 0;  // in a row
  // Of the call that runs.
  absl::Duration welcome_by_ ABSL_GUARDED_BY(mu_) = absl::InfiniteDuration();
  // Once the stream that broke is done with; infinite: not.
  absl::Duration reconnect_at_ ABSL_GUARDED_BY(mu_) = absl::InfiniteDuration();
  // Last said to wake_by and still ahead.
  absl::Duration timer_at_ ABSL_GUARDED_BY(mu_) = absl::InfiniteDuration();
  absl::Status last_error_ ABSL_GUARDED_BY(mu_);
  std::mt19937_64 random_ ABSL_GUARDED_BY(mu_);
};

}  // namespace apium

#endif  // APIUM_WORKER_BROKER_STREAM_H_
