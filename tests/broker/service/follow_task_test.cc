#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/rpc/grpc_status.h"
#include "tests/broker/support/broker_harness.h"
#include "tests/support/status_matchers.h"

namespace apium::broker {
namespace {

class FollowTaskTest : public ::testing::Test {
 protected:
  v1::Delivery Take(TestWorker* worker) {
    worker->Grant(1);
    const auto deliveries = worker->Deliveries(1);
    return deliveries.empty() ? v1::Delivery() : deliveries[0];
  }
  static void AddChunk(const v1::Delivery& delivery, uint64_t number,
                       const std::string& data, v1::WorkerReport* report) {
    v1::AppendedChunk* chunk = report->add_chunks();
    *chunk->mutable_lease() = delivery.lease();
    chunk->set_number(number);
    chunk->mutable_payload()->set_data(data);
  }
  static void Append(TestWorker* worker, const v1::Delivery& delivery,
                     uint64_t number, const std::string& data) {
    v1::WorkerReport report;
    AddChunk(delivery, number, data, &report);
    worker->Report(report);
  }
  // Reads until a chunk is acknowledged.
  static v1::ChunkAcknowledgement NextAcknowledgement(TestWorker* worker) {
    while (const auto response = worker->Read()) {
      if (response->push().chunk_acknowledgements_size() > 0)
        return response->push().chunk_acknowledgements(0);
    }
    return {};
  }
  // Everything from `from` to the end, as "1=x#1 2=y#1 SUCCEEDED", or the
  // error.
  static std::string FollowToTheEnd(BrokerHarness* broker,
                                    const std::string& id, uint64_t from) {
    TestContext context;
    v1::FollowTaskRequest request;
    request.set_task_id(id);
    request.set_from(from);
    auto stream = broker->tasks().FollowTask(&context, request);
    std::string text;
    v1::FollowTaskResponse response;
    while (stream->Read(&response)) {
      for (const v1::TaskChunk& chunk : response.chunks()) {
        absl::StrAppend(&text, chunk.position(), "=",
                        chunk.payload().data().substr(0, 10), "#",
                        chunk.attempt(), " ");
      }
      if (response.has_task())
        text += v1::TaskState_Name(response.task().state());
    }
    const grpc::Status end = stream->Finish();
    return end.ok() ? text : absl::StrCat("error ", end.error_code());
  }
};

TEST_F(FollowTaskTest, ReplaysAndGoesOnToTheEnd) {
  BrokerHarness broker;
  const auto id = broker.Submit(Spec("t"));
  APIUM_ASSERT_OK(id);
  TestWorker worker(broker, HelloFor("w", "t"));
  EXPECT_GT(worker.welcome().chunk_window_bytes(), 0u);
  const v1::Delivery delivery = Take(&worker);
  Append(&worker, delivery, 1, "x");
  EXPECT_EQ(NextAcknowledgement(&worker).number(), 1u);

  TestContext context;
  v1::FollowTaskRequest request;
  request.set_task_id(*id);
  auto stream = broker.tasks().FollowTask(&context, request);
  v1::FollowTaskResponse response;
  ASSERT_TRUE(stream->Read(&response));
  ASSERT_EQ(response.chunks_size(), 1);
  EXPECT_EQ(response.chunks(0).payload().data(), "x");
  EXPECT_TRUE(response.chunks(0).has_time());
  Append(&worker, delivery, 2, "y");
  ASSERT_TRUE(stream->Read(&response));
  ASSERT_EQ(response.chunks_size(), 1);
  EXPECT_EQ(response.chunks(0).position(), 2u);
  EXPECT_EQ(response.chunks(0).attempt(), 1u);
  worker.Succeed(delivery, "42");
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.chunks_size(), 0);
  EXPECT_EQ(response.task().state(), v1::TASK_STATE_SUCCEEDED);
  EXPECT_EQ(response.task().chunks(), 2u);
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(FollowToTheEnd(&broker, *id, 2), "2=y#1 TASK_STATE_SUCCEEDED");
}

TEST_F(FollowTaskTest, ReadsManyPages) {
  BrokerHarness broker;
  const auto id = broker.Submit(Spec("t"));
  APIUM_ASSERT_OK(id);
  TestWorker worker(broker, HelloFor("w", "t"));
  const v1::Delivery delivery = Take(&worker);
  std::string expected;
  v1::WorkerReport report;
  for (int i = 1; i <= 40; ++i) {
    AddChunk(delivery, i, std::string(50000, 'x'), &report);
    absl::StrAppend(&expected, i, "=xxxxxxxxxx#1 ");
  }
  worker.Report(report);
  worker.Succeed(delivery, "42");
  EXPECT_EQ(FollowToTheEnd(&broker, *id, 0), expected + "TASK_STATE_SUCCEEDED");
}

TEST_F(FollowTaskTest, RefusesWhatItDoesNotKnow) {
  BrokerHarness broker;
  EXPECT_EQ(FollowToTheEnd(&broker, "nobody", 1),
            absl::StrCat("error ", grpc::StatusCode::NOT_FOUND));
  EXPECT_EQ(FollowToTheEnd(&broker, "a b", 1),
            absl::StrCat("error ", grpc::StatusCode::INVALID_ARGUMENT));
}

TEST_F(FollowTaskTest, TellsTheWorkerOfTheLimit) {
  BrokerHarness broker(BrokerConfig{.engine = {.task_chunks_max = 1}});
  const auto id = broker.Submit(Spec("t"));
  APIUM_ASSERT_OK(id);
  TestWorker worker(broker, HelloFor("w", "t"));
  const v1::Delivery delivery = Take(&worker);
  Append(&worker, delivery, 1, "x");
  EXPECT_FALSE(NextAcknowledgement(&worker).has_error());
  Append(&worker, delivery, 2, "y");
  const v1::ChunkAcknowledgement refused = NextAcknowledgement(&worker);
  EXPECT_EQ(refused.epoch(), delivery.lease().epoch());
  EXPECT_EQ(refused.number(), 2u);
  EXPECT_EQ(refused.error().reason(), "CHUNK_LIMIT");
  EXPECT_EQ(refused.error().code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(FollowTaskTest, HandsDetailsToTheNextAttempt) {
  BrokerHarness broker;
  const auto id = broker.Submit(Spec("t"));
  APIUM_ASSERT_OK(id);
  TestWorker worker(broker, HelloFor("w", "t"));
  v1::Delivery delivery = Take(&worker);
  EXPECT_FALSE(delivery.has_details());
  v1::WorkerReport report;
  v1::TaskProgress* progress = report.add_progress();
  *progress->mutable_lease() = delivery.lease();
  progress->mutable_progress()->set_state("loading");
  progress->mutable_progress()->mutable_details()->set_data("cursor");
  AddChunk(delivery, 1, "x", &report);
  worker.Report(report);
  NextAcknowledgement(&worker);
  const auto task = broker.Get(*id);
  APIUM_ASSERT_OK(task);
  EXPECT_EQ(task->progress().state(), "loading");
  EXPECT_EQ(task->progress().details().data(), "cursor");
  EXPECT_EQ(task->chunks(), 1u);
  report.Clear();
  v1::ExecutionOutcome* outcome = report.add_outcomes();
  *outcome->mutable_lease() = delivery.lease();
  outcome->mutable_returned()->set_reason("later");
  worker.Report(report);
  delivery = Take(&worker);
  EXPECT_EQ(delivery.details().data(), "cursor");
  EXPECT_EQ(delivery.chunks(), 1u);
}

TEST_F(FollowTaskTest, EndsAStreamWhoseDetailsAreTooLarge) {
  BrokerHarness broker;
  APIUM_ASSERT_OK(broker.Submit(Spec("t")));
  TestWorker worker(broker, HelloFor("w", "t"));
  const v1::Delivery delivery = Take(&worker);
  v1::WorkerReport report;
  v1::TaskProgress* progress = report.add_progress();
  *progress->mutable_lease() = delivery.lease();
  progress->mutable_progress()->mutable_details()->set_data(
      std::string(16 * 1024 + 1, 'x'));
  worker.Report(report);
  EXPECT_THAT(worker.End(), StatusIs(absl::StatusCode::kInvalidArgument,
                                     testing::HasSubstr("details")));
}

}  // namespace
}  // namespace apium::broker
