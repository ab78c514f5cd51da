// Attempts that fail, crash, or are handed back, while the broker itself is
// killed.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/json_payload.h"
#include "tests/integration/test_platform.h"
#include "tests/support/status_matchers.h"

namespace apium {
namespace {

using ::testing::HasSubstr;

// "SUBMITTED RETRIED#1 ENDED#2" (event#attempt).
std::string HistoryOf(const absl::StatusOr<v1::Task>& task) {
  if (!task.ok()) return task.status().ToString();
  std::string text;
  for (const v1::TaskEvent& event : task->history()) {
    absl::StrAppend(
        &text, text.empty() ? "" : " ",
        v1::TaskEventKind_Name(event.kind()).substr(sizeof("TASK_EVENT_KIND")));
    if (event.attempt() > 0) absl::StrAppend(&text, "#", event.attempt());
  }
  return text;
}

class AttemptsTest : public ::testing::Test {
 protected:
  // Tasks of this queue go to workers that a test starts.
  AttemptsTest() {
    v1::Queue queue;
    queue.set_name("own");
    APIUM_EXPECT_OK(platform_.queues().Create(queue));
  }

  TaskClient& tasks() { return platform_.tasks(); }

  std::string Submit(SubmitOptions options) {
    absl::StatusOr<TaskHandle> handle = tasks().Submit(std::move(options));
    APIUM_EXPECT_OK(handle);
    return handle.ok() ? handle->id() : "";
  }
  std::string SubmitSleep(
      v1::DeliveryMode mode = v1::DELIVERY_MODE_UNSPECIFIED) {
    return Submit({.type = "apium.sleep",
                   .payload = JsonArguments(3600.0),
                   .queue = "own",
                   .delivery_mode = mode});
  }
  std::unique_ptr<ChildProcess> StartOwnWorker() {
    return platform_.StartWorker(
        "own", {"--queues=own", "--concurrency=3", "--shutdown-grace=0s"});
  }
  void KillAndRestartBroker() {
    platform_.broker().Kill();
    platform_.StartBroker();
  }

  TestPlatform platform_;
};

TEST_F(AttemptsTest, WhatAKilledWorkerHeldRunsAlone) {
  auto worker = StartOwnWorker();
  std::vector<std::string> ids;
  for (int i = 0; i < 3; ++i) {
    ids.push_back(SubmitSleep());
    ASSERT_TRUE(AwaitDescription(&tasks(), ids.back(), "STARTED"));
  }
  worker->Kill();
  KillAndRestartBroker();
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
    if (i == 0) KillAndRestartBroker();
    APIUM_EXPECT_OK(tasks().Cancel(ids[i]));
    EXPECT_EQ(Describe(tasks().Wait(ids[i], kLongTime)), "CANCELLED#2");
  }
  EXPECT_EQ(
      HistoryOf(tasks().Get(ids[2])),
      "SUBMITTED CRASHED#1 LEASED#2 STARTED#2 CANCEL_REQUESTED#2 ENDED#2");
}

TEST_F(AttemptsTest, WhatMayRunOnceIsNotRunAgain) {
  auto worker = StartOwnWorker();
  const std::string once = SubmitSleep(v1::DELIVERY_MODE_AT_MOST_ONCE);
  const std::string often = SubmitSleep();
  ASSERT_TRUE(AwaitDescription(&tasks(), once, "STARTED"));
  ASSERT_TRUE(AwaitDescription(&tasks(), often, "STARTED"));
  KillAndRestartBroker();
  // The broker's own end is not the worker's: the task runs on.
  EXPECT_EQ(tasks().Get(once)->attempt(), 1u);
  worker->Kill();
  KillAndRestartBroker();
  worker = StartOwnWorker();
  const auto ended = tasks().Wait(once, kLongTime);
  EXPECT_EQ(Describe(ended), "FAILED");
  EXPECT_EQ(ended->outcome().failure().type(), "apium.WorkerLost");
  ASSERT_TRUE(AwaitDescription(&tasks(), often, "STARTED#2"));
}

TEST_F(AttemptsTest, AReturnIsCountedAndTold) {
  auto worker = StartOwnWorker();
  const std::string id = SubmitSleep();
  ASSERT_TRUE(AwaitDescription(&tasks(), id, "STARTED"));
  worker->Signal(SIGTERM);
  EXPECT_EQ(worker->Wait(kLongTime), 0);
  ASSERT_TRUE(AwaitDescription(&tasks(), id, "QUEUED"));
  KillAndRestartBroker();
  const auto task = tasks().Get(id);
  EXPECT_EQ(task->returns(), 1u);
  EXPECT_EQ(task->crashes() + task->failures(), 0u);
  EXPECT_FALSE(task->suspect());
  EXPECT_EQ(HistoryOf(task), "SUBMITTED RETURNED#1");
}

TEST_F(AttemptsTest, TheErrorOfEveryAttemptIsKept) {
  const std::string id =
      Submit({.type = "apium.fail",
              .payload = JsonArguments("no luck", "Luck", false, 3),
              .retry = {.initial_delay = absl::Seconds(2), .multiplier = 1.0}});
  ASSERT_TRUE(AwaitDescription(&tasks(), id, "SCHEDULED"));
  KillAndRestartBroker();
  const auto ended = tasks().Wait(id, kLongTime);
  EXPECT_EQ(Describe(ended), "SUCCEEDED#3");
  const std::string history =
      "SUBMITTED RETRIED#1 RETRIED#2 LEASED#3 STARTED#3 ENDED#3";
  EXPECT_EQ(HistoryOf(ended), history);
  EXPECT_EQ(ended->history(1).failure().type(), "Luck");
  EXPECT_EQ(ended->history(1).failure().message(), "no luck");
  EXPECT_EQ(ended->history(1).worker_id(), "worker");
  // The result service tells the same.
  APIUM_EXPECT_OK(platform_.results().Wait(id, kLongTime));
  EXPECT_EQ(HistoryOf(tasks().Get(id)), history);
}

TEST_F(AttemptsTest, TheTotalTimeEndsATaskThatNobodyRuns) {
  const std::string id =
      Submit({.type = "nobody.runs.it",
              .retry = {.total_time_limit = absl::Seconds(3)}});
  KillAndRestartBroker();
  const auto ended = tasks().Wait(id, kLongTime);
  EXPECT_EQ(Describe(ended), "FAILED");
  EXPECT_EQ(ended->outcome().failure().type(), "apium.TotalTimeLimit");
}

TEST_F(AttemptsTest, AnIgnoredResultLeavesNothing) {
  const SubmitOptions ignored = {.type = "apium.sleep",
                                 .payload = JsonArguments(3.0),
                                 .task_id = "ignored",
                                 .result_mode = v1::RESULT_MODE_IGNORE};
  const SubmitOptions failing = {.type = "apium.fail",
                                 .payload = JsonArguments("x", "X", true),
                                 .task_id = "failing",
                                 .result_mode = v1::RESULT_MODE_KEEP_FAILURES};
  Submit(ignored);
  // Who waits is answered all the same.
  EXPECT_EQ(Describe(tasks().Wait("ignored", kLongTime)), "SUCCEEDED");
  Submit(failing);
  EXPECT_EQ(Describe(tasks().Wait("failing", kLongTime)), "FAILED");
  KillAndRestartBroker();
  EXPECT_THAT(tasks().Get("ignored"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("ignored")));
  EXPECT_EQ(Describe(tasks().Get("failing")), "FAILED");
  // Its id is known, and not run again.
  Submit(ignored);
  EXPECT_THAT(tasks().Get("ignored"), StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace apium
