#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/time/time.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {
namespace {

constexpr char kStale[] = "refused a#1 FAILED_PRECONDITION/LEASE_LOST";

TEST(LeaseTest, AWorkerHoldsStartsAndFinishesATask) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("a");
  EXPECT_EQ(h.State("a"), "LEASED");
  EXPECT_EQ(h.Queue(), "ready=0 scheduled=0 leased=1");
  TaskSnapshot task = h.Task("a");
  EXPECT_EQ(task.worker_id, "w1");
  EXPECT_EQ(task.attempt, 1u);
  EXPECT_EQ(task.epoch, h.Lease("w1", "a").epoch);
  EXPECT_GT(task.epoch, 0u);

  EXPECT_EQ(h.Start("w1", "a"), "");
  EXPECT_EQ(h.State("a"), "STARTED");
  EXPECT_EQ(h.Task("a").start_time, h.now());
  EXPECT_EQ(h.ReportProgress("w1", "a", {.completed = 3, .total = 4}), "");
  EXPECT_EQ(h.Task("a").progress.completed, 3);
  EXPECT_EQ(h.Task("a").progress.total, 4);

  EXPECT_EQ(h.Succeed("w1", "a", "42"), "ack a#1");
  EXPECT_EQ(h.State("a"), "SUCCEEDED");
  EXPECT_EQ(h.Queue(), "ready=0 scheduled=0 leased=0");
  const Outcome outcome = h.OutcomeOf("a");
  EXPECT_EQ(outcome.result.data, "42");
  EXPECT_EQ(outcome.worker_id, "w1");
  EXPECT_EQ(outcome.attempt, 1u);
  EXPECT_EQ(outcome.epoch, h.Lease("w1", "a").epoch);
  EXPECT_EQ(outcome.failures, 0u);
  EXPECT_EQ(outcome.start_time, h.now());
  EXPECT_EQ(outcome.finish_time, h.now());
}

TEST(LeaseTest, RedeliversTaskWhenLeaseExpires) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("a");
  EXPECT_EQ(h.Delivered("w1"), "a#1");
  h.Advance(absl::Seconds(30));
  EXPECT_EQ(h.State("a"), "QUEUED");
  EXPECT_EQ(h.Task("a").crashes, 1u);
  EXPECT_EQ(h.Task("a").failures, 0u);
  h.Credit("w2", 1);
  EXPECT_EQ(h.Delivered("w2"), "a#2");
  EXPECT_GT(h.Lease("w2", "a").epoch, h.Lease("w1", "a").epoch);
}

TEST(LeaseTest, IsNotLostBeforeItsDuration) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("a");
  h.Advance(absl::Seconds(30) - absl::Milliseconds(1));
  EXPECT_EQ(h.State("a"), "LEASED");
  EXPECT_EQ(h.Succeed("w1", "a"), "ack a#1");
}

TEST(LeaseTest, AHeartbeatExtendsAllLeasesOfTheSession) {
  EngineHarness h;
  h.Credit("w1", 2);
  h.Submit("a");
  h.Submit("b");
  for (int i = 0; i < 10; ++i) {
    h.Advance(absl::Seconds(29));
    h.Heartbeat("w1");
  }
  EXPECT_EQ(h.State("a"), "LEASED");
  EXPECT_EQ(h.Succeed("w1", "b"), "ack b#1");
  // Any report does.
  h.Advance(absl::Seconds(29));
  EXPECT_EQ(h.State("a"), "LEASED");
}

TEST(LeaseTest, RefusesWhateverComesWithAnOldEpoch) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("a");
  h.Disconnect("w1");
  h.Advance(absl::Seconds(15));
  h.Credit("w2", 1);
  EXPECT_EQ(h.Delivered("w2"), "a#2");
  EXPECT_EQ(h.Reconnect("w1"), "opened lost a#1");

  EXPECT_EQ(h.Start("w1", "a"), kStale);
  EXPECT_EQ(h.State("a"), "LEASED");
  EXPECT_EQ(h.ReportProgress("w1", "a", {.completed = 1}), kStale);
  EXPECT_EQ(h.Task("a").progress.completed, 0);
  EXPECT_EQ(h.Fail("w1", "a", {.non_retryable = true}), kStale);
  EXPECT_EQ(h.Retry("w1", "a", absl::Seconds(1)), kStale);
  EXPECT_EQ(h.Return("w1", "a"), kStale);
  EXPECT_EQ(h.ObeyCancel("w1", "a"), kStale);
  EXPECT_EQ(h.Succeed("w1", "a", "old"), kStale);
  EXPECT_EQ(h.State("a"), "LEASED");
  EXPECT_EQ(h.Task("a").failures, 0u);
  EXPECT_EQ(h.Outbox(), "");

  EXPECT_EQ(h.Succeed("w2", "a", "new"), "ack a#2");
  EXPECT_EQ(h.OutcomeOf("a").result.data, "new");
}

TEST(LeaseTest, RefusesASecondOutcomeOfTheSameAttempt) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("a");
  EXPECT_EQ(h.Succeed("w1", "a", "first"), "ack a#1");
  EXPECT_EQ(h.Fail("w1", "a"), kStale);
  EXPECT_EQ(h.State("a"), "SUCCEEDED");
  EXPECT_EQ(h.OutcomeOf("a").result.data, "first");
}

