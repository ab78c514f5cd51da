#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/time/time.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {
namespace {

constexpr char kTotalTime[] = "apium.TotalTimeLimit";

SubmitOptions Within(absl::Duration limit) {
  return {.retry = {.max_attempts = 100,
                    .multiplier = 1,
                    .jitter = 0,
                    .total_time_limit = limit}};
}

TEST(TotalTimeTest, AWaitingTaskEndsInTime) {
  EngineHarness h;
  h.Submit("a", Within(absl::Seconds(5)));
  h.Advance(absl::Seconds(5) - absl::Milliseconds(1));
  EXPECT_EQ(h.State("a"), "QUEUED");
  h.Advance(absl::Milliseconds(1));
  EXPECT_EQ(h.State("a"), "FAILED");
  EXPECT_EQ(h.OutcomeOf("a").failure.type, kTotalTime);
  EXPECT_EQ(h.Queue(), "ready=0 scheduled=0 leased=0");
}

TEST(TotalTimeTest, CountsFromTheEta) {
  EngineHarness h;
  SubmitOptions options = Within(absl::Seconds(5));
  options.delay = absl::Seconds(20);
  h.Submit("a", options);
  h.Advance(absl::Seconds(24));
  EXPECT_EQ(h.State("a"), "QUEUED");
  h.Advance(absl::Seconds(1));
  EXPECT_EQ(h.State("a"), "FAILED");
}

TEST(TotalTimeTest, AFailureWhoseBackoffWouldEndLaterIsTheLast) {
  EngineHarness h;
  h.Submit("a", Within(absl::Milliseconds(2500)));
  for (int i = 1; i <= 2; ++i) {
    h.Credit("w1", 1);
    h.Fail("w1", "a", {.type = "Boom"});
    EXPECT_EQ(h.State("a"), "SCHEDULED");
    h.Advance(absl::Seconds(1));
  }
  h.Credit("w1", 1);
  h.Fail("w1", "a", {.type = "Boom"});
  EXPECT_EQ(h.State("a"), "FAILED");
  EXPECT_EQ(h.OutcomeOf("a").failure.type, "Boom");
  EXPECT_EQ(h.OutcomeOf("a").failures, 3u);
}

TEST(TotalTimeTest, AHandlersOwnDelayIsNoWayAround) {
  EngineHarness h;
  h.Submit("a", Within(absl::Seconds(5)));
  h.Credit("w1", 1);
  h.Retry("w1", "a", absl::Seconds(6));
  EXPECT_EQ(h.State("a"), "FAILED");
  EXPECT_EQ(h.OutcomeOf("a").failure.type, "Again");
}

TEST(TotalTimeTest, AnAttemptThatBeganInTimeMayFinishLater) {
  EngineHarness h;
  h.Submit("a", Within(absl::Seconds(5)));
  h.Credit("w1", 1);
  h.Start("w1", "a");
  for (int i = 0; i < 10; ++i) {
    h.Advance(absl::Seconds(1));
    h.Heartbeat("w1");
  }
  EXPECT_EQ(h.State("a"), "STARTED");
  EXPECT_EQ(h.Succeed("w1", "a"), "ack a#1");
  EXPECT_EQ(h.State("a"), "SUCCEEDED");
}

TEST(TotalTimeTest, ATaskThatComesBackTooLateEnds) {
  EngineHarness h;
  for (const char* id : {"returned", "crashed"}) {
    h.Submit(id, Within(absl::Seconds(5)));
  }
  h.Credit("w1", 2);
  for (int i = 0; i < 6; ++i) {
    h.Advance(absl::Seconds(1));
    h.Heartbeat("w1");
  }
  h.Return("w1", "returned");
  h.Crash("w1", "crashed");
  for (const char* id : {"returned", "crashed"}) {
    EXPECT_EQ(h.State(id), "FAILED");
    EXPECT_EQ(h.OutcomeOf(id).failure.type, kTotalTime);
  }
  EXPECT_EQ(h.OutcomeOf("crashed").crashes, 1u);
}

TEST(TotalTimeTest, EndsATaskBetweenTimerAndDispatch) {
  EngineHarness h;
  h.Submit("a", Within(absl::Microseconds(5'000'400)));
  // The timer has milliseconds; the limit itself is exact.
  h.Jump(absl::Microseconds(5'000'600));
  h.Credit("w1", 1);
  EXPECT_EQ(h.Delivered("w1"), "");
  EXPECT_EQ(h.State("a"), "FAILED");
}

TEST(TotalTimeTest, SurvivesARestart) {
  EngineHarness h;
  h.Submit("a", Within(absl::Seconds(5)));
  SubmitOptions later = Within(absl::Seconds(5));
  later.delay = absl::Seconds(1);
  h.Submit("b", later);
  h.Restart();
  h.Advance(absl::Seconds(5));
  EXPECT_EQ(h.State("a"), "FAILED");
  EXPECT_EQ(h.State("b"), "QUEUED");
  h.Advance(absl::Seconds(1));
  EXPECT_EQ(h.State("b"), "FAILED");
}

TEST(TotalTimeTest, LeavesNoTimerBehind) {
  EngineHarness h;
  h.Submit("a", Within(absl::Hours(1)));
  h.Submit("b", Within(absl::Hours(1)));
  h.Credit("w1", 1);
  h.Succeed("w1", "a");
  h.Cancel("b");
  EXPECT_EQ(h.Stats().timers_in_memory, 0u);
}

}  // namespace
}  // namespace apium::broker
