// How often a task may run, and what is kept of it, while the broker is killed.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "client/json_payload.h"
#include "tests/integration/platform_fixture.h"
#include "tests/support/status_matchers.h"

namespace apium {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class ResultModesTest : public PlatformFixture {
 protected:
  // Tasks of this queue go to a worker that a test can kill.
  ResultModesTest() {
    CreateQueue("own");
    StartOwnWorker();
  }
  void StartOwnWorker() {
    worker_ = platform_.StartWorker("own", {"--queues=own", "--concurrency=2"});
  }

  // One that fails for good, or one that succeeds.
  SubmitOptions Ending(v1::TaskState state, v1::ResultMode mode) {
    const bool fails = state == v1::TASK_STATE_FAILED;
    return {.type = fails ? "apium.fail" : "apium.echo",
            .payload = fails ? JsonArguments("no luck", "Luck", true)
                             : JsonArguments("luck"),
            .task_id = v1::TaskState_Name(state) + v1::ResultMode_Name(mode),
            .queue = "own",
            .result_mode = mode};
  }
  void ExpectNothingLeft(const std::string& id) {
    EXPECT_THAT(tasks().Get(id), HasReason("TASK_NOT_FOUND")) << id;
    EXPECT_THAT(results().Get(id), HasReason("RESULT_NOT_FOUND")) << id;
  }
  // By the list of all that has ended in the queue "own".
  std::vector<std::string> KeptIds() {
    v1::ListTasksRequest request;
    request.set_queue("own");
    request.add_states(v1::TASK_STATE_SUCCEEDED);
    request.add_states(v1::TASK_STATE_FAILED);
    const auto page = tasks().List(request);
    APIUM_EXPECT_OK(page);
    std::vector<std::string> ids;
    if (!page.ok()) return ids;
    for (const v1::Task& task : page->tasks())
      ids.push_back(task.spec().task_id());
    return ids;
  }

  std::unique_ptr<ChildProcess> worker_;
};

TEST_F(ResultModesTest, OnlyWhatWasAskedForIsKept) {
  for (const v1::TaskState state :
       {v1::TASK_STATE_SUCCEEDED, v1::TASK_STATE_FAILED}) {
    for (const v1::ResultMode mode :
         {v1::RESULT_MODE_KEEP, v1::RESULT_MODE_KEEP_FAILURES,
          v1::RESULT_MODE_IGNORE}) {
      Submit(Ending(state, mode));
    }
  }
  const auto all_ended = [this] {
    const v1::TaskCounts counts = CountsOf("own");
    return counts.succeeded() == 3 && counts.failed() == 3;
  };
  ASSERT_TRUE(Eventually(all_ended));
  for (const char* when : {"before", "after"}) {
    SCOPED_TRACE(when);
    KillBroker();
    AwaitPublished();
    ExpectNothingLeft("TASK_STATE_SUCCEEDEDRESULT_MODE_KEEP_FAILURES");
    ExpectNothingLeft("TASK_STATE_SUCCEEDEDRESULT_MODE_IGNORE");
    ExpectNothingLeft("TASK_STATE_FAILEDRESULT_MODE_IGNORE");
    EXPECT_THAT(KeptIds(), UnorderedElementsAre(
                               "TASK_STATE_SUCCEEDEDRESULT_MODE_KEEP",
                               "TASK_STATE_FAILEDRESULT_MODE_KEEP",
                               "TASK_STATE_FAILEDRESULT_MODE_KEEP_FAILURES"));
    EXPECT_EQ(results()
                  .Get("TASK_STATE_FAILEDRESULT_MODE_KEEP_FAILURES")
                  ->failure()
                  .type(),
              "Luck");
    // An id that left nothing is known all the same, and not run again.
    Submit(Ending(v1::TASK_STATE_SUCCEEDED, v1::RESULT_MODE_IGNORE));
    EXPECT_TRUE(all_ended());
    EXPECT_EQ(CountsOf("own").queued() + CountsOf("own").leased(), 0u);
  }
}

TEST_F(ResultModesTest, WhoWaitsForAnIgnoredResultIsAnswered) {
  const std::string id = Submit({.type = "apium.sleep",
                                 .payload = JsonArguments(3.0),
                                 .queue = "own",
                                 .result_mode = v1::RESULT_MODE_IGNORE});
  EXPECT_EQ(Describe(tasks().Wait(id, kLongTime)), "SUCCEEDED");
  KillBroker();
  ExpectNothingLeft(id);
}

TEST_F(ResultModesTest, AnIgnoredTaskThatRunsDuringAKillLeavesNothing) {
  const std::string id = Submit({.type = "apium.sleep",
                                 .payload = JsonArguments(3.0),
                                 .queue = "own",
                                 .result_mode = v1::RESULT_MODE_IGNORE});
  ASSERT_TRUE(AwaitDescription(&tasks(), id, "STARTED"));
  KillBroker();
  ASSERT_TRUE(Eventually([this] { return CountsOf("own").succeeded() == 1; }));
  AwaitPublished();
  ExpectNothingLeft(id);
  EXPECT_THAT(KeptIds(), IsEmpty());
}

TEST_F(ResultModesTest, AResultIsKeptForItsTime) {
  constexpr absl::Duration kShortest = absl::Seconds(1);
  const std::string brief = Submit({.type = "apium.sleep",
                                    .payload = JsonArguments(2.0),
                                    .queue = "own",
                                    .result_ttl = kShortest});
  const std::string lasting = Submit(
      {.type = "apium.echo", .queue = "own", .result_ttl = absl::Hours(1)});
  const auto task = tasks().Wait(brief, kLongTime);
  APIUM_ASSERT_OK(task);
  EXPECT_EQ(task->state(), v1::TASK_STATE_SUCCEEDED);
  KillBroker();
  // Once the result service has had it, only the time takes it away.
  AwaitPublished();
  ASSERT_TRUE(Eventually([&] { return !results().Get(brief).ok(); }));
  EXPECT_GE(absl::Now(), TimeOf(task->outcome().finish_time()) + kShortest);
  for (const char* when : {"before", "after"}) {
    SCOPED_TRACE(when);
    ExpectNothingLeft(brief);
    EXPECT_THAT(KeptIds(), ElementsAre(lasting));
    EXPECT_EQ(Describe(tasks().Get(lasting)), "SUCCEEDED");
    KillBroker();
  }
  EXPECT_THAT(
      tasks().Submit(
          {.type = "apium.noop", .result_ttl = absl::Milliseconds(999)}),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("result_ttl")));
}

