#include "broker/dispatch/worker_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <string>
#include <thread>

#include "common/rpc/grpc_status.h"
#include "tests/broker/support/broker_harness.h"
#include "tests/support/status_matchers.h"

namespace apium::broker {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

v1::WorkRequest ReportOf(const v1::WorkerReport& report) {
  v1::WorkRequest request;
  *request.mutable_report() = report;
  return request;
}

absl::StatusOr<v1::ListWorkersResponse> ListWorkers(BrokerHarness& broker) {
  TestContext context;
  v1::ListWorkersResponse response;
  const grpc::Status status =
      broker.workers().ListWorkers(&context, {}, &response);
  if (!status.ok()) return FromGrpcStatus(status);
  return response;
}

TEST(WorkerServiceTest, WelcomesAWorkerWithItsTerms) {
  BrokerConfig config;
  config.engine.lease_duration = absl::Seconds(12);
  config.engine.max_credit = 99;
  BrokerHarness broker(std::move(config));
  TestWorker worker(broker, HelloFor("host/1", "t"));
  EXPECT_NE(worker.welcome().session_id(), "");
  EXPECT_FALSE(worker.welcome().resumed());
  EXPECT_EQ(worker.welcome().lease_duration().seconds(), 12);
  EXPECT_EQ(worker.welcome().heartbeat_interval().seconds(), 4);
  EXPECT_EQ(worker.welcome().max_credit(), 99u);
}

TEST(WorkerServiceTest, DeliversWithinCreditAndAcknowledgesOutcomes) {
  BrokerHarness broker;
  for (int i = 0; i < 5; ++i) {
    APIUM_ASSERT_OK(broker.Submit(Spec("t", std::to_string(i))));
  }
  TestWorker worker(broker, HelloFor("w", "t"));
  worker.Grant(2);
  auto deliveries = worker.Deliveries(2);
  ASSERT_EQ(deliveries.size(), 2u);
  EXPECT_EQ(deliveries[0].spec().payload().data(), "0");
  EXPECT_EQ(deliveries[1].spec().payload().data(), "1");
  EXPECT_EQ(deliveries[0].lease().attempt(), 1u);
  EXPECT_LT(deliveries[0].lease().epoch(), deliveries[1].lease().epoch());
  worker.Succeed(deliveries[0], "done");
  EXPECT_THAT(worker.NextVerdict().acknowledged_epochs(),
              ElementsAre(deliveries[0].lease().epoch()));
  const auto task = broker.Get(deliveries[0].lease().task_id());
  APIUM_ASSERT_OK(task);
  EXPECT_EQ(task->outcome().result().data(), "done");
  // Nothing more came than credit allowed.
  const auto workers = ListWorkers(broker);
  APIUM_ASSERT_OK(workers);
  ASSERT_EQ(workers->workers_size(), 1);
  EXPECT_EQ(workers->workers(0).leases(), 1u);
  EXPECT_EQ(workers->workers(0).credit(), 0u);
}

TEST(WorkerServiceTest, CarriesManyTasksThroughOneStream) {
  BrokerHarness broker;
  constexpr int kTasks = 5000;
  v1::SubmitTasksRequest request;
  for (int i = 0; i < 1000; ++i) *request.add_specs() = Spec("t", "payload");
  for (int i = 0; i < kTasks / 1000; ++i) {
    TestContext context;
    v1::SubmitTasksResponse response;
    ASSERT_TRUE(broker.tasks().SubmitTasks(&context, request, &response).ok());
  }
  TestWorker worker(broker, HelloFor("w", "t"));
  worker.Grant(500);
  std::set<uint64_t> acknowledged;
  int delivered = 0;
  while (acknowledged.size() < kTasks) {
    const auto response = worker.Read();
    ASSERT_TRUE(response.has_value());
    for (const uint64_t epoch : response->push().acknowledged_epochs()) {
      EXPECT_TRUE(acknowledged.insert(epoch).second);
    }
    EXPECT_EQ(response->push().refused_size(), 0);
    if (response->push().deliveries().empty()) continue;
    v1::WorkerReport report;
    for (const v1::Delivery& delivery : response->push().deliveries()) {
      v1::ExecutionOutcome* outcome = report.add_outcomes();
      *outcome->mutable_lease() = delivery.lease();
      outcome->mutable_result()->set_data("r");
      ++delivered;
    }
    report.set_credit(report.outcomes_size());
    worker.Report(report);
  }
  EXPECT_EQ(delivered, kTasks);
}

TEST(WorkerServiceTest, DeliversLargeTasksOneAfterAnother) {
  BrokerHarness broker;
  const std::string megabyte(1024 * 1024, 'x');
  for (int i = 0; i < 8; ++i)
    APIUM_ASSERT_OK(broker.Submit(Spec("t", megabyte)));
  TestWorker worker(broker, HelloFor("w", "t"));
  worker.Grant(8);
  // The test's channel has gRPC's default receive limit of 4 MiB.
  const auto deliveries = worker.Deliveries(8);
  ASSERT_EQ(deliveries.size(), 8u);
  for (const v1::Delivery& delivery : deliveries) {
    EXPECT_EQ(delivery.spec().payload().data().size(), megabyte.size());
  }
}

TEST(WorkerServiceTest, RefusesAnOutcomeOfATaskThatItDoesNotHold) {
  BrokerHarness broker;
  TestWorker worker(broker, HelloFor("w", "t"));
  v1::Delivery never;
  never.mutable_lease()->set_task_id("nobody");
  never.mutable_lease()->set_attempt(1);
  never.mutable_lease()->set_epoch(77);
  worker.Succeed(never, "x");
  const v1::BrokerPush verdict = worker.NextVerdict();
  ASSERT_EQ(verdict.refused_size(), 1);
  EXPECT_EQ(verdict.refused(0).epoch(), 77u);
  EXPECT_EQ(verdict.refused(0).error().reason(), "LEASE_LOST");
  EXPECT_EQ(verdict.refused(0).error().code(), 9);
}

TEST(WorkerServiceTest, RefusesTheSecondOutcomeOfOneAttempt) {
  BrokerHarness broker;
  const auto id = broker.Submit(Spec("t"));
  APIUM_ASSERT_OK(id);
  TestWorker worker(broker, HelloFor("w", "t"));
  worker.Grant(1);
  const auto deliveries = worker.Deliveries(1);
  ASSERT_EQ(deliveries.size(), 1u);
  worker.Succeed(deliveries[0], "first");
  EXPECT_EQ(worker.NextVerdict().acknowledged_epochs_size(), 1);
  worker.Succeed(deliveries[0], "second");
  EXPECT_EQ(worker.NextVerdict().refused_size(), 1);
  const auto task = broker.Get(*id);
  APIUM_ASSERT_OK(task);
  EXPECT_EQ(task->outcome().result().data(), "first");
}

TEST(WorkerServiceTest, EndsATaskWhoseResultIsTooLargeAndSaysSoToTheWorker) {
  BrokerConfig config;
  config.task_limits.payload_bytes_max = 100;
  BrokerHarness broker(std::move(config));
  const auto id = broker.Submit(Spec("t"));
  APIUM_ASSERT_OK(id);
  TestWorker worker(broker, HelloFor("w", "t"));
  worker.Grant(1);
  const auto deliveries = worker.Deliveries(1);
  ASSERT_EQ(deliveries.size(), 1u);
  worker.Succeed(deliveries[0], std::string(101, 'x'));
  const v1::BrokerPush verdict = worker.NextVerdict();
  EXPECT_EQ(verdict.acknowledged_epochs_size(), 0);
  ASSERT_EQ(verdict.refused_size(), 1);
  EXPECT_EQ(verdict.refused(0).error().reason(), "RESULT_TOO_LARGE");
  EXPECT_THAT(verdict.refused(0).error().message(), HasSubstr("100 bytes"));
  const auto task = broker.Get(*id);
  APIUM_ASSERT_OK(task);
  EXPECT_EQ(task->state(), v1::TASK_STATE_FAILED);
  EXPECT_EQ(task->outcome().failure().type(), "apium.ResultTooLarge");
}

TEST(WorkerServiceTest, TellsTheWorkerToCancelARunningTask) {
  BrokerHarness broker;
  const auto id = broker.Submit(Spec("t"));
  APIUM_ASSERT_OK(id);
  TestWorker worker(broker, HelloFor("w", "t"));
  worker.Grant(1);
  const auto deliveries = worker.Deliveries(1);
  ASSERT_EQ(deliveries.size(), 1u);
  const auto task = broker.Cancel(*id);
  APIUM_ASSERT_OK(task);
  EXPECT_TRUE(task->cancel_requested());
  const auto push = worker.Read();
  ASSERT_TRUE(push.has_value());
  ASSERT_EQ(push->push().cancels_size(), 1);
  EXPECT_EQ(push->push().cancels(0).lease().epoch(),
            deliveries[0].lease().epoch());
  v1::WorkerReport report;
  v1::ExecutionOutcome* outcome = report.add_outcomes();
  *outcome->mutable_lease() = deliveries[0].lease();
  outcome->mutable_cancelled();
  worker.Report(report);
  const auto ended = broker.Wait(*id);
  APIUM_ASSERT_OK(ended);
  EXPECT_EQ(ended->state(), v1::TASK_STATE_CANCELLED);
}

TEST(WorkerServiceTest, ShowsStartsAndProgress) {
  BrokerHarness broker;
  const auto id = broker.Submit(Spec("t"));
  APIUM_ASSERT_OK(id);
  TestWorker worker(broker, HelloFor("w", "t"));
  worker.Grant(1);
  const auto deliveries = worker.Deliveries(1);
  ASSERT_EQ(deliveries.size(), 1u);
  TestContext context;
  v1::WatchTaskRequest request;
  request.set_task_id(*id);
  auto watch = broker.tasks().WatchTask(&context, request);
  v1::WatchTaskResponse response;
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.task().state(), v1::TASK_STATE_LEASED);
  v1::WorkerReport report;
  *report.add_started()->mutable_lease() = deliveries[0].lease();
  report.mutable_started(0)->mutable_start_time()->set_seconds(5);
  v1::TaskProgress* progress = report.add_progress();
  *progress->mutable_lease() = deliveries[0].lease();
  progress->mutable_progress()->set_completed(1);
  progress->mutable_progress()->set_total(2);
  worker.Report(report);
  do {
    ASSERT_TRUE(watch->Read(&response));
  } while (response.task().progress().total() == 0);
  EXPECT_EQ(response.task().state(), v1::TASK_STATE_STARTED);
  EXPECT_EQ(response.task().start_time().seconds(), 5);
  context.TryCancel();
}

