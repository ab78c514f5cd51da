#ifndef APIUM_RESULTS_SERVICE_PUBLISH_STREAM_H_
#define APIUM_RESULTS_SERVICE_PUBLISH_STREAM_H_

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "apium/v1/result_service.pb.h"
#include "results/command.h"
#include "results/mailbox.h"
#include "results/service/call_table.h"
#include "results/service/open_call.h"

namespace apium::results {

// What one broker may have here without confirmation. Beyond it the stream is
// not read, and HTTP/2 flow control makes the broker wait.
struct PublishWindow {
  size_t batches_max = 256;
  size_t bytes_max = 8 * 1024 * 1024;
};

// A broker's PublishOutcomes stream. One read and one write are under way at
// most; confirmations that come meanwhile become one.
class PublishStream final
    : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>,
      public OpenCall {
 public:
  // `table` and `mailbox` outlive the stream.
  PublishStream(PublishWindow window, CallTable* table, Mailbox* mailbox);
  // Once; `self` is this.
  void Start(std::shared_ptr<PublishStream> self);

  void OnReadDone(bool ok) override ABSL_LOCKS_EXCLUDED(mu_);
  void OnWriteDone(bool ok) override ABSL_LOCKS_EXCLUDED(mu_);
  void OnCancel() override;
  void OnDone() override;

  void OnConfirmation(const Confirmation& confirmation) override
      ABSL_LOCKS_EXCLUDED(mu_);
  void OnEnd(const absl::Status& status) override ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // What gRPC is to do next; carried out without the lock.
  struct Next {
    bool read = false;
    bool write = false;
    std::optional<absl::Status> finish;
  };
  Next Decide() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Do(const Next& next);
  // Hands the message that was read to the core.
  absl::Status Accept() ABSL_LOCKS_EXCLUDED(mu_);

  const PublishWindow window_;
  CallTable* const table_;
  Mailbox* const mailbox_;
  const CallId id_;
  std::shared_ptr<PublishStream> self_;

  // Of the read that is under way.
  grpc::ByteBuffer message_bytes_;
  std::unique_ptr<v1::PublishOutcomesRequest> message_;
  bool greeted_ = false;
  // Of the write that is under way.
  v1::PublishOutcomesResponse response_;
  grpc::ByteBuffer response_bytes_;

  absl::Mutex mu_;
  // Bytes of each message that is not confirmed, the hello's included.
  std::deque<size_t> unconfirmed_ ABSL_GUARDED_BY(mu_);
  size_t unconfirmed_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  std::optional<uint64_t> to_confirm_ ABSL_GUARDED_BY(mu_);
  bool reading_ ABSL_GUARDED_BY(mu_) = false;
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool half_closed_ ABSL_GUARDED_BY(mu_) = false;  // the broker sends no more
  std::optional<absl::Status> end_ ABSL_GUARDED_BY(mu_);
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace apium::results

#endif  // APIUM_RESULTS_SERVICE_PUBLISH_STREAM_H_
