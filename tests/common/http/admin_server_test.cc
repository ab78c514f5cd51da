#include "common/http/admin_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "common/metrics/process_collector.h"
#include "tests/support/status_matchers.h"

namespace apium {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

struct Answer {
  int status = 0;
  std::string body;
  std::string content_type;
};

Answer Get(const AdminServer& server, const std::string& path) {
  httplib::Client client("127.0.0.1", server.port());
  client.set_read_timeout(60);
  const httplib::Result result = client.Get(path);
  if (!result) return {};
  return {.status = result->status,
          .body = result->body,
          .content_type = result->get_header_value("Content-Type")};
}

std::unique_ptr<AdminServer> StartServer(AdminServerOptions options) {
  options.listen_address = "127.0.0.1:0";
  options.service = "apium-test";
  absl::StatusOr<std::unique_ptr<AdminServer>> server =
      AdminServer::Start(std::move(options));
  EXPECT_THAT(server, IsOk());
  return *std::move(server);
}

TEST(AdminServerTest, ServesMetricsInPrometheusText) {
  const auto server =
      StartServer({.collectables = {std::make_shared<ProcessCollector>()}});
  const Answer answer = Get(*server, "/metrics");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.content_type, "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_THAT(answer.body,
              AllOf(HasSubstr("# TYPE process_cpu_seconds_total counter\n"),
                    HasSubstr("apium_build_info{")));
}

TEST(AdminServerTest, IsLiveAndReadyWithoutChecks) {
  const auto server = StartServer({});
  EXPECT_EQ(Get(*server, "/livez").status, 200);
  EXPECT_EQ(Get(*server, "/readyz").body, "readyz check passed\n");
  EXPECT_EQ(Get(*server, "/healthz").status, 200);
}

TEST(AdminServerTest, ShowsWhichCheckFails) {
  std::atomic<bool> connected{false};
  const auto server =
      StartServer({.readiness = {{"store", [] { return absl::OkStatus(); }},
                                 {"results", [&] {
                                    return connected
                                               ? absl::OkStatus()
                                               : absl::UnavailableError(
                                                     "connection refused");
                                  }}}});
  const Answer unready = Get(*server, "/readyz");
  EXPECT_EQ(unready.status, 503);
  EXPECT_EQ(unready.body,
            "[+]store ok\n[-]results UNAVAILABLE: connection refused\nreadyz "
            "check failed\n");
  EXPECT_EQ(Get(*server, "/livez").status, 200);
  EXPECT_EQ(Get(*server, "/healthz").status, 503);
  connected = true;
  EXPECT_EQ(Get(*server, "/readyz").status, 200);
}

TEST(AdminServerTest, TellsItsVersion) {
  const auto server = StartServer({});
  EXPECT_THAT(Get(*server, "/version").body,
              HasSubstr("\"service\":\"apium-test\",\"version\":\"0.1.0\""));
}

TEST(AdminServerTest, SaysWhatThereIsWhenAskedForSomethingElse) {
  const auto server = StartServer({});
  const Answer answer = Get(*server, "/nothing");
  EXPECT_EQ(answer.status, 404);
  EXPECT_THAT(answer.body, HasSubstr("/metrics"));
}

TEST(AdminServerTest, ATakenPortIsAnErrorThatNamesIt) {
  const auto first = StartServer({});
  const std::string address = "127.0.0.1:" + std::to_string(first->port());
  const auto second = AdminServer::Start({.listen_address = address});
  EXPECT_THAT(second,
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr(address)));
  EXPECT_THAT(second, HasReason("ADDRESS_IN_USE"));
}

TEST(AdminServerTest, ABadAddressIsAnErrorThatNamesIt) {
  EXPECT_THAT(
      AdminServer::Start({.listen_address = "nowhere"}),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("nowhere")));
}

}  // namespace
}  // namespace apium
