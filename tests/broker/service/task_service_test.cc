#include "broker/service/task_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <string>
#include <thread>

#include "common/error_reason.h"
#include "common/rpc/grpc_status.h"
#include "tests/broker/support/broker_harness.h"
#include "tests/broker/support/fake_result_service.h"
#include "tests/support/status_matchers.h"

namespace apium::broker {
namespace {

using testing::HasSubstr;

TEST(TaskServiceTest, AcceptsATaskAndShowsIt) {
  BrokerHarness broker;
  v1::TaskSpec spec = Spec("mail.send", "hello");
  spec.set_priority(7);
  (*spec.mutable_headers())["traceparent"] = "00-1";
  const auto id = broker.Submit(spec);
  APIUM_ASSERT_OK(id);
  const auto task = broker.Get(*id);
  APIUM_ASSERT_OK(task);
  EXPECT_EQ(task->state(), v1::TASK_STATE_QUEUED);
  EXPECT_EQ(task->spec().payload().data(), "hello");
  EXPECT_EQ(task->spec().priority(), 7u);
  EXPECT_EQ(task->spec().headers().at("traceparent"), "00-1");
  EXPECT_EQ(task->spec().retry_policy().max_attempts(), 4u);
  EXPECT_THAT(task->waiting_reason(), HasSubstr("no connected worker"));
}

TEST(TaskServiceTest, LeavesPayloadAndHeadersOutOfTheBasicView) {
  BrokerHarness broker;
  v1::TaskSpec spec = Spec("mail.send", "hello");
  (*spec.mutable_headers())["a"] = "b";
  const auto id = broker.Submit(spec);
  APIUM_ASSERT_OK(id);
  TestContext context;
  v1::GetTaskRequest request;
  request.set_task_id(*id);
  request.set_view(v1::TASK_VIEW_BASIC);
  v1::GetTaskResponse response;
  ASSERT_TRUE(broker.tasks().GetTask(&context, request, &response).ok());
  EXPECT_FALSE(response.task().spec().has_payload());
  EXPECT_TRUE(response.task().spec().headers().empty());
  EXPECT_EQ(response.task().spec().type(), "mail.send");
}

TEST(TaskServiceTest, AnswersARepeatedSubmitAsTheFirst) {
  BrokerHarness broker;
  v1::TaskSpec spec = Spec("mail.send", "hello");
  spec.set_task_id("order-1");
  EXPECT_THAT(broker.Submit(spec), IsOkAndHolds("order-1"));
  EXPECT_THAT(broker.Submit(spec), IsOkAndHolds("order-1"));
  spec.mutable_payload()->set_data("other");
  EXPECT_THAT(broker.Submit(spec), HasReason("TASK_ID_REUSED"));
}

// A task of the unique key "k".
v1::TaskSpec UniqueSpec(v1::UniqueConflict on_conflict) {
  v1::TaskSpec spec = Spec("t");
  spec.mutable_unique()->set_key("k");
  spec.mutable_unique()->set_on_conflict(on_conflict);
  return spec;
}

TEST(TaskServiceTest, AttachesToTheTaskThatHoldsTheKey) {
  BrokerHarness broker;
  const auto first = broker.Submit(UniqueSpec(v1::UNIQUE_CONFLICT_REJECT));
  APIUM_ASSERT_OK(first);
  const auto refused = broker.Submit(UniqueSpec(v1::UNIQUE_CONFLICT_REJECT));
  EXPECT_THAT(refused, HasReason("UNIQUE_KEY_HELD"));
  EXPECT_THAT(refused,
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr(*first)));
  v1::SubmitTaskRequest request;
  *request.mutable_spec() = UniqueSpec(v1::UNIQUE_CONFLICT_ATTACH);
  request.mutable_spec()->set_task_id("mine");
  v1::SubmitTaskResponse response;
  TestContext context;
  ASSERT_TRUE(broker.tasks().SubmitTask(&context, request, &response).ok());
  EXPECT_EQ(response.task_id(), *first);
  EXPECT_TRUE(response.attached());
  EXPECT_TRUE(response.has_create_time());
  EXPECT_THAT(broker.Get("mine"), HasReason("TASK_NOT_FOUND"));
}

TEST(TaskServiceTest, AttachesTasksOfABatch) {
  BrokerHarness broker;
  v1::SubmitTasksRequest request;
  *request.add_specs() = UniqueSpec(v1::UNIQUE_CONFLICT_ATTACH);
  *request.add_specs() = UniqueSpec(v1::UNIQUE_CONFLICT_ATTACH);
  *request.add_specs() = UniqueSpec(v1::UNIQUE_CONFLICT_REJECT);
  v1::SubmitTasksResponse response;
  TestContext context;
  ASSERT_TRUE(broker.tasks().SubmitTasks(&context, request, &response).ok());
  ASSERT_EQ(response.results_size(), 3);
  EXPECT_FALSE(response.results(0).attached());
  EXPECT_TRUE(response.results(1).attached());
  EXPECT_EQ(response.results(1).task_id(), response.results(0).task_id());
  EXPECT_EQ(response.results(2).error().reason(), "UNIQUE_KEY_HELD");
}

TEST(TaskServiceTest, ABlockedTaskIsShownAndCounted) {
  BrokerHarness broker;
  TestWorker worker(broker, HelloFor("w", "t"));
  worker.Grant(1);
  APIUM_ASSERT_OK(broker.Submit(UniqueSpec(v1::UNIQUE_CONFLICT_REJECT)));
  const auto deliveries = worker.Deliveries(1);
  ASSERT_EQ(deliveries.size(), 1u);
  const auto next = broker.Submit(UniqueSpec(v1::UNIQUE_CONFLICT_KEEP_LATEST));
  APIUM_ASSERT_OK(next);
  const auto task = broker.Get(*next);
  APIUM_ASSERT_OK(task);
  EXPECT_EQ(task->state(), v1::TASK_STATE_BLOCKED);
  EXPECT_THAT(task->waiting_reason(), HasSubstr("unique key k"));
  EXPECT_EQ(task->spec().unique().key(), "k");
  v1::ListTasksRequest list;
  list.add_states(v1::TASK_STATE_BLOCKED);
  v1::ListTasksResponse listed;
  {
    TestContext context;
    ASSERT_TRUE(broker.tasks().ListTasks(&context, list, &listed).ok());
  }
  ASSERT_EQ(listed.tasks_size(), 1);
  EXPECT_EQ(listed.tasks(0).spec().task_id(), *next);
  v1::GetQueueRequest get;
  get.set_name("default");
  v1::GetQueueResponse queue;
  TestContext context;
  ASSERT_TRUE(broker.queues().GetQueue(&context, get, &queue).ok());
  EXPECT_EQ(queue.queue().counts().blocked(), 1u);
}

TEST(TaskServiceTest, ARequestWithAnIdIsCarriedOutOnce) {
  BrokerHarness broker;
  v1::SubmitTaskRequest request;
  request.set_request_id("r-1");
  std::set<std::string> ids;
  for (int i = 0; i < 3; ++i) {
    *request.mutable_spec() = Spec("t", "hello");
    v1::SubmitTaskResponse response;
    TestContext context;
    ASSERT_TRUE(broker.tasks().SubmitTask(&context, request, &response).ok());
    ids.insert(response.task_id());
  }
  EXPECT_EQ(ids.size(), 1u);
  v1::SubmitTaskResponse response;
  {
    *request.mutable_spec() = Spec("t", "other");
    TestContext context;
    EXPECT_THAT(
        FromGrpcStatus(broker.tasks().SubmitTask(&context, request, &response)),
        HasReason("REQUEST_ID_REUSED"));
  }
  request.set_request_id("not this");
  TestContext context;
  const absl::Status wrong =
      FromGrpcStatus(broker.tasks().SubmitTask(&context, request, &response));
  EXPECT_THAT(wrong, StatusIs(absl::StatusCode::kInvalidArgument,
                              HasSubstr("request_id")));
}

TEST(TaskServiceTest, SixtyFourSubmitsOfAKeyAtOnceAreOneTask) {
  BrokerHarness broker;
  std::vector<absl::StatusOr<std::string>> ids(64);
  std::vector<std::thread> threads;
  for (absl::StatusOr<std::string>& id : ids) {
    threads.emplace_back(
        [&] { id = broker.Submit(UniqueSpec(v1::UNIQUE_CONFLICT_ATTACH)); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const absl::StatusOr<std::string>& id : ids) {
    APIUM_ASSERT_OK(id);
    EXPECT_EQ(*id, *ids[0]);
  }
}

TEST(TaskServiceTest, NamesWhatIsWrongWithABadSubmit) {
  BrokerHarness broker;
  v1::TaskSpec spec = Spec("mail.send");
  spec.set_priority(300);
  const auto refused = broker.Submit(spec);
  EXPECT_THAT(refused, StatusIs(absl::StatusCode::kInvalidArgument,
                                HasSubstr("spec.priority")));
  EXPECT_EQ(FieldViolationsOf(refused.status()).at(0).first, "spec.priority");
  spec = Spec("mail.send");
  spec.set_queue("nowhere");
  EXPECT_THAT(broker.Submit(spec), HasReason("QUEUE_NOT_FOUND"));
  spec = Spec("mail.send", std::string(1024 * 1024 + 1, 'x'));
  EXPECT_THAT(broker.Submit(spec), HasReason("PAYLOAD_TOO_LARGE"));
}

TEST(TaskServiceTest, RefusesASubmitWithoutASpecOrToAnUnknownNamespace) {
  BrokerHarness broker;
  v1::SubmitTaskRequest request;
  v1::SubmitTaskResponse response;
  {
    TestContext context;
    EXPECT_THAT(
        FromGrpcStatus(broker.tasks().SubmitTask(&context, request, &response)),
        StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("spec")));
  }
  request.set_namespace_("nowhere");
  *request.mutable_spec() = Spec("t");
  TestContext context;
  EXPECT_THAT(
      FromGrpcStatus(broker.tasks().SubmitTask(&context, request, &response)),
      HasReason("NAMESPACE_NOT_FOUND"));
}

TEST(TaskServiceTest, AnswersEachTaskOfABatchOnItsOwn) {
  BrokerHarness broker;
  TestContext context;
  v1::SubmitTasksRequest request;
  *request.add_specs() = Spec("a");
  *request.add_specs() = Spec("b b");
  *request.add_specs() = Spec("c");
  request.mutable_specs(2)->set_queue("nowhere");
  *request.add_specs() = Spec("d");
  request.mutable_specs(3)->set_task_id("mine");
  v1::SubmitTasksResponse response;
  ASSERT_TRUE(broker.tasks().SubmitTasks(&context, request, &response).ok());
  ASSERT_EQ(response.results_size(), 4);
  EXPECT_FALSE(response.results(0).has_error());
  APIUM_EXPECT_OK(broker.Get(response.results(0).task_id()));
  EXPECT_EQ(response.results(1).error().field(), "spec.type");
  EXPECT_EQ(response.results(1).error().code(), 3);
  EXPECT_EQ(response.results(2).error().reason(), "QUEUE_NOT_FOUND");
  EXPECT_EQ(response.results(3).task_id(), "mine");
}

TEST(TaskServiceTest, RefusesABatchOfNoneOrTooMany) {
  BrokerHarness broker;
  v1::SubmitTasksRequest request;
  v1::SubmitTasksResponse response;
  {
    TestContext context;
    EXPECT_THAT(FromGrpcStatus(
                    broker.tasks().SubmitTasks(&context, request, &response)),
                StatusIs(absl::StatusCode::kInvalidArgument));
  }
  for (int i = 0; i < 1001; ++i) *request.add_specs() = Spec("a");
  TestContext context;
  EXPECT_THAT(
      FromGrpcStatus(broker.tasks().SubmitTasks(&context, request, &response)),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("1 to 1000")));
}

TEST(TaskServiceTest, TellsAnUnknownTaskFromAFinishedOne) {
  BrokerHarness broker;
  EXPECT_THAT(broker.Get("nobody"), HasReason("TASK_NOT_FOUND"));
  EXPECT_THAT(broker.Wait("nobody"), HasReason("TASK_NOT_FOUND"));
  EXPECT_THAT(broker.Cancel("nobody"), HasReason("TASK_NOT_FOUND"));
  EXPECT_THAT(broker.Get("a b"), StatusIs(absl::StatusCode::kInvalidArgument,
                                          HasSubstr("task_id")));
}

TEST(TaskServiceTest, WaitsUntilTheTaskEnds) {
  BrokerHarness broker;
  const auto id = broker.Submit(Spec("t"));
  APIUM_ASSERT_OK(id);
  absl::StatusOr<v1::Task> waited;
  std::thread waiter([&] { waited = broker.Wait(*id); });
  TestWorker worker(broker, HelloFor("w", "t"));
  worker.Grant(1);
  const auto deliveries = worker.Deliveries(1);
  ASSERT_EQ(deliveries.size(), 1u);
  worker.Succeed(deliveries[0], "42");
  waiter.join();
  APIUM_ASSERT_OK(waited);
  EXPECT_EQ(waited->state(), v1::TASK_STATE_SUCCEEDED);
  EXPECT_EQ(waited->outcome().result().data(), "42");
  EXPECT_EQ(waited->worker_id(), "w");
}

TEST(TaskServiceTest, EndsAWaitAtItsTimeout) {
  BrokerHarness broker;
  const auto id = broker.Submit(Spec("t"));
  APIUM_ASSERT_OK(id);
  TestContext context;
  v1::WaitTaskRequest request;
  request.set_task_id(*id);
  request.mutable_timeout()->set_nanos(1'000'000);
  v1::WaitTaskResponse response;
  EXPECT_THAT(
      FromGrpcStatus(broker.tasks().WaitTask(&context, request, &response)),
      HasReason("WAIT_TIMEOUT"));
}

TEST(TaskServiceTest, RefusesAWaitOfMoreThanADay) {
  BrokerHarness broker;
  TestContext context;
  v1::WaitTaskRequest request;
  request.set_task_id("t");
  request.mutable_timeout()->set_seconds(24 * 3600 + 1);
  v1::WaitTaskResponse response;
  EXPECT_THAT(
      FromGrpcStatus(broker.tasks().WaitTask(&context, request, &response)),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("timeout")));
}