TEST(WorkerServiceTest, ResumesASessionWithItsLeases) {
  BrokerHarness broker;
  APIUM_ASSERT_OK(broker.Submit(Spec("t")));
  v1::Hello hello = HelloFor("w", "t");
  std::vector<v1::Delivery> deliveries;
  {
    TestWorker worker(broker, hello);
    hello.set_session_id(worker.welcome().session_id());
    worker.Grant(1);
    deliveries = worker.Deliveries(1);
    ASSERT_EQ(deliveries.size(), 1u);
  }
  *hello.add_held_leases() = deliveries[0].lease();
  v1::Lease* lost = hello.add_held_leases();
  lost->set_task_id("x");
  lost->set_attempt(1);
  lost->set_epoch(12345);
  TestWorker worker(broker, hello);
  EXPECT_TRUE(worker.welcome().resumed());
  EXPECT_EQ(worker.welcome().session_id(), hello.session_id());
  EXPECT_THAT(worker.welcome().lost_epochs(), ElementsAre(12345));
  worker.Succeed(deliveries[0], "done");
  EXPECT_EQ(worker.NextVerdict().acknowledged_epochs_size(), 1);
}

TEST(WorkerServiceTest, EndsTheOldStreamOfASessionThatHasANewOne) {
  BrokerHarness broker;
  v1::Hello hello = HelloFor("w", "t");
  TestWorker old_stream(broker, hello);
  hello.set_session_id(old_stream.welcome().session_id());
  TestWorker new_stream(broker, hello);
  EXPECT_TRUE(new_stream.welcome().resumed());
  EXPECT_THAT(old_stream.End(), HasReason("SESSION_REPLACED"));
}

