// The life of a TaskStream: opens the gRPC stream, keeps one write under way,
// takes answers in, opens it again when it breaks, fetches outcomes that were
// missed. Private to client/.

#ifndef APIUM_CLIENT_STREAM_SESSION_H_
#define APIUM_CLIENT_STREAM_SESSION_H_

#include <grpcpp/alarm.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "apium/v1/task_service.grpc.pb.h"
#include "client/async_calls.h"
#include "client/client_options.h"
#include "client/retry_session.h"
#include "client/stream_ledger.h"
#include "client/task_stream.h"

namespace apium {

// Any thread, unless said otherwise. Locks: callback_mu_ before mu_; neither is
// held while gRPC is called, except to cancel.
class StreamSession {
 public:
  enum class WhenFull { kWait, kRefuse };

  // `stub` must outlive the session.
  StreamSession(v1::TaskService::Stub* stub,
                const ClientOptions& client_options, TaskStreamOptions options);
  // Ends the stream; returns when no callback runs any more.
  ~StreamSession();

  // Once, first. Returns when the broker is ready to take tasks, or why it was
  // given up.
  absl::Status Connect(absl::Time deadline);

  // As in TaskStream. Every spec has an id.
  absl::StatusOr<uint64_t> Submit(absl::Span<v1::TaskSpec> specs,
                                  WhenFull when_full);
  absl::Status Finish(absl::Time deadline);
  size_t unanswered() const;
  std::vector<std::string> UnansweredIds() const;
  size_t awaiting_outcome() const;

 private:
  class Wire;

  // One message of answers, between taking it in and calling back. Kept for its
  // memory; used by one read at a time.
  struct Delivered {
    struct Ack {
      StreamLedger::Answered answered;
      const v1::StreamSubmitResult* result = nullptr;
      const std::string& task_id() const {
        return result->attached() ? result->task_id() : *answered.task_id;
      }
    };
    std::vector<Ack> acks;
    std::vector<const v1::TaskOutcome*> outcomes;
  };

  void StartWire();
  // The next message, if it can be written now: then it must be.
  const v1::StreamTasksRequest* NextWrite() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Threads of gRPC's, in the life of one Wire.
  absl::Status OnOpened(const v1::StreamOpened& opened);
  absl::Status OnResults(const v1::StreamResults& results);
  void OnWriteDone();
  void OnReadsEnded();
  void OnWireDone(std::unique_ptr<Wire> wire, absl::Status status);

  absl::Status TakeIn(const v1::StreamResults& results)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void CallBack() ABSL_LOCKS_EXCLUDED(mu_, callback_mu_);
  void ScheduleReopening(absl::Duration delay)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void GiveUp(absl::Status status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Fetches outcomes that the broken stream may have owed, a bounded number at
  // a time.
  void FetchMore() ABSL_LOCKS_EXCLUDED(mu_);
  void OnFetched(const std::string& task_id,
                 absl::StatusOr<v1::WaitTaskResponse> response)
      ABSL_LOCKS_EXCLUDED(mu_, callback_mu_);

  bool Settled() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool Quiet() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  v1::TaskService::Stub* const stub_;
  const ClientOptions client_options_;
  const TaskStreamOptions options_;
  // Of the room in the window that wakes those who wait for it: waking them for
  // each answer would make small messages.
  const size_t wake_room_;

  // Held while a callback of the user's runs, so that there is one at a time.
  // Only a fetched outcome ever contends for it.
  absl::Mutex callback_mu_;

  mutable absl::Mutex mu_;
  absl::CondVar room_;     // for Submit
  absl::CondVar changed_;  // for the rest
  StreamLedger ledger_ ABSL_GUARDED_BY(mu_);
  Wire* wire_ ABSL_GUARDED_BY(mu_) =
      nullptr;  // the stream under way; it deletes itself through OnWireDone
  bool open_ ABSL_GUARDED_BY(mu_) = false;  // the broker answered `open`
  bool was_open_ ABSL_GUARDED_BY(mu_) = false;
  bool reopening_ ABSL_GUARDED_BY(mu_) = false;  // alarm_ is set
  bool finishing_ ABSL_GUARDED_BY(mu_) = false;  // no more tasks
  bool closing_ ABSL_GUARDED_BY(mu_) = false;    // going away
  absl::Status gave_up_ ABSL_GUARDED_BY(mu_);
  absl::Time attempt_start_ ABSL_GUARDED_BY(mu_);
  std::unique_ptr<RetrySession> retry_ ABSL_GUARDED_BY(mu_);
  std::unique_ptr<grpc::Alarm> alarm_ ABSL_GUARDED_BY(mu_);
  int calling_back_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t last_sequence_ ABSL_GUARDED_BY(mu_) = 0;

  // Tasks up to this sequence may have been submitted on an earlier stream,
  // whose outcomes the open one does not owe.
  uint64_t resubmitted_up_to_ ABSL_GUARDED_BY(mu_) = 0;
  absl::flat_hash_set<std::string> awaiting_outcome_ ABSL_GUARDED_BY(mu_);
  std::deque<std::string> to_fetch_ ABSL_GUARDED_BY(mu_);
  size_t fetching_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Status fetch_error_ ABSL_GUARDED_BY(mu_);

  Delivered delivered_;  // of the Wire's reads
  AsyncCalls fetches_;   // last: its calls use all of the above
};

}  // namespace apium

#endif  // APIUM_CLIENT_STREAM_SESSION_H_
