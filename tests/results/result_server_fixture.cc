#include "tests/results/result_server_fixture.h"

#include <httplib.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "common/strings.h"
#include "tests/support/status_matchers.h"

namespace apium::results {

std::string FreshFolder() {
  static int count = 0;
  const char* root = std::getenv("TEST_TMPDIR");
  std::string folder = StrCat(root == nullptr ? "/tmp" : root, "/results-",
                              getpid(), "-", count++);
  std::filesystem::remove_all(folder);
  return folder;
}

void ResultServerTest::Start() {
  auto server = ResultServer::Start(std::move(config_));
  APIUM_ASSERT_OK(server);
  server_ = *std::move(server);
  channel_ = grpc::CreateChannel(server_->local_target(),
                                 grpc::InsecureChannelCredentials());
  stub_ = v1::ResultService::NewStub(channel_);
}

void ResultServerTest::StartInFolder(const std::string& folder) {
  config_ = ResultServerConfig();
  config_.self_probe = false;
  config_.data_dir = folder;
  Start();
}

void ResultServerTest::Publish(const std::vector<std::string>& ids) {
  if (publisher_ == nullptr) {
    publisher_ = std::make_unique<PublishClient>(stub_.get());
    ASSERT_TRUE(publisher_->Hello("s1"));
    position_ = publisher_->ReadConfirmation().value_or(~0ull);
  }
  std::vector<v1::TaskOutcome> outcomes;
  for (const std::string& id : ids) {
    outcomes.push_back(MakeOutcome(id));
  }
  ASSERT_TRUE(publisher_->Publish(++position_, outcomes));
  ASSERT_TRUE(publisher_->AwaitConfirmation(position_));
}

bool ResultServerTest::AwaitMetric(const std::string& line) {
  httplib::Client http("127.0.0.1", server_->http_port());
  http.set_read_timeout(120);
  const absl::Time until = absl::Now() + kTestDeadline;
  while (absl::Now() < until) {
    const auto metrics = http.Get("/metrics");
    if (metrics && absl::StrContains(metrics->body, line)) {
      return true;
    }
  }
  return false;
}

v1::WaitResultRequest WaitFor(const std::string& id) {
  v1::WaitResultRequest request;
  request.set_task_id(id);
  return request;
}

v1::WatchResultsRequest WatchFrom(const std::string& cursor) {
  v1::WatchResultsRequest request;
  request.set_after_cursor(cursor);
  return request;
}

std::vector<std::string> IdsOf(const v1::ListResultsResponse& page) {
  std::vector<std::string> ids;
  for (const v1::TaskOutcome& outcome : page.outcomes()) {
    ids.push_back(outcome.task_id());
  }
  return ids;
}

}  // namespace apium::results
