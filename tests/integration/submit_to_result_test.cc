// What an application can do, through our client and the real programs.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "client/json_payload.h"
#include "client/task_stream.h"
#include "common/rpc/proto_time.h"
#include "tests/integration/test_platform.h"
#include "tests/support/status_matchers.h"

namespace apium {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAreArray;

// Nobody takes tasks from it, unless a test starts a worker.
constexpr char kIdleQueue[] = "idle";

class SubmitToResultTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    platform_ = new TestPlatform();
    CreateQueue(kIdleQueue);
  }
  static void TearDownTestSuite() {
    delete platform_;
    platform_ = nullptr;
  }

  static TaskClient& tasks() { return platform_->tasks(); }
  static QueueClient& queues() { return platform_->queues(); }

  static void CreateQueue(const std::string& name) {
    v1::Queue queue;
    queue.set_name(name);
    APIUM_ASSERT_OK(queues().Create(queue));
  }

  static TaskHandle Submit(SubmitOptions options) {
    absl::StatusOr<TaskHandle> handle = tasks().Submit(std::move(options));
    APIUM_EXPECT_OK(handle);
    return handle.ok() ? *handle : tasks().Handle("");
  }
  static TaskHandle SubmitIdle(std::string type = "apium.noop") {
    return Submit({.type = std::move(type), .queue = kIdleQueue});
  }
  static TaskHandle SubmitSleep(double seconds) {
    return Submit({.type = "apium.sleep", .payload = JsonArguments(seconds)});
  }

  static std::vector<std::string> List(v1::ListTasksRequest request) {
    std::vector<std::string> ids;
    do {
      const auto page = tasks().List(request);
      APIUM_EXPECT_OK(page);
      if (!page.ok()) break;
      EXPECT_LE(page->tasks_size(), request.page_size());
      for (const v1::Task& task : page->tasks()) {
        ids.push_back(task.spec().task_id());
      }
      request.set_page_token(page->next_page_token());
    } while (!request.page_token().empty());
    return ids;
  }

  static TestPlatform* platform_;
};

TestPlatform* SubmitToResultTest::platform_ = nullptr;

TEST_F(SubmitToResultTest, ATaskIsRunAndItsResultRead) {
  const TaskHandle task =
      Submit({.type = "apium.echo", .payload = JsonArguments("ada", 3)});
  const auto result = task.Result(kLongTime);
  APIUM_ASSERT_OK(result);
  EXPECT_EQ(DecodeJson(*result)->dump(), R"({"args":["ada",3]})");

  const auto got = task.Get();
  EXPECT_EQ(Describe(got), "SUCCEEDED");
  EXPECT_EQ(got->worker_id(), "worker");
  const auto outcome = platform_->results().Wait(task.id(), kLongTime);
  APIUM_ASSERT_OK(outcome);
  EXPECT_EQ(outcome->SerializeAsString(), got->outcome().SerializeAsString());
}

TEST_F(SubmitToResultTest, ManyTasksAreAnsweredEachOnItsOwn) {
  std::vector<v1::TaskSpec> specs(1200);  // more than one call takes
  for (size_t i = 0; i < specs.size(); ++i) {
    specs[i].set_type(i == 700 ? "not a type" : "apium.noop");
  }
  const auto handles = tasks().SubmitMany(specs);
  ASSERT_THAT(handles, SizeIs(specs.size()));
  for (size_t i = 0; i < handles.size(); ++i) {
    if (i == 700) {
      EXPECT_THAT(handles[i], HasReason("INVALID_FIELD"));
    } else {
      APIUM_ASSERT_OK(handles[i]);
      EXPECT_EQ(Describe(handles[i]->Wait(kLongTime)), "SUCCEEDED");
    }
  }
}