TEST(WorkerServiceTest, ForgetsTheStreamOfAWorkerThatHasGone) {
  BrokerHarness broker;
  {
    TestWorker worker(broker, HelloFor("w", "t"));
    const auto workers = ListWorkers(broker);
    APIUM_ASSERT_OK(workers);
    EXPECT_TRUE(workers->workers(0).connected());
  }
  // The stream's end reaches the engine soon, in its own time.
  absl::StatusOr<v1::ListWorkersResponse> workers;
  do {
    workers = ListWorkers(broker);
    APIUM_ASSERT_OK(workers);
  } while (workers->workers_size() == 1 && workers->workers(0).connected());
}

TEST(WorkerServiceTest, DrainsAWorkerByName) {
  BrokerHarness broker;
  TestContext nobody;
  v1::DrainWorkerRequest request;
  request.set_worker_id("w");
  v1::DrainWorkerResponse response;
  EXPECT_THAT(
      FromGrpcStatus(broker.workers().DrainWorker(&nobody, request, &response)),
      HasReason("WORKER_NOT_FOUND"));
  TestWorker worker(broker, HelloFor("w", "t"));
  TestContext context;
  ASSERT_TRUE(broker.workers().DrainWorker(&context, request, &response).ok());
  const auto push = worker.Read();
  ASSERT_TRUE(push.has_value());
  ASSERT_EQ(push->push().controls_size(), 1);
  EXPECT_TRUE(push->push().controls(0).has_drain());
  v1::WorkerReport report;
  report.set_draining(true);
  report.add_control_replies()->set_control_id(
      push->push().controls(0).control_id());
  worker.Report(report);
  const auto workers = ListWorkers(broker);
  APIUM_ASSERT_OK(workers);
  EXPECT_TRUE(workers->workers(0).draining());
}

// --- What breaks the protocol ---

