// ExplainTask and ExplainQueue over the wire.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/rpc/grpc_status.h"
#include "tests/broker/support/broker_harness.h"
#include "tests/broker/support/fake_result_service.h"
#include "tests/support/status_matchers.h"

namespace apium::broker {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class ExplainServiceTest : public testing::Test {
 protected:
  ExplainServiceTest()
      : broker_(BrokerConfig{.results_channel = results_.Channel()}) {}

  void Submit(const std::string& id, const std::string& ordering_key = "") {
    v1::TaskSpec spec = Spec("t");
    spec.set_task_id(id);
    spec.set_ordering_key(ordering_key);
    APIUM_ASSERT_OK(broker_.Submit(spec));
  }
  absl::StatusOr<v1::ExplainTaskResponse> Explain(const std::string& id) {
    TestContext context;
    v1::ExplainTaskRequest request;
    request.set_task_id(id);
    v1::ExplainTaskResponse response;
    const absl::Status status = FromGrpcStatus(
        broker_.tasks().ExplainTask(&context, request, &response));
    if (!status.ok()) return status;
    return response;
  }
  absl::StatusOr<v1::ExplainQueueResponse> ExplainQueue(
      const std::string& name) {
    TestContext context;
    v1::ExplainQueueRequest request;
    request.set_name(name);
    v1::ExplainQueueResponse response;
    const absl::Status status = FromGrpcStatus(
        broker_.queues().ExplainQueue(&context, request, &response));
    if (!status.ok()) return status;
    return response;
  }
  template <typename Response>
  static std::vector<v1::WaitReasonKind> Kinds(const Response& response) {
    std::vector<v1::WaitReasonKind> kinds;
    for (const v1::WaitReason& reason : response.reasons())
      kinds.push_back(reason.kind());
    return kinds;
  }
  void PauseDefault() {
    TestContext context;
    v1::PauseQueueRequest request;
    request.set_name("default");
    request.set_paused_by("ada");
    request.set_reason("SMTP is down");
    v1::PauseQueueResponse response;
    ASSERT_TRUE(broker_.queues().PauseQueue(&context, request, &response).ok());
  }

  FakeResultService results_;
  BrokerHarness broker_;
};

TEST_F(ExplainServiceTest, ATaskWithoutAWorkerSaysSo) {
  Submit("a");
  const auto explained = Explain("a");
  APIUM_ASSERT_OK(explained);
  EXPECT_EQ(explained->state(), v1::TASK_STATE_QUEUED);
  EXPECT_THAT(Kinds(*explained), ElementsAre(v1::WAIT_REASON_KIND_NO_WORKER));
  EXPECT_THAT(explained->reasons(0).text(), HasSubstr("default"));
}

TEST_F(ExplainServiceTest, APauseSaysByWhomAndWhyAndSinceWhen) {
  PauseDefault();
  Submit("a");
  Submit("b");
  const auto task = Explain("a");
  APIUM_ASSERT_OK(task);
  ASSERT_EQ(task->reasons(0).kind(), v1::WAIT_REASON_KIND_PAUSED);
  EXPECT_THAT(task->reasons(0).text(), HasSubstr("ada"));
  EXPECT_THAT(task->reasons(0).text(), HasSubstr("SMTP is down"));
  EXPECT_TRUE(task->reasons(0).has_since());
  const auto queue = ExplainQueue("default");
  APIUM_ASSERT_OK(queue);
  EXPECT_THAT(Kinds(*queue), ElementsAre(v1::WAIT_REASON_KIND_PAUSED));
  EXPECT_EQ(queue->reasons(0).tasks(), 2u);
}

TEST_F(ExplainServiceTest, ATaskBehindAnotherNamesIt) {
  Submit("first", "order-7");
  Submit("second", "order-7");
  const auto explained = Explain("second");
  APIUM_ASSERT_OK(explained);
  EXPECT_EQ(explained->state(), v1::TASK_STATE_BLOCKED);
  ASSERT_THAT(Kinds(*explained), ElementsAre(v1::WAIT_REASON_KIND_ORDERING));
  EXPECT_THAT(explained->reasons(0).task_ids(), ElementsAre("first"));
}

TEST_F(ExplainServiceTest, ATaskThatRunsHasNoReasons) {
  Submit("a");
  TestWorker worker(broker_, HelloFor("w", "t"));
  worker.Grant(1);
  ASSERT_EQ(worker.Deliveries(1).size(), 1u);
  const auto explained = Explain("a");
  APIUM_ASSERT_OK(explained);
  EXPECT_EQ(explained->state(), v1::TASK_STATE_LEASED);
  EXPECT_THAT(Kinds(*explained), IsEmpty());
}

TEST_F(ExplainServiceTest, TheStateOfATaskThatEndedIsTheResultServices) {
  Submit("a");
  APIUM_ASSERT_OK(broker_.Cancel("a"));
  results_.Positions(1);
  const auto explained = Explain("a");
  APIUM_ASSERT_OK(explained);
  EXPECT_EQ(explained->state(), v1::TASK_STATE_CANCELLED);
  EXPECT_THAT(Kinds(*explained), IsEmpty());
}

TEST_F(ExplainServiceTest, WhatIsNotThereIsNamed) {
  EXPECT_THAT(Explain("nobody"), HasReason("TASK_NOT_FOUND"));
  EXPECT_THAT(ExplainQueue("nowhere"), HasReason("QUEUE_NOT_FOUND"));
  EXPECT_THAT(Explain("a b"), StatusIs(absl::StatusCode::kInvalidArgument,
                                       HasSubstr("task_id")));
  EXPECT_THAT(ExplainQueue(""),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("name")));
}

TEST_F(ExplainServiceTest, AnEmptyQueueHasNoReasons) {
  const auto explained = ExplainQueue("default");
  APIUM_ASSERT_OK(explained);
  EXPECT_THAT(Kinds(*explained), IsEmpty());
}

}  // namespace
}  // namespace apium::broker
