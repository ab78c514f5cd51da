// Limits, judged from what handlers see and from the times of leases, over
// brokers that are killed.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "client/connection.h"
#include "client/json_payload.h"
#include "client/limit_client.h"
#include "common/strings.h"
#include "tests/integration/platform_fixture.h"
#include "tests/support/status_matchers.h"
#include "worker/worker.h"

namespace apium {
namespace {

using ::testing::Each;
using ::testing::Pair;

// How many handlers of each key run, and have run at most.
class RunCounts {
 public:
  void Begin(const std::string& key) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    const int running = ++running_[key];
    most_[key] = std::max(most_[key], running);
  }
  void End(const std::string& key) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    --running_[key];
  }
  std::map<std::string, int> most() const ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    return most_;
  }

 private:
  mutable absl::Mutex mu_;
  std::map<std::string, int> running_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, int> most_ ABSL_GUARDED_BY(mu_);
};

// The queue "own" has a worker in this process, with handlers that tell what
// they see.
class LimitsTest : public PlatformFixture {
 protected:
  LimitsTest()
      : limits_(platform_.connection()),
        worker_({.brokers = platform_.connection()->options().addresses,
                 .worker_id = "own",
                 .queues = {"own"},
                 .slots = 16}) {
    CreateQueue("own");
    APIUM_EXPECT_OK(
        worker_.Register("work", [this](TaskContext& context, std::string key) {
          counts_.Begin(key);
          context.WaitForCancellation(absl::Milliseconds(10));
          counts_.End(key);
          return absl::OkStatus();
        }));
    APIUM_EXPECT_OK(
        worker_.Register("charge", [](TaskContext& context, double points) {
          return context.Charge("api", points);
        }));
    APIUM_EXPECT_OK(worker_.Register(
        "throttled", [this](const std::string&) -> absl::Status {
          if (++throttled_ > 2) return absl::OkStatus();
          return Throttled("api", absl::Seconds(2), "429");
        }));
    APIUM_EXPECT_OK(worker_.Start());
  }
  ~LimitsTest() override { worker_.Stop(); }

  v1::Limit Limit(uint32_t max_concurrency) {
    v1::Limit limit;
    limit.set_name("api");
    limit.set_queue_pattern("o*");
    limit.set_max_concurrency(max_concurrency);
    limit.set_partition(v1::LIMIT_PARTITION_KEY);
    limit.set_key("account");
    return limit;
  }
  void Create(const v1::Limit& limit) {
    APIUM_ASSERT_OK(limits_.Create(limit));
  }
  template <typename Argument>
  SubmitOptions Task(const std::string& type, const std::string& account,
                     const Argument& argument) {
    return {.type = type,
            .payload = JsonArguments(argument),
            .queue = "own",
            .placement = {.limit_keys = {{"account", account}}}};
  }
  v1::LimitUsage UsageOf(const std::string& key) {
    const auto page = limits_.Usage("api");
    APIUM_EXPECT_OK(page);
    if (page.ok()) {
      for (const v1::LimitUsage& usage : page->usage()) {
        if (usage.key() == key) return usage;
      }
    }
    return {};
  }
  uint64_t Succeeded() { return CountsOf("own").succeeded(); }

  LimitClient limits_;
  RunCounts counts_;
  std::atomic<int> throttled_{0};
  Worker worker_;
};

// Times at which tasks were leased, in order.
std::vector<absl::Time> LeaseTimes(TaskClient* tasks,
                                   const std::vector<std::string>& ids) {
  std::vector<absl::Time> times;
  for (const std::string& id : ids) {
    const auto task = tasks->Get(id);
    APIUM_EXPECT_OK(task);
    if (!task.ok()) continue;
    for (const v1::TaskEvent& event : task->history()) {
      if (event.kind() == v1::TASK_EVENT_KIND_LEASED)
        times.push_back(TimeOf(event.time()));
    }
  }
  std::sort(times.begin(), times.end());
  return times;
}

TEST_F(LimitsTest, NoKeyHasMoreHandlersThanItMay) {
  Create(Limit(2));
  std::vector<SubmitOptions> all;
  constexpr uint64_t kTasks = 400;
  for (uint64_t i = 0; i < kTasks; ++i) {
    const std::string account = StrCat("account", i % 5);
    all.push_back(Task("work", account, account));
  }
  SubmitMany(all);
  for (const uint64_t some : {kTasks / 4, kTasks / 2}) {
    ASSERT_TRUE(Eventually([&] { return Succeeded() >= some; }));
    KillBroker();
  }
  ASSERT_TRUE(Eventually([&] { return Succeeded() == kTasks; }));
  const auto most = counts_.most();
  EXPECT_EQ(most.size(), 5u);
  EXPECT_THAT(most, Each(Pair(testing::_, 2)));
  // Nothing has leaked.
  EXPECT_EQ(limits_.Usage("api")->usage_size(), 0);
}