TEST(TaskServiceTest, ForgetsAWaiterThatHasGone) {
  BrokerHarness broker({.http_listen_address = "127.0.0.1:0"});
  const auto id = broker.Submit(Spec("t"));
  APIUM_ASSERT_OK(id);
  TestContext context;
  std::thread waiter([&] {
    v1::WaitTaskRequest request;
    request.set_task_id(*id);
    v1::WaitTaskResponse response;
    EXPECT_EQ(
        broker.tasks().WaitTask(&context, request, &response).error_code(),
        grpc::StatusCode::CANCELLED);
  });
  // Before or after the call has arrived: both have to end well.
  context.TryCancel();
  waiter.join();
  const auto cancelled = broker.Cancel(*id);
  APIUM_ASSERT_OK(cancelled);
  EXPECT_EQ(cancelled->state(), v1::TASK_STATE_CANCELLED);
}

TEST(TaskServiceTest, CancelsATaskThatWaits) {
  BrokerHarness broker;
  const auto id = broker.Submit(Spec("t"));
  APIUM_ASSERT_OK(id);
  const auto task = broker.Cancel(*id);
  APIUM_ASSERT_OK(task);
  EXPECT_EQ(task->state(), v1::TASK_STATE_CANCELLED);
  // Again: left as it is.
  const auto again = broker.Cancel(*id);
  APIUM_ASSERT_OK(again);
  EXPECT_EQ(again->state(), v1::TASK_STATE_CANCELLED);
}

