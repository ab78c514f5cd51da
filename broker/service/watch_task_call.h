#ifndef APIUM_BROKER_SERVICE_WATCH_TASK_CALL_H_
#define APIUM_BROKER_SERVICE_WATCH_TASK_CALL_H_

#include <grpcpp/support/server_callback.h>

#include <memory>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "apium/v1/task_service.pb.h"
#include "broker/engine/sinks.h"
#include "broker/service/open_calls.h"
#include "broker/service/service_context.h"
#include "broker/service/task_read.h"

namespace apium::broker {

// One WatchTask call: sends the task after each change until it is terminal.
// Changes that come while a message is being written are told as one.
class WatchTaskCall final
    : public grpc::ServerWriteReactor<v1::WatchTaskResponse>,
      public ReplySink,
      public OpenCall,
      public std::enable_shared_from_this<WatchTaskCall> {
 public:
  static grpc::ServerWriteReactor<v1::WatchTaskResponse>* Start(
      const ServiceContext* context, TaskReadRequest request);

  WatchTaskCall(const ServiceContext* context, TaskReadRequest request);

  void Take(uint64_t tag, Reply&& reply) override;
  void End(const absl::Status& status) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  // A change, or the error that ends the watch.
  void Tell(absl::StatusOr<v1::Task> task);
  // Ends with `status`; what was not written yet is dropped.
  void Stop(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mu_);
  // Starts whatever is due: the next write, or the end.
  void Advance() ABSL_LOCKS_EXCLUDED(mu_);

  const ServiceContext* const context_;
  const TaskReadRequest request_;
  std::shared_ptr<WatchTaskCall> self_;
  v1::WatchTaskResponse response_;  // of the write in flight

  absl::Mutex mu_;
  std::optional<v1::Task> pending_ ABSL_GUARDED_BY(mu_);
  std::optional<absl::Status> end_ ABSL_GUARDED_BY(mu_);
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_SERVICE_WATCH_TASK_CALL_H_