TEST_F(LimitsTest, NoWindowHasMoreStartsThanTheRateAllows) {
  constexpr double kPerSecond = 20;
  constexpr double kBurst = 5;
  v1::Limit limit;
  limit.set_name("api");
  limit.set_type_pattern("work");
  limit.mutable_rate()->set_points(kPerSecond);
  limit.mutable_rate()->mutable_period()->set_seconds(1);
  limit.mutable_rate()->set_burst(kBurst);
  Create(limit);
  constexpr uint64_t kTasks = 60;
  std::vector<SubmitOptions> all;
  for (uint64_t i = 0; i < kTasks; ++i) all.push_back(Task("work", "a", "a"));
  const std::vector<std::string> ids = SubmitMany(all);
  for (const uint64_t some : {kTasks / 4, kTasks / 2}) {
    ASSERT_TRUE(Eventually([&] { return Succeeded() >= some; }));
    KillBroker();
  }
  ASSERT_TRUE(Eventually([&] { return Succeeded() == kTasks; }));
  AwaitPublished();
  const std::vector<absl::Time> times = LeaseTimes(&tasks(), ids);
  ASSERT_GE(times.size(), kTasks);
  for (size_t first = 0; first < times.size(); ++first) {
    for (size_t last = first; last < times.size(); ++last) {
      const double window = absl::ToDoubleSeconds(times[last] - times[first]);
      EXPECT_LE(static_cast<double>(last - first + 1),
                kBurst + kPerSecond * window + 1e-6);
    }
  }
}

TEST_F(LimitsTest, APausedKeyWaitsOverAKillOfTheBroker) {
  Create(Limit(9));
  APIUM_ASSERT_OK(limits_.PauseKey("api", "a", absl::Hours(1)));
  const std::string held = Submit(Task("work", "a", "a"));
  KillBroker();
  const std::string other = Submit(Task("work", "b", "b"));
  EXPECT_EQ(Describe(tasks().Wait(other, kLongTime)), "SUCCEEDED");
  EXPECT_EQ(Describe(tasks().Get(held)), "QUEUED");
  const v1::LimitUsage usage = UsageOf("a");
  EXPECT_TRUE(usage.has_pause_until());
  EXPECT_EQ(usage.waiting_lanes(), 1u);
  APIUM_ASSERT_OK(limits_.PauseKey("api", "a", absl::ZeroDuration()));
  EXPECT_EQ(Describe(tasks().Wait(held, kLongTime)), "SUCCEEDED");
}

TEST_F(LimitsTest, ATaskThatMeetsALimitOfOthersHoldsItsKeyUp) {
  Create(Limit(9));
  const std::string id = Submit(Task("throttled", "a", "x"));
  ASSERT_TRUE(Eventually([&] { return UsageOf("a").has_pause_until(); }));
  KillBroker();
  const std::string behind = Submit(Task("work", "a", "a"));
  const std::string other = Submit(Task("work", "b", "b"));
  EXPECT_EQ(Describe(tasks().Wait(other, kLongTime)), "SUCCEEDED");
  EXPECT_EQ(Describe(tasks().Wait(id, kLongTime)), "SUCCEEDED#3");
  EXPECT_EQ(Describe(tasks().Wait(behind, kLongTime)), "SUCCEEDED");
  AwaitPublished();
  const auto task = tasks().Get(id);
  APIUM_ASSERT_OK(task);
  EXPECT_EQ(task->returns(), 0u);
  EXPECT_EQ(task->failures(), 0u);
  // Nothing of the key is leased before the time is over.
  absl::Time held_until = absl::InfinitePast();
  for (const v1::TaskEvent& event : task->history()) {
    if (event.kind() == v1::TASK_EVENT_KIND_RETURNED)
      held_until = TimeOf(event.time()) + absl::Seconds(2);
    if (event.kind() == v1::TASK_EVENT_KIND_LEASED) {
      EXPECT_GE(TimeOf(event.time()), held_until);
    }
  }
  EXPECT_NE(held_until, absl::InfinitePast());
}

TEST_F(LimitsTest, WhatAHandlerChargesIsNotGivenBackByAKill) {
  v1::Limit limit = Limit(0);
  limit.mutable_rate()->set_points(1);
  limit.mutable_rate()->mutable_period()->set_seconds(3600);
  limit.mutable_rate()->set_burst(10);
  Create(limit);
  const std::string id = Submit(Task("charge", "a", 12.5));
  EXPECT_EQ(Describe(tasks().Wait(id, kLongTime)), "SUCCEEDED");
  KillBroker();
  // 10 less 1 less 12.5, and what came back meanwhile.
  EXPECT_LT(UsageOf("a").points(), -3);
  EXPECT_GE(UsageOf("a").points(), -3.5);
  const std::string held = Submit(Task("work", "a", "a"));
  const std::string other = Submit(Task("work", "b", "b"));
  EXPECT_EQ(Describe(tasks().Wait(other, kLongTime)), "SUCCEEDED");
  EXPECT_EQ(Describe(tasks().Get(held)), "QUEUED");
  // Deleting the limit lets it go.
  APIUM_ASSERT_OK(limits_.Delete("api"));
  EXPECT_EQ(Describe(tasks().Wait(held, kLongTime)), "SUCCEEDED");
}

}  // namespace
}  // namespace apium