// A task that may run once, and one that may run often, which append a chunk
// every now and then, and never end by themselves.
class DeliveryModesTest : public ResultModesTest {
 protected:
  std::string SubmitCount(v1::DeliveryMode mode) {
    return Submit({.type = "apium.count",
                   .payload = JsonArguments(100000, 0.05),
                   .queue = "own",
                   .delivery_mode = mode});
  }
  void StartBoth() {
    once_ = SubmitCount(v1::DELIVERY_MODE_AT_MOST_ONCE);
    often_ = SubmitCount(v1::DELIVERY_MODE_UNSPECIFIED);
    ASSERT_TRUE(AwaitChunk(once_, 1));
    ASSERT_TRUE(AwaitChunk(often_, 1));
  }
  // Waits for a chunk of this attempt, or of a later one.
  bool AwaitChunk(const std::string& id, uint32_t attempt) {
    bool seen = false;
    const absl::Status stopped = tasks()
                                     .Follow(
                                         id, 1,
                                         [&](const v1::TaskChunk& chunk) {
                                           seen = chunk.attempt() >= attempt;
                                           return !seen;
                                         },
                                         kLongTime)
                                     .status();
    EXPECT_TRUE(seen) << stopped.ToString();
    return seen;
  }
  // Waits for the ends, when the worker that ran both has gone, and another is
  // there.
  void ExpectRunAgainOnlyIfAllowed() {
    const auto once = tasks().Wait(once_, kLongTime);
    APIUM_ASSERT_OK(once);
    EXPECT_EQ(Describe(once), "FAILED");
    EXPECT_EQ(once->outcome().failure().type(), "apium.WorkerLost");
    EXPECT_THAT(HistoryOf(once), EndsWith(" CRASHED#1 ENDED#1"));
    ASSERT_TRUE(AwaitChunk(often_, 2));
    EXPECT_EQ(tasks().Get(often_)->crashes(), 1u);
    APIUM_EXPECT_OK(tasks().Cancel(often_));
    EXPECT_EQ(tasks().Wait(often_, kLongTime)->state(),
              v1::TASK_STATE_CANCELLED);

    // Its end stands, and nobody has run it since.
    KillBroker();
    EXPECT_EQ(Describe(tasks().Get(once_)), "FAILED");
    std::set<uint32_t> attempts;
    const auto followed =
        tasks().Follow(once_, 1, [&](const v1::TaskChunk& chunk) {
          attempts.insert(chunk.attempt());
          return true;
        });
    APIUM_EXPECT_OK(followed);
    EXPECT_THAT(attempts, ElementsAre(1u));
  }