TEST(TaskServiceTest, WatchesATaskToItsEnd) {
  BrokerHarness broker;
  const auto id = broker.Submit(Spec("t"));
  APIUM_ASSERT_OK(id);
  TestContext context;
  v1::WatchTaskRequest request;
  request.set_task_id(*id);
  auto watch = broker.tasks().WatchTask(&context, request);
  v1::WatchTaskResponse response;
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.task().state(), v1::TASK_STATE_QUEUED);
  TestWorker worker(broker, HelloFor("w", "t"));
  worker.Grant(1);
  const auto deliveries = worker.Deliveries(1);
  ASSERT_EQ(deliveries.size(), 1u);
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.task().state(), v1::TASK_STATE_LEASED);
  worker.Succeed(deliveries[0], "42");
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.task().state(), v1::TASK_STATE_SUCCEEDED);
  EXPECT_EQ(response.task().outcome().result().data(), "42");
  EXPECT_FALSE(watch->Read(&response));
  EXPECT_TRUE(watch->Finish().ok());
}

TEST(TaskServiceTest, EndsAWatchOfAnUnknownTask) {
  BrokerHarness broker;
  for (const auto& [id, code] :
       {std::pair{"nobody", grpc::StatusCode::NOT_FOUND},
        std::pair{"a b", grpc::StatusCode::INVALID_ARGUMENT}}) {
    TestContext context;
    v1::WatchTaskRequest request;
    request.set_task_id(id);
    auto watch = broker.tasks().WatchTask(&context, request);
    v1::WatchTaskResponse response;
    EXPECT_FALSE(watch->Read(&response));
    EXPECT_EQ(watch->Finish().error_code(), code);
  }
}

