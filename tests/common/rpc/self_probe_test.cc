#include "common/rpc/self_probe.h"

#include <arpa/inet.h>
#include <grpc/support/log.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "common/rpc/server.h"
#include "common/strings.h"
#include "tests/support/status_matchers.h"

namespace apium {
namespace {

// Generous: the machine may be busy.
constexpr absl::Duration kPatience = absl::Seconds(60);

// A listener whose connections nobody ever accepts: what gRPC's becomes when
// accept() has failed.
class DeadListener {
 public:
  DeadListener() : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(fd_, 16), 0);
    EXPECT_EQ(getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size),
              0);
    target_ = StrCat("127.0.0.1:", ntohs(address.sin_port));
  }
  ~DeadListener() { close(fd_); }

  const std::string& target() const { return target_; }

 private:
  const int fd_;
  std::string target_;
};

std::unique_ptr<RpcServer> StartServer() {
  auto server = RpcServer::Start({.listen_address = "127.0.0.1:0"});
  EXPECT_THAT(server, IsOk());
  return *std::move(server);
}

TEST(SelfProbeTest, FindsALivingListener) {
  const std::unique_ptr<RpcServer> server = StartServer();
  EXPECT_THAT(SelfProbe::ProbeOnce(server->local_target(), kPatience), IsOk());
}

TEST(SelfProbeTest, ALivingListenerNeedNotBeReady) {
  const std::unique_ptr<RpcServer> server = StartServer();
  server->SetReady(false);
  EXPECT_THAT(SelfProbe::ProbeOnce(server->local_target(), kPatience), IsOk());
}

TEST(SelfProbeTest, FindsThatNobodyAccepts) {
  DeadListener dead;
  EXPECT_FALSE(
      SelfProbe::ProbeOnce(dead.target(), absl::Milliseconds(200)).ok());
}

TEST(SelfProbeTest, FindsThatNobodyListens) {
  std::string target;
  {
    DeadListener gone;
    target = gone.target();
  }
  EXPECT_THAT(SelfProbe::ProbeOnce(target, absl::Seconds(5)),
              StatusIs(absl::StatusCode::kUnavailable));
}

TEST(SelfProbeTest, ReportsADeadListenerOnceAfterSeveralFailures) {
  DeadListener dead;
  absl::Notification reported;
  absl::Status error;
  SelfProbe probe({.target = dead.target(),
                   .period = absl::Milliseconds(1),
                   .timeout = absl::Milliseconds(50),
                   .failures_max = 3,
                   .on_dead = [&](const absl::Status& status) {
                     error = status;
                     reported.Notify();  // a second call would abort
                   }});
  ASSERT_TRUE(reported.WaitForNotificationWithTimeout(kPatience));
  EXPECT_FALSE(error.ok());
}

// Notified when gRPC says that it could not accept a connection.
absl::Notification* accept_failed = nullptr;

void WatchGrpcLog(gpr_log_func_args* message) {
  if (std::string(message->message).find("Failed accept4") !=
          std::string::npos &&
      !accept_failed->HasBeenNotified()) {
    accept_failed->Notify();
  }
}

// The reason why the probe exists. If a later gRPC passes this by accepting
// again, the probe may go.
TEST(SelfProbeTest, FindsThatGrpcStoppedAcceptingWhenDescriptorsRanOut) {
  absl::Notification failed;
  accept_failed = &failed;
  gpr_set_log_function(&WatchGrpcLog);
  const std::unique_ptr<RpcServer> server = StartServer();
  ASSERT_THAT(SelfProbe::ProbeOnce(server->local_target(), kPatience), IsOk());

  // Take every descriptor below a low limit, but for one socket that is already
  // there.
  const int client = socket(AF_INET, SOCK_STREAM, 0);
  rlimit limit;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  const rlim_t old_limit = limit.rlim_cur;
  limit.rlim_cur = std::min<rlim_t>(256, old_limit);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  std::vector<int> taken;
  for (int fd = dup(client); fd >= 0; fd = dup(client)) taken.push_back(fd);
  ASSERT_EQ(errno, EMFILE);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(server->port()));
  EXPECT_EQ(
      connect(client, reinterpret_cast<sockaddr*>(&address), sizeof(address)),
      0);
  EXPECT_TRUE(failed.WaitForNotificationWithTimeout(kPatience));
  for (int fd : taken) close(fd);
  close(client);
  limit.rlim_cur = old_limit;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);

  // Descriptors are free again, but nobody accepts any more.
  EXPECT_FALSE(
      SelfProbe::ProbeOnce(server->local_target(), absl::Seconds(1)).ok());
}

TEST(SelfProbeTest, StopsAtOnceAlthoughItsPeriodIsLong) {
  SelfProbe probe({.target = "127.0.0.1:1",
                   .period = absl::InfiniteDuration(),
                   .on_dead = [](const absl::Status&) {
                     ADD_FAILURE() << "never probed";
                   }});
}

}  // namespace
}  // namespace apium
