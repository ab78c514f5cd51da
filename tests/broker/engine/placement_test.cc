#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {
namespace {

using ::testing::HasSubstr;

SubmitOptions Requires(const Placement::Labels& labels) {
  SubmitOptions options;
  options.placement = Placement{.required_labels = labels};
  return options;
}

SubmitOptions Prefers(const Placement::Labels& labels) {
  SubmitOptions options;
  options.placement = Placement{.preferred_labels = labels};
  return options;
}

SubmitOptions Sticky(const std::string& key) {
  SubmitOptions options;
  options.placement = Placement{.sticky_key = key};
  return options;
}

TEST(PlacementTest, RequiredLabelsChooseWorkers) {
  EngineHarness h;
  h.Submit("gpu", Requires({{"gpu", "true"}, {"zone", "eu"}}));
  h.Submit("plain");
  h.Connect("cpu", {.labels = {{"zone", "eu"}}});
  h.Connect("gpu", {.labels = {{"zone", "us"}, {"gpu", "true"}}});
  h.Credit("cpu", 2);
  h.Credit("gpu", 2);
  EXPECT_EQ(h.Delivered("cpu"), "plain#1");
  EXPECT_EQ(h.Delivered("gpu"), "");
  EXPECT_EQ(h.State("gpu"), "QUEUED");
  EXPECT_THAT(h.Task("gpu").waiting_reason, HasSubstr("gpu=true"));
  h.Connect("both", {.labels = {{"zone", "eu"}, {"gpu", "true"}}});
  h.Credit("both", 1);
  EXPECT_EQ(h.Delivered("both"), "gpu#1");
}

TEST(PlacementTest, WhoeverCannotRunTheHeadGetsWhatIsBehindIt) {
  EngineHarness h;
  for (int i = 0; i < 3; ++i)
    h.Submit(absl::StrCat("g", i), Requires({{"gpu", "true"}}));
  h.Submit("a");
  h.Credit("w", 2);
  EXPECT_EQ(h.Delivered("w"), "a#1");
}

TEST(PlacementTest, EveryWorkerHasItsIdAsALabel) {
  EngineHarness h;
  h.Submit("a", Requires({{"apium.worker_id", "w2"}}));
  h.Credit("w1", 1);
  EXPECT_EQ(h.Delivered("w1"), "");
  h.Credit("w2", 1);
  EXPECT_EQ(h.Delivered("w2"), "a#1");
}

TEST(PlacementTest, LabelsSurviveARestart) {
  EngineHarness h;
  h.Submit("a", Requires({{"gpu", "true"}}));
  h.Restart();
  h.Credit("w1", 1);
  EXPECT_EQ(h.Delivered("w1"), "");
  h.Connect("w2", {.labels = {{"gpu", "true"}}});
  h.Credit("w2", 1);
  EXPECT_EQ(h.Delivered("w2"), "a#1");
}

TEST(PlacementTest, PreferenceIsAmongThoseWithAFreeSlot) {
  EngineHarness h;
  h.Connect("plain");
  h.Connect("fast", {.labels = {{"disk", "ssd"}}});
  h.Credit("plain", 2);
  h.Credit("fast", 1);
  h.Submit("a", Prefers({{"disk", "ssd"}}));
  EXPECT_EQ(h.Delivered("fast"), "a#1");
  h.Submit("b", Prefers({{"disk", "ssd"}}));
  EXPECT_EQ(h.Delivered("plain"), "b#1");
}

TEST(PlacementTest, TheOneWithMostPreferredLabelsGetsIt) {
  EngineHarness h;
  h.Connect("one", {.labels = {{"disk", "ssd"}}});
  h.Connect("two", {.labels = {{"disk", "ssd"}, {"zone", "eu"}}});
  h.Credit("one", 1);
  h.Credit("two", 1);
  h.Submit("a", Prefers({{"disk", "ssd"}, {"zone", "eu"}}));
  EXPECT_EQ(h.Delivered("two"), "a#1");
}

TEST(PlacementTest, AStickyKeyGoesBackToItsWorker) {
  EngineHarness h;
  h.Credit("w1", 10);
  h.Credit("w2", 10);
  h.Submit("first", Sticky("model-7"));
  const bool on_w1 = h.Delivered("w1") == "first#1";
  const std::string worker = on_w1 ? "w1" : "w2";
  if (!on_w1) {
    EXPECT_EQ(h.Delivered("w2"), "first#1");
  }
  for (int i = 0; i < 5; ++i) {
    const std::string id = absl::StrCat("next", i);
    h.Submit(id, Sticky("model-7"));
    EXPECT_EQ(h.Delivered(worker), id + "#1");
  }
}

TEST(PlacementTest, StickinessDoesNotWait) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("a", Sticky("k"));
  EXPECT_EQ(h.Delivered("w1"), "a#1");
  h.Credit("w2", 1);
  h.Submit("b", Sticky("k"));
  EXPECT_EQ(h.Delivered("w2"), "b#1");
}