struct Garbage {
  const char* name;
  std::function<void(v1::WorkRequest*)> make;
  const char* says;
};

class FirstMessageTest : public testing::TestWithParam<Garbage> {};

TEST_P(FirstMessageTest, EndsTheStreamWithWhatWasWrong) {
  BrokerHarness broker;
  TestWorker worker(broker);
  v1::WorkRequest request;
  GetParam().make(&request);
  worker.Send(request);
  EXPECT_THAT(worker.End(), StatusIs(absl::StatusCode::kInvalidArgument,
                                     HasSubstr(GetParam().says)));
  APIUM_EXPECT_OK(broker.Submit(Spec("t")));
}

INSTANTIATE_TEST_SUITE_P(
    All, FirstMessageTest,
    testing::Values(Garbage{"Nothing", [](auto*) {}, "first message"},
                    Garbage{"Report", [](auto* r) { r->mutable_report(); },
                            "first message"},
                    Garbage{"EmptyHello", [](auto* r) { r->mutable_hello(); },
                            "hello.worker_id"},
                    Garbage{"NoSlots",
                            [](auto* r) {
                              *r->mutable_hello() = HelloFor("w", "t");
                              r->mutable_hello()->set_slots(0);
                            },
                            "hello.slots"}),
    [](const auto& info) { return info.param.name; });

class LaterMessageTest : public testing::TestWithParam<Garbage> {};

TEST_P(LaterMessageTest, EndsTheStreamWithWhatWasWrong) {
  BrokerHarness broker;
  TestWorker worker(broker, HelloFor("w", "t"));
  v1::WorkRequest request;
  GetParam().make(&request);
  worker.Send(request);
  EXPECT_THAT(worker.End(), StatusIs(absl::StatusCode::kInvalidArgument,
                                     HasSubstr(GetParam().says)));
  APIUM_EXPECT_OK(broker.Submit(Spec("t")));
}

INSTANTIATE_TEST_SUITE_P(
    All, LaterMessageTest,
    testing::Values(
        Garbage{"Nothing", [](auto*) {}, "report"},
        Garbage{"SecondHello",
                [](auto* r) { *r->mutable_hello() = HelloFor("w", "t"); },
                "only the first message"},
        Garbage{"Credit",
                [](auto* r) { r->mutable_report()->set_credit(70'000); },
                "report.credit: is 70000; must be at most 65536"},
        Garbage{"OutcomeWithoutLease",
                [](auto* r) { r->mutable_report()->add_outcomes(); },
                "report.outcomes.lease.task_id"}),
    [](const auto& info) { return info.param.name; });

TEST(WorkerServiceTest, EndsTheStreamWhenCreditAddsUpToTooMuch) {
  BrokerHarness broker;
  TestWorker worker(broker, HelloFor("w", "t"));
  worker.Grant(65'536);
  worker.Grant(1);
  EXPECT_THAT(worker.End(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("65536")));
}

TEST(WorkerServiceTest, RefusesAWorkerOfAQueueOrNamespaceThatIsNotThere) {
  BrokerHarness broker;
  {
    TestWorker worker(broker);
    v1::WorkRequest request;
    *request.mutable_hello() = HelloFor("w", "t");
    request.mutable_hello()->add_queues()->set_queue("nowhere");
    worker.Send(request);
    EXPECT_THAT(worker.End(), HasReason("QUEUE_NOT_FOUND"));
  }
  TestWorker worker(broker);
  v1::WorkRequest request;
  *request.mutable_hello() = HelloFor("w", "t");
  request.mutable_hello()->set_namespace_("nowhere");
  worker.Send(request);
  EXPECT_THAT(worker.End(), HasReason("NAMESPACE_NOT_FOUND"));
}

TEST(WorkerServiceTest, EndsWithUnavailableWhenTheBrokerStops) {
  BrokerHarness broker;
  TestWorker worker(broker, HelloFor("w", "t"));
  std::thread stop([&] { broker.server().Shutdown(kTestDeadline); });
  EXPECT_THAT(worker.End(), HasReason("SHUTTING_DOWN"));
  stop.join();
}

TEST(WorkerServiceTest, SurvivesWorkersThatGoInTheMiddle) {
  BrokerHarness broker;
  for (int i = 0; i < 50; ++i) {
    APIUM_ASSERT_OK(broker.Submit(Spec("t")));
  }
  for (int i = 0; i < 20; ++i) {
    TestWorker worker(broker);
    v1::WorkRequest request;
    *request.mutable_hello() = HelloFor("w" + std::to_string(i), "t");
    worker.Send(request);
    v1::WorkerReport report;
    report.set_credit(10);
    worker.Send(ReportOf(report));
    worker.Cancel();
  }
  APIUM_EXPECT_OK(ListWorkers(broker));
}

}  // namespace
}  // namespace apium::broker
