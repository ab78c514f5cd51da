#include "broker/broker_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include "absl/synchronization/notification.h"
#include "common/rpc/grpc_status.h"
#include "common/strings.h"
#include "storage/memory_store.h"
#include "storage/rocksdb_store.h"
#include "storage/store_identity.h"
#include "tests/broker/support/broker_harness.h"
#include "tests/broker/support/fake_result_service.h"
#include "tests/support/fault_injecting_store.h"
#include "tests/support/status_matchers.h"

namespace apium::broker {
namespace {

using testing::HasSubstr;

// A folder of this test's own.
std::string NewFolder(const std::string& name) {
  const char* base = std::getenv("TEST_TMPDIR");
  const std::filesystem::path path =
      std::filesystem::path(base != nullptr ? base : "/tmp") / name;
  std::filesystem::remove_all(path);
  return path.string();
}

BrokerConfig OnDisk(const std::string& folder) {
  BrokerConfig config;
  config.data_dir = folder;
  config.self_probe = false;
  config.min_free_disk_bytes = 0;
  return config;
}

std::string HttpGet(BrokerServer& server, const std::string& path,
                    int* status = nullptr) {
  httplib::Client client("127.0.0.1", server.http_port());
  client.set_read_timeout(60);
  const httplib::Result result = client.Get(path.c_str());
  if (!result) return "";
  if (status != nullptr) *status = result->status;
  return result->body;
}

TEST(BrokerServerTest, KeepsItsTasksOverARestart) {
  const std::string folder = NewFolder("restart");
  std::string shard_id;
  std::string queued;
  std::string cancelled;
  {
    BrokerHarness broker(OnDisk(folder));
    shard_id = broker.server().shard_id();
    const auto first = broker.Submit(Spec("t", "payload"));
    APIUM_ASSERT_OK(first);
    queued = *first;
    const auto second = broker.Submit(Spec("t"));
    APIUM_ASSERT_OK(second);
    cancelled = *second;
    APIUM_ASSERT_OK(broker.Cancel(cancelled));
    broker.server().Shutdown(absl::ZeroDuration());
  }
  BrokerHarness broker(OnDisk(folder));
  EXPECT_EQ(broker.server().shard_id(), shard_id);
  const auto task = broker.Get(queued);
  APIUM_ASSERT_OK(task);
  EXPECT_EQ(task->state(), v1::TASK_STATE_QUEUED);
  EXPECT_EQ(task->spec().payload().data(), "payload");
  const auto finished = broker.Get(cancelled);
  APIUM_ASSERT_OK(finished);
  EXPECT_EQ(finished->state(), v1::TASK_STATE_CANCELLED);
}

TEST(BrokerServerTest, RefusesASecondBrokerOnItsFolder) {
  const std::string folder = NewFolder("locked");
  BrokerHarness broker(OnDisk(folder));
  EXPECT_THAT(BrokerServer::Start(OnDisk(folder)).status(),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("already open")));
  APIUM_EXPECT_OK(broker.Submit(Spec("t")));
}

TEST(BrokerServerTest, RefusesTheStoreOfAnotherProgramOrANewerOne) {
  const std::string folder = NewFolder("foreign");
  {
    auto store = RocksDbStore::Open({.path = folder});
    APIUM_ASSERT_OK(store);
    APIUM_ASSERT_OK(CheckOrWriteIdentity(
        **store, {.name = "apium-results", .format_version = 1}));
  }
  EXPECT_THAT(BrokerServer::Start(OnDisk(folder)).status(),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("apium-results")));
  const std::string newer = NewFolder("newer");
  {
    auto store = RocksDbStore::Open({.path = newer});
    APIUM_ASSERT_OK(store);
    APIUM_ASSERT_OK(CheckOrWriteIdentity(
        **store, {.name = "apium-broker", .format_version = 99}));
  }
  EXPECT_THAT(BrokerServer::Start(OnDisk(newer)).status(),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("99")));
}

