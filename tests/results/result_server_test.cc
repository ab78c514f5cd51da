// The whole service in this process, over gRPC on a free port.

#include "results/result_server.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <cstdlib>
#include <filesystem>
#include <future>

#include "absl/strings/match.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "apium/v1/server_service.grpc.pb.h"
#include "common/error_reason.h"
#include "common/rpc/proto_time.h"
#include "common/strings.h"
#include "storage/memory_store.h"
#include "storage/rocksdb_store.h"
#include "storage/store_identity.h"
#include "tests/results/result_client.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fault_injecting_store.h"
#include "tests/support/status_matchers.h"

namespace apium::results {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string FreshFolder() {
  static int count = 0;
  const char* root = std::getenv("TEST_TMPDIR");
  std::string folder = StrCat(root == nullptr ? "/tmp" : root, "/results-",
                              getpid(), "-", count++);
  std::filesystem::remove_all(folder);
  return folder;
}

class ResultServerTest : public testing::Test {
 protected:
  ResultServerTest() { config_.self_probe = false; }

  // Starts the server with config_.
  void Start() {
    auto server = ResultServer::Start(std::move(config_));
    APIUM_ASSERT_OK(server);
    server_ = *std::move(server);
    channel_ = grpc::CreateChannel(server_->local_target(),
                                   grpc::InsecureChannelCredentials());
    stub_ = v1::ResultService::NewStub(channel_);
  }

  void StartInFolder(const std::string& folder) {
    config_ = ResultServerConfig();
    config_.self_probe = false;
    config_.data_dir = folder;
    Start();
  }

