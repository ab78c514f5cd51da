#include "common/rpc/self_probe.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>

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

TEST(SelfProbeTest, StopsAtOnceAlthoughItsPeriodIsLong) {
  SelfProbe probe({.target = "127.0.0.1:1",
                   .period = absl::InfiniteDuration(),
                   .on_dead = [](const absl::Status&) {
                     ADD_FAILURE() << "never probed";
                   }});
}

}  // namespace
}  // namespace apium
