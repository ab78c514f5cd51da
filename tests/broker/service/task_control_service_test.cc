// CancelTasks, UpdateTask, ForgetTask, CountTasks and the answer of CancelTask,
// over the wire.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <thread>

#include "broker/service/task_service.h"
#include "common/error_reason.h"
#include "common/rpc/grpc_status.h"
#include "tests/broker/support/broker_harness.h"
#include "tests/broker/support/fake_result_service.h"
#include "tests/support/status_matchers.h"

namespace apium::broker {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class TaskControlTest : public testing::Test {
 protected:
  TaskControlTest()
      : broker_(BrokerConfig{.results_channel = results_.Channel()}) {}

  std::string Submit(const std::string& id, absl::Duration delay = {}) {
    v1::TaskSpec spec = Spec("t");
    spec.set_task_id(id);
    if (delay != absl::ZeroDuration()) {
      spec.mutable_delay()->set_seconds(absl::ToInt64Seconds(delay));
    }
    const auto submitted = broker_.Submit(spec);
    APIUM_EXPECT_OK(submitted);
    return id;
  }
  absl::StatusOr<v1::CancelResult> Cancel(const std::string& id) {
    TestContext context;
    v1::CancelTaskRequest request;
    request.set_task_id(id);
    v1::CancelTaskResponse response;
    const absl::Status status = FromGrpcStatus(
        broker_.tasks().CancelTask(&context, request, &response));
    if (!status.ok()) return status;
    return response.result();
  }
  absl::StatusOr<v1::CancelTasksResponse> CancelMany(
      const v1::CancelTasksRequest& request) {
    TestContext context;
    v1::CancelTasksResponse response;
    const absl::Status status = FromGrpcStatus(
        broker_.tasks().CancelTasks(&context, request, &response));
    if (!status.ok()) return status;
    return response;
  }
  absl::StatusOr<v1::Task> Update(const v1::UpdateTaskRequest& request) {
    TestContext context;
    v1::UpdateTaskResponse response;
    const absl::Status status = FromGrpcStatus(
        broker_.tasks().UpdateTask(&context, request, &response));
    if (!status.ok()) return status;
    return response.task();
  }
  absl::Status Forget(const std::string& id,
                      absl::Duration timeout = kTestDeadline) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
    v1::ForgetTaskRequest request;
    request.set_task_id(id);
    v1::ForgetTaskResponse response;
    return FromGrpcStatus(
        broker_.tasks().ForgetTask(&context, request, &response));
  }

  FakeResultService results_;
  BrokerHarness broker_;
};

TEST_F(TaskControlTest, ACancelSaysWhatItDid) {
  Submit("waits");
  Submit("runs");
  TestWorker worker(broker_, HelloFor("w1", "t"));
  EXPECT_THAT(Cancel("waits"), IsOkAndHolds(v1::CANCEL_RESULT_CANCELLED));
  worker.Grant(1);
  const auto deliveries = worker.Deliveries(1);
  EXPECT_THAT(Cancel("runs"), IsOkAndHolds(v1::CANCEL_RESULT_REQUESTED));
  EXPECT_THAT(Cancel("runs"), IsOkAndHolds(v1::CANCEL_RESULT_REQUESTED));
  worker.Succeed(deliveries[0], "done");
  APIUM_EXPECT_OK(broker_.Wait("runs"));
  EXPECT_THAT(Cancel("runs"), IsOkAndHolds(v1::CANCEL_RESULT_ALREADY_ENDED));
  EXPECT_THAT(Cancel("nobody"), HasReason("TASK_NOT_FOUND"));
}

TEST_F(TaskControlTest, ManyAreCancelledById) {
  Submit("a");
  Submit("b");
  v1::TaskSpec minted = Spec("t");
  const auto ended = broker_.Submit(minted);
  APIUM_ASSERT_OK(ended);
  APIUM_EXPECT_OK(broker_.Cancel(*ended));
  results_.Positions(1);
  v1::CancelTasksRequest request;
  for (const std::string& id :
       {std::string("a"), *ended, std::string("nobody"), std::string("b")}) {
    request.add_task_ids(id);
  }
  const auto response = CancelMany(request);
  APIUM_ASSERT_OK(response);
  EXPECT_THAT(
      response->results(),
      ElementsAre(v1::CANCEL_RESULT_CANCELLED, v1::CANCEL_RESULT_ALREADY_ENDED,
                  v1::CANCEL_RESULT_NOT_FOUND, v1::CANCEL_RESULT_CANCELLED));
  EXPECT_EQ(response->cancelled(), 2u);
  EXPECT_EQ(response->requested(), 0u);
}

TEST_F(TaskControlTest, UnknownOrEndedCannotBeToldWithoutTheResultService) {
  Submit("a");
  results_.Stop();
  v1::CancelTasksRequest request;
  request.add_task_ids("a");
  request.add_task_ids("nobody");
  EXPECT_THAT(CancelMany(request), HasReason("RESULTS_UNAVAILABLE"));
  // What could be cancelled is.
  EXPECT_THAT(Cancel("a"), IsOkAndHolds(v1::CANCEL_RESULT_ALREADY_ENDED));
}

