#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/time/time.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {
namespace {

TEST(ReadyOrderTest, DeliversFirstInFirstOut) {
  EngineHarness h;
  for (const char* id : {"a", "b", "c"}) EXPECT_EQ(h.Submit(id), "OK");
  h.Credit("w1", 3);
  EXPECT_EQ(h.Delivered("w1"), "a#1 b#1 c#1");
}

TEST(ReadyOrderTest, DeliversAtOnceToAWorkerThatWaits) {
  EngineHarness h;
  h.Credit("w1", 1);
  EXPECT_EQ(h.Delivered("w1"), "");
  h.Submit("a");
  EXPECT_EQ(h.Delivered("w1"), "a#1");
}

TEST(ReadyOrderTest, DeliversHigherPriorityFirst) {
  EngineHarness h;
  h.Submit("low", {.priority = 0});
  h.Submit("mid1");
  h.Submit("high", {.priority = 255});
  h.Submit("mid2");
  h.Credit("w1", 4);
  EXPECT_EQ(h.Delivered("w1"), "high#1 mid1#1 mid2#1 low#1");
}

TEST(ReadyOrderTest, PriorityHoldsAcrossTypes) {
  EngineHarness h;
  h.Connect("w1", {.types = {"job", "mail"}});
  h.Submit("a", {.type = "job", .priority = 1});
  h.Submit("b", {.type = "mail", .priority = 9});
  h.Submit("c", {.type = "job", .priority = 8});
  h.Submit("d", {.type = "mail", .priority = 2});
  h.Credit("w1", 4);
  EXPECT_EQ(h.Delivered("w1"), "b#1 c#1 d#1 a#1");
}

TEST(ReadyOrderTest, ALateUrgentTaskOvertakesThoseThatWait) {
  EngineHarness h;
  h.Submit("a");
  h.Submit("b");
  h.Credit("w1", 1);
  EXPECT_EQ(h.Delivered("w1"), "a#1");
  h.Submit("urgent", {.priority = 200});
  h.Credit("w1", 1);
  EXPECT_EQ(h.Delivered("w1"), "urgent#1");
  h.Credit("w1", 1);
  EXPECT_EQ(h.Delivered("w1"), "b#1");
}

TEST(ReadyOrderTest, SubmitsOfOneTurnKeepTheirOrder) {
  EngineHarness h;
  h.InOneTurn([&] {
    for (const char* id : {"c", "a", "b"}) h.Submit(id);
  });
  h.Submit("d");
  h.Credit("w1", 4);
  EXPECT_EQ(h.Delivered("w1"), "c#1 a#1 b#1 d#1");
}

TEST(ReadyOrderTest, OrderSurvivesARestart) {
  EngineHarness h;
  h.Submit("a");
  h.Submit("high", {.priority = 200});
  h.Submit("b");
  h.Restart();
  h.Submit("c");
  h.Credit("w1", 4);
  EXPECT_EQ(h.Delivered("w1"), "high#1 a#1 b#1 c#1");
}

TEST(ReadyOrderTest, ADelayedTaskQueuesUpWhenItsTimeComes) {
  EngineHarness h;
  h.Submit("delayed", {.delay = absl::Seconds(5)});
  h.Submit("a");
  h.Advance(absl::Seconds(5));
  h.Submit("b");
  h.Credit("w1", 3);
  EXPECT_EQ(h.Delivered("w1"), "a#1 delayed#1 b#1");
}

TEST(ReadyOrderTest, DeliveryCarriesWhatWasSubmitted) {
  EngineHarness h;
  h.Submit("a", {.priority = 7, .data = "payload"});
  const TaskSnapshot task = h.Task("a");
  ASSERT_NE(task.content, nullptr);
  EXPECT_EQ(task.content->payload.data, "payload");
  EXPECT_EQ(task.content->priority, 7);
  EXPECT_EQ(task.content->create_time, h.now());
  EXPECT_EQ(task.attempt, 0u);
}

}  // namespace
}  // namespace apium::broker