TEST(PlacementTest, AWorkersQueuesShareItsTurnsByWeight) {
  EngineHarness h;
  h.CreateQueue("heavy");
  h.CreateQueue("light");
  h.InOneTurn([&] {
    for (int i = 0; i < 12; ++i) {
      h.Submit(absl::StrCat("h", i), {.queue = "heavy"});
      h.Submit(absl::StrCat("l", i), {.queue = "light"});
    }
  });
  h.Connect("w", {.queues = {"heavy", "light"}, .queue_weights = {3, 1}});
  h.Credit("w", 8);
  EXPECT_EQ(h.Delivered("w"), "h0#1 h1#1 h2#1 l0#1 h3#1 h4#1 h5#1 l1#1");
}

TEST(PlacementTest, AQueuesOwnWeightCountsAndCanChange) {
  EngineHarness h;
  h.CreateQueue("heavy", {.weight = 3});
  h.CreateQueue("light", {.weight = 2});
  h.InOneTurn([&] {
    for (int i = 0; i < 40; ++i) {
      h.Submit(absl::StrCat("h", i), {.queue = "heavy"});
      h.Submit(absl::StrCat("l", i), {.queue = "light"});
    }
  });
  h.Connect("w", {.queues = {"heavy", "light"}});
  const auto count_heavy = [&h](uint32_t tasks) {
    h.Credit("w", tasks);
    const std::string delivered = h.Delivered("w");
    return std::count(delivered.begin(), delivered.end(), 'h');
  };
  EXPECT_EQ(count_heavy(10), 6);
  h.UpdateQueue({.queue = "heavy", .weight = 2});
  EXPECT_EQ(count_heavy(10), 5);
}

TEST(PlacementTest, AnEmptyQueueSavesNoTurns) {
  EngineHarness h;
  h.CreateQueue("heavy", {.weight = 100});
  h.Connect("w", {.queues = {"heavy", "default"}});
  for (int i = 0; i < 20; ++i) h.Submit(absl::StrCat("d", i));
  h.Credit("w", 10);
  h.Delivered("w");
  h.InOneTurn([&] {
    for (int i = 0; i < 5; ++i)
      h.Submit(absl::StrCat("h", i), {.queue = "heavy"});
  });
  h.Credit("w", 6);
  EXPECT_EQ(h.Delivered("w"), "h0#1 h1#1 h2#1 h3#1 h4#1 d10#1");
}

TEST(PlacementTest, AgingKeepsLowPrioritiesFromStarving) {
  EngineHarness h;
  h.UpdateQueue({.queue = "default", .priority_aging = absl::Seconds(1)});
  h.Submit("low", {.priority = 90});
  h.Advance(absl::Seconds(5));
  h.Submit("high", {.priority = 100});
  h.Credit("w", 1);
  // 5 s are worth 5 steps, 10 are missing.
  EXPECT_EQ(h.Delivered("w"), "high#1");
  h.Advance(absl::Seconds(6));
  h.Submit("later", {.priority = 100});
  h.Credit("w", 1);
  EXPECT_EQ(h.Delivered("w"), "low#1");
}

TEST(PlacementTest, WithoutAgingPriorityIsStrict) {
  EngineHarness h;
  h.Submit("low", {.priority = 99});
  h.Advance(absl::Hours(24));
  h.Submit("high", {.priority = 100});
  h.Credit("w", 1);
  EXPECT_EQ(h.Delivered("w"), "high#1");
}

TEST(PlacementTest, AgingKeepsTheOrderWithinAPriority) {
  EngineHarness h;
  h.UpdateQueue({.queue = "default", .priority_aging = absl::Seconds(1)});
  h.Submit("a", {.type = "x"});
  h.Connect("w", {.types = {"x", "job"}});
  h.Credit("w", 1);
  EXPECT_EQ(h.Delivered("w"), "a#1");
  h.Advance(absl::Seconds(1));
  h.Submit("b");
  h.Advance(absl::Seconds(1));
  // One that comes back has its old place.
  h.Return("w", "a");
  h.Credit("w", 1);
  EXPECT_EQ(h.Delivered("w"), "a#2");
}

}  // namespace
}  // namespace apium::broker
