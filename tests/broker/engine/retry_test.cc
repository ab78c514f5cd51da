#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {
namespace {

// A worker that fails whatever it gets, and has credit again.
void FailNext(EngineHarness& h, const std::string& id,
              const FailOptions& options = {}) {
  h.Delivered("w1");
  h.Fail("w1", id, options);
  h.Credit("w1", 1);
}

TEST(RetryTest, RunsAgainAfterBackoff) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("a");
  EXPECT_EQ(h.Delivered("w1"), "a#1");
  EXPECT_EQ(h.Fail("w1", "a", {.type = "Boom", .message = "it broke"}),
            "ack a#1");
  EXPECT_EQ(h.State("a"), "SCHEDULED");
  const TaskSnapshot task = h.Task("a");
  EXPECT_EQ(task.schedule_time, h.now() + absl::Seconds(1));
  EXPECT_EQ(task.failures, 1u);
  EXPECT_EQ(task.crashes, 0u);
  EXPECT_TRUE(task.has_last_failure);
  EXPECT_EQ(task.last_failure.type, "Boom");
  EXPECT_EQ(task.last_failure.message, "it broke");
  EXPECT_EQ(task.worker_id, "");
  h.Credit("w1", 1);
  h.Advance(absl::Seconds(1) - absl::Milliseconds(1));
  EXPECT_EQ(h.Delivered("w1"), "");
  h.Advance(absl::Milliseconds(1));
  EXPECT_EQ(h.Delivered("w1"), "a#2");
}

TEST(RetryTest, BackoffGrowsUpToItsLimit) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("a", {.retry = {.max_attempts = 100,
                           .initial_delay = absl::Seconds(1),
                           .multiplier = 3,
                           .max_delay = absl::Seconds(10),
                           .jitter = 0}});
  for (const int seconds : {1, 3, 9, 10, 10}) {
    FailNext(h, "a");
    EXPECT_EQ(h.Task("a").schedule_time, h.now() + absl::Seconds(seconds));
    h.Advance(absl::Seconds(seconds));
    EXPECT_EQ(h.State("a"), "LEASED");
  }
}

TEST(RetryTest, ManyFailuresDoNotOverflowTheBackoff) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("a", {.retry = {.max_attempts = 2000,
                           .initial_delay = absl::Seconds(1),
                           .multiplier = 100,
                           .max_delay = absl::Seconds(10),
                           .jitter = 0}});
  for (int i = 0; i < 1200; ++i) {
    FailNext(h, "a");
    h.Advance(absl::Seconds(10));
    ASSERT_EQ(h.State("a"), "LEASED") << "after failure " << i + 1;
  }
}

TEST(RetryTest, JitterStaysWithinItsShare) {
  EngineHarness h;
  bool some_differ = false;
  h.Credit("w1", 200);
  absl::Duration first_delay = absl::ZeroDuration();
  for (int i = 0; i < 200; ++i) {
    const std::string id = absl::StrCat("t", i);
    h.Submit(id,
             {.retry = {.initial_delay = absl::Seconds(10), .jitter = 0.5}});
    h.Fail("w1", id);
    const absl::Duration delay = h.Task(id).schedule_time - h.now();
    EXPECT_GE(delay, absl::Seconds(5)) << id;
    EXPECT_LE(delay, absl::Seconds(10) + absl::Milliseconds(1)) << id;
    if (i == 0) first_delay = delay;
    some_differ = some_differ || delay != first_delay;
  }
  EXPECT_TRUE(some_differ);
}

TEST(RetryTest, AZeroBackoffQueuesTheTaskAtOnce) {
  EngineHarness h;
  h.Credit("w1", 2);
  h.Submit("a", {.retry = {.initial_delay = absl::ZeroDuration(),
                           .max_delay = absl::ZeroDuration(),
                           .jitter = 0}});
  h.Fail("w1", "a");
  EXPECT_EQ(h.Delivered("w1"), "a#1 a#2");
}

TEST(RetryTest, FailsAfterTheLastAttempt) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("a", {.retry = {.max_attempts = 3, .jitter = 0}});
  FailNext(h, "a");
  h.Advance(absl::Seconds(1));
  FailNext(h, "a");
  h.Advance(absl::Seconds(2));
  FailNext(h, "a", {.type = "Last", .message = "enough"});
  EXPECT_EQ(h.State("a"), "FAILED");
  EXPECT_EQ(h.Outbox(), "1: a FAILED");
  const Outcome outcome = h.OutcomeOf("a");
  EXPECT_EQ(outcome.attempt, 3u);
  EXPECT_EQ(outcome.failures, 3u);
  EXPECT_EQ(outcome.crashes, 0u);
  EXPECT_TRUE(outcome.has_failure);
  EXPECT_EQ(outcome.failure.type, "Last");
  EXPECT_EQ(outcome.failure.message, "enough");
  EXPECT_EQ(outcome.worker_id, "w1");
  EXPECT_EQ(outcome.finish_time, h.now());
}

