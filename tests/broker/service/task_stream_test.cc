#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "broker/service/task_service.h"
#include "common/rpc/grpc_status.h"
#include "storage/memory_store.h"
#include "tests/broker/support/broker_harness.h"
#include "tests/broker/support/fake_result_service.h"
#include "tests/support/fault_injecting_store.h"
#include "tests/support/status_matchers.h"

namespace apium::broker {
namespace {

using testing::HasSubstr;

// A StreamTasks call, by hand.
class TestStream {
 public:
  explicit TestStream(BrokerHarness& broker)
      : stream_(broker.tasks().StreamTasks(&context_)) {}
  TestStream(BrokerHarness& broker, bool report_outcomes) : TestStream(broker) {
    v1::StreamTasksRequest request;
    request.mutable_open()->set_report_outcomes(report_outcomes);
    Send(request);
    v1::StreamTasksResponse response;
    if (stream_->Read(&response)) window_ = response.opened().window();
  }
  ~TestStream() {
    context_.TryCancel();
    if (!ended_) End().IgnoreError();
  }

  bool Send(const v1::StreamTasksRequest& request) {
    return stream_->Write(request);
  }
  bool SendTasks(int count, const std::string& type = "t") {
    v1::StreamTasksRequest request;
    for (int i = 0; i < count; ++i) {
      *request.mutable_batch()->add_specs() = Spec(type);
    }
    return Send(request);
  }
  // Reads until there are `count` answers, collecting outcomes on the way.
  std::vector<v1::StreamSubmitResult> Answers(size_t count) {
    std::vector<v1::StreamSubmitResult> answers;
    while (answers.size() < count && ReadSome(&answers)) {
    }
    return answers;
  }
  std::vector<v1::TaskOutcome> Outcomes(size_t count) {
    std::vector<v1::StreamSubmitResult> answers;
    while (outcomes_.size() < count && ReadSome(&answers)) {
    }
    return outcomes_;
  }
  void SendNoMore() { stream_->WritesDone(); }
  absl::Status End() {
    v1::StreamTasksResponse response;
    while (stream_->Read(&response)) {
    }
    ended_ = true;
    return FromGrpcStatus(stream_->Finish());
  }
  void Cancel() { context_.TryCancel(); }
  uint32_t window() const { return window_; }

 private:
  bool ReadSome(std::vector<v1::StreamSubmitResult>* answers) {
    v1::StreamTasksResponse response;
    if (!stream_->Read(&response)) return false;
    for (const auto& answer : response.results().submitted()) {
      answers->push_back(answer);
    }
    for (const auto& outcome : response.results().outcomes()) {
      outcomes_.push_back(outcome);
    }
    return true;
  }