TEST(BrokerServerTest, RefusesAPortThatIsTaken) {
  BrokerHarness broker;
  BrokerConfig config;
  config.listen_address = broker.server().local_target();
  EXPECT_THAT(BrokerServer::Start(std::move(config)).status(),
              HasReason("ADDRESS_IN_USE"));
  BrokerConfig http;
  http.http_listen_address = broker.server().local_target();
  EXPECT_THAT(BrokerServer::Start(std::move(http)).status(),
              HasReason("ADDRESS_IN_USE"));
}

TEST(BrokerServerTest, RefusesABadConfiguration) {
  BrokerConfig config;
  config.engine.namespaces = {};
  EXPECT_THAT(
      BrokerServer::Start(std::move(config)).status(),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("namespace")));
  config = BrokerConfig();
  config.engine.namespaces = {"A"};
  EXPECT_THAT(BrokerServer::Start(std::move(config)).status(),
              StatusIs(absl::StatusCode::kInvalidArgument));
  config = BrokerConfig();
  config.engine.lease_duration = absl::Milliseconds(10);
  EXPECT_THAT(BrokerServer::Start(std::move(config)).status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("lease duration is 10ms")));
  config = BrokerConfig();
  config.task_limits.payload_bytes_max = 5 * 1024 * 1024;
  EXPECT_THAT(
      BrokerServer::Start(std::move(config)).status(),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("payload limit")));
}

TEST(BrokerServerTest, SaysWhatItIsAndWhatItCanDo) {
  BrokerConfig config;
  config.engine.namespaces = {"default", "team-a"};
  BrokerHarness broker(std::move(config));
  TestContext context;
  v1::GetServerInfoResponse response;
  ASSERT_TRUE(broker.info().GetServerInfo(&context, {}, &response).ok());
  const v1::ServerInfo& info = response.server_info();
  EXPECT_EQ(info.service(), "apium-broker");
  EXPECT_THAT(info.capabilities(), testing::Contains("task.priority"));
  EXPECT_TRUE(
      std::is_sorted(info.capabilities().begin(), info.capabilities().end()));
  EXPECT_THAT(info.namespaces(), testing::ElementsAre("default", "team-a"));
  EXPECT_EQ(info.limits().max_payload_bytes(), 1024u * 1024);
  EXPECT_EQ(info.shard_id(), broker.server().shard_id());
}

TEST(BrokerServerTest, ShowsMetricsAndHealthOverHttp) {
  BrokerHarness broker({.http_listen_address = "127.0.0.1:0"});
  APIUM_ASSERT_OK(broker.Submit(Spec("t")));
  int status = 0;
  EXPECT_THAT(HttpGet(broker.server(), "/readyz", &status),
              HasSubstr("serving ok"));
  EXPECT_EQ(status, 200);
  HttpGet(broker.server(), "/livez", &status);
  EXPECT_EQ(status, 200);
  const std::string metrics = HttpGet(broker.server(), "/metrics");
  for (const char* line :
       {"apium_engine_up 1", "apium_wal_sync_seconds_count",
        "apium_commit_batch_size_count", "apium_commit_queue_depth",
        "apium_tasks_submitted_total{namespace=\"default\",queue=\"default\","
        "outcome=\"accepted\"} 1",
        "apium_queue_depth{namespace=\"default\",queue=\"default\",state="
        "\"ready\"} 1",
        "apium_backpressure_active{reason=\"disk\"} 0",
        "grpc_server_handled_total", "process_resident_memory_bytes",
        "apium_build_info", "apium_rocksdb_memtable_bytes"}) {
    EXPECT_THAT(metrics, HasSubstr(line));
  }
}