TEST_F(SubmitToResultTest, AStreamReportsAnswersAndOutcomes) {
  constexpr int kTasks = 3000;
  absl::Mutex mu;
  std::map<std::string, int> outcomes;
  std::vector<uint64_t> acknowledged;
  int refused = 0;
  TaskStreamOptions options;
  options.window = 500;
  options.on_ack = [&](const SubmitAck& ack) {
    absl::MutexLock lock(&mu);
    acknowledged.push_back(ack.sequence);
    if (!ack.status.ok()) {
      EXPECT_THAT(ack.status, HasReason("QUEUE_NOT_FOUND"));
      ++refused;
    }
  };
  options.on_outcome = [&](const v1::TaskOutcome& outcome) {
    absl::MutexLock lock(&mu);
    EXPECT_EQ(outcome.state(), v1::TASK_STATE_SUCCEEDED);
    ++outcomes[outcome.task_id()];
  };
  auto stream = tasks().OpenStream(std::move(options));
  APIUM_ASSERT_OK(stream);
  for (int i = 0; i < kTasks; ++i) {
    v1::TaskSpec spec;
    spec.set_type("apium.noop");
    if (i == 100) spec.set_queue("no-such-queue");
    APIUM_ASSERT_OK((*stream)->Submit(&spec));
  }
  APIUM_ASSERT_OK((*stream)->Finish(kLongTime));
  stream->reset();
  EXPECT_EQ(refused, 1);
  ASSERT_THAT(acknowledged, SizeIs(kTasks));
  EXPECT_TRUE(std::is_sorted(acknowledged.begin(), acknowledged.end()));
  EXPECT_THAT(outcomes, SizeIs(kTasks - 1));
  for (const auto& [id, count] : outcomes) EXPECT_EQ(count, 1) << id;
}

TEST_F(SubmitToResultTest, TheSameIdAndContentIsTheSameTask) {
  SubmitOptions options{.type = "apium.echo", .task_id = "invoice-7"};
  options.payload.set_data("7");
  const TaskHandle first = Submit(options);
  EXPECT_EQ(Describe(first.Wait(kLongTime)), "SUCCEEDED");
  const TaskHandle again = Submit(options);
  const auto task = again.Get();
  EXPECT_EQ(Describe(task), "SUCCEEDED");
  EXPECT_EQ(task->outcome().attempt(), 1u);
  options.payload.set_data("8");
  EXPECT_THAT(tasks().Submit(options), HasReason("TASK_ID_REUSED"));
}

TEST_F(SubmitToResultTest, AWaitThatEndsInTimeLeavesTheTaskAlone) {
  const TaskHandle task = SubmitIdle();
  EXPECT_THAT(task.Wait(absl::Milliseconds(1)), HasReason("WAIT_TIMEOUT"));
  EXPECT_EQ(Describe(task.Get()), "QUEUED");
  EXPECT_THAT(task.Get()->waiting_reason(), HasSubstr("no connected worker"));
  APIUM_EXPECT_OK(task.Cancel());
}

TEST_F(SubmitToResultTest, AWatchShowsATaskUntilItsEnd) {
  const TaskHandle task = SubmitSleep(0.2);
  std::vector<std::string> states;
  APIUM_EXPECT_OK(task.Watch(
      [&](const v1::Task& now) {
        if (states.empty() || states.back() != Describe(now)) {
          states.push_back(Describe(now));
        }
        return true;
      },
      kLongTime));
  ASSERT_THAT(states, Not(IsEmpty()));
  EXPECT_EQ(states.back(), "SUCCEEDED");
  const std::vector<std::string> order = {"QUEUED", "LEASED", "STARTED",
                                          "SUCCEEDED"};
  size_t at = 0;
  for (const std::string& state : states) {
    while (at < order.size() && order[at] != state) ++at;
    EXPECT_LT(at, order.size()) << state << " comes too late";
  }
}

TEST_F(SubmitToResultTest, AWaitingTaskIsCancelledAtOnce) {
  const TaskHandle task = SubmitIdle();
  const auto cancelled = task.Cancel("not needed");
  EXPECT_EQ(Describe(cancelled), "CANCELLED");
  EXPECT_THAT(cancelled->outcome().failure().message(),
              HasSubstr("not needed"));
  EXPECT_EQ(Describe(task.Cancel("again")), "CANCELLED");
  EXPECT_THAT(task.Result(), HasReason("TASK_CANCELLED"));
  EXPECT_THAT(tasks().Cancel("never-submitted"), HasReason("TASK_NOT_FOUND"));
}

