// What a batch submits by itself: when, once, and where to.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "tests/support/batch_calls.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

class BatchCallbackTest : public ::testing::Test {
 protected:
  // Types of all live tasks of callbacks, sorted.
  std::string Submitted() {
    std::vector<std::string> types;
    const std::string ids = h_.List({.page_size = 1000});
    for (const std::string& id : std::vector<std::string>(
             absl::StrSplit(ids, ' ', absl::SkipEmpty()))) {
      const TaskSnapshot task = h_.Task(id);
      if (task.content->type != "job") types.push_back(task.content->type);
    }
    std::sort(types.begin(), types.end());
    return absl::StrJoin(types, " ");
  }

  EngineHarness h_;
  BatchCalls b_{&h_};
};

TEST_F(BatchCallbackTest, AllSucceeded) {
  b_.CreateFull("b");
  b_.Join("b", "one");
  b_.Join("b", "two");
  b_.Close("b");
  h_.Credit("w1", 2);
  h_.Succeed("w1", "one");
  EXPECT_EQ(Submitted(), "");
  h_.Succeed("w1", "two");
  EXPECT_EQ(b_.Get("b"), "COMPLETE 2+0/2 success complete");
  EXPECT_EQ(Submitted(), "complete success");
}

TEST_F(BatchCallbackTest, OneFailed) {
  b_.CreateFull("b");
  b_.Join("b", "one");
  b_.Join("b", "two");
  h_.Cancel("one");
  // At once, though the batch is open.
  EXPECT_EQ(Submitted(), "failure");
  h_.Cancel("two");
  EXPECT_EQ(Submitted(), "failure");
  b_.Close("b");
  EXPECT_EQ(b_.Get("b"), "COMPLETE 0+2/2 first_failure complete");
  EXPECT_EQ(Submitted(), "complete failure");
}

TEST_F(BatchCallbackTest, TheLastTwoEndInOneTurn) {
  b_.CreateFull("b");
  b_.Join("b", "one");
  b_.Join("b", "two");
  b_.Close("b");
  h_.Credit("w1", 1);
  h_.Credit("w2", 1);
  h_.InOneTurn([&] {
    h_.Succeed("w1", "one");
    h_.Succeed("w2", "two");
  });
  EXPECT_EQ(b_.Get("b"), "COMPLETE 2+0/2 success complete");
  EXPECT_EQ(Submitted(), "complete success");
}

TEST_F(BatchCallbackTest, TwoFailuresInOneTurnAreOneFirst) {
  b_.CreateFull("b");
  b_.Join("b", "one");
  b_.Join("b", "two");
  h_.InOneTurn([&] {
    b_.Close("b");
    h_.Cancel("one");
    h_.Cancel("two");
    b_.Get("b");
    b_.Close("b");
  });
  EXPECT_EQ(b_.Get("b"), "COMPLETE 0+2/2 first_failure complete");
  EXPECT_EQ(Submitted(), "complete failure");
}

TEST_F(BatchCallbackTest, AnEmptyBatchIsASuccessWhenItIsClosed) {
  b_.CreateFull("b");
  EXPECT_EQ(Submitted(), "");
  EXPECT_EQ(b_.Close("b"), "COMPLETE 0+0/0 success complete");
  EXPECT_EQ(b_.Close("b"), "COMPLETE 0+0/0 success complete");
  EXPECT_EQ(Submitted(), "complete success");
}

TEST_F(BatchCallbackTest, AllEndedBeforeItWasClosed) {
  b_.CreateFull("b");
  b_.Join("b", "one");
  h_.Credit("w1", 1);
  h_.Succeed("w1", "one");
  EXPECT_EQ(b_.Get("b"), "OPEN 1+0/1");
  EXPECT_EQ(Submitted(), "");
  EXPECT_EQ(b_.Close("b"), "COMPLETE 1+0/1 success complete");
  EXPECT_EQ(Submitted(), "complete success");
}

TEST_F(BatchCallbackTest, OnlyWhatIsWanted) {
  b_.Create("b", {.on_complete = {.type = "complete"}});
  b_.Join("b", "one");
  h_.Cancel("one");
  EXPECT_EQ(b_.Close("b"), "COMPLETE 0+1/1 complete");
  EXPECT_EQ(Submitted(), "complete");
}

TEST_F(BatchCallbackTest, IsATaskThatNamesItsBatch) {
  b_.CreateFull("b");
  b_.Close("b");
  const std::string id = b_.CallbackOf("b", BatchEvent::kSuccess);
  EXPECT_EQ(id.size(), 36u);
  const TaskSnapshot task = h_.Task(id);
  EXPECT_EQ(task.content->type, "success");
  EXPECT_EQ(task.content->payload.data, "payload of success");
  EXPECT_THAT(task.content->headers, ElementsAre(Pair("apium-batch-id", "b")));
  EXPECT_EQ(task.content->batch_id, "");
  EXPECT_EQ(task.content->create_time, h_.now());
  h_.Connect("w1", {.types = {"success"}});
  h_.Credit("w1", 5);
  EXPECT_EQ(h_.Delivered("w1"), id + "#1");
  EXPECT_EQ(h_.Succeed("w1", id), "ack " + id + "#1");
  EXPECT_EQ(h_.State(id), "SUCCEEDED");
  // Its end is nothing to the batch.
  EXPECT_EQ(b_.Get("b"), "COMPLETE 0+0/0 success complete");
}