TEST(BrokerServerTest, StopsForGoodWhenTheStoreFails) {
  auto store =
      std::make_unique<FaultInjectingStore>(std::make_unique<MemoryStore>());
  FaultInjectingStore* const faults = store.get();
  absl::Notification failed;
  BrokerConfig config;
  config.http_listen_address = "127.0.0.1:0";
  config.store = std::move(store);
  config.on_failure = [&failed](const absl::Status&) { failed.Notify(); };
  BrokerHarness broker(std::move(config));
  const auto before = broker.Submit(Spec("t"));
  APIUM_ASSERT_OK(before);
  faults->FailSyncs(absl::UnavailableError("disk gone"));
  std::thread submitter([&broker] {
    // Never acknowledged: the call ends with the server.
    EXPECT_FALSE(broker.Submit(Spec("t")).ok());
  });
  ASSERT_TRUE(failed.WaitForNotificationWithTimeout(kTestDeadline));
  EXPECT_THAT(broker.server().failure(),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("disk gone")));
  int status = 0;
  HttpGet(broker.server(), "/livez", &status);
  EXPECT_EQ(status, 503);
  HttpGet(broker.server(), "/readyz", &status);
  EXPECT_EQ(status, 503);
  broker.server().Shutdown(kTestDeadline);
  submitter.join();
}

TEST(BrokerServerTest, EndsWaitsAndWatchesWhenItStops) {
  BrokerHarness broker({.http_listen_address = "127.0.0.1:0"});
  const auto id = broker.Submit(Spec("t"));
  APIUM_ASSERT_OK(id);
  TestContext context;
  v1::WatchTaskRequest request;
  request.set_task_id(*id);
  auto watch = broker.tasks().WatchTask(&context, request);
  v1::WatchTaskResponse response;
  ASSERT_TRUE(watch->Read(&response));
  absl::StatusOr<v1::Task> waited;
  std::thread waiter([&] { waited = broker.Wait(*id); });
  while (HttpGet(broker.server(), "/metrics").find("apium_task_waiters 2") ==
         std::string::npos) {
  }
  std::thread stop([&] { broker.server().Shutdown(kTestDeadline); });
  EXPECT_FALSE(watch->Read(&response));
  EXPECT_THAT(FromGrpcStatus(watch->Finish()), HasReason("SHUTTING_DOWN"));
  waiter.join();
  EXPECT_THAT(waited, HasReason("SHUTTING_DOWN"));
  stop.join();
}

TEST(BrokerServerTest, WorksOnWhileTheResultServiceIsDownAndCatchesUp) {
  const std::string folder = NewFolder("results_down");
  FakeResultService results;
  {
    BrokerConfig config = OnDisk(folder);
    config.results_address = "127.0.0.1:1";  // nobody listens there
    BrokerHarness broker(std::move(config));
    for (int i = 0; i < 10; ++i) {
      v1::TaskSpec spec = Spec("t");
      spec.set_task_id(StrCat("task-", i));
      APIUM_ASSERT_OK(broker.Submit(spec));
      const auto task = broker.Cancel(StrCat("task-", i));
      APIUM_ASSERT_OK(task);
      // Read from the outbox.
      const auto read = broker.Get(StrCat("task-", i));
      APIUM_ASSERT_OK(read);
      EXPECT_EQ(read->state(), v1::TASK_STATE_CANCELLED);
    }
  }
  BrokerConfig config = OnDisk(folder);
  config.results_channel = results.Channel();
  BrokerHarness broker(std::move(config));
  const size_t positions = results.Positions(10).size();
  EXPECT_EQ(positions, 10u);
  std::vector<std::string> ids = results.TaskIds();
  EXPECT_EQ(ids.size(), 10u);
  EXPECT_EQ(ids.front(), "task-0");
}

TEST(BrokerServerTest, RefusesSubmitsWhenTheDiskIsAlmostFull) {
  BrokerConfig config = OnDisk(NewFolder("full"));
  config.min_free_disk_bytes = uint64_t{1} << 62;
  BrokerHarness broker(std::move(config));
  absl::StatusOr<std::string> id;
  do {
    id = broker.Submit(Spec("t"));  // until the guard has looked
  } while (id.ok());
  EXPECT_THAT(id, HasReason("DISK_LOW"));
}

}  // namespace
}  // namespace apium::broker