TEST_F(SubmitToResultTest, ARunningTaskIsToldToStop) {
  const TaskHandle task = SubmitSleep(3600);
  ASSERT_TRUE(AwaitDescription(&tasks(), task.id(), "STARTED"));
  const auto asked = task.Cancel("enough");
  APIUM_ASSERT_OK(asked);
  EXPECT_TRUE(asked->cancel_requested() ||
              asked->state() == v1::TASK_STATE_CANCELLED);
  EXPECT_EQ(Describe(task.Wait(kLongTime)), "CANCELLED");
}

TEST_F(SubmitToResultTest, AFailureIsRetriedUntilItSucceeds) {
  SubmitOptions options{
      .type = "apium.fail",
      .payload = JsonPayloadOfArguments(nlohmann::json::array(),
                                        {{"succeed_at_attempt", 3}})};
  options.retry.initial_delay = absl::Milliseconds(5);
  const auto task = Submit(options).Wait(kLongTime);
  EXPECT_EQ(Describe(task), "SUCCEEDED#3");
  EXPECT_EQ(task->outcome().failures(), 2u);
  EXPECT_EQ(DecodeJsonAs<int>(task->outcome().result()).value_or(0), 3);
}

TEST_F(SubmitToResultTest, AFailureIsFinalAfterTheLastAttempt) {
  SubmitOptions options{.type = "apium.fail",
                        .payload = JsonArguments("broken", "Broken")};
  options.retry.attempts_max = 2;
  options.retry.initial_delay = absl::Milliseconds(5);
  const TaskHandle handle = Submit(options);
  const auto task = handle.Wait(kLongTime);
  EXPECT_EQ(Describe(task), "FAILED#2");
  EXPECT_EQ(task->outcome().failure().type(), "Broken");
  EXPECT_EQ(task->outcome().failure().message(), "broken");
  EXPECT_THAT(handle.Result(kLongTime),
              AllOf(HasReason("TASK_FAILED"),
                    StatusIs(absl::StatusCode::kAborted, HasSubstr("broken"))));
}

TEST_F(SubmitToResultTest, AFailureThatIsMarkedFinalIsNotRetried) {
  EXPECT_EQ(Describe(Submit({.type = "apium.fail",
                             .payload = JsonArguments("no", "No", true)})
                         .Wait(kLongTime)),
            "FAILED");
  SubmitOptions options{.type = "apium.fail",
                        .payload = JsonArguments("no", "Never")};
  options.retry.non_retryable_types = {"Never"};
  EXPECT_EQ(Describe(Submit(options).Wait(kLongTime)), "FAILED");
}

TEST_F(SubmitToResultTest, ASoftTimeLimitEndsTheHandler) {
  SubmitOptions options{.type = "apium.sleep",
                        .payload = JsonArguments(3600.0)};
  options.soft_time_limit = absl::Milliseconds(50);
  options.retry.attempts_max = 1;
  const auto task = Submit(options).Wait(kLongTime);
  EXPECT_EQ(Describe(task), "FAILED");
  EXPECT_EQ(task->outcome().failure().type(), "apium.TimeLimit");
}

TEST_F(SubmitToResultTest, ADelayedTaskDoesNotRunBeforeItsTime) {
  const auto start_after = [](SubmitOptions options) {
    const auto task = Submit(std::move(options)).Wait(kLongTime);
    EXPECT_EQ(Describe(task), "SUCCEEDED");
    if (!task.ok()) return absl::ZeroDuration();
    const v1::TaskOutcome& outcome = task->outcome();
    return *TimeFromProto("start", outcome.start_time()) -
           *TimeFromProto("create", outcome.create_time());
  };
  constexpr absl::Duration kDelay = absl::Milliseconds(300);
  EXPECT_GE(start_after({.type = "apium.noop", .delay = kDelay}), kDelay);
  // A little before the broker's acceptance, by this machine's one clock.
  EXPECT_GE(start_after({.type = "apium.noop", .eta = absl::Now() + kDelay}),
            absl::ZeroDuration());
  const TaskHandle late =
      Submit({.type = "apium.noop", .eta = absl::Now() + absl::Hours(1)});
  EXPECT_EQ(Describe(late.Get()), "SCHEDULED");
  APIUM_EXPECT_OK(late.Cancel());
}