TEST_F(TaskControlTest, ManyAreCancelledByFilter) {
  v1::TaskSpec spec = Spec("t");
  (*spec.mutable_headers())["customer"] = "7";
  APIUM_EXPECT_OK(broker_.Submit(spec));
  spec.mutable_delay()->set_seconds(3600);
  APIUM_EXPECT_OK(broker_.Submit(spec));
  Submit("other");
  v1::CancelTasksRequest request;
  (*request.mutable_filter()->mutable_headers())["customer"] = "7";
  request.set_dry_run(true);
  auto response = CancelMany(request);
  APIUM_ASSERT_OK(response);
  EXPECT_EQ(response->cancelled(), 2u);
  request.set_dry_run(false);
  response = CancelMany(request);
  APIUM_ASSERT_OK(response);
  EXPECT_EQ(response->cancelled(), 2u);
  response = CancelMany(request);
  APIUM_ASSERT_OK(response);
  EXPECT_EQ(response->cancelled(), 0u);
  EXPECT_EQ(broker_.Get("other")->state(), v1::TASK_STATE_QUEUED);
}

TEST_F(TaskControlTest, BadCancelsAreRefused) {
  const std::function<void(v1::CancelTasksRequest*)> spoilers[] = {
      [](auto* r) { r->clear_task_ids(); },
      [](auto* r) { r->add_task_ids("a b"); },
      [](auto* r) { r->set_dry_run(true); },
      [](auto* r) { r->mutable_filter()->set_queue("q"); },
      [](auto* r) {
        for (int i = 0; i < 1000; ++i) r->add_task_ids("x");
      },
      [](auto* r) {
        r->clear_task_ids();
        r->mutable_filter();
      },
      [](auto* r) {
        r->clear_task_ids();
        r->mutable_filter()->add_states(v1::TASK_STATE_FAILED);
      },
      [](auto* r) {
        r->clear_task_ids();
        (*r->mutable_filter()->mutable_headers())[""] = "x";
      },
      [](auto* r) {
        r->clear_task_ids();
        for (int i = 0; i < 17; ++i) {
          (*r->mutable_filter()->mutable_headers())["h" + std::to_string(i)];
        }
      },
  };
  Submit("a");
  for (const auto& spoil : spoilers) {
    v1::CancelTasksRequest request;
    request.add_task_ids("a");
    spoil(&request);
    EXPECT_THAT(CancelMany(request),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << request.DebugString();
  }
  EXPECT_EQ(broker_.Get("a")->state(), v1::TASK_STATE_QUEUED);
}

TEST_F(TaskControlTest, AWaitingTaskIsChanged) {
  Submit("a", absl::Hours(1));
  v1::UpdateTaskRequest request;
  request.set_task_id("a");
  request.set_priority(7);
  request.set_run_now(true);
  request.mutable_expire_after()->set_seconds(3600);
  const auto task = Update(request);
  APIUM_ASSERT_OK(task);
  EXPECT_EQ(task->state(), v1::TASK_STATE_QUEUED);
  EXPECT_EQ(task->spec().priority(), 7u);
  EXPECT_TRUE(task->spec().has_expire_time());
  request.Clear();
  request.set_task_id("a");
  request.set_clear_expiry(true);
  EXPECT_FALSE(Update(request)->spec().has_expire_time());
}

TEST_F(TaskControlTest, OneThatDoesNotWaitCannotBeChanged) {
  v1::UpdateTaskRequest request;
  request.set_priority(7);
  request.set_task_id("nobody");
  EXPECT_THAT(Update(request), HasReason("TASK_NOT_FOUND"));
  const auto minted = broker_.Submit(Spec("t"));
  APIUM_ASSERT_OK(minted);
  APIUM_EXPECT_OK(broker_.Cancel(*minted));
  request.set_task_id(*minted);
  // While the broker has the outcome, and when only the result service does.
  EXPECT_THAT(Update(request), HasReason("TASK_NOT_WAITING"));
  results_.Positions(1);
  APIUM_EXPECT_OK(Forget(*minted));
  EXPECT_THAT(Update(request), HasReason("TASK_NOT_FOUND"));
}

TEST_F(TaskControlTest, BadChangesAreRefused) {
  const std::pair<const char*, std::function<void(v1::UpdateTaskRequest*)>>
      spoilers[] = {
          {"priority", [](auto*) {}},
          {"priority", [](auto* r) { r->set_priority(256); }},
          {"delay",
           [](auto* r) {
             r->mutable_eta();
             r->mutable_delay();
           }},
          {"run_now",
           [](auto* r) {
             r->mutable_eta();
             r->set_run_now(true);
           }},
          {"delay", [](auto* r) { r->mutable_delay()->set_seconds(-1); }},
          {"eta",
           [](auto* r) { r->mutable_eta()->set_seconds(200'000'000'000); }},
          {"expire_after", [](auto* r) { r->mutable_expire_after(); }},
          {"clear_expiry",
           [](auto* r) {
             r->set_clear_expiry(true);
             r->mutable_expire_time();
           }},
      };
  Submit("a");
  for (const auto& [field, spoil] : spoilers) {
    v1::UpdateTaskRequest request;
    request.set_task_id("a");
    spoil(&request);
    const auto refused = Update(request);
    EXPECT_THAT(refused, StatusIs(absl::StatusCode::kInvalidArgument));
    const auto violations = FieldViolationsOf(refused.status());
    ASSERT_EQ(violations.size(), 1u);
    EXPECT_EQ(violations[0].first, field);
  }
}

TEST_F(TaskControlTest, AFinishedTaskIsForgotten) {
  Submit("a");
  EXPECT_THAT(Forget("a"), HasReason("TASK_LIVE"));
  APIUM_EXPECT_OK(broker_.Cancel("a"));
  APIUM_EXPECT_OK(Forget("a"));
  EXPECT_THAT(broker_.Get("a"), HasReason("TASK_NOT_FOUND"));
  APIUM_EXPECT_OK(Forget("a"));
  EXPECT_THAT(Forget("nobody"), HasReason("TASK_NOT_FOUND"));
  // The id is remembered all the same.
  Submit("a");
  EXPECT_THAT(broker_.Get("a"), HasReason("TASK_NOT_FOUND"));
}

TEST_F(TaskControlTest, ForgettingWaitsForTheResultService) {
  results_.SetConfirming(false);
  Submit("a");
  APIUM_EXPECT_OK(broker_.Cancel("a"));
  results_.Positions(1);
  absl::Status forgotten = absl::UnknownError("not yet");
  std::thread caller([&] { forgotten = Forget("a"); });
  results_.SetConfirming(true);
  Submit("b");
  APIUM_EXPECT_OK(broker_.Cancel("b"));
  caller.join();
  APIUM_EXPECT_OK(forgotten);
}

TEST_F(TaskControlTest, ForgettingNeedsTheResultService) {
  Submit("a");
  APIUM_EXPECT_OK(broker_.Cancel("a"));
  results_.Positions(1);
  results_.Stop();
  EXPECT_THAT(Forget("a"), HasReason("RESULTS_UNAVAILABLE"));
  BrokerHarness alone;
  v1::TaskSpec spec = Spec("t");
  spec.set_task_id("x");
  APIUM_EXPECT_OK(alone.Submit(spec));
  APIUM_EXPECT_OK(alone.Cancel("x"));
  TestContext context;
  v1::ForgetTaskRequest request;
  request.set_task_id("x");
  v1::ForgetTaskResponse response;
  EXPECT_THAT(
      FromGrpcStatus(alone.tasks().ForgetTask(&context, request, &response)),
      HasReason("RESULTS_UNAVAILABLE"));
}

TEST_F(TaskControlTest, TasksAreCounted) {
  Submit("queued");
  Submit("scheduled", absl::Hours(1));
  Submit("cancelled");
  APIUM_EXPECT_OK(broker_.Cancel("cancelled"));
  TestContext context;
  v1::CountTasksResponse response;
  ASSERT_TRUE(broker_.tasks().CountTasks(&context, {}, &response).ok());
  ASSERT_EQ(response.queues_size(), 1);
  const v1::TaskCounts& counts = response.queues(0);
  EXPECT_EQ(counts.queue(), "default");
  EXPECT_EQ(counts.queued(), 1u);
  EXPECT_EQ(counts.scheduled(), 1u);
  EXPECT_EQ(counts.leased() + counts.started(), 0u);
  EXPECT_EQ(counts.cancelled(), 1u);
  for (const auto& [queue, reason] : {std::pair("nowhere", "QUEUE_NOT_FOUND"),
                                      std::pair("a b", "INVALID_FIELD")}) {
    TestContext other;
    v1::CountTasksRequest request;
    request.set_queue(queue);
    EXPECT_THAT(
        FromGrpcStatus(broker_.tasks().CountTasks(&other, request, &response)),
        HasReason(reason));
  }
}

TEST_F(TaskControlTest, LiveTasksAreListedByHeader) {
  v1::TaskSpec spec = Spec("t");
  spec.set_task_id("mine");
  (*spec.mutable_headers())["customer"] = "7";
  APIUM_EXPECT_OK(broker_.Submit(spec));
  Submit("other");
  v1::ListTasksRequest request;
  (*request.mutable_headers())["customer"] = "7";
  request.add_states(v1::TASK_STATE_QUEUED);
  v1::ListTasksResponse response;
  {
    TestContext context;
    ASSERT_TRUE(broker_.tasks().ListTasks(&context, request, &response).ok());
  }
  ASSERT_EQ(response.tasks_size(), 1);
  EXPECT_EQ(response.tasks(0).spec().task_id(), "mine");
  (*request.mutable_headers())["bad name"] = "7";
  TestContext context;
  EXPECT_THAT(
      FromGrpcStatus(broker_.tasks().ListTasks(&context, request, &response)),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("headers")));
}

}  // namespace
}  // namespace apium::broker