TEST(LeaseTest, RefusesAReportAboutARetriedAttempt) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("a");
  h.Fail("w1", "a");
  EXPECT_EQ(h.Succeed("w1", "a"), kStale);
  EXPECT_EQ(h.State("a"), "SCHEDULED");
}

TEST(LeaseTest, RefusesTheLeaseOfAnotherSession) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("a");
  h.Connect("thief");
  ExecutionReport report = {.lease = h.Lease("w1", "a")};
  EXPECT_EQ(h.Report("thief", {.outcomes = {report}}), kStale);
  EXPECT_EQ(h.State("a"), "LEASED");
  EXPECT_EQ(h.Succeed("w1", "a"), "ack a#1");
}

TEST(LeaseTest, RefusesAForgedEpoch) {
  EngineHarness h;
  h.Credit("w1", 2);
  h.Submit("a");
  h.Submit("b");
  LeaseName forged = h.Lease("w1", "a");
  forged.epoch += 1000;
  EXPECT_THAT(h.Report("w1", {.outcomes = {{.lease = forged}}}),
              testing::HasSubstr("FAILED_PRECONDITION/LEASE_LOST"));
  // The epoch of another task of the same worker.
  forged.epoch = h.Lease("w1", "b").epoch;
  EXPECT_THAT(h.Report("w1", {.outcomes = {{.lease = forged}}}),
              testing::HasSubstr("FAILED_PRECONDITION/LEASE_LOST"));
  // Another attempt.
  forged = h.Lease("w1", "a");
  forged.attempt = 2;
  EXPECT_THAT(h.Report("w1", {.outcomes = {{.lease = forged}}}),
              testing::HasSubstr("FAILED_PRECONDITION/LEASE_LOST"));
  EXPECT_EQ(h.State("a"), "LEASED");
  EXPECT_EQ(h.State("b"), "LEASED");
  EXPECT_EQ(h.Outbox(), "");
}

TEST(LeaseTest, EpochsGrowAcrossTasksAndRestarts) {
  EngineHarness h;
  h.Credit("w1", 10);
  uint64_t last = 0;
  for (int i = 0; i < 10; ++i) {
    const std::string id = "t" + std::to_string(i);
    h.Submit(id);
    const uint64_t epoch = h.Lease("w1", id).epoch;
    EXPECT_GT(epoch, last);
    last = epoch;
    if (i == 4) {
      h.Restart();
      h.Reconnect("w1");
      h.Credit("w1", 5);
    }
  }
}

TEST(LeaseTest, EpochsGrowAcrossACrashThatLosesTurns) {
  EngineHarness h;
  h.Submit("a");
  h.Credit("w1", 1);
  const uint64_t epoch = h.Lease("w1", "a").epoch;
  h.Fail("w1", "a");
  h.HoldTurns();
  h.Advance(absl::Seconds(1));
  h.Credit("w1", 1);  // delivered, but never released
  h.Crash();
  h.Credit("w2", 1);
  EXPECT_EQ(h.Delivered("w2"), "a#2");
  EXPECT_GT(h.Lease("w2", "a").epoch, epoch);
}

TEST(LeaseTest, CountsCrashesApartFromFailures) {
  EngineHarness h;
  h.Submit("a", {.retry = {.max_attempts = 2, .jitter = 0, .max_crashes = 10}});
  for (int i = 0; i < 5; ++i) {
    const std::string worker = "w" + std::to_string(i);
    h.Credit(worker, 1);
    EXPECT_EQ(h.Delivered(worker), "a#" + std::to_string(i + 1));
    h.Disconnect(worker);
    h.Advance(absl::Seconds(15));
  }
  const TaskSnapshot task = h.Task("a");
  EXPECT_EQ(task.state, TaskState::kQueued);
  EXPECT_EQ(task.crashes, 5u);
  EXPECT_EQ(task.failures, 0u);
  h.Credit("last", 1);
  h.Fail("last", "a");
  EXPECT_EQ(h.State("a"), "SCHEDULED");
}

TEST(LeaseTest, FailsATaskWhoseWorkersVanishTooOften) {
  EngineHarness h;
  h.Submit("a", {.retry = {.jitter = 0, .max_crashes = 3}});
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(h.State("a"), "QUEUED");
    h.Credit("w" + std::to_string(i), 1);
    h.Disconnect("w" + std::to_string(i));
    h.Advance(absl::Seconds(15));
  }
  EXPECT_EQ(h.State("a"), "FAILED");
  const Outcome outcome = h.OutcomeOf("a");
  EXPECT_EQ(outcome.failure.type, "apium.WorkerLost");
  EXPECT_EQ(outcome.crashes, 3u);
  EXPECT_EQ(outcome.failures, 0u);
  EXPECT_EQ(outcome.attempt, 3u);
}

TEST(LeaseTest, ALostLeaseKeepsThePlaceInTheQueue) {
  EngineHarness h;
  h.Submit("a");
  h.Submit("b");
  h.Credit("w1", 1);
  EXPECT_EQ(h.Delivered("w1"), "a#1");
  h.Disconnect("w1");
  h.Advance(absl::Seconds(15));
  h.Credit("w2", 2);
  EXPECT_EQ(h.Delivered("w2"), "a#2");  // alone, after a crash
  h.Succeed("w2", "a");
  EXPECT_EQ(h.Delivered("w2"), "b#1");
}

}  // namespace
}  // namespace apium::broker
