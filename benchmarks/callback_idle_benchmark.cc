// How long does the first call to an idle server take? gRPC 1.51's callback
// threads sleep 100 ms after an idle second;
// common/rpc/callback_queue_keepalive keeps them awake. This measures both.
//
//   bazel run //benchmarks:callback_idle_benchmark -- [calls per case, default
//   40]
//
// Prints a line for each case and exits 1 unless every first call with the
// keepalive took less than 10 ms.

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "apium/v1/server_service.grpc.pb.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/rpc/callback_queue_keepalive.h"
#include "common/rpc/server.h"
#include "tests/common/rpc/echo_server_service.h"

namespace apium {
namespace {

constexpr absl::Duration kLimit = absl::Milliseconds(10);

enum class Api { kSync, kCallback };

absl::Duration TimeOneCall(v1::ServerService::Stub* stub, Api api) {
  grpc::ClientContext context;
  const v1::GetServerInfoRequest request;
  v1::GetServerInfoResponse response;
  const absl::Duration start = SystemClock::Get()->Monotonic();
  grpc::Status status;
  if (api == Api::kSync) {
    status = stub->GetServerInfo(&context, request, &response);
  } else {
    absl::Notification done;
    stub->async()->GetServerInfo(&context, &request, &response,
                                 [&](grpc::Status result) {
                                   status = std::move(result);
                                   done.Notify();
                                 });
    done.WaitForNotification();
  }
  APIUM_CHECK(status.ok()) << status.error_message();
  return SystemClock::Get()->Monotonic() - start;
}

double CpuSeconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return absl::ToDoubleSeconds(absl::DurationFromTimeval(usage.ru_utime) +
                               absl::DurationFromTimeval(usage.ru_stime));
}

// The worst call of the case.
absl::Duration RunCase(const char* name, v1::ServerService::Stub* stub, Api api,
                       int calls) {
  std::vector<absl::Duration> took;
  const double cpu_before = CpuSeconds();
  const absl::Duration start = SystemClock::Get()->Monotonic();
  for (int i = 0; i < calls; ++i) {
    // Gaps from 0.9 to 1.5 s: the sleep begins a second after the last event
    // and lasts a tenth.
    absl::SleepFor(absl::Milliseconds(900 + i * 37 % 600));
    took.push_back(TimeOneCall(stub, api));
  }
  const double wall =
      absl::ToDoubleSeconds(SystemClock::Get()->Monotonic() - start);
  std::sort(took.begin(), took.end());
  const auto slow =
      std::count_if(took.begin(), took.end(),
                    [](absl::Duration one) { return one >= kLimit; });
  std::printf(
      "%-34s %3d calls, %2d of 10 ms or more, median %6.2f ms, worst %6.2f ms, "
      "process CPU %.3f %%\n",
      name, calls, static_cast<int>(slow),
      absl::ToDoubleMilliseconds(took[took.size() / 2]),
      absl::ToDoubleMilliseconds(took.back()),
      (CpuSeconds() - cpu_before) / wall * 100);
  std::fflush(stdout);
  return took.back();
}

int Main(int calls) {
  EchoServerService service;
  auto server = RpcServer::Start(
      {.listen_address = "127.0.0.1:0", .services = {&service}});
  APIUM_CHECK_OK(server);
  const std::unique_ptr<v1::ServerService::Stub> stub =
      v1::ServerService::NewStub(grpc::CreateChannel(
          (*server)->local_target(), grpc::InsecureChannelCredentials()));
  TimeOneCall(stub.get(), Api::kSync);  // connects

  RunCase("without, synchronous client", stub.get(), Api::kSync, calls);
  RunCase("without, callback client", stub.get(), Api::kCallback, calls);
  CallbackQueueKeepalive keepalive;
  const absl::Duration sync_worst = RunCase(
      "with keepalive, synchronous client", stub.get(), Api::kSync, calls);
  const absl::Duration callback_worst = RunCase(
      "with keepalive, callback client", stub.get(), Api::kCallback, calls);
  return std::max(sync_worst, callback_worst) < kLimit ? 0 : 1;
}

}  // namespace
}  // namespace apium

int main(int argc, char** argv) {
  return apium::Main(argc > 1 ? std::atoi(argv[1]) : 40);
}