TEST_F(SubmitToResultTest, ATaskThatIsNotStartedInTimeExpires) {
  const auto task = Submit({.type = "apium.noop",
                            .queue = kIdleQueue,
                            .expires = absl::Milliseconds(20)})
                        .Wait(kLongTime);
  EXPECT_EQ(Describe(task), "EXPIRED");
  EXPECT_EQ(task->outcome().attempt(), 0u);
  EXPECT_EQ(Describe(Submit({.type = "apium.noop",
                             .queue = kIdleQueue,
                             .expire_time = absl::Now() - absl::Hours(1)})
                         .Wait(kLongTime)),
            "EXPIRED");
}

TEST_F(SubmitToResultTest, HigherPrioritiesAreDispatchedFirst) {
  CreateQueue("ordered");
  std::vector<std::string> ids;
  for (const uint32_t priority : {100, 0, 255, 100, 255, 1}) {
    ids.push_back(
        Submit({.type = "apium.noop", .queue = "ordered", .priority = priority})
            .id());
  }
  const auto worker = platform_->StartWorker(
      "one-slot", {"--queues=ordered", "--concurrency=1"});
  std::vector<std::pair<absl::Time, std::string>> started;
  for (const std::string& id : ids) {
    const auto task = tasks().Wait(id, kLongTime);
    APIUM_ASSERT_OK(task);
    started.emplace_back(*TimeFromProto("start", task->outcome().start_time()),
                         id);
  }
  std::sort(started.begin(), started.end());
  std::vector<std::string> order;
  for (const auto& [time, id] : started) order.push_back(id);
  EXPECT_THAT(order,
              ElementsAre(ids[2], ids[4], ids[0], ids[3], ids[5], ids[1]));
}

TEST_F(SubmitToResultTest, APausedQueueDispatchesNothing) {
  CreateQueue("paused");
  const auto worker = platform_->StartWorker("of-paused", {"--queues=paused"});
  EXPECT_TRUE(queues().Pause("paused")->paused());
  const TaskHandle task = Submit({.type = "apium.noop", .queue = "paused"});
  EXPECT_EQ(Describe(task.Get()), "QUEUED");
  EXPECT_THAT(task.Get()->waiting_reason(), HasSubstr("paused"));
  EXPECT_FALSE(queues().Resume("paused")->paused());
  EXPECT_EQ(Describe(task.Wait(kLongTime)), "SUCCEEDED");
}

TEST_F(SubmitToResultTest, APurgeCancelsWhatWaits) {
  CreateQueue("purged");
  std::vector<TaskHandle> handles;
  for (int i = 0; i < 20; ++i) {
    handles.push_back(Submit({.type = "apium.noop", .queue = "purged"}));
    handles.push_back(Submit(
        {.type = "apium.noop", .queue = "purged", .delay = absl::Hours(1)}));
  }
  EXPECT_EQ(queues().Get("purged")->counts().ready(), 20u);
  EXPECT_EQ(queues().Get("purged")->counts().scheduled(), 20u);
  EXPECT_THAT(queues().Delete("purged"), HasReason("QUEUE_NOT_EMPTY"));
  EXPECT_THAT(queues().Purge("purged"), IsOkAndHolds(40u));
  for (const TaskHandle& handle : handles) {
    EXPECT_EQ(Describe(handle.Wait(kLongTime)), "CANCELLED");
  }
  APIUM_EXPECT_OK(queues().Delete("purged"));
  EXPECT_THAT(queues().Get("purged"), HasReason("QUEUE_NOT_FOUND"));
}

