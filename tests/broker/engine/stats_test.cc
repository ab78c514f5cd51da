#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {
namespace {

TEST(StatsTest, CountsWhatHappenedToTheTasksOfAQueue) {
  EngineHarness h;
  h.Credit("w1", 5);
  h.Submit("ok");
  h.Submit("ok");                   // duplicate
  h.Submit("ok", {.data = "new"});  // refused
  h.Submit("bad", {.retry = {.max_attempts = 2, .jitter = 0}});
  h.Submit("gone");
  h.Succeed("w1", "ok");
  h.Fail("w1", "bad");
  h.Advance(absl::Seconds(1));
  h.Fail("w1", "bad");
  h.Succeed("w1", "ok");  // stale
  h.Cancel("gone");
  h.ObeyCancel("w1", "gone");
  h.Pause("default");
  h.Submit("late", {.expire_after = absl::Seconds(1)});
  h.Advance(absl::Seconds(2));
  const QueueStats stats = h.StatsOf();
  EXPECT_TRUE(stats.paused);
  EXPECT_EQ(stats.submitted_accepted, 4u);
  EXPECT_EQ(stats.submitted_duplicate, 1u);
  EXPECT_EQ(stats.submitted_rejected, 1u);
  EXPECT_EQ(stats.delivered, 4u);
  EXPECT_EQ(stats.redelivered, 1u);
  EXPECT_EQ(stats.succeeded, 1u);
  EXPECT_EQ(stats.failed, 1u);
  EXPECT_EQ(stats.retried, 1u);
  EXPECT_EQ(stats.cancelled, 1u);
  EXPECT_EQ(stats.expired, 1u);
  EXPECT_EQ(stats.leases_lost, 0u);
}

TEST(StatsTest, CountsLostLeases) {
  EngineHarness h;
  h.Credit("w1", 2);
  h.Submit("a");
  h.Submit("b");
  h.Disconnect("w1");
  h.Advance(absl::Seconds(16));
  EXPECT_EQ(h.StatsOf().leases_lost, 2u);
  EXPECT_EQ(h.StatsOf().ready, 2u);
}

TEST(StatsTest, CountsWhatIsThere) {
  EngineHarness h;
  h.Connect("w1", {.slots = 4});
  h.Credit("w1", 3);
  h.Connect("w2", {.slots = 2});
  h.Disconnect("w2");
  h.Submit("a");
  h.Submit("b", {.type = "unserved"});
  h.Submit("c", {.delay = absl::Hours(1)});
  h.Wait("b");
  const EngineStats stats = h.Stats();
  EXPECT_EQ(stats.leases_active, 1u);
  EXPECT_EQ(stats.sessions_connected, 1u);
  EXPECT_EQ(stats.sessions_detached, 1u);
  EXPECT_EQ(stats.worker_slots, 4u);
  EXPECT_EQ(stats.worker_credit, 2u);
  EXPECT_EQ(stats.waiters, 1u);
  const QueueStats queue = h.StatsOf();
  EXPECT_EQ(queue.ready, 1u);
  EXPECT_EQ(queue.scheduled, 1u);
  EXPECT_EQ(queue.leased, 1u);
  EXPECT_EQ(queue.workers, 1u);
}

TEST(StatsTest, CountsRefusedSubmits) {
  EngineHarness h;
  h.Submit("a", {.queue = "nowhere"});
  h.Post(SetAdmissionCommand{.refusal = absl::UnavailableError("stopping")});
  h.Submit("b");
  EXPECT_EQ(h.Stats().submits_rejected, 2u);
}

TEST(StatsTest, MeasuresWaitRunAndWhole) {
  EngineHarness h;
  h.Submit("a");
  h.Advance(absl::Seconds(2));
  h.Credit("w1", 1);
  h.Advance(absl::Seconds(3));
  h.Succeed("w1", "a");
  const QueueStats stats = h.StatsOf();
  EXPECT_DOUBLE_EQ(stats.queue_wait.sum_seconds(), 2);
  EXPECT_DOUBLE_EQ(stats.run.sum_seconds(), 3);
  EXPECT_DOUBLE_EQ(stats.end_to_end.sum_seconds(), 5);
}

TEST(StatsTest, OutboxPositions) {
  EngineHarness h;
  for (const char* id : {"a", "b", "c"}) {
    h.Submit(id);
    h.Cancel(id);
  }
  h.ConfirmOutbox(2);
  EXPECT_EQ(h.Stats().outbox_last_position, 3u);
  EXPECT_EQ(h.Stats().outbox_confirmed_position, 2u);
}

}  // namespace
}  // namespace apium::broker
