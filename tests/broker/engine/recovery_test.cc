#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "broker/storage/key_format.h"
#include "storage/memory_store.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {
namespace {

TEST(RecoveryTest, TheShardKeepsItsIdentity) {
  EngineHarness h;
  const std::string id = h.driver().engine().shard_id();
  EXPECT_FALSE(id.empty());
  h.Restart();
  EXPECT_EQ(h.driver().engine().shard_id(), id);
}

TEST(RecoveryTest, EveryStateSurvivesARestart) {
  EngineHarness h;
  h.Credit("w1", 3);
  for (const char* id : {"leased", "started", "retried"}) h.Submit(id);
  h.Start("w1", "started");
  h.Fail("w1", "retried");
  h.Submit("ready");
  h.Submit("scheduled", {.delay = absl::Hours(1)});
  h.Submit("cancelled");
  h.Cancel("cancelled");
  h.Restart();
  EXPECT_EQ(h.State("leased"), "LEASED");
  // Starts are not durable; that the task is held is.
  EXPECT_THAT(h.State("started"), testing::AnyOf("LEASED", "STARTED"));
  EXPECT_EQ(h.State("retried"), "SCHEDULED");
  EXPECT_EQ(h.State("ready"), "QUEUED");
  EXPECT_EQ(h.State("scheduled"), "SCHEDULED");
  EXPECT_EQ(h.State("cancelled"), "CANCELLED");
  EXPECT_EQ(h.Queue(), "ready=1 scheduled=2 leased=2");
}

TEST(RecoveryTest, ManyRestartsChangeNothing) {
  EngineHarness h({.lane_window_tasks = 3, .timer_window = 3});
  for (int i = 0; i < 20; ++i) {
    h.Submit(absl::StrCat("r", i));
    h.Submit(absl::StrCat("s", i), {.delay = absl::Hours(1)});
  }
  for (int i = 0; i < 10; ++i) h.Restart();
  EXPECT_EQ(h.Queue(), "ready=20 scheduled=20 leased=0");
  h.Credit("w1", 3);
  EXPECT_EQ(h.Delivered("w1"), "r0#1 r1#1 r2#1");
}

TEST(RecoveryTest, ACrashLosesOnlyWhatWasNotSynced) {
  EngineHarness h;
  h.Submit("a");
  h.HoldTurns();
  h.Submit("b");
  h.Cancel("a");
  h.Crash();
  EXPECT_EQ(h.State("a"), "QUEUED");
  EXPECT_EQ(h.State("b"), "UNKNOWN");
  EXPECT_EQ(h.Submit("b"), "OK");
  h.Credit("w1", 5);
  EXPECT_EQ(h.Delivered("w1"), "a#1 b#1");
}

TEST(RecoveryTest, WhatReachedTheDiskUnsyncedIsThere) {
  EngineHarness h;
  h.HoldTurns();
  h.Submit("a");
  h.Submit("b");
  h.Crash(1);
  EXPECT_EQ(h.State("a"), "QUEUED");
  EXPECT_EQ(h.State("b"), "UNKNOWN");
  // The submitter, who had no answer, asks again.
  EXPECT_EQ(h.Submit("a"), "OK");
  EXPECT_EQ(h.Queue(), "ready=1 scheduled=0 leased=0");
}

TEST(RecoveryTest, ADeliveryThatNeverLeftIsRepeated) {
  EngineHarness h;
  h.Connect("w1");
  h.Submit("a");
  h.HoldTurns();
  h.Credit("w1", 1);
  h.Crash();
  EXPECT_EQ(h.State("a"), "QUEUED");
  EXPECT_EQ(h.Task("a").attempt, 0u);
  h.Credit("w2", 1);
  EXPECT_EQ(h.Delivered("w2"), "a#1");
}

TEST(RecoveryTest, ADeliveryOnDiskThatNeverLeftIsReturnedOnResume) {
  EngineHarness h;
  h.Connect("w1");
  h.Submit("a");
  h.HoldTurns();
  h.Credit("w1", 1);
  h.Crash(1);
  EXPECT_EQ(h.State("a"), "LEASED");
  EXPECT_EQ(h.Reconnect("w1"), "resumed");
  EXPECT_EQ(h.State("a"), "QUEUED");
  h.Credit("w1", 1);
  EXPECT_EQ(h.Delivered("w1"), "a#2");
}

TEST(RecoveryTest, LostLeasesAndReturnsAreCountedOnAcrossRestarts) {
  EngineHarness h;
  h.Submit("a", {.retry = {.jitter = 0, .max_crashes = 2}});
  h.Credit("w1", 1);
  h.Restart();
  h.Advance(absl::Seconds(15));
  EXPECT_EQ(h.Task("a").crashes, 1u);
  h.Restart();
  EXPECT_EQ(h.Task("a").crashes, 1u);
  h.Credit("w2", 1);
  EXPECT_EQ(h.Delivered("w2"), "a#2");
  h.Restart();
  h.Advance(absl::Seconds(15));
  EXPECT_EQ(h.State("a"), "FAILED");
}

TEST(RecoveryTest, OneLeaseOfManyOfATurnEndsAndTheOthersSurvive) {
  EngineHarness h;
  h.Connect("w1");
  for (const char* id : {"a", "b", "c"}) h.Submit(id);
  h.Credit("w1", 3);  // one turn, three leases
  h.Succeed("w1", "b");
  h.Restart();
  EXPECT_EQ(h.State("a"), "LEASED");
  EXPECT_EQ(h.State("b"), "SUCCEEDED");
  EXPECT_EQ(h.State("c"), "LEASED");
  EXPECT_EQ(h.ReconnectHolding("w1", {"a", "c"}), "resumed");
  EXPECT_EQ(h.Fail("w1", "c"), "ack c#1");
  h.Restart();
  EXPECT_EQ(h.State("a"), "LEASED");
  EXPECT_EQ(h.State("c"), "SCHEDULED");
}

// The journal row of a turn stays while one of its leases lives.
TEST(RecoveryTest, AnIdThatIsUsedAgainDoesNotInheritAnOldLease) {
  EngineHarness h({.lease_duration = absl::Hours(10),
                   .finished_retention = absl::Seconds(1)});
  h.Submit("a");
  h.Submit("b");
  h.Credit("w1", 2);
  EXPECT_EQ(h.Delivered("w1"), "a#1 b#1");
  h.Succeed("w1", "a");
  h.ConfirmOutbox(1);
  h.Advance(absl::Seconds(2));
  EXPECT_EQ(h.Submit("a", {.data = "new"}), "OK");
  h.Restart();
  EXPECT_EQ(h.State("a"), "QUEUED");
  EXPECT_EQ(h.Task("a").attempt, 0u);
  EXPECT_EQ(h.State("b"), "LEASED");
}

TEST(RecoveryTest, AStoreOfAnotherMakeIsRefused) {
  MemoryStore store;
  StoreBatch batch;
  batch.Put(TaskRowKey(MakeTaskKey("default", "a")), "garbage");
  ASSERT_TRUE(store.Write(batch).ok());
  const auto engine =
      Engine::Recover({}, &store, absl::FromUnixSeconds(1'700'000'000));
  // Either it is found at once, or when the task is read.
  if (engine.ok()) {
    ASSERT_TRUE((*engine)->BeginTurn({.now = absl::FromUnixSeconds(1)}).ok());
    EXPECT_EQ(
        (*engine)
            ->Apply(SubmitCommand{.reply = {},
                                  .content = std::make_shared<TaskContent>(
                                      TaskContent{.namespace_name = "default",
                                                  .task_id = "a",
                                                  .type = "job",
                                                  .queue = "default"})})
            .code(),
        absl::StatusCode::kDataLoss);
  } else {
    EXPECT_EQ(engine.status().code(), absl::StatusCode::kDataLoss);
  }
}

}  // namespace
}  // namespace apium::broker