TEST(TaskServiceTest, RefusesSubmitsWithRetryInfoWhenTheMailboxIsFull) {
  // Room for nothing but what finds it empty.
  BrokerHarness broker({.mailbox = {.commands_max = 1, .bytes_max = 1}});
  // A slow command keeps the mailbox busy now and then; with many submits at
  // once some are refused, and none is lost or answered twice.
  constexpr int kThreads = 8;
  constexpr int kEach = 200;
  std::atomic<int> accepted{0};
  std::atomic<int> refused{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kEach; ++i) {
        const auto id = broker.Submit(Spec("t"));
        if (id.ok()) {
          ++accepted;
        } else {
          EXPECT_THAT(id, HasReason("MAILBOX_FULL"));
          EXPECT_TRUE(RetryDelayOf(id.status()).has_value());
          ++refused;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(accepted + refused, kThreads * kEach);
  TestContext context;
  v1::GetQueueRequest request;
  request.set_name("default");
  v1::GetQueueResponse response;
  ASSERT_TRUE(broker.queues().GetQueue(&context, request, &response).ok());
  EXPECT_EQ(response.queue().counts().ready(),
            static_cast<uint64_t>(accepted.load()));
}

// --- Finished tasks ---

class FinishedTaskTest : public testing::Test {
 protected:
  FinishedTaskTest()
      : broker_(BrokerConfig{.results_channel = results_.Channel()}) {}

  // A task that ended CANCELLED, and whose outcome the result service has.
  std::string Finished(int number) {
    v1::TaskSpec spec = Spec("t");
    spec.set_task_id("task-" + std::to_string(number));
    const auto id = broker_.Submit(spec);
    APIUM_EXPECT_OK(id);
    APIUM_EXPECT_OK(broker_.Cancel(*id));
    results_.Positions(number);
    return *id;
  }

  FakeResultService results_;
  BrokerHarness broker_;
};

TEST_F(FinishedTaskTest, IsShownWhereverItsOutcomeIs) {
  const std::string id = Finished(1);
  // Until the confirmation has arrived the broker answers, then the result
  // service: the same.
  for (int i = 0; i < 50; ++i) {
    const auto task = broker_.Get(id);
    APIUM_ASSERT_OK(task);
    EXPECT_EQ(task->state(), v1::TASK_STATE_CANCELLED);
    EXPECT_EQ(task->outcome().task_id(), id);
    EXPECT_EQ(task->spec().type(), "t");
    const auto waited = broker_.Wait(id);
    APIUM_ASSERT_OK(waited);
    EXPECT_EQ(waited->state(), v1::TASK_STATE_CANCELLED);
  }
}

TEST_F(FinishedTaskTest, IsFoundByIdThoughTheBrokerNeverHeardOfIt) {
  EXPECT_THAT(broker_.Get("nobody"), HasReason("TASK_NOT_FOUND"));
  results_.Stop();
  EXPECT_THAT(broker_.Get("nobody"), HasReason("RESULTS_UNAVAILABLE"));
  EXPECT_THAT(broker_.Get("nobody"), StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(FinishedTaskTest, IsListedBehindTheLiveOnes) {
  for (int i = 1; i <= 5; ++i) Finished(i);
  std::set<std::string> live;
  for (int i = 0; i < 5; ++i) {
    const auto id = broker_.Submit(Spec("t"));
    APIUM_ASSERT_OK(id);
    live.insert(*id);
  }
  std::vector<std::string> listed;
  std::string token;
  int pages = 0;
  do {
    TestContext context;
    v1::ListTasksRequest request;
    request.set_page_size(3);
    request.set_page_token(token);
    v1::ListTasksResponse response;
    const absl::Status status =
        FromGrpcStatus(broker_.tasks().ListTasks(&context, request, &response));
    APIUM_ASSERT_OK(status);
    EXPECT_LE(response.tasks_size(), 3);
    for (const v1::Task& task : response.tasks()) {
      EXPECT_FALSE(task.spec().has_payload());
      listed.push_back(task.spec().task_id());
    }
    token = response.next_page_token();
    ASSERT_LT(++pages, 20);
  } while (!token.empty());
  ASSERT_EQ(listed.size(), 10u);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(live.contains(listed[i]));
  for (int i = 5; i < 10; ++i) {
    EXPECT_THAT(listed[i], testing::StartsWith("task-"));
  }
}

TEST_F(FinishedTaskTest, IsTheOnlyOneListedWhenTheFilterSaysSo) {
  Finished(1);
  APIUM_ASSERT_OK(broker_.Submit(Spec("t")));
  TestContext context;
  v1::ListTasksRequest request;
  request.add_states(v1::TASK_STATE_CANCELLED);
  v1::ListTasksResponse response;
  ASSERT_TRUE(broker_.tasks().ListTasks(&context, request, &response).ok());
  ASSERT_EQ(response.tasks_size(), 1);
  EXPECT_EQ(response.tasks(0).spec().task_id(), "task-1");
}

TEST(ListTasksTest, ListsLiveTasksWithoutAResultService) {
  BrokerHarness broker;
  const auto id = broker.Submit(Spec("t"));
  APIUM_ASSERT_OK(id);
  {
    TestContext context;
    v1::ListTasksResponse response;
    ASSERT_TRUE(broker.tasks().ListTasks(&context, {}, &response).ok());
    ASSERT_EQ(response.tasks_size(), 1);
    EXPECT_EQ(response.next_page_token(), "");
  }
  TestContext context;
  v1::ListTasksRequest request;
  request.add_states(v1::TASK_STATE_SUCCEEDED);
  v1::ListTasksResponse response;
  EXPECT_THAT(
      FromGrpcStatus(broker.tasks().ListTasks(&context, request, &response)),
      HasReason("RESULTS_UNAVAILABLE"));
}

TEST(ListTasksTest, RefusesBadFilters) {
  BrokerHarness broker;
  const std::function<void(v1::ListTasksRequest*)> spoilers[] = {
      [](auto* r) { r->set_page_token("x"); },
      [](auto* r) { r->set_queue("a b"); },
      [](auto* r) { r->set_type("a b"); },
      [](auto* r) { r->set_namespace_("A"); },
      [](auto* r) { r->add_states(static_cast<v1::TaskState>(99)); },
      [](auto* r) { r->mutable_finished_after()->set_nanos(-1); },
  };
  for (const auto& spoil : spoilers) {
    TestContext context;
    v1::ListTasksRequest request;
    spoil(&request);
    v1::ListTasksResponse response;
    EXPECT_THAT(
        FromGrpcStatus(broker.tasks().ListTasks(&context, request, &response)),
        StatusIs(absl::StatusCode::kInvalidArgument))
        << request.DebugString();
  }
}

}  // namespace
}  // namespace apium::broker
