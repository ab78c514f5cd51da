#include "common/listen_address.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "tests/support/status_matchers.h"

namespace apium {
namespace {

using ::testing::HasSubstr;

// host|port of `text`, or the error's code.
std::string Parsed(const std::string& text) {
  const absl::StatusOr<HostPort> address = ParseHostPort(text);
  if (!address.ok()) return absl::StatusCodeToString(address.status().code());
  return address->host + "|" + std::to_string(address->port);
}

TEST(ListenAddressTest, ParsesHostAndPort) {
  EXPECT_EQ(Parsed("localhost:7450"), "localhost|7450");
  EXPECT_EQ(Parsed("0.0.0.0:0"), "0.0.0.0|0");
  EXPECT_EQ(Parsed(":65535"), "|65535");
  EXPECT_EQ(Parsed("[::1]:80"), "::1|80");
}

TEST(ListenAddressTest, RefusesWhatIsNotAnAddress) {
  for (const char* text : {"", "localhost", "localhost:", "localhost:http",
                           "localhost:65536", "localhost:-1", "localhost: 80",
                           "::1:80", "[::1:80", "host:99999999999"}) {
    EXPECT_EQ(Parsed(text), "INVALID_ARGUMENT") << text;
  }
}

TEST(ListenAddressTest, FormatsWhatItParses) {
  for (const char* text : {"localhost:7450", "[::1]:80", ":0"}) {
    EXPECT_EQ(FormatHostPort(*ParseHostPort(text)), text);
  }
}

TEST(ListenAddressTest, DialsLoopbackForAWildcard) {
  EXPECT_EQ(FormatHostPort(LoopbackOf(*ParseHostPort("0.0.0.0:5"))),
            "127.0.0.1:5");
  EXPECT_EQ(FormatHostPort(LoopbackOf(*ParseHostPort(":5"))), "127.0.0.1:5");
  EXPECT_EQ(FormatHostPort(LoopbackOf(*ParseHostPort("[::]:5"))), "[::1]:5");
  EXPECT_EQ(FormatHostPort(LoopbackOf(*ParseHostPort("10.1.2.3:5"))),
            "10.1.2.3:5");
}

TEST(ListenAddressTest, SaysThatAPortIsTaken) {
  const int taken = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  ASSERT_EQ(bind(taken, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(taken, 1), 0);
  ASSERT_EQ(getsockname(taken, reinterpret_cast<sockaddr*>(&address), &size),
            0);
  const HostPort host_port = {.host = "127.0.0.1",
                              .port = ntohs(address.sin_port)};

  const absl::Status status = CheckCanListen(host_port);
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnavailable,
                               HasSubstr(FormatHostPort(host_port))));
  EXPECT_THAT(status, HasReason("ADDRESS_IN_USE"));

  close(taken);
  EXPECT_THAT(CheckCanListen(host_port), IsOk());
}

TEST(ListenAddressTest, SaysThatAHostDoesNotResolve) {
  EXPECT_THAT(CheckCanListen({.host = "no such host", .port = 0}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("does not resolve")));
}

TEST(ListenAddressTest, SaysThatAnAddressIsNotOurs) {
  // TEST-NET-1 (RFC 5737): no machine has it.
  EXPECT_THAT(
      CheckCanListen({.host = "192.0.2.1", .port = 0}),
      StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("192.0.2.1")));
}

}  // namespace
}  // namespace apium
