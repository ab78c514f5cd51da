// Attempts that fail, crash, or are handed back, while the broker itself is
// killed.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <memory>
#include <string>
#include <vector>

#include "client/json_payload.h"
#include "tests/integration/platform_fixture.h"
#include "tests/support/status_matchers.h"

namespace apium {
namespace {

using ::testing::HasSubstr;

class AttemptsTest : public PlatformFixture {
 protected:
  // Tasks of this queue go to workers that a test starts.
  AttemptsTest() { CreateQueue("own"); }

  std::string SubmitSleep() {
    return Submit({.type = "apium.sleep",
                   .payload = JsonArguments(3600.0),
                   .queue = "own"});
  }
  std::unique_ptr<ChildProcess> StartOwnWorker() {
    return platform_.StartWorker(
        "own", {"--queues=own", "--concurrency=3", "--shutdown-grace=0s"});
  }
};

TEST_F(AttemptsTest, WhatAKilledWorkerHeldRunsAlone) {
  auto worker = StartOwnWorker();
  std::vector<std::string> ids;
  for (int i = 0; i < 3; ++i) {
    ids.push_back(SubmitSleep());
    ASSERT_TRUE(AwaitDescription(&tasks(), ids.back(), "STARTED"));
  }
  worker->Kill();
  KillBroker();
  // It comes back under its name, so that nothing waits for the old session.
  worker = StartOwnWorker();
  for (size_t i = 0; i < ids.size(); ++i) {
    ASSERT_TRUE(AwaitDescription(&tasks(), ids[i], "STARTED#2"));
    for (size_t later = i + 1; later < ids.size(); ++later) {
      const auto task = tasks().Get(ids[later]);
      EXPECT_EQ(Describe(task), "QUEUED");
      EXPECT_TRUE(task->suspect());
      EXPECT_EQ(task->crashes(), 1u);
      EXPECT_THAT(task->waiting_reason(), HasSubstr("run alone"));
    }
    // What is known of suspects survives the broker, too.
    if (i == 0) KillBroker();
    APIUM_EXPECT_OK(tasks().Cancel(ids[i]));
    EXPECT_EQ(Describe(tasks().Wait(ids[i], kLongTime)), "CANCELLED#2");
  }
  EXPECT_EQ(HistoryOf(tasks().Get(ids[2])),
            // That the first attempt had started died with both who knew it.
            "SUBMITTED LEASED#1 CRASHED#1 LEASED#2 STARTED#2 "
            "CANCEL_REQUESTED#2 ENDED#2");
}

TEST_F(AttemptsTest, AReturnIsCountedAndTold) {
  auto worker = StartOwnWorker();
  const std::string id = SubmitSleep();
  ASSERT_TRUE(AwaitDescription(&tasks(), id, "STARTED"));
  worker->Signal(SIGTERM);
  EXPECT_EQ(worker->Wait(kLongTime), 0);
  ASSERT_TRUE(AwaitDescription(&tasks(), id, "QUEUED"));
  KillBroker();
  const auto task = tasks().Get(id);
  EXPECT_EQ(task->returns(), 1u);
  EXPECT_EQ(task->crashes() + task->failures(), 0u);
  EXPECT_FALSE(task->suspect());
  EXPECT_EQ(HistoryOf(task), "SUBMITTED LEASED#1 STARTED#1 RETURNED#1");
}

TEST_F(AttemptsTest, TheErrorOfEveryAttemptIsKept) {
  const std::string id =
      Submit({.type = "apium.fail",
              .payload = JsonArguments("no luck", "Luck", false, 3),
              .retry = {.initial_delay = absl::Seconds(2), .multiplier = 1.0}});
  ASSERT_TRUE(AwaitDescription(&tasks(), id, "SCHEDULED"));
  KillBroker();
  const auto ended = tasks().Wait(id, kLongTime);
  EXPECT_EQ(Describe(ended), "SUCCEEDED#3");
  const std::string history =
      "SUBMITTED LEASED#1 STARTED#1 RETRIED#1 LEASED#2 STARTED#2 RETRIED#2 "
      "LEASED#3 STARTED#3 ENDED#3";
  EXPECT_EQ(HistoryOf(ended), history);
  EXPECT_EQ(ended->history(3).failure().type(), "Luck");
  EXPECT_EQ(ended->history(3).failure().message(), "no luck");
  EXPECT_EQ(ended->history(3).worker_id(), "worker");
  // The result service tells the same.
  APIUM_EXPECT_OK(platform_.results().Wait(id, kLongTime));
  EXPECT_EQ(HistoryOf(tasks().Get(id)), history);
}

TEST_F(AttemptsTest, TheTotalTimeEndsATaskThatNobodyRuns) {
  const std::string id =
      Submit({.type = "nobody.runs.it",
              .retry = {.total_time_limit = absl::Seconds(3)}});
  KillBroker();
  const auto ended = tasks().Wait(id, kLongTime);
  EXPECT_EQ(Describe(ended), "FAILED");
  EXPECT_EQ(ended->outcome().failure().type(), "apium.TotalTimeLimit");
}

}  // namespace
}  // namespace apium
