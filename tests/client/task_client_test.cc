#include "client/task_client.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "client/json_payload.h"
#include "common/error_reason.h"
#include "common/uuid.h"
#include "tests/client/fake_broker.h"
#include "tests/support/status_matchers.h"

namespace apium {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class TaskClientTest : public ::testing::Test {
 protected:
  TaskClientTest()
      : client_(*TaskClient::Connect(broker_.ClientOptionsForTest())) {}

  std::unique_ptr<TaskClient> ClientWith(absl::Duration deadline) {
    ClientOptions options = broker_.ClientOptionsForTest();
    options.deadline = deadline;
    return *TaskClient::Connect(options);
  }

  FakeBroker broker_;
  std::unique_ptr<TaskClient> client_;
};

TEST_F(TaskClientTest, SubmitsATaskUnderAUuidOfItsOwn) {
  absl::StatusOr<TaskHandle> task =
      client_->Submit({.type = "t", .payload = JsonArguments(1)});
  ASSERT_THAT(task, IsOk());
  EXPECT_TRUE(UuidV7Time(task->id()).has_value()) << task->id();
  ASSERT_EQ(broker_.tasks().size(), 1u);
  EXPECT_EQ(broker_.tasks()[0].spec().task_id(), task->id());
  EXPECT_EQ(broker_.tasks()[0].spec().payload().data(), R"({"args":[1]})");
}

TEST_F(TaskClientTest, KeepsTheIdThatItIsGiven) {
  absl::StatusOr<TaskHandle> task =
      client_->Submit({.type = "t", .task_id = "mine"});
  ASSERT_THAT(task, IsOk());
  EXPECT_EQ(task->id(), "mine");
}

TEST_F(TaskClientTest, ALostAnswerDoesNotSubmitTwice) {
  broker_.LoseAnswers("SubmitTask", 2);
  ASSERT_THAT(client_->Submit({.type = "t"}), IsOk());
  EXPECT_EQ(broker_.calls("SubmitTask"), 3);
  EXPECT_EQ(broker_.tasks().size(), 1u);
}

TEST_F(TaskClientTest, ASubmitWithAUniqueKeyIsRepeatedUnderItsRequestId) {
  broker_.LoseAnswers("SubmitTask", 2);
  const auto task = client_->Submit({.type = "t", .unique = {.key = "k"}});
  ASSERT_THAT(task, IsOk());
  EXPECT_EQ(broker_.calls("SubmitTask"), 3);
  EXPECT_EQ(broker_.tasks().size(), 1u);
  const v1::SubmitTaskRequest last = broker_.last_submit();
  EXPECT_TRUE(UuidV7Time(last.request_id()).has_value());
  EXPECT_EQ(last.spec().task_id(), "") << "the broker mints it";
  EXPECT_EQ(last.spec().unique().key(), "k");
  EXPECT_FALSE(task->attached());
}

TEST_F(TaskClientTest, KeepsTheRequestIdThatItIsGiven) {
  ASSERT_THAT(client_->Submit({.type = "t", .request_id = "r"}), IsOk());
  EXPECT_EQ(broker_.last_submit().request_id(), "r");
  absl::Notification done;
  client_->SubmitAsync({.type = "t", .task_id = "x", .request_id = "s"},
                       [&](const absl::StatusOr<TaskHandle>& task) {
                         EXPECT_THAT(task, IsOk());
                         done.Notify();
                       });
  done.WaitForNotification();
  EXPECT_EQ(broker_.last_submit().request_id(), "s");
  EXPECT_EQ(broker_.last_submit().spec().task_id(), "x");
  ASSERT_THAT(client_->Submit({.type = "t"}), IsOk());
  EXPECT_EQ(broker_.last_submit().request_id(), "");
}

TEST_F(TaskClientTest, AnAttachedHandleIsThatOfTheHolder) {
  broker_.AttachTo("holder");
  const auto task = client_->Submit({.type = "t", .task_id = "mine"});
  ASSERT_THAT(task, IsOk());
  EXPECT_EQ(task->id(), "holder");
  EXPECT_TRUE(task->attached());
  std::vector<v1::TaskSpec> specs(1);
  specs[0].set_type("t");
  const auto many = client_->SubmitMany(std::move(specs));
  ASSERT_EQ(many.size(), 1u);
  ASSERT_THAT(many[0], IsOk());
  EXPECT_EQ(many[0]->id(), "holder");
  EXPECT_TRUE(many[0]->attached());
}

TEST_F(TaskClientTest, AHandleKnowsTheCopiesThatRoutingMade) {
  broker_.AnswerWithCopies({"mine.2", "mine.3"});
  const auto task =
      client_->Submit({.type = "t", .task_id = "mine", .exchange = "all"});
  ASSERT_THAT(task, IsOk());
  EXPECT_EQ(task->id(), "mine");
  EXPECT_THAT(task->copy_ids(), ElementsAre("mine.2", "mine.3"));
  std::vector<v1::TaskSpec> specs(1);
  specs[0].set_type("t");
  const auto many = client_->SubmitMany(specs);
  ASSERT_EQ(many.size(), 1u);
  ASSERT_THAT(many[0], IsOk());
  EXPECT_THAT(many[0]->copy_ids(), ElementsAre("mine.2", "mine.3"));
  const auto atomic = client_->SubmitAtomic(specs);
  ASSERT_THAT(atomic, IsOk());
  EXPECT_THAT(atomic->at(0).copy_ids(), ElementsAre("mine.2", "mine.3"));
  broker_.AnswerWithCopies({});
  EXPECT_THAT(client_->Submit({.type = "t"})->copy_ids(), IsEmpty());
}

TEST_F(TaskClientTest, SubmitIsRepeatedWhileTheBrokerIsUnavailable) {
  broker_.FailNext("SubmitTask", 3, absl::UnavailableError("starting"));
  EXPECT_THAT(client_->Submit({.type = "t"}), IsOk());
  EXPECT_EQ(broker_.calls("SubmitTask"), 4);
}

TEST_F(TaskClientTest, AFullBrokerIsAskedAgainOnlyIfItSaysWhen) {
  broker_.FailNext(
      "SubmitTask", 1,
      WithRetryDelay(
          WithReason(absl::ResourceExhaustedError("busy"), reason::kBrokerBusy),
          absl::Milliseconds(1)));
  EXPECT_THAT(client_->Submit({.type = "t"}), IsOk());
  broker_.FailNext(
      "SubmitTask", 1,
      WithReason(absl::ResourceExhaustedError("full"), reason::kBacklogFull));
  EXPECT_THAT(client_->Submit({.type = "t"}),
              StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(broker_.calls("SubmitTask"), 3);
}

TEST_F(TaskClientTest, ErrorsCarryTheReasonOfTheServer) {
  ASSERT_THAT(client_->Submit({.type = "t", .task_id = "x"}), IsOk());
  absl::StatusOr<TaskHandle> other =
      client_->Submit({.type = "other", .task_id = "x"});
  EXPECT_THAT(other, StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_THAT(other, HasReason("TASK_ID_REUSED"));
  EXPECT_EQ(broker_.calls("SubmitTask"), 2);
}

TEST_F(TaskClientTest, GivesUpAtItsDeadlineWithTheLastError) {
  std::unique_ptr<TaskClient> client = ClientWith(absl::Milliseconds(300));
  broker_.FailNext("SubmitTask", 1'000'000,
                   absl::UnavailableError("still starting"));
  EXPECT_THAT(client->Submit({.type = "t"}),
              StatusIs(absl::StatusCode::kUnavailable,
                       HasSubstr("still starting (after")));
}

TEST_F(TaskClientTest, SaysThatNobodyListens) {
  ClientOptions options = broker_.ClientOptionsForTest();
  options.addresses = {"127.0.0.1:1"};
  options.retry.attempts_max = 2;
  std::unique_ptr<TaskClient> client = *TaskClient::Connect(options);
  EXPECT_THAT(
      client->Submit({.type = "t"}),
      StatusIs(absl::StatusCode::kUnavailable, HasSubstr("after 2 attempts")));
}

TEST_F(TaskClientTest, TellsItsUserAgent) {
  ClientOptions options = broker_.ClientOptionsForTest();
  options.user_agent = "billing/3.1";
  std::unique_ptr<TaskClient> client = *TaskClient::Connect(options);
  ASSERT_THAT(client->Submit({.type = "t"}), IsOk());
  EXPECT_THAT(broker_.last_user_agent(),
              ::testing::StartsWith("billing/3.1 apium-cpp/"));
}

TEST_F(TaskClientTest, SubmitsManyInChunksWithAnAnswerForEach) {
  broker_.RefuseType("bad");
  std::vector<v1::TaskSpec> specs(2500);
  for (v1::TaskSpec& spec : specs) spec.set_type("t");
  specs[1234].set_type("bad");
  const std::vector<absl::StatusOr<TaskHandle>> handles =
      client_->SubmitMany(std::move(specs));
  ASSERT_EQ(handles.size(), 2500u);
  EXPECT_EQ(broker_.calls("SubmitTasks"), 3);
  EXPECT_EQ(broker_.tasks().size(), 2499u);
  for (size_t i = 0; i < handles.size(); ++i)
    EXPECT_EQ(handles[i].ok(), i != 1234) << i;
  EXPECT_THAT(handles[1234], HasReason("QUEUE_NOT_FOUND"));
  EXPECT_EQ(FieldViolationsOf(handles[1234].status())[0].first, "spec.queue");
}

TEST_F(TaskClientTest, ChunksAreBoundedInBytes) {
  std::vector<v1::TaskSpec> specs(4);
  for (v1::TaskSpec& spec : specs) {
    spec.set_type("t");
    spec.mutable_payload()->set_data(std::string(600'000, 'x'));
  }
  for (const absl::StatusOr<TaskHandle>& handle :
       client_->SubmitMany(std::move(specs)))
    EXPECT_THAT(handle, IsOk());
  EXPECT_EQ(broker_.calls("SubmitTasks"), 4);
}

TEST_F(TaskClientTest, AChunkThatFailsGivesItsErrorToItsTasks) {
  broker_.FailNext("SubmitTasks", 1, absl::PermissionDeniedError("no"));
  std::vector<v1::TaskSpec> specs(1001);
  const std::vector<absl::StatusOr<TaskHandle>> handles =
      client_->SubmitMany(std::move(specs));
  EXPECT_THAT(handles[0], StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_THAT(handles[999], StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_THAT(handles[1000], IsOk());
}

TEST_F(TaskClientTest, SubmittingNothingAsksNobody) {
  EXPECT_TRUE(client_->SubmitMany({}).empty());
  EXPECT_EQ(broker_.calls("SubmitTasks"), 0);
}

TEST_F(TaskClientTest, SubmitsFromCallbacks) {
  constexpr int kTasks = 200;
  absl::BlockingCounter pending(kTasks);
  broker_.FailNext("SubmitTask", 50, absl::UnavailableError("busy"));
  for (int i = 0; i < kTasks; ++i) {
    client_->SubmitAsync({.type = "t"},
                         [&pending](absl::StatusOr<TaskHandle> task) {
                           EXPECT_THAT(task, IsOk());
                           pending.DecrementCount();
                         });
  }
  pending.Wait();
  EXPECT_EQ(broker_.tasks().size(), static_cast<size_t>(kTasks));
}

TEST_F(TaskClientTest, WaitsForTheResult) {
  TaskHandle task = *client_->Submit({.type = "t"});
  absl::Notification waited;
  task.WaitAsync(absl::InfiniteDuration(),
                 [&waited](absl::StatusOr<v1::Task> task) {
                   EXPECT_THAT(task, IsOk());
                   EXPECT_EQ(task->state(), v1::TASK_STATE_SUCCEEDED);
                   waited.Notify();
                 });
  EXPECT_FALSE(waited.HasBeenNotified());
  broker_.FinishTask(task.id(), v1::TASK_STATE_SUCCEEDED, "42");
  waited.WaitForNotification();
  absl::StatusOr<v1::Payload> result = task.Result();
  ASSERT_THAT(result, IsOk());
  EXPECT_THAT(DecodeJsonAs<int>(*result), IsOkAndHolds(42));
}

TEST_F(TaskClientTest, AWaitOutlivesErrorsOfTheBroker) {
  TaskHandle task = *client_->Submit({.type = "t"});
  broker_.FinishTask(task.id(), v1::TASK_STATE_SUCCEEDED, "1");
  broker_.FailNext("WaitTask", 2, absl::UnavailableError("restarting"));
  broker_.FailNext("WaitTask", 2,
                   WithReason(absl::DeadlineExceededError("an hour passed"),
                              "WAIT_TIMEOUT"));
  EXPECT_THAT(task.Wait(), IsOk());
  EXPECT_EQ(broker_.calls("WaitTask"), 5);
}

TEST_F(TaskClientTest, AWaitThatRunsOutSaysSoAndCancelsNothing) {
  TaskHandle task = *client_->Submit({.type = "t"});
  absl::StatusOr<v1::Task> waited = task.Wait(absl::Milliseconds(50));
  EXPECT_THAT(waited, StatusIs(absl::StatusCode::kDeadlineExceeded,
                               HasSubstr("was not finished within 50ms")));
  EXPECT_THAT(waited, HasReason("WAIT_TIMEOUT"));
  EXPECT_EQ(client_->Get(task.id())->state(), v1::TASK_STATE_QUEUED);
}

TEST_F(TaskClientTest, AWaitForAnUnknownTaskIsNotFound) {
  EXPECT_THAT(client_->Wait("nobody", absl::InfiniteDuration()),
              HasReason("TASK_NOT_FOUND"));
}

TEST_F(TaskClientTest, TheResultOfAFailedTaskIsItsFailure) {
  TaskHandle task = *client_->Submit({.type = "t", .task_id = "x"});
  broker_.FinishTask("x", v1::TASK_STATE_FAILED, "");
  absl::StatusOr<v1::Payload> result = task.Result();
  EXPECT_THAT(result,
              StatusIs(absl::StatusCode::kAborted,
                       "task x ended FAILED: ValueError: it was wrong"));
  EXPECT_THAT(result, HasReason("TASK_FAILED"));
}

TEST_F(TaskClientTest, CancelsAndSaysWhy) {
  TaskHandle task = *client_->Submit({.type = "t"});
  absl::StatusOr<v1::Task> cancelled = task.Cancel("not needed");
  ASSERT_THAT(cancelled, IsOk());
  EXPECT_EQ(cancelled->state(), v1::TASK_STATE_CANCELLED);
  EXPECT_EQ(cancelled->outcome().failure().message(), "not needed");
  absl::Notification again;
  client_->CancelAsync(task.id(), "", [&again](absl::StatusOr<v1::Task> task) {
    EXPECT_THAT(task, IsOk());
    again.Notify();
  });
  again.WaitForNotification();
}

TEST_F(TaskClientTest, WatchTellsChangesUntilTheEndAcrossReconnects) {
  TaskHandle task = *client_->Submit({.type = "t"});
  broker_.LoseAnswers("WatchTask",
                      2);  // the stream breaks after its first message, twice
  std::vector<v1::TaskState> states;
  const absl::Status status = task.Watch([&](const v1::Task& changed) {
    states.push_back(changed.state());
    if (states.size() == 3)
      broker_.FinishTask(task.id(), v1::TASK_STATE_SUCCEEDED, "1");
    return true;
  });
  EXPECT_THAT(status, IsOk());
  EXPECT_THAT(states,
              ElementsAre(v1::TASK_STATE_QUEUED, v1::TASK_STATE_QUEUED,
                          v1::TASK_STATE_QUEUED, v1::TASK_STATE_SUCCEEDED));
}

TEST_F(TaskClientTest, WatchEndsWhenTheWatcherHasSeenEnough) {
  TaskHandle task = *client_->Submit({.type = "t"});
  EXPECT_THAT(task.Watch([](const v1::Task&) { return false; }), IsOk());
}

TEST_F(TaskClientTest, WatchOfAnUnknownTaskIsNotFound) {
  EXPECT_THAT(client_->Watch("nobody", [](const v1::Task&) { return true; }),
              HasReason("TASK_NOT_FOUND"));
}

TEST_F(TaskClientTest, FollowTellsEachChunkOnceAcrossReconnects) {
  TaskHandle task = *client_->Submit({.type = "t"});
  for (const char* data : {"a", "b", "c", "d"}) {
    broker_.AddChunk(task.id(), data);
  }
  broker_.FinishTask(task.id(), v1::TASK_STATE_SUCCEEDED, "1");
  broker_.LoseAnswers("FollowTask", 2);
  std::vector<std::string> seen;
  const auto end = client_->Follow(task.id(), 2, [&](const auto& chunk) {
    seen.push_back(chunk.payload().data());
    return true;
  });
  EXPECT_THAT(seen, ElementsAre("b", "c", "d"));
  APIUM_ASSERT_OK(end);
  EXPECT_EQ(end->state(), v1::TASK_STATE_SUCCEEDED);
}

TEST_F(TaskClientTest, FollowEndsWhenTheFollowerHasSeenEnough) {
  TaskHandle task = *client_->Submit({.type = "t"});
  broker_.AddChunk(task.id(), "a");
  EXPECT_THAT(
      client_->Follow(task.id(), 1, [](const v1::TaskChunk&) { return false; }),
      StatusIs(absl::StatusCode::kCancelled));
}

TEST_F(TaskClientTest, FollowOfAnUnknownTaskIsNotFound) {
  EXPECT_THAT(
      client_->Follow("nobody", 1, [](const v1::TaskChunk&) { return true; }),
      HasReason("TASK_NOT_FOUND"));
}

TEST_F(TaskClientTest, ClosingTheClientEndsItsCallsWithCancelled) {
  TaskHandle task = *client_->Submit({.type = "t"});
  absl::Notification waited;
  absl::Notification watched;
  absl::Notification backed_off;
  client_->WaitAsync(task.id(), absl::InfiniteDuration(),
                     [&](absl::StatusOr<v1::Task> result) {
                       EXPECT_THAT(result,
                                   StatusIs(absl::StatusCode::kCancelled));
                       waited.Notify();
                     });
  client_->WatchAsync(
      task.id(), absl::InfiniteDuration(), [](const v1::Task&) { return true; },
      [&](absl::Status status) {
        EXPECT_THAT(status, StatusIs(absl::StatusCode::kCancelled));
        watched.Notify();
      });
  // This one is between two attempts.
  broker_.FailNext(
      "GetTask", 1,
      WithRetryDelay(absl::UnavailableError("later"), absl::Seconds(50)));
  client_->GetAsync(task.id(), [&](absl::StatusOr<v1::Task> result) {
    EXPECT_THAT(result, StatusIs(absl::StatusCode::kCancelled));
    backed_off.Notify();
  });
  client_.reset();
  EXPECT_TRUE(waited.HasBeenNotified());
  EXPECT_TRUE(watched.HasBeenNotified());
  EXPECT_TRUE(backed_off.HasBeenNotified());
}

TEST_F(TaskClientTest, ListsPageByPage) {
  for (const char* id : {"a", "b", "c"})
    ASSERT_THAT(client_->Submit({.type = "t", .task_id = id}), IsOk());
  v1::ListTasksRequest request;
  request.set_page_size(2);
  absl::StatusOr<v1::ListTasksResponse> page = client_->List(request);
  ASSERT_THAT(page, IsOk());
  ASSERT_EQ(page->tasks_size(), 2);
  request.set_page_token(page->next_page_token());
  page = client_->List(request);
  ASSERT_THAT(page, IsOk());
  ASSERT_EQ(page->tasks_size(), 1);
  EXPECT_EQ(page->tasks(0).spec().task_id(), "c");
  EXPECT_TRUE(page->next_page_token().empty());
}

}  // namespace
}  // namespace apium