  // Publishes `ids` as one batch, and waits until they are durable.
  void Publish(const std::vector<std::string>& ids) {
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

  v1::ResultService::Stub* stub() { return stub_.get(); }

  // Scrapes until the metrics have `line`; false if they do not come to it.
  bool AwaitMetric(const std::string& line) {
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

  ResultServerConfig config_;
  std::unique_ptr<ResultServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::ResultService::Stub> stub_;
  std::unique_ptr<PublishClient> publisher_;
  uint64_t position_ = 0;
};

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

// --- Publishing ---

TEST_F(ResultServerTest, PublishedOutcomeIsRead) {
  Start();
  Publish({"a"});
  const auto outcome = Get(stub(), "a");
  APIUM_ASSERT_OK(outcome);
  EXPECT_EQ(outcome->SerializeAsString(), MakeOutcome("a").SerializeAsString());
  EXPECT_THAT(Get(stub(), "b"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(Get(stub(), "b"), HasReason("RESULT_NOT_FOUND"));
}

TEST_F(ResultServerTest, PublisherResumesWhereTheStoreIsAfterARestart) {
  const std::string folder = FreshFolder();
  StartInFolder(folder);
  Publish({"a"});
  Publish({"b"});
  publisher_.reset();
  server_->Shutdown(absl::ZeroDuration());
  server_.reset();
  StartInFolder(folder);
  PublishClient publisher(stub());
  ASSERT_TRUE(publisher.Hello("s1"));
  EXPECT_EQ(publisher.ReadConfirmation(), 2u);
  // Again what is recorded, with other content, and then what is new.
  ASSERT_TRUE(publisher.Publish(2, {MakeOutcome("x")}));
  ASSERT_TRUE(publisher.Publish(3, {MakeOutcome("c"), MakeOutcome("a")}));
  EXPECT_TRUE(publisher.AwaitConfirmation(3));
  const auto page = List(stub(), v1::ListResultsRequest());
  APIUM_ASSERT_OK(page);
  EXPECT_THAT(IdsOf(*page), ElementsAre("c", "b", "a"));
}

TEST_F(ResultServerTest, GapEndsThePublisher) {
  Start();
  PublishClient publisher(stub());
  publisher.Hello("s1");
  publisher.Publish(2, {MakeOutcome("a")});
  const absl::Status status = publisher.Finish();
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument,
                               HasSubstr("batch.position is 2")));
  EXPECT_THAT(status, HasReason("POSITION_GAP"));
}

TEST_F(ResultServerTest, MessagesOutOfTurnEndThePublisher) {
  Start();
  {
    PublishClient publisher(stub());
    publisher.Publish(1, {MakeOutcome("a")});
    EXPECT_THAT(publisher.Finish(), HasReason("PROTOCOL_VIOLATION"));
  }
  {
    PublishClient publisher(stub());
    publisher.Hello("s1");
    publisher.Hello("s1");
    const absl::Status status = publisher.Finish();
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument));
    EXPECT_THAT(status, HasReason("PROTOCOL_VIOLATION"));
  }
  {
    PublishClient publisher(stub());
    publisher.Send(v1::PublishOutcomesRequest());
    EXPECT_THAT(publisher.Finish(), HasReason("PROTOCOL_VIOLATION"));
  }
  {
    PublishClient publisher(stub());
    publisher.Hello("");
    EXPECT_THAT(publisher.Finish(), StatusIs(absl::StatusCode::kInvalidArgument,
                                             HasSubstr("hello.shard_id")));
  }
}

TEST_F(ResultServerTest, WrongOutcomesAreNamedAndNothingIsRecorded) {
  Start();
  struct Case {
    const char* field;
    void (*spoil)(v1::TaskOutcome*);
  };
  const Case cases[] = {
      {"batch.outcomes[1].task_id",
       [](v1::TaskOutcome* outcome) { outcome->clear_task_id(); }},
      {"batch.outcomes[1].task_id",
       [](v1::TaskOutcome* outcome) { outcome->set_task_id("a\nb"); }},
      {"batch.outcomes[1].namespace",
       [](v1::TaskOutcome* outcome) { outcome->set_namespace_("A B"); }},
      {"batch.outcomes[1].state",
       [](v1::TaskOutcome* outcome) { outcome->clear_state(); }},
      {"batch.outcomes[1].queue",
       [](v1::TaskOutcome* outcome) {
         outcome->set_queue(std::string(256, 'q'));
       }},
      {"batch.outcomes[1].type",
       [](v1::TaskOutcome* outcome) {
         outcome->set_type(std::string(256, 't'));
       }},
  };
  for (const Case& wrong : cases) {
    PublishClient publisher(stub());
    publisher.Hello("s1");
    v1::TaskOutcome spoiled = MakeOutcome("b");
    wrong.spoil(&spoiled);
    publisher.Publish(1, {MakeOutcome("a"), spoiled});
    const absl::Status status = publisher.Finish();
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument,
                                 HasSubstr(wrong.field)));
    EXPECT_THAT(status, HasReason("INVALID_FIELD"));
  }
  EXPECT_THAT(Get(stub(), "a"), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(ResultServerTest, NewestPublisherOfAShardWins) {
  Start();
  PublishClient older(stub());
  ASSERT_TRUE(older.Hello("s1"));
  EXPECT_EQ(older.ReadConfirmation(), 0u);
  PublishClient newer(stub());
  ASSERT_TRUE(newer.Hello("s1"));
  EXPECT_EQ(newer.ReadConfirmation(), 0u);
  const absl::Status status = older.Finish();
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(status, HasReason("PUBLISHER_REPLACED"));
  ASSERT_TRUE(newer.Publish(1, {MakeOutcome("a")}));
  EXPECT_TRUE(newer.AwaitConfirmation(1));
}

TEST_F(ResultServerTest, HalfClosedPublisherIsConfirmedAndEndsOk) {
  Start();
  PublishClient publisher(stub());
  publisher.Hello("s1");
  for (uint64_t position = 1; position <= 100; ++position) {
    ASSERT_TRUE(
        publisher.Publish(position, {MakeOutcome(StrCat("id", position))}));
  }
  publisher.WritesDone();
  EXPECT_TRUE(publisher.AwaitConfirmation(100));
  APIUM_EXPECT_OK(publisher.Finish());
}

TEST_F(ResultServerTest, PublisherIsNotReadBeyondItsWindow) {
  auto store =
      std::make_unique<FaultInjectingStore>(std::make_unique<MemoryStore>());
  FaultInjectingStore* faults = store.get();
  config_.store = std::move(store);
  Start();
  Publish({"first"});
  faults->HoldSyncs();
  // Far more than the window of 8 MiB and the buffers of the connection.
  constexpr int kBatches = 200;
  v1::TaskOutcome large = MakeOutcome("large");
  large.mutable_result()->set_data(std::string(1 << 20, 'x'));
  auto sent = std::async(std::launch::async, [&] {
    for (int i = 0; i < kBatches; ++i) {
      large.set_task_id(StrCat("large", i));
      if (!publisher_->Publish(position_ + 1 + i, {large})) {
        return i;
      }
    }
    return kBatches;
  });
  ASSERT_TRUE(faults->WaitForHeldSync(kTestDeadline));
  // Without a bound, all would be taken in a fraction of this.
  EXPECT_EQ(sent.wait_for(std::chrono::seconds(1)),
            std::future_status::timeout);
  faults->ReleaseSyncs();
  EXPECT_TRUE(publisher_->AwaitConfirmation(position_ + kBatches));
  EXPECT_EQ(sent.get(), kBatches);
}

// --- Reading ---

TEST_F(ResultServerTest, NothingIsReadBeforeItIsDurable) {
  auto store =
      std::make_unique<FaultInjectingStore>(std::make_unique<MemoryStore>());
  FaultInjectingStore* faults = store.get();
  config_.store = std::move(store);
  Start();
  Publish({"first"});
  WatchClient watch(stub(), WatchFrom(""));
  v1::WatchResultsResponse begun;
  ASSERT_TRUE(watch.Read(&begun));
  auto waiting = std::async(std::launch::async,
                            [&] { return Wait(stub(), WaitFor("a")); });
  faults->HoldSyncs();
  ASSERT_TRUE(publisher_->Publish(++position_, {MakeOutcome("a")}));
  ASSERT_TRUE(faults->WaitForHeldSync(kTestDeadline));
  auto getting =
      std::async(std::launch::async, [&] { return Get(stub(), "a"); });
  auto watching =
      std::async(std::launch::async, [&] { return watch.ReadIds(1); });
  // All have been there for a while, and none has an answer.
  EXPECT_EQ(getting.wait_for(std::chrono::milliseconds(100)),
            std::future_status::timeout);
  EXPECT_EQ(waiting.wait_for(std::chrono::seconds(0)),
            std::future_status::timeout);
  EXPECT_EQ(watching.wait_for(std::chrono::seconds(0)),
            std::future_status::timeout);
  faults->ReleaseSyncs();
  APIUM_EXPECT_OK(getting.get());
  APIUM_EXPECT_OK(waiting.get());
  EXPECT_THAT(watching.get(), ElementsAre("a"));
}

TEST_F(ResultServerTest, WaitIsPushedTheOutcome) {
  Start();
  std::vector<std::future<absl::StatusOr<v1::TaskOutcome>>> waits;
  for (int i = 0; i < 10; ++i) {
    waits.push_back(std::async(std::launch::async,
                               [&] { return Wait(stub(), WaitFor("a")); }));
  }
  Publish({"a"});
  for (auto& wait : waits) {
    const auto outcome = wait.get();
    APIUM_ASSERT_OK(outcome);
    EXPECT_EQ(outcome->result().data(), "r-a");
  }
}

TEST_F(ResultServerTest, WaitTimesOut) {
  Start();
  v1::WaitResultRequest request = WaitFor("never");
  for (const absl::Duration timeout :
       {absl::ZeroDuration(), absl::Milliseconds(20)}) {
    DurationToProto(timeout, request.mutable_timeout());
    const auto outcome = Wait(stub(), request);
    EXPECT_THAT(outcome, StatusIs(absl::StatusCode::kDeadlineExceeded));
    EXPECT_THAT(outcome, HasReason("WAIT_TIMEOUT"));
  }
}

TEST_F(ResultServerTest, CancelledWaitMakesRoomForAnother) {
  config_.waiters_max = 1;
  config_.http_listen_address = "127.0.0.1:0";
  Start();
  grpc::ClientContext context;
  SetDeadline(&context);
  v1::WaitResultResponse response;
  absl::Notification done;
  grpc::Status first;
  const v1::WaitResultRequest request = WaitFor("a");
  stub()->async()->WaitResult(&context, &request, &response,
                              [&](grpc::Status status) {
                                first = status;
                                done.Notify();
                              });
  ASSERT_TRUE(AwaitMetric("apium_result_waiters 1\n"));
  v1::WaitResultRequest brief = WaitFor("b");
  DurationToProto(absl::Milliseconds(1), brief.mutable_timeout());
  const auto refused = Wait(stub(), brief);
  EXPECT_THAT(refused, StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(refused, HasReason("TOO_MANY_WAITERS"));
  EXPECT_GT(RetryDelayOf(refused.status()), absl::ZeroDuration());
  context.TryCancel();
  done.WaitForNotification();
  EXPECT_EQ(first.error_code(), grpc::StatusCode::CANCELLED);
  ASSERT_TRUE(AwaitMetric("apium_result_waiters 0\n"));
  EXPECT_THAT(Wait(stub(), brief), HasReason("WAIT_TIMEOUT"));
}

TEST_F(ResultServerTest, ListPagesAndFilters) {
  Start();
  Publish({"a", "b", "c"});
  v1::TaskOutcome failed = MakeOutcome("failed");
  failed.set_state(v1::TASK_STATE_FAILED);
  ASSERT_TRUE(publisher_->Publish(++position_, {failed}));
  ASSERT_TRUE(publisher_->AwaitConfirmation(position_));
  v1::ListResultsRequest request;
  request.set_page_size(3);
  auto page = List(stub(), request);
  APIUM_ASSERT_OK(page);
  EXPECT_THAT(IdsOf(*page), ElementsAre("failed", "c", "b"));
  EXPECT_EQ(page->outcomes(1).result().data(), "");
  request.set_page_token(page->next_page_token());
  request.set_view(v1::TASK_VIEW_FULL);
  page = List(stub(), request);
  APIUM_ASSERT_OK(page);
  EXPECT_THAT(IdsOf(*page), ElementsAre("a"));
  EXPECT_EQ(page->outcomes(0).result().data(), "r-a");
  EXPECT_EQ(page->next_page_token(), "");
  // The token belongs to the filter.
  request.mutable_filter()->add_states(v1::TASK_STATE_FAILED);
  EXPECT_THAT(
      List(stub(), request),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("page_token")));
  request.clear_page_token();
  page = List(stub(), request);
  APIUM_ASSERT_OK(page);
  EXPECT_THAT(IdsOf(*page), ElementsAre("failed"));
}

TEST_F(ResultServerTest, WatchResumesByCursorExactlyOnceAcrossARestart) {
  const std::string folder = FreshFolder();
  StartInFolder(folder);
  std::string cursor;
  std::vector<std::string> seen;
  {
    WatchClient watch(stub(), WatchFrom(""));
    v1::WatchResultsResponse begun;
    ASSERT_TRUE(watch.Read(&begun));
    EXPECT_EQ(begun.outcomes_size(), 0);
    EXPECT_NE(begun.cursor(), "");
    Publish({"a", "b"});
    EXPECT_THAT(watch.ReadIds(2), ElementsAre("a", "b"));
    cursor = watch.cursor();
  }
  Publish({"c"});
  publisher_.reset();
  server_->Shutdown(absl::ZeroDuration());
  server_.reset();
  StartInFolder(folder);
  WatchClient watch(stub(), WatchFrom(cursor));
  EXPECT_THAT(watch.ReadIds(1), ElementsAre("c"));
  Publish({"d"});
  EXPECT_THAT(watch.ReadIds(1), ElementsAre("d"));
  WatchClient oldest(stub(), WatchFrom("0"));
  EXPECT_THAT(oldest.ReadIds(4), ElementsAre("a", "b", "c", "d"));
}

TEST_F(ResultServerTest, WatcherThatDoesNotReadMissesNothing) {
  Start();
  WatchClient watch(stub(), WatchFrom(""));
  v1::WatchResultsResponse begun;
  ASSERT_TRUE(watch.Read(&begun));
  // Far more than the window and the buffers of the connection.
  std::vector<std::string> expected;
  for (int i = 0; i < 100; ++i) {
    std::vector<v1::TaskOutcome> outcomes;
    for (int j = 0; j < 10; ++j) {
      expected.push_back(StrCat(i, "-", j));
      outcomes.push_back(MakeOutcome(expected.back()));
      outcomes.back().mutable_result()->set_data(std::string(20'000, 'x'));
    }
    if (publisher_ == nullptr) {
      Publish({"first"});
    }
    ASSERT_TRUE(publisher_->Publish(++position_, outcomes));
  }
  ASSERT_TRUE(publisher_->AwaitConfirmation(position_));
  expected.insert(expected.begin(), "first");
  EXPECT_EQ(watch.ReadIds(expected.size()), expected);
}

TEST_F(ResultServerTest, ForgottenIsGone) {
  Start();
  Publish({"a"});
  APIUM_EXPECT_OK(Forget(stub(), "a"));
  const absl::Status again = Forget(stub(), "a");
  EXPECT_THAT(again, StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(again, HasReason("RESULT_NOT_FOUND"));
  EXPECT_THAT(Get(stub(), "a"), HasReason("RESULT_NOT_FOUND"));
}

TEST_F(ResultServerTest, ExpiredIsGone) {
  FakeClock clock;
  config_.clock = &clock;
  config_.result_ttl = absl::Seconds(30);
  Start();
  Publish({"a"});
  clock.Advance(absl::Seconds(29));
  APIUM_EXPECT_OK(Get(stub(), "a"));
  clock.Advance(absl::Seconds(1));
  EXPECT_THAT(Get(stub(), "a"), HasReason("RESULT_NOT_FOUND"));
  server_.reset();
}

TEST_F(ResultServerTest, NamespacesOfReadersAreThoseOfTheConfiguration) {
  config_.namespaces = {"default", "team-a"};
  Start();
  v1::TaskOutcome a = MakeOutcome("a");
  a.set_namespace_("team-a");
  v1::TaskOutcome b = MakeOutcome("b");
  b.set_namespace_("team-b");
  Publish({});
  ASSERT_TRUE(publisher_->Publish(++position_, {a, b}));
  ASSERT_TRUE(publisher_->AwaitConfirmation(position_));
  APIUM_EXPECT_OK(Get(stub(), "a", "team-a"));
  EXPECT_THAT(Get(stub(), "a", "default"), HasReason("RESULT_NOT_FOUND"));
  const auto other = Get(stub(), "b", "team-b");
  EXPECT_THAT(other,
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("team-b")));
  EXPECT_THAT(other, HasReason("NAMESPACE_NOT_FOUND"));
}

TEST_F(ResultServerTest, BadRequestsAreNamed) {
  Start();
  EXPECT_THAT(Get(stub(), ""), StatusIs(absl::StatusCode::kInvalidArgument,
                                        HasSubstr("task_id")));
  EXPECT_THAT(Get(stub(), "a b"), HasReason("INVALID_FIELD"));
  EXPECT_THAT(
      Get(stub(), "a", "UPPER"),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("namespace")));
  EXPECT_THAT(Forget(stub(), ""), StatusIs(absl::StatusCode::kInvalidArgument,
                                           HasSubstr("task_id")));
  for (const absl::Duration timeout :
       {-absl::Seconds(1), absl::Hours(24) + absl::Nanoseconds(1)}) {
    v1::WaitResultRequest request = WaitFor("a");
    DurationToProto(timeout, request.mutable_timeout());
    EXPECT_THAT(
        Wait(stub(), request),
        StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("timeout")));
  }
  v1::ListResultsRequest list;
  list.set_page_size(1001);
  EXPECT_THAT(List(stub(), list), StatusIs(absl::StatusCode::kInvalidArgument,
                                           HasSubstr("page_size")));
  list.set_page_size(0);
  list.set_page_token("x");
  EXPECT_THAT(List(stub(), list), StatusIs(absl::StatusCode::kInvalidArgument,
                                           HasSubstr("page_token")));
  list.set_page_token(std::string(10'000, 'x'));
  EXPECT_THAT(List(stub(), list), HasReason("INVALID_FIELD"));
  list.clear_page_token();
  list.set_view(static_cast<v1::TaskView>(9));
  EXPECT_THAT(List(stub(), list),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("view")));
  list.clear_view();
  list.mutable_filter()->add_states(static_cast<v1::TaskState>(99));
  EXPECT_THAT(List(stub(), list), StatusIs(absl::StatusCode::kInvalidArgument,
                                           HasSubstr("filter.states[0]")));
  WatchClient malformed(stub(), WatchFrom("x"));
  EXPECT_THAT(malformed.Finish(), StatusIs(absl::StatusCode::kInvalidArgument,
                                           HasSubstr("after_cursor")));
  v1::WatchResultsRequest unknown = WatchFrom("");
  unknown.set_namespace_("unknown");
  WatchClient nowhere(stub(), unknown);
  EXPECT_THAT(nowhere.Finish(), HasReason("NAMESPACE_NOT_FOUND"));
  // It is as well as before.
  Publish({"a"});
  APIUM_EXPECT_OK(Get(stub(), "a"));
}

TEST_F(ResultServerTest, CursorOfAnotherStoreHasExpired) {
  StartInFolder(FreshFolder());
  WatchClient watch(stub(), WatchFrom(""));
  v1::WatchResultsResponse begun;
  ASSERT_TRUE(watch.Read(&begun));
  server_.reset();
  StartInFolder(FreshFolder());
  WatchClient resumed(stub(), WatchFrom(begun.cursor()));
  const absl::Status status = resumed.Finish();
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kOutOfRange));
  EXPECT_THAT(status, HasReason("CURSOR_EXPIRED"));
}

// --- The process ---

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
