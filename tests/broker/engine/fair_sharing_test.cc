#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {
namespace {

SubmitOptions Of(const std::string& tenant, double weight = 1) {
  SubmitOptions options;
  options.placement =
      Placement{.fairness_key = tenant, .fairness_weight = weight};
  return options;
}

// One worker with some slots that are always busy, on which each task takes as
// long as its name's first letter says.
class BusyWorker {
 public:
  BusyWorker(EngineHarness* harness, std::map<char, absl::Duration> run_times)
      : harness_(*harness), run_times_(std::move(run_times)) {}

  // What each kind of task got of the slots' time.
  std::map<char, absl::Duration> Run(uint32_t slots, absl::Duration time) {
    std::map<char, absl::Duration> used;
    const absl::Time end = harness_.now() + time;
    harness_.Credit("w", slots);
    TakeDeliveries();
    while (!ends_.empty() && ends_.begin()->first <= end) {
      const auto [at, id] = *ends_.begin();
      ends_.erase(ends_.begin());
      harness_.Jump(at - harness_.now());
      harness_.Succeed("w", id);
      used[id.front()] += run_times_.at(id.front());
      harness_.Credit("w", 1);
      TakeDeliveries();
    }
    return used;
  }

 private:
  void TakeDeliveries() {
    for (const auto label :
         absl::StrSplit(harness_.Delivered("w"), ' ', absl::SkipEmpty())) {
      const std::string id(label.substr(0, label.find('#')));
      ends_.emplace(harness_.now() + run_times_.at(id.front()), id);
    }
  }