  TestContext context_;
  std::unique_ptr<
      grpc::ClientReaderWriter<v1::StreamTasksRequest, v1::StreamTasksResponse>>
      stream_;
  uint32_t window_ = 0;
  std::vector<v1::TaskOutcome> outcomes_;
  bool ended_ = false;
};

TEST(TaskStreamTest, AttachedTasksGetTheIdAndTheOutcomeOfTheHolder) {
  BrokerHarness broker;
  TestStream stream(broker, true);
  v1::StreamTasksRequest request;
  for (const char* id : {"holder", "other", "third"}) {
    v1::TaskSpec* spec = request.mutable_batch()->add_specs();
    *spec = Spec("t");
    spec->set_task_id(id);
    spec->mutable_unique()->set_key("k");
    spec->mutable_unique()->set_on_conflict(v1::UNIQUE_CONFLICT_ATTACH);
  }
  ASSERT_TRUE(stream.Send(request));
  const auto answers = stream.Answers(3);
  ASSERT_EQ(answers.size(), 3u);
  EXPECT_FALSE(answers[0].attached());
  EXPECT_EQ(answers[0].task_id(), "") << "the submitter's own";
  for (int i : {1, 2}) {
    EXPECT_TRUE(answers[i].attached());
    EXPECT_EQ(answers[i].task_id(), "holder");
  }
  TestWorker worker(broker, HelloFor("w", "t"));
  worker.Grant(3);
  const auto deliveries = worker.Deliveries(1);
  ASSERT_EQ(deliveries.size(), 1u);
  worker.Succeed(deliveries[0], "42");
  for (const v1::TaskOutcome& outcome : stream.Outcomes(3)) {
    EXPECT_EQ(outcome.task_id(), "holder");
    EXPECT_EQ(outcome.result().data(), "42");
  }
  stream.SendNoMore();
  APIUM_EXPECT_OK(stream.End());
}

TEST(TaskStreamTest, AnswersEveryTaskInItsOrder) {
  BrokerHarness broker;
  TestStream stream(broker, false);
  EXPECT_EQ(stream.window(), 8192u);
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(stream.SendTasks(100));
  const auto answers = stream.Answers(2000);
  ASSERT_EQ(answers.size(), 2000u);
  std::set<std::string> ids;
  for (size_t i = 0; i < answers.size(); ++i) {
    EXPECT_EQ(answers[i].sequence(), i + 1);
    EXPECT_FALSE(answers[i].has_error());
    ids.insert(answers[i].task_id());
  }
  EXPECT_EQ(ids.size(), 2000u);
  stream.SendNoMore();
  APIUM_EXPECT_OK(stream.End());
  APIUM_EXPECT_OK(broker.Get(answers[77].task_id()));
}

TEST(TaskStreamTest, RefusesOneTaskAmongItsNeighbours) {
  BrokerHarness broker;
  TestStream stream(broker, false);
  v1::StreamTasksRequest request;
  *request.mutable_batch()->add_specs() = Spec("a");
  *request.mutable_batch()->add_specs() = Spec("b b");
  *request.mutable_batch()->add_specs() = Spec("c");
  request.mutable_batch()->mutable_specs(2)->set_queue("nowhere");
  *request.mutable_batch()->add_specs() = Spec("d");
  request.mutable_batch()->mutable_specs(3)->set_task_id("mine");
  ASSERT_TRUE(stream.Send(request));
  const auto answers = stream.Answers(4);
  ASSERT_EQ(answers.size(), 4u);
  EXPECT_FALSE(answers[0].has_error());
  EXPECT_EQ(answers[1].error().reason(), "INVALID_FIELD");
  EXPECT_EQ(answers[2].error().reason(), "QUEUE_NOT_FOUND");
  EXPECT_FALSE(answers[3].has_error());
  EXPECT_EQ(answers[3].task_id(), "");  // the submitter knows it
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(answers[i].sequence(), i + 1);
}

TEST(TaskStreamTest, AnswersABatchOfRefusalsAlone) {
  BrokerHarness broker;
  TestStream stream(broker, false);
  ASSERT_TRUE(stream.SendTasks(3, "b b"));
  EXPECT_EQ(stream.Answers(3).size(), 3u);
  stream.SendNoMore();
  APIUM_EXPECT_OK(stream.End());
}

TEST(TaskStreamTest, ReportsOutcomesWhenAsked) {
  BrokerHarness broker;
  TestStream stream(broker, true);
  ASSERT_TRUE(stream.SendTasks(3));
  ASSERT_EQ(stream.Answers(3).size(), 3u);
  stream.SendNoMore();  // the stream stays for the outcomes
  TestWorker worker(broker, HelloFor("w", "t"));
  worker.Grant(3);
  for (const v1::Delivery& delivery : worker.Deliveries(3)) {
    worker.Succeed(delivery, delivery.lease().task_id());
  }
  const auto outcomes = stream.Outcomes(3);
  ASSERT_EQ(outcomes.size(), 3u);
  for (const v1::TaskOutcome& outcome : outcomes) {
    EXPECT_EQ(outcome.state(), v1::TASK_STATE_SUCCEEDED);
    EXPECT_EQ(outcome.result().data(), outcome.task_id());
  }
  APIUM_EXPECT_OK(stream.End());
}

TEST(TaskStreamTest, ReportsTheOutcomeOfATaskThatHadEndedBefore) {
  FakeResultService results;
  BrokerHarness broker({.results_channel = results.Channel()});
  v1::TaskSpec spec = Spec("t");
  spec.set_task_id("mine");
  APIUM_ASSERT_OK(broker.Submit(spec));
  APIUM_ASSERT_OK(broker.Cancel("mine"));
  results.Positions(1);
  for (int i = 0; i < 20; ++i) {
    TestStream stream(broker, true);
    v1::StreamTasksRequest request;
    *request.mutable_batch()->add_specs() = spec;
    ASSERT_TRUE(stream.Send(request));
    stream.SendNoMore();
    const auto outcomes = stream.Outcomes(1);
    ASSERT_EQ(outcomes.size(), 1u);
    EXPECT_EQ(outcomes[0].task_id(), "mine");
    APIUM_EXPECT_OK(stream.End());
  }
}

TEST(TaskStreamTest, EndsWhenTheFirstMessageIsNotOpen) {
  BrokerHarness broker;
  TestStream stream(broker);
  stream.SendTasks(1);
  EXPECT_THAT(stream.End(), HasReason("PROTOCOL_VIOLATION"));
}

TEST(TaskStreamTest, EndsOnAnEmptyMessage) {
  BrokerHarness broker;
  {
    TestStream stream(broker);
    stream.Send({});
    EXPECT_THAT(stream.End(), HasReason("PROTOCOL_VIOLATION"));
  }
  TestStream stream(broker, false);
  stream.Send({});
  EXPECT_THAT(stream.End(), HasReason("PROTOCOL_VIOLATION"));
}

TEST(TaskStreamTest, EndsOnASecondOpenAfterAnsweringWhatCameBefore) {
  BrokerHarness broker;
  TestStream stream(broker, false);
  ASSERT_TRUE(stream.SendTasks(10));
  v1::StreamTasksRequest request;
  request.mutable_open();
  stream.Send(request);
  EXPECT_EQ(stream.Answers(10).size(), 10u);
  EXPECT_THAT(stream.End(), HasReason("PROTOCOL_VIOLATION"));
}

TEST(TaskStreamTest, EndsOnABatchOfTooManyTasks) {
  BrokerHarness broker;
  TestStream stream(broker, false);
  stream.SendTasks(1001);
  EXPECT_THAT(stream.End(), StatusIs(absl::StatusCode::kInvalidArgument,
                                     HasSubstr("1 to 1000")));
}

TEST(TaskStreamTest, EndsWhenTheWindowIsExceeded) {
  BrokerHarness broker({.stream_window = 10});
  TestStream stream(broker, false);
  EXPECT_EQ(stream.window(), 10u);
  stream.SendTasks(11);
  EXPECT_THAT(stream.End(), HasReason("WINDOW_EXCEEDED"));
}

TEST(TaskStreamTest, KeepsWithinAFullWindowBatchAfterBatch) {
  BrokerHarness broker({.stream_window = 10});
  TestStream stream(broker, false);
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(stream.SendTasks(10));
    ASSERT_EQ(stream.Answers(10).size(), 10u);
  }
}

TEST(TaskStreamTest, WaitsForRoomInTheMailboxInsteadOfRefusing) {
  BrokerHarness broker({.mailbox = {.commands_max = 1, .bytes_max = 1}});
  TestStream stream(broker, false);
  TestStream other(broker, false);
  for (int i = 0; i < 30; ++i) {
    ASSERT_TRUE(stream.SendTasks(10));
    ASSERT_TRUE(other.SendTasks(10));
  }
  for (TestStream* each : {&stream, &other}) {
    const auto answers = each->Answers(300);
    ASSERT_EQ(answers.size(), 300u);
    for (const auto& answer : answers) EXPECT_FALSE(answer.has_error());
  }
}

TEST(TaskStreamTest, AnswersOnlyWhatIsDurable) {
  auto store =
      std::make_unique<FaultInjectingStore>(std::make_unique<MemoryStore>());
  FaultInjectingStore* const faults = store.get();
  BrokerHarness broker({.store = std::move(store)});
  TestStream stream(broker, false);
  faults->HoldSyncs();
  ASSERT_TRUE(stream.SendTasks(10));
  ASSERT_TRUE(faults->WaitForHeldSync(kTestDeadline));
  const uint64_t synced = faults->sync_count();
  std::thread release([faults] { faults->ReleaseSyncs(); });
  EXPECT_EQ(stream.Answers(10).size(), 10u);
  EXPECT_GT(faults->sync_count(), synced);
  release.join();
}

TEST(TaskStreamTest, SurvivesAClientThatGoesInTheMiddle) {
  BrokerHarness broker;
  for (int i = 0; i < 20; ++i) {
    TestStream stream(broker, true);
    stream.SendTasks(100);
    stream.Cancel();
  }
  APIUM_EXPECT_OK(broker.Submit(Spec("t")));
}

TEST(TaskStreamTest, EndsWithUnavailableWhenTheBrokerStops) {
  BrokerHarness broker;
  TestStream stream(broker, true);
  ASSERT_TRUE(stream.SendTasks(10));
  ASSERT_EQ(stream.Answers(10).size(), 10u);
  std::thread stop([&] { broker.server().Shutdown(kTestDeadline); });
  EXPECT_THAT(stream.End(), HasReason("SHUTTING_DOWN"));
  stop.join();
}

}  // namespace
}  // namespace apium::broker