  std::string once_;
  std::string often_;
};

TEST_F(DeliveryModesTest, TheDeathOfTheBrokerEndsNoAttempt) {
  ASSERT_NO_FATAL_FAILURE(StartBoth());
  KillBroker();
  for (const std::string& id : {once_, often_}) {
    const uint64_t chunks = tasks().Get(id)->chunks();
    ASSERT_TRUE(Eventually([&] { return tasks().Get(id)->chunks() > chunks; }));
    ASSERT_TRUE(AwaitDescription(&tasks(), id, "STARTED"));
  }
  worker_->Kill();
  StartOwnWorker();
  ExpectRunAgainOnlyIfAllowed();
}

TEST_F(DeliveryModesTest, AWorkerThatDiesBeforeTheBroker) {
  ASSERT_NO_FATAL_FAILURE(StartBoth());
  worker_->Kill();
  KillBroker();
  StartOwnWorker();
  ExpectRunAgainOnlyIfAllowed();
}

TEST_F(DeliveryModesTest, AWorkerThatDiesWhileTheBrokerIsDead) {
  ASSERT_NO_FATAL_FAILURE(StartBoth());
  platform_.broker().Kill();
  worker_->Kill();
  platform_.StartBroker();
  StartOwnWorker();
  ExpectRunAgainOnlyIfAllowed();
}

TEST_F(DeliveryModesTest, WhatMayRunOnceIsNotRetried) {
  const std::string id =
      Submit({.type = "apium.fail",
              .payload = JsonArguments("no luck", "Luck"),
              .queue = "own",
              .retry = {.initial_delay = absl::ZeroDuration()},
              .delivery_mode = v1::DELIVERY_MODE_AT_MOST_ONCE});
  const auto ended = tasks().Wait(id, kLongTime);
  EXPECT_EQ(Describe(ended), "FAILED");
  EXPECT_EQ(ended->outcome().failure().type(), "Luck");
  KillBroker();
  EXPECT_EQ(HistoryOf(tasks().Get(id)), "SUBMITTED LEASED#1 STARTED#1 ENDED#1");
}

TEST_F(ResultModesTest, WhatIsForgottenStaysSo) {
  const SubmitOptions count = {.type = "apium.count",
                               .payload = JsonArguments(3),
                               .task_id = "count",
                               .queue = "own"};
  const std::string failing =
      Submit(Ending(v1::TASK_STATE_FAILED, v1::RESULT_MODE_KEEP));
  const std::string live = Submit({.type = "nobody.runs.it"});
  Submit(count);
  for (const std::string& id : {std::string("count"), failing}) {
    APIUM_EXPECT_OK(tasks().Wait(id, kLongTime));
    APIUM_EXPECT_OK(control().Forget(id));
  }
  EXPECT_THAT(control().Forget(live), HasReason("TASK_LIVE"));
  for (const char* when : {"before", "after"}) {
    SCOPED_TRACE(when);
    for (const std::string& id : {std::string("count"), failing}) {
      ExpectNothingLeft(id);
      EXPECT_THAT(
          tasks().Follow(id, 1, [](const v1::TaskChunk&) { return true; }),
          HasReason("TASK_NOT_FOUND"));
    }
    EXPECT_THAT(KeptIds(), IsEmpty());
    KillBroker();
  }
  // Its id is known, and not run again.
  APIUM_EXPECT_OK(control().Forget("count"));
  Submit(count);
  ExpectNothingLeft("count");
  EXPECT_EQ(CountsOf("own").succeeded(), 1u);
  EXPECT_EQ(Describe(tasks().Get(live)), "QUEUED");
}

TEST_F(ResultModesTest, NothingIsForgottenWithoutTheResultService) {
  const std::string id = Submit({.type = "apium.noop"});
  EXPECT_EQ(Describe(tasks().Wait(id, kLongTime)), "SUCCEEDED");
  platform_.result_service().Kill();
  TaskControl hasty(platform_.ConnectToBroker(absl::Seconds(2)));
  EXPECT_FALSE(hasty.Forget(id).ok());
  KillBroker();
  platform_.StartResults();
  APIUM_EXPECT_OK(control().Forget(id));
  ExpectNothingLeft(id);
}

}  // namespace
}  // namespace apium
