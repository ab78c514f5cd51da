#ifndef APIUM_BROKER_OUTBOX_PUBLISH_STREAM_H_
#define APIUM_BROKER_OUTBOX_PUBLISH_STREAM_H_

#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "apium/v1/result_service.grpc.pb.h"
#include "broker/engine/effects.h"

namespace apium::broker {

// One ResultService.PublishOutcomes stream, as the broker drives it: one write
// at a time, confirmations as they come. One owner thread, and gRPC's.
class PublishStream final
    : public grpc::ClientBidiReactor<v1::PublishOutcomesRequest,
                                     v1::PublishOutcomesResponse> {
 public:
  // Starts the stream and says hello. `on_confirmed` is called with each
  // position that the result service has, `on_changed` whenever a method below
  // may answer anew; both on a thread of gRPC's, and neither may block.
  PublishStream(std::shared_ptr<grpc::Channel> channel,
                const std::string& shard_id,
                std::function<void(uint64_t)> on_confirmed,
                std::function<void()> on_changed);
  // Cancels what is left and waits for the end of the stream.
  ~PublishStream() override;
  PublishStream(const PublishStream&) = delete;
  PublishStream& operator=(const PublishStream&) = delete;

  // Any thread. Nothing until the answer to hello.
  std::optional<uint64_t> first_confirmed() const ABSL_LOCKS_EXCLUDED(mu_);
  // Any thread. Send may be called.
  bool writable() const ABSL_LOCKS_EXCLUDED(mu_);
  // Any thread. The stream broke, or the result service ended it.
  bool broken() const ABSL_LOCKS_EXCLUDED(mu_);

  // Owner thread, while writable. Returns the bytes of the message.
  size_t Send(const OutboxEntry& entry) ABSL_LOCKS_EXCLUDED(mu_);

  // Owner thread, once. Waits for the end of the stream and says how it ended;
  // cancels it unless it is broken.
  absl::Status Finish() ABSL_LOCKS_EXCLUDED(mu_);

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

 private:
  grpc::ClientContext rpc_;
  const std::unique_ptr<v1::ResultService::Stub> stub_;
  const std::function<void(uint64_t)> on_confirmed_;
  const std::function<void()> on_changed_;
  v1::PublishOutcomesResponse response_;  // of the read in flight
  v1::PublishOutcomesRequest request_;    // of the write in flight

  mutable absl::Mutex mu_;
  bool writing_ ABSL_GUARDED_BY(mu_) = true;  // hello
  bool broken_ ABSL_GUARDED_BY(mu_) = false;
  bool finish_called_ ABSL_GUARDED_BY(mu_) = false;
  std::optional<uint64_t> first_confirmed_ ABSL_GUARDED_BY(mu_);
  std::optional<absl::Status> done_ ABSL_GUARDED_BY(mu_);
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_OUTBOX_PUBLISH_STREAM_H_
