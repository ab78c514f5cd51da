#ifndef APIUM_BROKER_DISPATCH_WORKER_SESSION_H_
#define APIUM_BROKER_DISPATCH_WORKER_SESSION_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "apium/v1/worker_service.pb.h"
#include "broker/engine/effects.h"
#include "broker/engine/sinks.h"
#include "broker/service/open_calls.h"
#include "broker/service/service_context.h"
#include "broker/shard/mailbox.h"

namespace apium::broker {

// What a worker is told when its session opens.
struct SessionTerms {
  absl::Duration lease_duration;
  absl::Duration heartbeat_interval;
  uint32_t max_credit = 0;
  uint64_t chunk_window_bytes = 0;
};

// One WorkerService.Work stream.
//
// What the worker says becomes commands; what the engine says is queued and
// written, one message at a time, as much in each as has come while the last
// one was being written. The queue is bounded by the worker's credit and by
// what it reports; while a worker does not read, its reports are not read
// either.
class WorkerSession final
    : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>,
      public WorkerSink,
      public OpenCall,
      public MailboxWaiter,
      public std::enable_shared_from_this<WorkerSession> {
 public:
  // Both outlive the stream.
  static WorkerSession* Start(const ServiceContext* context,
                              const SessionTerms* terms);

  WorkerSession(const ServiceContext* context, const SessionTerms* terms);

  void Take(WorkerPush&& push) override;
  void Flush() override;
  void End(const absl::Status& status) override;
  void OnMailboxRoom() override;
  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  // Reading side: one message at a time.
  absl::Status TakeHello();
  absl::Status TakeReport();
  void PushCommands();
  void ReadOn() ABSL_LOCKS_EXCLUDED(mu_);

  // Ends with `status` behind what is queued.
  void EndBehindQueue(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mu_);
  // Ends with `status`; what is queued is dropped.
  void Abandon(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mu_);
  // Starts whatever is due: the next write, the next read, the end.
  void Advance() ABSL_LOCKS_EXCLUDED(mu_);
  // Fills response_ from outgoing_. Nothing: outgoing_ begins with the end of
  // the stream, which is returned.
  std::optional<absl::Status> BuildResponse();
  void BuildWelcome(const SessionOpened& opened);
  // An acknowledged outcome whose result was too large is told as refused.
  void MarkOversized() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void TellDisconnected() ABSL_LOCKS_EXCLUDED(mu_);

  const ServiceContext* const context_;
  const SessionTerms* const terms_;
  std::shared_ptr<WorkerSession> self_;

  // Of the reading side.
  grpc::ByteBuffer request_bytes_;
  v1::WorkRequest request_;
  bool hello_taken_ = false;
  std::vector<QueuedCommand> commands_;

  // Of the releasing thread, between Take and Flush.
  std::vector<WorkerPush> taken_;

  // Of whoever has set writing_, until OnWriteDone.
  v1::WorkResponse response_;
  grpc::ByteBuffer response_bytes_;
  std::vector<WorkerPush> outgoing_;  // those from outgoing_next_ on
  size_t outgoing_next_ = 0;

  absl::Mutex mu_;
  std::vector<WorkerPush> queued_ ABSL_GUARDED_BY(mu_);
  std::vector<uint64_t> oversized_epochs_ ABSL_GUARDED_BY(mu_);
  // The engine may know this stream, and has to hear of its end.
  bool session_asked_ ABSL_GUARDED_BY(mu_) = false;
  // The worker has gone.
  bool gone_ ABSL_GUARDED_BY(mu_) = false;
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool read_paused_ ABSL_GUARDED_BY(mu_) = false;
  bool ending_ ABSL_GUARDED_BY(mu_) = false;     // nothing more is queued
  bool abandoned_ ABSL_GUARDED_BY(mu_) = false;  // nothing more is written
  absl::Status abandoned_with_ ABSL_GUARDED_BY(mu_);
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_DISPATCH_WORKER_SESSION_H_