TEST(RetryTest, OneAttemptMeansNoRetry) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("a", {.retry = {.max_attempts = 1, .jitter = 0}});
  h.Fail("w1", "a");
  EXPECT_EQ(h.State("a"), "FAILED");
}

TEST(RetryTest, AFinalFailureIsNotRetried) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("a");
  h.Fail("w1", "a", {.non_retryable = true});
  EXPECT_EQ(h.State("a"), "FAILED");
  EXPECT_EQ(h.OutcomeOf("a").failures, 1u);
}

TEST(RetryTest, ANonRetryableTypeIsNotRetried) {
  EngineHarness h;
  h.Credit("w1", 2);
  const RetryPolicy policy = {.jitter = 0,
                              .non_retryable_types = {"Bad", "No"}};
  h.Submit("a", {.retry = policy});
  h.Submit("b", {.retry = policy});
  h.Fail("w1", "a", {.type = "No"});
  h.Fail("w1", "b", {.type = "Other"});
  EXPECT_EQ(h.State("a"), "FAILED");
  EXPECT_EQ(h.State("b"), "SCHEDULED");
}

TEST(RetryTest, AHandlerChoosesItsOwnDelay) {
  EngineHarness h;
  h.Credit("w1", 2);
  h.Submit("a");
  EXPECT_EQ(h.Retry("w1", "a", absl::Seconds(20)), "ack a#1");
  EXPECT_EQ(h.State("a"), "SCHEDULED");
  const TaskSnapshot task = h.Task("a");
  EXPECT_EQ(task.schedule_time, h.now() + absl::Seconds(20));
  EXPECT_EQ(task.failures, 1u);
  EXPECT_EQ(task.last_failure.type, "Again");
  h.Delivered("w1");
  h.Advance(absl::Seconds(20));
  EXPECT_EQ(h.Delivered("w1"), "a#2");
}

TEST(RetryTest, AHandlersRetryCountsAgainstTheAttempts) {
  EngineHarness h;
  h.Credit("w1", 2);
  h.Submit("a", {.retry = {.max_attempts = 2, .jitter = 0}});
  h.Retry("w1", "a", absl::ZeroDuration());
  EXPECT_EQ(h.Delivered("w1"), "a#1 a#2");
  h.Retry("w1", "a", absl::ZeroDuration());
  EXPECT_EQ(h.State("a"), "FAILED");
  EXPECT_EQ(h.OutcomeOf("a").failure.type, "Again");
}

TEST(RetryTest, CountsAndBackoffSurviveARestart) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("a", {.retry = {.max_attempts = 2, .jitter = 0}});
  h.Fail("w1", "a", {.type = "First"});
  const absl::Time due = h.Task("a").schedule_time;
  h.Restart();
  EXPECT_EQ(h.State("a"), "SCHEDULED");
  EXPECT_EQ(h.Task("a").schedule_time, due);
  EXPECT_EQ(h.Task("a").last_failure.type, "First");
  h.Credit("w2", 1);
  h.Advance(absl::Seconds(1));
  EXPECT_EQ(h.Delivered("w2"), "a#2");
  h.Fail("w2", "a");
  EXPECT_EQ(h.State("a"), "FAILED");
}

TEST(RetryTest, AnotherWorkerMayRunTheRetry) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("a");
  h.Fail("w1", "a");
  h.Advance(absl::Seconds(1));
  h.Credit("w2", 1);
  EXPECT_EQ(h.Delivered("w2"), "a#2");
  EXPECT_EQ(h.Succeed("w2", "a", "done"), "ack a#2");
  const Outcome outcome = h.OutcomeOf("a");
  EXPECT_EQ(outcome.state, TaskState::kSucceeded);
  EXPECT_EQ(outcome.result.data, "done");
  EXPECT_EQ(outcome.failures, 1u);
  EXPECT_EQ(outcome.attempt, 2u);
  EXPECT_EQ(outcome.worker_id, "w2");
}

}  // namespace
}  // namespace apium::broker
