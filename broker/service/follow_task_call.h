#ifndef APIUM_BROKER_SERVICE_FOLLOW_TASK_CALL_H_
#define APIUM_BROKER_SERVICE_FOLLOW_TASK_CALL_H_

#include <grpcpp/support/server_callback.h>

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "apium/v1/task_service.pb.h"
#include "broker/engine/effects.h"
#include "broker/engine/sinks.h"
#include "broker/service/open_calls.h"
#include "broker/service/service_context.h"
#include "broker/service/task_read.h"

namespace apium::broker {

// One FollowTask call: asks the engine for a page of chunks, writes it, asks
// for the next when it is written. One page at a time is in memory, however
// slowly the caller reads.
class FollowTaskCall final
    : public grpc::ServerWriteReactor<v1::FollowTaskResponse>,
      public ReplySink,
      public OpenCall,
      public std::enable_shared_from_this<FollowTaskCall> {
 public:
  // `from` 0 means 1.
  static grpc::ServerWriteReactor<v1::FollowTaskResponse>* Start(
      const ServiceContext* context, TaskReadRequest request, uint64_t from);

  FollowTaskCall(const ServiceContext* context, TaskReadRequest request,
                 uint64_t from);

  void Take(uint64_t tag, Reply&& reply) override;
  void End(const absl::Status& status) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  // Asks for what comes at next_.
  void Ask();
  // Writes response_; the last one ends the call.
  void Write(bool last) ABSL_LOCKS_EXCLUDED(mu_);
  void TellEnd(absl::StatusOr<v1::Task> task);
  // Ends with `status` once no write is under way.
  void Stop(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mu_);

  const ServiceContext* const context_;
  const TaskReadRequest request_;
  std::shared_ptr<FollowTaskCall> self_;
  // Of whoever asks, answers or writes: one at a time.
  uint64_t next_;
  v1::FollowTaskResponse response_;

  absl::Mutex mu_;
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  // Set once; the call is finished then, or when the write is done.
  std::optional<absl::Status> end_ ABSL_GUARDED_BY(mu_);
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_SERVICE_FOLLOW_TASK_CALL_H_
