#include "broker/service/batch_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "common/error_reason.h"
#include "common/rpc/grpc_status.h"
#include "tests/broker/support/broker_harness.h"
#include "tests/support/status_matchers.h"

namespace apium::broker {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

class BatchServiceTest : public testing::Test {
 protected:
  absl::StatusOr<v1::Batch> Create(const v1::Batch& batch) {
    TestContext context;
    v1::CreateBatchRequest request;
    *request.mutable_batch() = batch;
    v1::CreateBatchResponse response;
    return Answer(broker_.batches().CreateBatch(&context, request, &response),
                  response);
  }
  absl::StatusOr<v1::Batch> Create(const std::string& id) {
    v1::Batch batch;
    batch.set_batch_id(id);
    return Create(batch);
  }
  absl::StatusOr<v1::Batch> Close(const std::string& id) {
    TestContext context;
    v1::CloseBatchRequest request;
    request.set_batch_id(id);
    v1::CloseBatchResponse response;
    return Answer(broker_.batches().CloseBatch(&context, request, &response),
                  response);
  }
  absl::StatusOr<v1::Batch> Get(const std::string& id) {
    TestContext context;
    v1::GetBatchRequest request;
    request.set_batch_id(id);
    v1::GetBatchResponse response;
    return Answer(broker_.batches().GetBatch(&context, request, &response),
                  response);
  }
  absl::StatusOr<v1::ListBatchesResponse> List(uint32_t page_size,
                                               const std::string& token) {
    TestContext context;
    v1::ListBatchesRequest request;
    request.set_page_size(page_size);
    request.set_page_token(token);
    v1::ListBatchesResponse response;
    const grpc::Status status =
        broker_.batches().ListBatches(&context, request, &response);
    if (!status.ok()) return FromGrpcStatus(status);
    return response;
  }
  absl::StatusOr<std::string> Join(const std::string& batch_id,
                                   const std::string& task_id) {
    v1::TaskSpec spec = Spec("job");
    spec.set_task_id(task_id);
    spec.set_batch_id(batch_id);
    return broker_.Submit(spec);
  }
  template <typename Response>
  absl::StatusOr<v1::Batch> Answer(const grpc::Status& status,
                                   const Response& response) {
    if (!status.ok()) return FromGrpcStatus(status);
    return response.batch();
  }

