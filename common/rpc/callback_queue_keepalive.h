#ifndef APIUM_COMMON_RPC_CALLBACK_QUEUE_KEEPALIVE_H_
#define APIUM_COMMON_RPC_CALLBACK_QUEUE_KEEPALIVE_H_

#include <memory>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace grpc {
class Channel;
}

namespace apium {

// Keeps gRPC's callback threads awake. In gRPC 1.51 each of the few threads
// that serve all callback-API calls of a process (server and client side)
// sleeps 100 ms whenever it saw no event for a second, so the first call after
// an idle second may wait that long. This thread puts an event on their queue
// every `period`: a callback call on a channel without a transport, which fails
// at once and costs some 20 us. One per process is enough; more do no harm.
class CallbackQueueKeepalive {
 public:
  // 250 ms: measured, events at least every 300 ms remove the sleep
  // (benchmarks/callback_idle_benchmark.cc).
  explicit CallbackQueueKeepalive(
      absl::Duration period = absl::Milliseconds(250));
  ~CallbackQueueKeepalive();
  CallbackQueueKeepalive(const CallbackQueueKeepalive&) = delete;
  CallbackQueueKeepalive& operator=(const CallbackQueueKeepalive&) = delete;

 private:
  void Run();

  const absl::Duration period_;
  const std::shared_ptr<grpc::Channel> channel_;
  absl::Mutex mu_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace apium

#endif  // APIUM_COMMON_RPC_CALLBACK_QUEUE_KEEPALIVE_H_
