#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/time/time.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {
namespace {

const SubmitOptions kOnce = {.delivery_mode = DeliveryMode::kAtMostOnce};

TEST(AtMostOnceTest, ALostWorkerEndsTheTask) {
  EngineHarness h;
  h.Submit("a", kOnce);
  h.Credit("w1", 1);
  h.Lose("w1");
  EXPECT_EQ(h.State("a"), "FAILED");
  const Outcome outcome = h.OutcomeOf("a");
  EXPECT_EQ(outcome.failure.type, "apium.WorkerLost");
  EXPECT_EQ(outcome.attempt, 1u);
  EXPECT_EQ(outcome.crashes, 1u);
  EXPECT_EQ(outcome.worker_id, "w1");
}

TEST(AtMostOnceTest, ACrashedProcessEndsTheTask) {
  EngineHarness h;
  h.Submit("a", kOnce);
  h.Credit("w1", 1);
  h.Crash("w1", "a", "killed by signal 9");
  EXPECT_EQ(h.State("a"), "FAILED");
  EXPECT_EQ(h.OutcomeOf("a").failure.type, "apium.WorkerLost");
  EXPECT_THAT(h.OutcomeOf("a").failure.message,
              testing::HasSubstr("killed by signal 9"));
}

TEST(AtMostOnceTest, AFailureEndsTheTaskWhateverItAsksFor) {
  EngineHarness h;
  h.Credit("w1", 2);
  h.Submit("a", kOnce);
  h.Submit("b", kOnce);
  h.Fail("w1", "a");
  h.Retry("w1", "b", absl::Seconds(1));
  EXPECT_EQ(h.State("a"), "FAILED");
  EXPECT_EQ(h.State("b"), "FAILED");
  EXPECT_EQ(h.OutcomeOf("b").failure.type, "Again");
}

TEST(AtMostOnceTest, OneThatDidNotRunMayBeDeliveredAgain) {
  EngineHarness h;
  h.Submit("a", kOnce);
  h.Credit("w1", 1);
  h.Return("w1", "a");
  h.Credit("w1", 1);
  h.Disconnect("w1");
  h.ReconnectHolding("w1", {});  // it never arrived
  h.Delivered("w1");
  h.Credit("w1", 1);
  EXPECT_EQ(h.Delivered("w1"), "a#3");
  EXPECT_EQ(h.Succeed("w1", "a"), "ack a#3");
}

TEST(AtMostOnceTest, OneThatMayHaveRunIsNotDeliveredAgain) {
  EngineHarness h({.max_credit = 4});
  h.Submit("started", kOnce);
  h.Credit("w1", 1);
  h.Start("w1", "started");
  h.Return("w1", "started");
  EXPECT_EQ(h.State("started"), "FAILED");
  EXPECT_EQ(h.OutcomeOf("started").failure.type, "apium.AtMostOnce");
  h.Submit("overdrawn", kOnce);
  h.Credit("w2", 4);
  h.Credit("w2", 4);
  EXPECT_EQ(h.State("overdrawn"), "FAILED");
  EXPECT_EQ(h.OutcomeOf("overdrawn").failure.type, "apium.AtMostOnce");
}

TEST(AtMostOnceTest, ALeaseThatOutlivesARestartIsNotDeliveredAgain) {
  EngineHarness h;
  h.Submit("a", kOnce);
  h.Submit("b", kOnce);
  h.Credit("w1", 2);
  h.Restart();
  EXPECT_EQ(h.State("a"), "LEASED");
  h.Advance(absl::Seconds(15));
  EXPECT_EQ(h.State("a"), "FAILED");
  EXPECT_EQ(h.State("b"), "FAILED");
}

TEST(AtMostOnceTest, ACancelStillSaysCancelled) {
  EngineHarness h;
  h.Submit("a", kOnce);
  h.Credit("w1", 1);
  h.Cancel("a");
  h.Lose("w1");
  EXPECT_EQ(h.State("a"), "CANCELLED");
}

}  // namespace
}  // namespace apium::broker