  BrokerHarness broker_;
};

TEST_F(BatchServiceTest, GoesFromOpenToComplete) {
  v1::Batch wanted;
  wanted.set_batch_id("b");
  wanted.set_description("letters");
  *wanted.mutable_on_success() = Spec("done", "payload");
  wanted.mutable_on_success()->mutable_delay()->set_seconds(5);
  const auto made = Create(wanted);
  APIUM_ASSERT_OK(made);
  EXPECT_EQ(made->batch_id(), "b");
  EXPECT_EQ(made->description(), "letters");
  EXPECT_EQ(made->state(), v1::BATCH_STATE_OPEN);
  EXPECT_TRUE(made->has_create_time());
  EXPECT_FALSE(made->has_complete_time());
  EXPECT_EQ(made->on_success().type(), "done");
  EXPECT_EQ(made->on_success().payload().data(), "payload");
  EXPECT_EQ(made->on_success().delay().seconds(), 5);
  EXPECT_EQ(made->on_success().headers().at("apium-batch-id"), "b");
  EXPECT_FALSE(made->has_on_complete());
  APIUM_EXPECT_OK(Join("b", "one"));
  const auto task = broker_.Get("one");
  APIUM_ASSERT_OK(task);
  EXPECT_EQ(task->spec().batch_id(), "b");
  const auto closed = Close("b");
  APIUM_ASSERT_OK(closed);
  EXPECT_EQ(closed->state(), v1::BATCH_STATE_CLOSED);
  EXPECT_EQ(closed->members(), 1u);
  EXPECT_EQ(closed->pending(), 1u);
  EXPECT_THAT(Join("b", "two"), HasReason("BATCH_CLOSED"));

  TestWorker worker(broker_, HelloFor("w", "job"));
  worker.Grant(1);
  worker.Succeed(worker.Deliveries(1)[0], "result");
  APIUM_ASSERT_OK(broker_.Wait("one"));
  const auto complete = Get("b");
  APIUM_ASSERT_OK(complete);
  EXPECT_EQ(complete->state(), v1::BATCH_STATE_COMPLETE);
  EXPECT_EQ(complete->succeeded(), 1u);
  EXPECT_EQ(complete->unsuccessful(), 0u);
  EXPECT_EQ(complete->pending(), 0u);
  EXPECT_TRUE(complete->has_complete_time());
  EXPECT_EQ(complete->complete_task_id(), "");
  const auto callback = broker_.Get(complete->success_task_id());
  APIUM_ASSERT_OK(callback);
  EXPECT_EQ(callback->state(), v1::TASK_STATE_SCHEDULED);
  EXPECT_EQ(callback->spec().headers().at("apium-batch-id"), "b");
}

TEST_F(BatchServiceTest, TellsAFailureAtOnce) {
  v1::Batch wanted;
  wanted.set_batch_id("b");
  *wanted.mutable_on_first_failure() = Spec("undo");
  *wanted.mutable_on_complete() = Spec("tidy");
  APIUM_ASSERT_OK(Create(wanted));
  APIUM_ASSERT_OK(Join("b", "one"));
  APIUM_ASSERT_OK(broker_.Cancel("one"));
  const auto failed = Get("b");
  APIUM_ASSERT_OK(failed);
  EXPECT_EQ(failed->state(), v1::BATCH_STATE_OPEN);
  EXPECT_EQ(failed->unsuccessful(), 1u);
  EXPECT_NE(failed->first_failure_task_id(), "");
  EXPECT_EQ(failed->complete_task_id(), "");
  const auto complete = Close("b");
  APIUM_ASSERT_OK(complete);
  EXPECT_EQ(complete->first_failure_task_id(), failed->first_failure_task_id());
  EXPECT_NE(complete->complete_task_id(), "");
}

TEST_F(BatchServiceTest, RepeatedCallsAnswerTheSame) {
  v1::Batch wanted;
  wanted.set_batch_id("b");
  *wanted.mutable_on_complete() = Spec("tidy", "x");
  const auto first = Create(wanted);
  APIUM_ASSERT_OK(first);
  const auto again = Create(wanted);
  APIUM_ASSERT_OK(again);
  EXPECT_EQ(again->SerializeAsString(), first->SerializeAsString());
  v1::Batch other = wanted;
  other.mutable_on_complete()->mutable_payload()->set_data("y");
  EXPECT_THAT(Create(other), HasReason("BATCH_ID_REUSED"));
  other = wanted;
  *other.mutable_on_success() = other.on_complete();
  other.clear_on_complete();
  EXPECT_THAT(Create(other), HasReason("BATCH_ID_REUSED"));
  const auto minted = Create("");
  APIUM_ASSERT_OK(minted);
  EXPECT_EQ(minted->batch_id().size(), 36u);
}

TEST_F(BatchServiceTest, KnowsWhatItNeverSaw) {
  EXPECT_THAT(Get("b"), HasReason("BATCH_NOT_FOUND"));
  EXPECT_THAT(Close("b"), HasReason("BATCH_NOT_FOUND"));
  EXPECT_THAT(Join("b", "one"), HasReason("BATCH_NOT_FOUND"));
  EXPECT_THAT(broker_.Get("one"), HasReason("TASK_NOT_FOUND"));
}

TEST_F(BatchServiceTest, NamesTheFieldThatIsWrong) {
  const auto refused = [&](const std::function<void(v1::Batch*)>& change) {
    v1::Batch batch;
    batch.set_batch_id("b");
    change(&batch);
    const absl::Status status = Create(batch).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status.ToString();
    const auto violations = FieldViolationsOf(status);
    return violations.empty() ? "none" : violations.front().first;
  };
  EXPECT_EQ(refused([](v1::Batch* b) { b->set_batch_id("a b"); }),
            "batch.batch_id");
  EXPECT_EQ(
      refused([](v1::Batch* b) { b->set_description(std::string(1025, 'x')); }),
      "batch.description");
  EXPECT_EQ(refused([](v1::Batch* b) { b->mutable_on_success(); }),
            "batch.on_success.type");
  EXPECT_EQ(refused([](v1::Batch* b) {
              *b->mutable_on_complete() = Spec("x");
              b->mutable_on_complete()->set_priority(256);
            }),
            "batch.on_complete.priority");
  EXPECT_EQ(refused([](v1::Batch* b) {
              *b->mutable_on_complete() = Spec("x");
              b->mutable_on_complete()->set_task_id("mine");
            }),
            "batch.on_complete.task_id");
  EXPECT_EQ(refused([](v1::Batch* b) {
              *b->mutable_on_first_failure() = Spec("x");
              b->mutable_on_first_failure()->set_batch_id("other");
            }),
            "batch.on_first_failure.batch_id");
  EXPECT_EQ(refused([](v1::Batch* b) {
              *b->mutable_on_first_failure() = Spec("x");
              b->mutable_on_first_failure()->mutable_unique()->set_key("k");
            }),
            "batch.on_first_failure.unique");
  EXPECT_THAT(Get("a b"), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(Close(""), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(List(1, "a b"), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(Join("a b", "one"), StatusIs(absl::StatusCode::kInvalidArgument));
  // Nothing came of all that.
  const auto all = List(0, "");
  APIUM_ASSERT_OK(all);
  EXPECT_THAT(all->batches(), IsEmpty());
}

TEST_F(BatchServiceTest, AnAtomicSubmitIsAllOrNone) {
  v1::SubmitTasksRequest request;
  request.set_atomic(true);
  for (const char* id : {"one", "two", "three"}) {
    v1::TaskSpec* spec = request.add_specs();
    *spec = Spec("job");
    spec->set_task_id(id);
    spec->set_batch_id("b");
  }
  const auto submit = [&](const v1::SubmitTasksRequest& wanted)
      -> absl::StatusOr<v1::SubmitTasksResponse> {
    TestContext context;
    v1::SubmitTasksResponse response;
    const grpc::Status status =
        broker_.tasks().SubmitTasks(&context, wanted, &response);
    if (!status.ok()) return FromGrpcStatus(status);
    return response;
  };
  const auto field_of = [&](const v1::SubmitTasksRequest& wanted) {
    const auto violations = FieldViolationsOf(submit(wanted).status());
    return violations.size() == 1 ? violations.front().first : "none";
  };
  EXPECT_THAT(submit(request), HasReason("BATCH_NOT_FOUND"));
  EXPECT_EQ(field_of(request), "specs[0].batch_id");
  APIUM_ASSERT_OK(Create("b"));
  v1::SubmitTasksRequest wrong = request;
  wrong.mutable_specs(1)->set_queue("nowhere");
  EXPECT_THAT(submit(wrong), HasReason("QUEUE_NOT_FOUND"));
  EXPECT_EQ(field_of(wrong), "specs[1].queue");
  wrong = request;
  wrong.mutable_specs(2)->set_priority(1000);
  EXPECT_THAT(submit(wrong), HasReason("INVALID_FIELD"));
  EXPECT_EQ(field_of(wrong), "specs[2].priority");
  wrong = request;
  wrong.mutable_specs(2)->set_task_id("one");
  wrong.mutable_specs(2)->mutable_payload()->set_data("other");
  EXPECT_THAT(submit(wrong), HasReason("TASK_ID_REUSED"));
  EXPECT_EQ(field_of(wrong), "specs[2].task_id");
  EXPECT_EQ(Get("b")->members(), 0u);
  EXPECT_THAT(broker_.Get("one"), HasReason("TASK_NOT_FOUND"));
  for (int i = 0; i < 2; ++i) {
    const auto answer = submit(request);
    APIUM_ASSERT_OK(answer);
    ASSERT_EQ(answer->results_size(), 3);
    EXPECT_EQ(answer->results(2).task_id(), "three");
  }
  EXPECT_EQ(Get("b")->members(), 3u);
  wrong = request;
  for (int i = 0; i < 2; ++i) {
    wrong.mutable_specs(i)->clear_task_id();
    wrong.mutable_specs(i)->mutable_unique()->set_key("k");
  }
  EXPECT_EQ(field_of(wrong), "specs[1].unique.key");
  wrong = request;
  wrong.set_request_id("a b");
  EXPECT_EQ(field_of(wrong), "request_id");
  v1::SubmitTasksRequest apart = request;
  apart.set_atomic(false);
  apart.set_request_id("r");
  EXPECT_EQ(field_of(apart), "request_id");
}

TEST_F(BatchServiceTest, AQueueOfACallbackMustExist) {
  v1::Batch batch;
  batch.set_batch_id("b");
  *batch.mutable_on_success() = Spec("x");
  batch.mutable_on_success()->set_queue("nowhere");
  const absl::Status refused = Create(batch).status();
  EXPECT_THAT(refused, HasReason("QUEUE_NOT_FOUND"));
  EXPECT_THAT(FieldViolationsOf(refused),
              ElementsAre(Pair("batch.on_success.queue", "does not exist")));
}

TEST_F(BatchServiceTest, ListsBatchesByIdPageByPage) {
  for (const char* id : {"c", "a", "b"}) APIUM_ASSERT_OK(Create(id));
  APIUM_ASSERT_OK(Close("b"));
  std::vector<std::string> ids;
  std::string token;
  do {
    const auto page = List(2, token);
    APIUM_ASSERT_OK(page);
    for (const v1::Batch& batch : page->batches()) {
      ids.push_back(batch.batch_id());
      EXPECT_EQ(batch.state(), batch.batch_id() == "b"
                                   ? v1::BATCH_STATE_COMPLETE
                                   : v1::BATCH_STATE_OPEN);
    }
    token = page->next_page_token();
  } while (!token.empty());
  EXPECT_THAT(ids, ElementsAre("a", "b", "c"));
}

}  // namespace
}  // namespace apium::broker
