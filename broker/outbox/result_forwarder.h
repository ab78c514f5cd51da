#ifndef APIUM_BROKER_OUTBOX_RESULT_FORWARDER_H_
#define APIUM_BROKER_OUTBOX_RESULT_FORWARDER_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "broker/engine/effects.h"
#include "broker/outbox/outbox_sink.h"
#include "common/retry_backoff.h"

namespace grpc {
class Channel;
}  // namespace grpc

namespace apium {
class StoreReader;
}  // namespace apium

namespace apium::broker {

class PublishStream;

struct ResultForwarderOptions {
  std::string shard_id;
  // Outbox positions at the start, from the engine.
  uint64_t confirmed_position = 0;
  uint64_t last_position = 0;
  // Newest entries that are kept in memory; older ones are read from the store.
  size_t tail_bytes_max = 16 * 1024 * 1024;
  // Sent and not yet confirmed.
  size_t unconfirmed_bytes_max = 32 * 1024 * 1024;
  // Read from the store at a time.
  size_t read_bytes = 1024 * 1024;
  BackoffPolicy reconnect;
};

// Carries the outbox to the result service, in order, each entry until it is
// confirmed: over one stream, which is opened again with a back-off whenever it
// breaks. The result service says where it stands, and the forwarder goes on
// there: from memory while it keeps up, else from the store. The broker's work
// never waits for it.
class ResultForwarder final : public OutboxSink {
 public:
  // `reader` outlives this. `confirm` is called on any thread with positions
  // that the result service has; must not block.
  ResultForwarder(ResultForwarderOptions options,
                  std::shared_ptr<grpc::Channel> channel,
                  const StoreReader* reader,
                  std::function<void(uint64_t position)> confirm);
  // Ends the stream and joins. What is not confirmed is sent by the next
  // process.
  ~ResultForwarder() override;
  ResultForwarder(const ResultForwarder&) = delete;
  ResultForwarder& operator=(const ResultForwarder&) = delete;

  // Once. From now on outcomes are published, on a thread of its own; those
  // that were taken before, too.
  void Start();

  // As OutboxSink says.
  void Take(OutboxEntry&& entry) override ABSL_LOCKS_EXCLUDED(mu_);
  void Flush() override ABSL_LOCKS_EXCLUDED(mu_);

  // Any thread. OK while the stream is up; else why it is not.
  absl::Status status() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Run();
  // One stream from hello to its end, which is returned.
  absl::Status Publish();
  // The answer to hello came.
  absl::Status Begin(uint64_t confirmed) ABSL_LOCKS_EXCLUDED(mu_);
  // Waits until the stream can take more and there is more; false: it is over.
  bool AwaitWork(PublishStream* stream) ABSL_LOCKS_EXCLUDED(mu_);
  // The entries to send next, at least one.
  absl::StatusOr<std::vector<OutboxEntry>> NextEntries()
      ABSL_LOCKS_EXCLUDED(mu_);
  // Stream thread: the result service has everything up to `position`.
  void OnConfirmed(uint64_t position) ABSL_LOCKS_EXCLUDED(mu_);
  void Wake() ABSL_LOCKS_EXCLUDED(mu_);

  const ResultForwarderOptions options_;
  const std::shared_ptr<grpc::Channel> channel_;
  const StoreReader* const reader_;
  const std::function<void(uint64_t)> confirm_;

  // Of the forwarder's thread.
  std::mt19937_64 random_{std::random_device{}()};
  uint64_t next_position_ = 0;  // to send; 0: hello is not answered yet

  mutable absl::Mutex mu_;
  absl::CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  uint64_t last_position_ ABSL_GUARDED_BY(mu_);  // synced, so may be sent
  uint64_t confirmed_position_ ABSL_GUARDED_BY(mu_);
  std::deque<std::pair<OutboxEntry, size_t>> tail_ ABSL_GUARDED_BY(mu_);
  size_t tail_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  // Positions that were sent and not confirmed, with their bytes.
  std::deque<std::pair<uint64_t, size_t>> unconfirmed_ ABSL_GUARDED_BY(mu_);
  size_t unconfirmed_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Status status_ ABSL_GUARDED_BY(mu_);

  std::thread thread_;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_OUTBOX_RESULT_FORWARDER_H_
