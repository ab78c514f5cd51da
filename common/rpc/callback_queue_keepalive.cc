#include "common/rpc/callback_queue_keepalive.h"

#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/byte_buffer.h>

#include "absl/synchronization/notification.h"

namespace apium {

// Without credentials gRPC gives a "lame" channel: each call on it fails at
// once, without a socket, but through the same queue as every other callback
// call of the process.
CallbackQueueKeepalive::CallbackQueueKeepalive(absl::Duration period)
    : period_(period),
      channel_(grpc::CreateChannel("callback-queue-keepalive", nullptr)),
      thread_([this] { Run(); }) {}

CallbackQueueKeepalive::~CallbackQueueKeepalive() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  thread_.join();
}

void CallbackQueueKeepalive::Run() {
  grpc::GenericStub stub(channel_);
  const grpc::Slice nothing;
  const grpc::ByteBuffer request(&nothing, 1);
  while (true) {
    grpc::ClientContext context;
    grpc::ByteBuffer response;
    absl::Notification done;
    stub.UnaryCall(&context, "/apium.Keepalive/Event", grpc::StubOptions(),
                   &request, &response,
                   [&done](grpc::Status) { done.Notify(); });
    done.WaitForNotification();
    absl::MutexLock lock(&mu_);
    if (mu_.AwaitWithTimeout(absl::Condition(&stopping_), period_)) return;
  }
}

}  // namespace apium
