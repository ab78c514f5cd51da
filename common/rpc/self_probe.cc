#include "common/rpc/self_probe.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/byte_buffer.h>

#include <memory>
#include <utility>

#include "absl/time/clock.h"
#include "common/log.h"
#include "common/rpc/grpc_status.h"
#include "common/strings.h"

namespace apium {

SelfProbe::SelfProbe(SelfProbeOptions options)
    : options_(std::move(options)), thread_([this] { Run(); }) {}

SelfProbe::~SelfProbe() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  thread_.join();
}

absl::Status SelfProbe::ProbeOnce(const std::string& target,
                                  absl::Duration timeout) {
  grpc::ChannelArguments arguments;
  // Its own connection: an existing one would answer although the listener is
  // dead.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  grpc::GenericStub stub(grpc::CreateCustomChannel(
      target, grpc::InsecureChannelCredentials(), arguments));
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
  // A HealthCheckRequest for "", the whole process, is the empty message.
  // Debian does not carry health.proto.
  const grpc::Slice nothing;
  const grpc::ByteBuffer request(&nothing, 1);
  grpc::CompletionQueue queue;
  const std::unique_ptr<grpc::GenericClientAsyncResponseReader> call =
      stub.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check", request,
                            &queue);
  call->StartCall();
  grpc::ByteBuffer response;
  grpc::Status status;
  call->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);  // the deadline of the call bounds it
  queue.Shutdown();
  while (queue.Next(&tag, &ok)) {
  }
  // Whatever the health service says, it said it over a new connection.
  if (status.error_code() == grpc::StatusCode::NOT_FOUND)
    return absl::OkStatus();
  return FromGrpcStatus(status);
}

void SelfProbe::Run() {
  int failures = 0;
  while (true) {
    {
      absl::MutexLock lock(&mu_);
      if (mu_.AwaitWithTimeout(absl::Condition(&stopping_), options_.period))
        return;
    }
    const absl::Status status = ProbeOnce(options_.target, options_.timeout);
    if (status.ok()) {
      failures = 0;
      continue;
    }
    ++failures;
    LogWarning("the process cannot reach its own listener",
               {{"target", options_.target},
                {"failures", failures},
                {"error", status}});
    if (failures >= options_.failures_max) {
      options_.on_dead(status);
      return;
    }
  }
}

}  // namespace apium