TEST_F(BatchCallbackTest, ItsTimesCountFromTheSubmit) {
  b_.Create("b", {.on_success = {.type = "success",
                                 .delay = absl::Seconds(5),
                                 .expire_after = absl::Seconds(20)}});
  h_.Advance(absl::Hours(1));
  b_.Close("b");
  const std::string id = b_.CallbackOf("b", BatchEvent::kSuccess);
  EXPECT_EQ(h_.State(id), "SCHEDULED");
  EXPECT_EQ(h_.Task(id).schedule_time, h_.now() + absl::Seconds(5));
  EXPECT_EQ(h_.Task(id).content->expire_time, h_.now() + absl::Seconds(20));
  h_.Advance(absl::Seconds(5));
  EXPECT_EQ(h_.State(id), "QUEUED");
  h_.Advance(absl::Seconds(15));
  EXPECT_EQ(h_.State(id), "EXPIRED");
}

TEST_F(BatchCallbackTest, AQueueOfACallbackMustExistWhenTheBatchIsMade) {
  EXPECT_EQ(b_.Create("b", {.on_success = {.type = "x", .queue = "nowhere"}}),
            "NOT_FOUND/QUEUE_NOT_FOUND");
  EXPECT_EQ(b_.Get("b"), "NOT_FOUND/BATCH_NOT_FOUND");
  EngineHarness h({.create_queues_on_use = true});
  BatchCalls b(&h);
  EXPECT_EQ(b.Create("b", {.on_success = {.type = "x", .queue = "new"}}),
            "OPEN 0+0/0");
  EXPECT_EQ(h.Queue("new"), "ready=0 scheduled=0 leased=0");
}

TEST_F(BatchCallbackTest, GoesToQueueDefaultWhereItsOwnIsGone) {
  h_.CreateQueue("short-lived");
  b_.Create("b", {.on_complete = {.type = "complete", .queue = "short-lived"}});
  h_.DeleteQueue("short-lived");
  EXPECT_EQ(b_.Close("b"), "COMPLETE 0+0/0 complete");
  const std::string id = b_.CallbackOf("b", BatchEvent::kComplete);
  EXPECT_EQ(h_.Task(id).content->queue, "default");
  EXPECT_EQ(h_.Queue(), "ready=1 scheduled=0 leased=0");
}

TEST_F(BatchCallbackTest, IsTakenByAQueueThatRefusesSubmits) {
  b_.CreateFull("b");
  b_.Join("b", "one");
  h_.UpdateQueue({.queue = "default", .submit_paused = true});
  h_.Post(SetAdmissionCommand{.refusal = absl::ResourceExhaustedError("full")});
  h_.Cancel("one");
  EXPECT_EQ(b_.Close("b"), "COMPLETE 0+1/1 first_failure complete");
  EXPECT_EQ(Submitted(), "complete failure");
}

TEST_F(BatchCallbackTest, OfMembersThatExpireWhenTheyWouldBeDispatched) {
  b_.CreateFull("b");
  b_.Join("b", "one", {.expire_after = absl::Microseconds(1500)});
  b_.Close("b");
  h_.Connect("w1", {.types = {"job", "complete", "failure"}});
  h_.Pause("default");
  h_.Credit("w1", 5);
  // Between the expiry and its timer's millisecond.
  h_.WithoutSettling([&] {
    h_.driver().set_now(h_.now() + absl::Microseconds(1600));
    h_.Resume("default");
  });
  EXPECT_EQ(b_.Get("b"), "COMPLETE 0+1/1 first_failure complete");
  EXPECT_EQ(h_.StatsOf().delivered, 2u);
}

TEST_F(BatchCallbackTest, RunsOnceOverCrashesOfTheBroker) {
  b_.CreateFull("b");
  b_.Join("b", "one");
  b_.Join("b", "two");
  b_.Close("b");
  h_.Credit("w1", 2);
  h_.HoldTurns();
  h_.Succeed("w1", "one");
  h_.Succeed("w1", "two");
  // The second turn is lost, and with it the end of `two` and the callbacks.
  h_.Crash(/*surviving_turns=*/1);
  EXPECT_EQ(b_.Get("b"), "CLOSED 1+0/2");
  EXPECT_EQ(h_.Reconnect("w1"), "resumed lost one#1");
  EXPECT_EQ(h_.Succeed("w1", "two"), "ack two#1");
  h_.Restart();
  EXPECT_EQ(b_.Get("b"), "COMPLETE 2+0/2 success complete");
  EXPECT_EQ(Submitted(), "complete success");
}

TEST_F(BatchCallbackTest, OfManyBatchesThatEndTogether) {
  for (int i = 0; i < 50; ++i) {
    b_.CreateFull(absl::StrCat("b", i));
    b_.Join(absl::StrCat("b", i), absl::StrCat("t", i));
    b_.Close(absl::StrCat("b", i));
  }
  h_.Purge("default");
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(b_.Get(absl::StrCat("b", i)),
              "COMPLETE 0+1/1 first_failure complete");
  }
  EXPECT_EQ(h_.Queue(), "ready=100 scheduled=0 leased=0");
}

}  // namespace
}  // namespace apium::broker