  EngineHarness& harness_;
  const std::map<char, absl::Duration> run_times_;
  std::multimap<absl::Time, std::string> ends_;
};

double Share(const std::map<char, absl::Duration>& used, char kind) {
  absl::Duration all;
  for (const auto& [name, time] : used) all += time;
  return absl::FDivDuration(used.at(kind), all);
}

TEST(FairSharingTest, EqualTenantsShareTimeNotTasks) {
  EngineHarness h;
  h.InOneTurn([&] {
    for (int i = 0; i < 3000; ++i) h.Submit(absl::StrCat("f", i), Of("fast"));
    for (int i = 0; i < 150; ++i) h.Submit(absl::StrCat("s", i), Of("slow"));
  });
  BusyWorker worker(&h,
                    {{'f', absl::Milliseconds(100)}, {'s', absl::Seconds(3)}});
  const auto used = worker.Run(4, absl::Seconds(100));
  EXPECT_NEAR(Share(used, 'f'), 0.5, 0.05);
}

TEST(FairSharingTest, WeightsAreSharesOfTime) {
  EngineHarness h;
  h.InOneTurn([&] {
    for (int i = 0; i < 900; ++i) {
      h.Submit(absl::StrCat("a", i), Of("a", 3));
      h.Submit(absl::StrCat("b", i), Of("b"));
    }
  });
  BusyWorker worker(&h, {{'a', absl::Seconds(1)}, {'b', absl::Seconds(1)}});
  EXPECT_NEAR(Share(worker.Run(4, absl::Seconds(100)), 'a'), 0.75, 0.02);
}

TEST(FairSharingTest, AQueuesWeightOutranksATasks) {
  EngineHarness h;
  h.InOneTurn([&] {
    for (int i = 0; i < 900; ++i) {
      h.Submit(absl::StrCat("a", i), Of("a", 1000));
      h.Submit(absl::StrCat("b", i), Of("b"));
    }
  });
  h.UpdateQueue({.queue = "default",
                 .fairness_weights = std::map<std::string, double>{{"a", 1}}});
  BusyWorker worker(&h, {{'a', absl::Seconds(1)}, {'b', absl::Seconds(1)}});
  EXPECT_NEAR(Share(worker.Run(4, absl::Seconds(100)), 'a'), 0.5, 0.02);
}

TEST(FairSharingTest, TasksWithoutATenantAreOneTenant) {
  EngineHarness h;
  h.InOneTurn([&] {
    for (int i = 0; i < 900; ++i) {
      h.Submit(absl::StrCat("a", i), Of("a"));
      h.Submit(absl::StrCat("n", i));
    }
  });
  BusyWorker worker(&h, {{'a', absl::Seconds(1)}, {'n', absl::Seconds(1)}});
  EXPECT_NEAR(Share(worker.Run(2, absl::Seconds(100)), 'a'), 0.5, 0.02);
}

TEST(FairSharingTest, ATenantThatWasIdleHasSavedNothing) {
  EngineHarness h;
  h.InOneTurn([&] {
    for (int i = 0; i < 500; ++i) h.Submit(absl::StrCat("a", i), Of("a"));
    h.Submit("b0", Of("b"));
  });
  BusyWorker worker(&h, {{'a', absl::Seconds(1)}, {'b', absl::Seconds(1)}});
  worker.Run(1, absl::Seconds(200));
  h.InOneTurn([&] {
    for (int i = 1; i < 100; ++i) h.Submit(absl::StrCat("b", i), Of("b"));
  });
  // The slot that is busy goes on; no further one is granted.
  EXPECT_NEAR(Share(worker.Run(0, absl::Seconds(50)), 'b'), 0.5, 0.05);
}

TEST(FairSharingTest, PriorityGoesBeforeTenantsUnlessTheQueueSaysOtherwise) {
  const auto order_of = [](FairnessMode mode) {
    EngineHarness h;
    h.UpdateQueue({.queue = "default", .fairness_mode = mode});
    h.InOneTurn([&] {
      for (int i = 0; i < 2; ++i) {
        SubmitOptions high = Of("a");
        high.priority = 200;
        h.Submit(absl::StrCat("a", i), high);
        h.Submit(absl::StrCat("b", i), Of("b"));
      }
    });
    h.Credit("w", 4);
    return h.Delivered("w");
  };
  EXPECT_EQ(order_of(FairnessMode::kPriorityFirst), "a0#1 a1#1 b0#1 b1#1");
  EXPECT_EQ(order_of(FairnessMode::kFairnessFirst), "a0#1 b0#1 a1#1 b1#1");
}

TEST(FairSharingTest, PrioritiesOrderTheTasksOfATenant) {
  EngineHarness h;
  h.UpdateQueue(
      {.queue = "default", .fairness_mode = FairnessMode::kFairnessFirst});
  h.InOneTurn([&] {
    h.Submit("low", Of("a"));
    SubmitOptions high = Of("a");
    high.priority = 200;
    h.Submit("high", high);
    h.Submit("other", Of("b"));
  });
  h.Credit("w", 3);
  EXPECT_EQ(h.Delivered("w"), "high#1 other#1 low#1");
}

TEST(FairSharingTest, TenantsAreToldApartAfterARestart) {
  EngineHarness h;
  h.InOneTurn([&] {
    for (int i = 0; i < 400; ++i) h.Submit(absl::StrCat("a", i), Of("a"));
    for (int i = 0; i < 400; ++i) h.Submit(absl::StrCat("b", i), Of("b"));
  });
  h.Restart();
  BusyWorker worker(&h, {{'a', absl::Seconds(1)}, {'b', absl::Seconds(1)}});
  EXPECT_NEAR(Share(worker.Run(2, absl::Seconds(100)), 'a'), 0.5, 0.02);
}

TEST(FairSharingTest, AThousandTenantsTakeTurns) {
  EngineHarness h;
  h.InOneTurn([&] {
    for (int i = 0; i < 3000; ++i) {
      h.Submit(absl::StrCat("t", i), Of(absl::StrCat("tenant", i / 3)));
    }
  });
  h.Credit("w", 1000);
  std::map<int, int> tasks_of;
  for (const auto label :
       absl::StrSplit(h.Delivered("w"), ' ', absl::SkipEmpty())) {
    ++tasks_of[std::stoi(std::string(label.substr(1))) / 3];
  }
  EXPECT_EQ(tasks_of.size(), 1000u);
}

TEST(FairSharingTest, LanesOfTenantsLeaveNoRows) {
  EngineHarness h;
  for (int i = 0; i < 50; ++i) {
    const std::string id = absl::StrCat("t", i);
    h.Submit(id, Of(id));
  }
  h.Credit("w", 50);
  h.Delivered("w");
  for (int i = 0; i < 50; ++i) h.Succeed("w", absl::StrCat("t", i));
  EXPECT_EQ(h.Stats().lanes, 0u);
  h.Restart();
  EXPECT_EQ(h.Stats().lanes, 0u);
}

TEST(FairSharingTest, TooManyLanesAreRefused) {
  EngineHarness h({.max_lanes = 2});
  EXPECT_EQ(h.Submit("a", Of("a")), "OK");
  EXPECT_EQ(h.Submit("b", Of("b")), "OK");
  EXPECT_EQ(h.Submit("c", Of("c")), "RESOURCE_EXHAUSTED/TOO_MANY_LANES");
  EXPECT_EQ(h.Submit("b2", Of("b")), "OK");
  EXPECT_EQ(h.Submit("plain"), "OK");
}

TEST(FairSharingTest, WhatBecomesDueWaitsForALane) {
  EngineHarness h({.max_lanes = 1});
  SubmitOptions later = Of("b");
  later.delay = absl::Seconds(1);
  EXPECT_EQ(h.Submit("b", later), "OK");
  EXPECT_EQ(h.Submit("a", Of("a")), "OK");
  h.Advance(absl::Seconds(2));
  EXPECT_EQ(h.State("b"), "SCHEDULED");
  h.Credit("w", 2);
  EXPECT_EQ(h.Delivered("w"), "a#1");
  h.Succeed("w", "a");
  h.Advance(absl::Seconds(10));
  EXPECT_EQ(h.Delivered("w"), "b#1");
}

}  // namespace
}  // namespace apium::broker
