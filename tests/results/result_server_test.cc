// Start, stop, failure and what is seen from outside of a whole service in this
// process.

#include "results/result_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <future>

#include "absl/synchronization/notification.h"
#include "apium/v1/server_service.grpc.pb.h"
#include "storage/memory_store.h"
#include "storage/store_identity.h"
#include "tests/results/result_client.h"
#include "tests/results/result_server_fixture.h"
#include "tests/support/fault_injecting_store.h"
#include "tests/support/status_matchers.h"

namespace apium::results {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST_F(ResultServerTest, ShutdownCommitsWhatWasAcceptedAndEndsEveryCall) {
  const std::string folder = FreshFolder();
  config_.data_dir = folder;
  config_.http_listen_address = "127.0.0.1:0";
  Start();
  Publish({"a"});
  WatchClient watch(stub(), WatchFrom(""));
  v1::WatchResultsResponse begun;
  ASSERT_TRUE(watch.Read(&begun));
  auto waiting = std::async(std::launch::async, [stub = stub()] {
    return Wait(stub, WaitFor("never"));
  });
  ASSERT_TRUE(AwaitMetric("apium_result_waiters 1\n"));
  ASSERT_TRUE(publisher_->Publish(++position_, {MakeOutcome("b")}));
  EXPECT_THAT(watch.ReadIds(1), ElementsAre("b"));
  server_->Shutdown(absl::Seconds(60));
  EXPECT_THAT(publisher_->Finish(), StatusIs(absl::StatusCode::kUnavailable));
  const absl::Status watched = watch.Finish();
  EXPECT_THAT(watched, StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(watched, HasReason("SHUTTING_DOWN"));
  EXPECT_THAT(waiting.get(), HasReason("SHUTTING_DOWN"));
  publisher_.reset();
  server_.reset();
  StartInFolder(folder);
  APIUM_EXPECT_OK(Get(stub(), "b"));
}

TEST_F(ResultServerTest, FailedSyncEndsTheServiceAndConfirmsNothing) {
  auto store =
      std::make_unique<FaultInjectingStore>(std::make_unique<MemoryStore>());
  FaultInjectingStore* faults = store.get();
  config_.store = std::move(store);
  absl::Notification failed;
  config_.on_failure = [&](const absl::Status&) { failed.Notify(); };
  Start();
  Publish({"a"});
  auto waiting = std::async(std::launch::async,
                            [&] { return Wait(stub(), WaitFor("b")); });
  faults->FailSyncs(absl::UnavailableError("the disk is gone"));
  ASSERT_TRUE(publisher_->Publish(++position_, {MakeOutcome("b")}));
  EXPECT_EQ(publisher_->ReadConfirmation(), std::nullopt);
  const absl::Status ended = publisher_->Finish();
  EXPECT_THAT(ended, StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(ended, HasReason("STORE_FAILED"));
  ASSERT_TRUE(failed.WaitForNotificationWithTimeout(kTestDeadline));
  EXPECT_THAT(waiting.get(), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(Get(stub(), "a"), HasReason("STORE_FAILED"));
  EXPECT_THAT(server_->failure(), StatusIs(absl::StatusCode::kUnavailable,
                                           HasSubstr("the disk is gone")));
}

TEST_F(ResultServerTest, SaysWhatItIs) {
  Start();
  auto info = v1::ServerService::NewStub(channel_);
  grpc::ClientContext context;
  SetDeadline(&context);
  v1::GetServerInfoResponse response;
  ASSERT_TRUE(
      info->GetServerInfo(&context, v1::GetServerInfoRequest(), &response)
          .ok());
  EXPECT_EQ(response.server_info().service(), "apium-results");
  EXPECT_THAT(response.server_info().namespaces(), ElementsAre("default"));
  EXPECT_NE(response.server_info().shard_id(), "");
  EXPECT_EQ(response.server_info().limits().max_page_size(), 1000u);
  EXPECT_TRUE(response.server_info().has_server_time());
  EXPECT_TRUE(response.server_info().has_start_time());
}

TEST_F(ResultServerTest, ServesMetricsAndHealth) {
  config_.http_listen_address = "127.0.0.1:0";
  config_.data_dir = FreshFolder();
  Start();
  Publish({"a", "b"});
  WatchClient watch(stub(), WatchFrom(""));
  v1::WatchResultsResponse begun;
  ASSERT_TRUE(watch.Read(&begun));
  httplib::Client http("127.0.0.1", server_->http_port());
  http.set_read_timeout(120);
  const auto metrics = http.Get("/metrics");
  ASSERT_TRUE(metrics);
  for (const char* line :
       {"apium_results_recorded_total 2", "apium_result_watchers 1",
        "apium_result_waiters 0", "apium_result_publishers 1",
        "apium_commit_batch_size_count 1", "apium_wal_sync_seconds_count",
        "apium_results_expired_total 0", "apium_results_stored ",
        "apium_results_bytes ", "apium_rocksdb_sst_bytes ",
        "process_cpu_seconds_total", "grpc_server_started_total",
        "apium_build_info"}) {
    EXPECT_THAT(metrics->body, HasSubstr(line));
  }
  const auto ready = http.Get("/readyz");
  ASSERT_TRUE(ready);
  EXPECT_EQ(ready->status, 200);
  const auto live = http.Get("/livez");
  ASSERT_TRUE(live);
  EXPECT_EQ(live->status, 200);
}

// --- What it refuses to start with ---

TEST_F(ResultServerTest, RefusesAFolderThatIsInUse) {
  const std::string folder = FreshFolder();
  StartInFolder(folder);
  ResultServerConfig second;
  second.data_dir = folder;
  second.self_probe = false;
  EXPECT_THAT(ResultServer::Start(std::move(second)),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  Publish({"a"});
  APIUM_EXPECT_OK(Get(stub(), "a"));
}

TEST_F(ResultServerTest, RefusesAPortThatIsTaken) {
  Start();
  ResultServerConfig second;
  second.self_probe = false;
  second.listen_address = server_->local_target();
  EXPECT_THAT(ResultServer::Start(std::move(second)),
              HasReason("ADDRESS_IN_USE"));
}

TEST_F(ResultServerTest, RefusesTheStoreOfAnotherApplicationOrANewerFormat) {
  for (const StoreApplication& other :
       {StoreApplication{.name = "apium-broker", .format_version = 1},
        StoreApplication{.name = "apium-results", .format_version = 99}}) {
    auto store = std::make_unique<MemoryStore>();
    APIUM_ASSERT_OK(CheckOrWriteIdentity(*store, other));
    ResultServerConfig config;
    config.self_probe = false;
    config.store = std::move(store);
    EXPECT_THAT(ResultServer::Start(std::move(config)),
                StatusIs(absl::StatusCode::kFailedPrecondition));
  }
}

TEST_F(ResultServerTest, RefusesAWrongConfiguration) {
  ResultServerConfig config;
  config.result_ttl = absl::Milliseconds(999);
  EXPECT_THAT(ResultServer::Start(std::move(config)),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("999ms")));
  ResultServerConfig nameless;
  nameless.namespaces = {"Not A Name"};
  EXPECT_THAT(ResultServer::Start(std::move(nameless)),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace apium::results
