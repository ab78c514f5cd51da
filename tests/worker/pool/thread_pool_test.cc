#include "worker/pool/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <set>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"

namespace apium {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(90);

class Collector final : public AttemptOwner {
 public:
  void OnFinished(
      absl::Span<const std::shared_ptr<Attempt>> attempts) override {
    absl::MutexLock lock(&mu_);
    ++batches_;
    for (const auto& attempt : attempts) ++counts_[attempt->epoch()];
    total_ += attempts.size();
  }
  void OnProgress(const Attempt&) override {}

  bool AwaitTotal(size_t total) {
    absl::MutexLock lock(&mu_);
    auto reached = [&] { return total_ >= total; };
    return mu_.AwaitWithTimeout(absl::Condition(&reached), kPatience);
  }
  std::map<uint64_t, int> counts() {
    absl::MutexLock lock(&mu_);
    return counts_;
  }
  size_t batches() {
    absl::MutexLock lock(&mu_);
    return batches_;
  }

 private:
  absl::Mutex mu_;
  std::map<uint64_t, int> counts_;
  size_t total_ = 0;
  size_t batches_ = 0;
};

std::vector<std::shared_ptr<Attempt>> Attempts(AttemptOwner* owner,
                                               uint64_t first, size_t count) {
  std::vector<std::shared_ptr<Attempt>> attempts;
  for (size_t i = 0; i < count; ++i) {
    v1::Lease lease;
    lease.set_epoch(first + i);
    attempts.push_back(std::make_shared<Attempt>(
        owner, lease, std::make_shared<v1::Delivery>()));
  }
  return attempts;
}

TEST(ThreadPoolTest, HandsEveryAttemptBackOnce) {
  Collector collector;
  ThreadPool pool(4, [](Attempt*) {});
  for (uint64_t i = 0; i < 100; ++i) {
    auto attempts = Attempts(&collector, 1 + i * 50, 50);
    pool.Run(&attempts);
    EXPECT_TRUE(attempts.empty());
  }
  ASSERT_TRUE(collector.AwaitTotal(5000));
  EXPECT_TRUE(pool.WaitIdle(kPatience));
  const std::map<uint64_t, int> counts = collector.counts();
  EXPECT_EQ(counts.size(), 5000u);
  for (const auto& [epoch, count] : counts) {
    EXPECT_EQ(count, 1) << "epoch " << epoch;
  }
}

TEST(ThreadPoolTest, LongTasksSpreadOverAllSlots) {
  Collector collector;
  absl::Mutex mu;
  int running = 0;
  ThreadPool pool(8, [&](Attempt*) {
    absl::MutexLock lock(&mu);
    ++running;
    auto all = [&] { return running == 8; };
    mu.AwaitWithTimeout(absl::Condition(&all), kPatience);
  });
  auto attempts = Attempts(&collector, 1, 8);
  pool.Run(&attempts);
  ASSERT_TRUE(collector.AwaitTotal(8));
  EXPECT_EQ(running, 8);
}

TEST(ThreadPoolTest, NeverRunsMoreThanItsSlots) {
  Collector collector;
  std::atomic<int> running{0};
  std::atomic<int> most{0};
  ThreadPool pool(3, [&](Attempt*) {
    const int now = ++running;
    int seen = most;
    while (now > seen && !most.compare_exchange_weak(seen, now)) {
    }
    --running;
  });
  auto attempts = Attempts(&collector, 1, 10'000);
  pool.Run(&attempts);
  ASSERT_TRUE(collector.AwaitTotal(10'000));
  EXPECT_LE(most, 3);
}

TEST(ThreadPoolTest, AnOutcomeIsNotKeptBehindALongTask) {
  Collector collector;
  absl::Notification release;
  ThreadPool pool(1, [&](Attempt* attempt) {
    if (attempt->epoch() == 2) release.WaitForNotification();
  });
  auto attempts = Attempts(&collector, 1, 2);
  pool.Run(&attempts);
  EXPECT_TRUE(collector.AwaitTotal(1));
  EXPECT_EQ(collector.counts().count(1), 1u);
  release.Notify();
  EXPECT_TRUE(collector.AwaitTotal(2));
}

TEST(ThreadPoolTest, OutcomesAreKeptBehindNoLongTaskOfManySlots) {
  Collector collector;
  absl::Notification release;
  ThreadPool pool(64, [&](Attempt* attempt) {
    if (attempt->epoch() % 2 == 0) release.WaitForNotification();
  });
  auto attempts = Attempts(&collector, 1, 64);
  pool.Run(&attempts);
  EXPECT_TRUE(collector.AwaitTotal(32));
  release.Notify();
  EXPECT_TRUE(collector.AwaitTotal(64));
}

TEST(ThreadPoolTest, CancelEndsAWaitingAttemptAtOnce) {
  Collector collector;
  absl::Notification release;
  std::set<uint64_t> saw_cancel;
  absl::Mutex mu;
  ThreadPool pool(1, [&](Attempt* attempt) {
    if (attempt->epoch() == 1) release.WaitForNotification();
    absl::MutexLock lock(&mu);
    if (attempt->cancel().IsCancelled()) saw_cancel.insert(attempt->epoch());
  });
  auto attempts = Attempts(&collector, 1, 2);
  const std::shared_ptr<Attempt> waiting = attempts[1];
  pool.Run(&attempts);
  pool.Cancel(waiting, CancelCause::kRequested, "no longer needed");
  ASSERT_TRUE(collector.AwaitTotal(1));
  EXPECT_EQ(collector.counts().count(2), 1u);
  release.Notify();
  ASSERT_TRUE(collector.AwaitTotal(2));
  EXPECT_TRUE(pool.WaitIdle(kPatience));
  EXPECT_EQ(saw_cancel, std::set<uint64_t>{2});
}

TEST(ThreadPoolTest, CancelWaitingLeavesWhatRuns) {
  Collector collector;
  absl::Notification running;
  absl::Notification release;
  ThreadPool pool(1, [&](Attempt* attempt) {
    EXPECT_EQ(attempt->cancel().IsCancelled(), attempt->epoch() != 1);
    if (attempt->epoch() != 1) return;
    running.Notify();
    release.WaitForNotification();
  });
  auto attempts = Attempts(&collector, 1, 4);
  pool.Run(&attempts);
  running.WaitForNotification();
  pool.CancelWaiting(CancelCause::kDraining, "draining");
  ASSERT_TRUE(collector.AwaitTotal(3));
  EXPECT_EQ(collector.counts().count(1), 0u);
  EXPECT_FALSE(pool.WaitIdle(absl::ZeroDuration()));
  release.Notify();
  ASSERT_TRUE(collector.AwaitTotal(4));
  EXPECT_TRUE(pool.WaitIdle(kPatience));
}

TEST(ThreadPoolTest, CancelReachesARunningAttempt) {
  Collector collector;
  absl::Notification running;
  ThreadPool pool(1, [&](Attempt* attempt) {
    running.Notify();
    EXPECT_TRUE(attempt->cancel().Wait(kPatience));
  });
  auto attempts = Attempts(&collector, 1, 1);
  const std::shared_ptr<Attempt> attempt = attempts[0];
  pool.Run(&attempts);
  running.WaitForNotification();
  EXPECT_EQ(pool.busy(), 1u);
  pool.Cancel(attempt, CancelCause::kRequested, "stop");
  EXPECT_TRUE(collector.AwaitTotal(1));
}

TEST(ThreadPoolTest, OutcomesGoToTheirOwners) {
  Collector first;
  Collector second;
  ThreadPool pool(2, [](Attempt*) {});
  auto attempts = Attempts(&first, 1, 10);
  auto others = Attempts(&second, 100, 10);
  attempts.insert(attempts.begin() + 5, others.begin(), others.end());
  pool.Run(&attempts);
  EXPECT_TRUE(first.AwaitTotal(10));
  EXPECT_TRUE(second.AwaitTotal(10));
  EXPECT_EQ(first.counts().size(), 10u);
}

TEST(ThreadPoolTest, ABatchOfTrivialTasksIsHandedBackInFewBatches) {
  Collector collector;
  ThreadPool pool(4096, [](Attempt*) {});
  auto attempts = Attempts(&collector, 1, 20'000);
  pool.Run(&attempts);
  ASSERT_TRUE(collector.AwaitTotal(20'000));
  EXPECT_LT(collector.batches(), 10'000u);
}

}  // namespace
}  // namespace apium
