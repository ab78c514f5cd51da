// Readers at the wire: get, wait, list, watch and forget of a whole service in
// this process.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>

#include "absl/synchronization/notification.h"
#include "common/error_reason.h"
#include "common/rpc/proto_time.h"
#include "common/strings.h"
#include "storage/memory_store.h"
#include "tests/results/result_client.h"
#include "tests/results/result_server_fixture.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fault_injecting_store.h"
#include "tests/support/status_matchers.h"

namespace apium::results {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

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

}  // namespace
}  // namespace apium::results
