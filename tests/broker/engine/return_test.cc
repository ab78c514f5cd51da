#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/time/time.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {
namespace {

TEST(ReturnTest, KeepsThePlaceInTheQueue) {
  EngineHarness h;
  h.Submit("a");
  h.Submit("b");
  h.Credit("w1", 1);
  EXPECT_EQ(h.Delivered("w1"), "a#1");
  EXPECT_EQ(h.Return("w1", "a"), "ack a#1");
  EXPECT_EQ(h.State("a"), "QUEUED");
  h.Credit("w2", 2);
  EXPECT_EQ(h.Delivered("w2"), "a#2 b#1");
}

TEST(ReturnTest, CountsNeitherAsFailureNorAsLostLease) {
  EngineHarness h;
  h.Submit("a", {.retry = {.max_attempts = 1, .jitter = 0, .max_crashes = 1}});
  for (int i = 1; i <= 20; ++i) {
    h.Credit("w1", 1);
    EXPECT_EQ(h.Delivered("w1"), "a#" + std::to_string(i));
    h.Return("w1", "a");
  }
  const TaskSnapshot task = h.Task("a");
  EXPECT_EQ(task.state, TaskState::kQueued);
  EXPECT_EQ(task.attempt, 20u);
  EXPECT_EQ(task.failures, 0u);
  EXPECT_EQ(task.crashes, 0u);
  EXPECT_EQ(task.returns, 20u);
  EXPECT_EQ(h.Outbox(), "");
}

TEST(ReturnTest, IsDurable) {
  EngineHarness h;
  h.Submit("a");
  h.Submit("b");
  h.Credit("w1", 1);
  h.Return("w1", "a");
  h.Restart();
  const TaskSnapshot task = h.Task("a");
  EXPECT_EQ(task.state, TaskState::kQueued);
  EXPECT_EQ(task.attempt, 1u);
  EXPECT_EQ(task.returns, 1u);
  h.Credit("w2", 2);
  EXPECT_EQ(h.Delivered("w2"), "a#2 b#1");
}

TEST(ReturnTest, SeveralReturnsKeepTheOrderAmongThem) {
  EngineHarness h;
  for (const char* id : {"a", "b", "c", "d"}) h.Submit(id);
  h.Credit("w1", 3);
  h.Delivered("w1");
  h.Return("w1", "c");
  h.Return("w1", "a");
  h.Return("w1", "b");
  h.Credit("w2", 4);
  EXPECT_EQ(h.Delivered("w2"), "a#2 b#2 c#2 d#1");
}

}  // namespace
}  // namespace apium::broker
