#include "common/rpc/server.h"

#include <gmock/gmock.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "apium/v1/server_service.grpc.pb.h"
#include "common/error_reason.h"
#include "common/limits.h"
#include "common/rpc/grpc_status.h"
#include "common/strings.h"
#include "tests/common/rpc/echo_server_service.h"
#include "tests/common/rpc/health_call.h"
#include "tests/support/status_matchers.h"

namespace apium {
namespace {

using ::testing::HasSubstr;

std::unique_ptr<RpcServer> StartServer(grpc::Service* service) {
  absl::StatusOr<std::unique_ptr<RpcServer>> server = RpcServer::Start(
      {.listen_address = "127.0.0.1:0", .services = {service}});
  EXPECT_THAT(server, IsOk());
  return *std::move(server);
}

std::shared_ptr<grpc::Channel> Dial(const std::string& target) {
  return grpc::CreateChannel(target, grpc::InsecureChannelCredentials());
}

absl::Status Echo(const std::shared_ptr<grpc::Channel>& channel,
                  const std::string& text, std::string* answer) {
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  v1::GetServerInfoRequest request;
  request.set_namespace_(text);
  v1::GetServerInfoResponse response;
  const grpc::Status status =
      v1::ServerService::NewStub(channel)->GetServerInfo(&context, request,
                                                         &response);
  *answer = response.server_info().service();
  return FromGrpcStatus(status);
}

TEST(RpcServerTest, ServesOnThePortItReports) {
  EchoServerService service;
  const std::unique_ptr<RpcServer> server = StartServer(&service);
  EXPECT_GT(server->port(), 0);
  EXPECT_EQ(server->local_target(), StrCat("127.0.0.1:", server->port()));
  std::string answer;
  APIUM_EXPECT_OK(Echo(Dial(server->local_target()), "hello", &answer));
  EXPECT_EQ(answer, "hello");
}

TEST(RpcServerTest, ServesInProcess) {
  EchoServerService service;
  const std::unique_ptr<RpcServer> server = StartServer(&service);
  std::string answer;
  APIUM_EXPECT_OK(Echo(server->InProcessChannel(), "hello", &answer));
  EXPECT_EQ(answer, "hello");
}

TEST(RpcServerTest, ServesOnAUnixSocket) {
  EchoServerService service;
  // Short: a socket's path has at most 107 bytes.
  const std::string address = StrCat("unix:/tmp/apium-server-test-", getpid());
  auto server =
      RpcServer::Start({.listen_address = address, .services = {&service}});
  ASSERT_THAT(server, IsOk());
  EXPECT_EQ((*server)->port(), 0);
  std::string answer;
  APIUM_EXPECT_OK(Echo(Dial((*server)->local_target()), "hello", &answer));
}

TEST(RpcServerTest, ErrorsCarryTheirReasonToTheClient) {
  EchoServerService service(InvalidField("namespace", "it is wrong"));
  const std::unique_ptr<RpcServer> server = StartServer(&service);
  std::string answer;
  const absl::Status status =
      Echo(Dial(server->local_target()), "hello", &answer);
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument,
                               "namespace: it is wrong"));
  EXPECT_THAT(status, HasReason("INVALID_FIELD"));
}

TEST(RpcServerTest, RefusesAMessageAboveTheLimit) {
  EchoServerService service;
  const std::unique_ptr<RpcServer> server = StartServer(&service);
  std::string answer;
  APIUM_EXPECT_OK(Echo(server->InProcessChannel(),
                       std::string(kGrpcMessageBytesMax - 1000, 'x'), &answer));
  EXPECT_THAT(Echo(server->InProcessChannel(),
                   std::string(kGrpcMessageBytesMax, 'x'), &answer),
              StatusIs(absl::StatusCode::kResourceExhausted));
}

TEST(RpcServerTest, ATakenPortIsAnErrorThatNamesIt) {
  EchoServerService first_service, second_service;
  const std::unique_ptr<RpcServer> first = StartServer(&first_service);
  const auto second = RpcServer::Start(
      {.listen_address = first->local_target(), .services = {&second_service}});
  EXPECT_THAT(second, StatusIs(absl::StatusCode::kUnavailable,
                               HasSubstr(first->local_target())));
  EXPECT_THAT(second, HasReason("ADDRESS_IN_USE"));
}

TEST(RpcServerTest, ABadAddressIsAnErrorThatNamesIt) {
  EchoServerService service;
  EXPECT_THAT(
      RpcServer::Start({.listen_address = "nowhere", .services = {&service}}),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("nowhere")));
}

TEST(RpcServerTest, HealthFollowsReadiness) {
  EchoServerService service;
  const std::unique_ptr<RpcServer> server = StartServer(&service);
  const std::shared_ptr<grpc::Channel> channel = Dial(server->local_target());
  EXPECT_THAT(CheckHealth(channel, "liveness"), IsOkAndHolds(true));
  for (const char* name : {"", "readiness", "apium.v1.ServerService"}) {
    EXPECT_THAT(CheckHealth(channel, name), IsOkAndHolds(false)) << name;
  }
  server->SetReady(true);
  for (const char* name :
       {"", "liveness", "readiness", "apium.v1.ServerService"}) {
    EXPECT_THAT(CheckHealth(channel, name), IsOkAndHolds(true)) << name;
  }
  EXPECT_THAT(CheckHealth(channel, "no.such.Service"),
              StatusIs(absl::StatusCode::kNotFound));
  server->SetReady(false);
  EXPECT_THAT(CheckHealth(channel, "readiness"), IsOkAndHolds(false));
  EXPECT_THAT(CheckHealth(channel, "liveness"), IsOkAndHolds(true));
}

// One call, which ends only when it is cancelled.
class HangingService final : public v1::ServerService::CallbackService {
 public:
  grpc::ServerUnaryReactor* GetServerInfo(grpc::CallbackServerContext*,
                                          const v1::GetServerInfoRequest*,
                                          v1::GetServerInfoResponse*) override {
    started.Notify();
    return &reactor_;
  }

  absl::Notification started;

 private:
  class Reactor final : public grpc::ServerUnaryReactor {
   public:
    void OnCancel() override { Finish(grpc::Status::CANCELLED); }
    void OnDone() override {}
  };

  Reactor reactor_;
};

TEST(RpcServerTest, ShutdownCancelsWhatOutlastsTheGrace) {
  HangingService service;
  std::unique_ptr<RpcServer> server = StartServer(&service);
  const std::shared_ptr<grpc::Channel> channel = Dial(server->local_target());
  absl::Status status;
  std::thread client([&] {
    std::string answer;
    status = Echo(channel, "hello", &answer);
  });
  service.started.WaitForNotification();
  server->Shutdown(absl::Milliseconds(10));
  client.join();
  EXPECT_FALSE(status.ok());
}

TEST(RpcServerTest, ThePortIsFreeAfterShutdown) {
  EchoServerService service;
  std::unique_ptr<RpcServer> first = StartServer(&service);
  const std::string address = first->local_target();
  std::string answer;
  APIUM_EXPECT_OK(Echo(Dial(address), "hello", &answer));
  first.reset();
  EchoServerService second_service;
  EXPECT_THAT(RpcServer::Start(
                  {.listen_address = address, .services = {&second_service}}),
              IsOk());
}

}  // namespace
}  // namespace apium
