#ifndef APIUM_BROKER_SERVICE_TASK_STREAM_H_
#define APIUM_BROKER_SERVICE_TASK_STREAM_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "apium/v1/task_service.pb.h"
#include "broker/engine/effects.h"
#include "broker/engine/sinks.h"
#include "broker/service/open_calls.h"
#include "broker/service/service_context.h"
#include "broker/shard/mailbox.h"

namespace apium::broker {

// One StreamTasks call.
//
// Tasks that were read and not yet answered have a slot each, in their order;
// answers leave in that order, as many in one message as have come while the
// last one was being written. The stream does not read while its window is full
// of slots, or while the mailbox is full: the client's own flow control then
// holds it back.
class TaskStream final
    : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>,
      public ReplySink,
      public OpenCall,
      public MailboxWaiter,
      public std::enable_shared_from_this<TaskStream> {
 public:
  static TaskStream* Start(const ServiceContext* context,
                           grpc::CallbackServerContext* rpc);

  TaskStream(const ServiceContext* context, grpc::CallbackServerContext* rpc);

  void Take(uint64_t tag, Reply&& reply) override;
  void Flush() override;
  void End(const absl::Status& status) override;
  void OnMailboxRoom() override;
  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  // A task that was read and whose answer was not yet written.
  struct Slot {
    bool answered = false;
    absl::Status status;
    std::string task_id;  // where it is not the submitter's own
    bool attached = false;
    std::vector<std::string> copy_task_ids;
  };
  struct Answer {
    uint64_t sequence = 0;
    absl::Status status;
    std::string task_id;
    bool minted = false;
    bool attached = false;
    std::vector<std::string> copy_task_ids;
  };

  // Reading side: one read, and what follows from it, at a time.
  absl::Status TakeOpen();
  absl::Status TakeBatch();
  void PushCommands();
  // Starts the next read unless the window is full.
  void ReadOn() ABSL_LOCKS_EXCLUDED(mu_);

  // Asks the result service for the outcome of a task that had ended before it
  // was submitted again.
  void FetchOutcome(const std::string& task_id);
  void TakeFetched(absl::StatusOr<v1::TaskOutcome> outcome)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Ends with `status`, once every slot is answered.
  void EndWhenAnswered(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mu_);
  // Ends with `status`; nobody is answered any more.
  void Abandon(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mu_);
  // Starts whatever is due: the next write, the next read, the end.
  void Advance() ABSL_LOCKS_EXCLUDED(mu_);
  // Moves what is to be written next to outgoing_; false: nothing is.
  bool GatherOutgoing() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void BuildResponse();
  std::optional<absl::Status> DueEnd() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const ServiceContext* const context_;
  grpc::CallbackServerContext* const rpc_;
  std::shared_ptr<TaskStream> self_;

  // Of the reading side.
  grpc::ByteBuffer request_bytes_;
  v1::StreamTasksRequest request_;
  bool opened_ = false;
  std::string namespace_;
  bool report_outcomes_ = false;
  uint64_t next_sequence_ = 1;
  std::vector<QueuedCommand> commands_;
  std::vector<std::pair<size_t, absl::Status>> refusals_;

  // Of the releasing thread, between Take and Flush.
  std::vector<Answer> taken_answers_;
  std::vector<std::shared_ptr<const Outcome>> taken_outcomes_;

  // Of whoever has set writing_, until OnWriteDone.
  v1::StreamTasksResponse response_;
  grpc::ByteBuffer response_bytes_;
  bool outgoing_opened_ = false;
  std::vector<Answer> outgoing_answers_;
  std::vector<std::shared_ptr<const Outcome>> outgoing_outcomes_;
  std::vector<v1::TaskOutcome> outgoing_fetched_;

  absl::Mutex mu_;
  std::deque<Slot> slots_ ABSL_GUARDED_BY(mu_);
  uint64_t first_sequence_ ABSL_GUARDED_BY(mu_) = 1;  // of slots_.front()
  std::deque<std::shared_ptr<const Outcome>> outcomes_ ABSL_GUARDED_BY(mu_);
  std::vector<v1::TaskOutcome> fetched_ ABSL_GUARDED_BY(mu_);
  size_t outcome_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  // Accepted tasks whose outcome is still to come.
  int64_t outcomes_awaited_ ABSL_GUARDED_BY(mu_) = 0;
  bool opened_unsent_ ABSL_GUARDED_BY(mu_) = false;
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool read_paused_ ABSL_GUARDED_BY(mu_) = false;
  bool peer_done_ ABSL_GUARDED_BY(mu_) = false;
  bool abandoned_ ABSL_GUARDED_BY(mu_) = false;
  std::optional<absl::Status> end_ ABSL_GUARDED_BY(mu_);
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_SERVICE_TASK_STREAM_H_