TEST_F(SubmitToResultTest, SubmitsToAQueueCanBePaused) {
  CreateQueue("closed");
  v1::Queue queue = *queues().Get("closed");
  queue.set_submit_paused(true);
  APIUM_EXPECT_OK(queues().Update(queue, {"submit_paused"}));
  EXPECT_THAT(queues().Update(queue, {"submit_paused"}),
              HasReason("ETAG_MISMATCH"));
  EXPECT_THAT(tasks().Submit({.type = "apium.noop", .queue = "closed"}),
              HasReason("QUEUE_PAUSED_FOR_SUBMIT"));
}

TEST_F(SubmitToResultTest, ListsLiveAndFinishedTasksTogether) {
  constexpr int kEach = 7;
  CreateQueue("listed");
  std::vector<std::string> finished;
  std::vector<std::string> live;
  const auto worker = platform_->StartWorker("of-listed", {"--queues=listed"});
  for (int i = 0; i < kEach; ++i) {
    finished.push_back(Submit({.type = "apium.noop", .queue = "listed"}).id());
    EXPECT_EQ(Describe(tasks().Wait(finished.back(), kLongTime)), "SUCCEEDED");
    APIUM_EXPECT_OK(platform_->results().Wait(finished.back(), kLongTime));
    live.push_back(
        Submit(
            {.type = "apium.noop", .queue = "listed", .delay = absl::Hours(1)})
            .id());
  }
  v1::ListTasksRequest request;
  request.set_queue("listed");
  request.set_page_size(3);
  const std::vector<std::string> all = List(request);
  ASSERT_THAT(all, SizeIs(2 * kEach));
  // Live ones first, then finished ones, newest first.
  EXPECT_THAT(std::vector<std::string>(all.begin(), all.begin() + kEach),
              UnorderedElementsAreArray(live));
  EXPECT_THAT(std::vector<std::string>(all.begin() + kEach, all.end()),
              ElementsAreArray(finished.rbegin(), finished.rend()));

  request.add_states(v1::TASK_STATE_SCHEDULED);
  EXPECT_THAT(List(request), UnorderedElementsAreArray(live));
  request.set_states(0, v1::TASK_STATE_SUCCEEDED);
  EXPECT_THAT(List(request), UnorderedElementsAreArray(finished));
  request.set_states(0, v1::TASK_STATE_FAILED);
  EXPECT_THAT(List(request), IsEmpty());
  request.clear_states();
  request.set_type("another.type");
  EXPECT_THAT(List(request), IsEmpty());
}

TEST_F(SubmitToResultTest, AForgottenResultIsGone) {
  const TaskHandle task = Submit({.type = "apium.noop"});
  EXPECT_EQ(Describe(task.Wait(kLongTime)), "SUCCEEDED");
  APIUM_EXPECT_OK(platform_->results().Wait(task.id(), kLongTime));
  APIUM_EXPECT_OK(platform_->results().Forget(task.id()));
  EXPECT_THAT(platform_->results().Get(task.id()),
              HasReason("RESULT_NOT_FOUND"));
}

TEST_F(SubmitToResultTest, AnOperatorSeesAndDrainsAWorker) {
  auto worker = platform_->StartWorker(
      "drained", {"--queues=idle", "--label=zone=eu", "--concurrency=3"});
  const auto find = [](const v1::ListWorkersResponse& all) {
    v1::Worker found;
    for (const v1::Worker& each : all.workers()) {
      if (each.worker_id() == "drained") found = each;
    }
    return found;
  };
  const TaskHandle task = SubmitIdle();  // runs once the worker is connected
  EXPECT_EQ(Describe(task.Wait(kLongTime)), "SUCCEEDED");
  const v1::Worker seen = find(*platform_->workers().List());
  EXPECT_TRUE(seen.connected());
  EXPECT_EQ(seen.slots(), 3u);
  EXPECT_EQ(seen.labels().at("zone"), "eu");
  EXPECT_THAT(seen.queues(), ElementsAre(kIdleQueue));

  APIUM_EXPECT_OK(platform_->workers().Drain("drained"));
  EXPECT_EQ(worker->Wait(kLongTime), 0);
  EXPECT_THAT(platform_->workers().Drain("drained"),
              HasReason("WORKER_NOT_FOUND"));
}

}  // namespace
}  // namespace apium
