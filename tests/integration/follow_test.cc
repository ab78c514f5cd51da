// A follower over crashes of everything: each chunk once, in order, attempt by
// attempt.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/synchronization/mutex.h"
#include "client/json_payload.h"
#include "tests/integration/test_platform.h"
#include "tests/support/status_matchers.h"

namespace apium {
namespace {

struct Seen {
  uint64_t position;
  uint32_t attempt;
  uint64_t number;  // what apium.count appended
};

// What one follower was told.
class Follower {
 public:
  Follower(TaskClient* client, const std::string& id, uint64_t from) {
    client->FollowAsync(
        id, from, kLongTime,
        [this](const v1::TaskChunk& chunk) {
          absl::MutexLock lock(&mu_);
          uint64_t number = 0;
          EXPECT_TRUE(absl::SimpleAtoi(chunk.payload().data(), &number));
          seen_.push_back({chunk.position(), chunk.attempt(), number});
          return true;
        },
        [this](absl::StatusOr<v1::Task> task) {
          absl::MutexLock lock(&mu_);
          end_ = std::move(task);
          ended_ = true;
        });
  }
  ~Follower() { AwaitEnd(); }
  // Waits for `count` chunks in all.
  bool Await(size_t count) {
    const auto enough = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      return seen_.size() >= count || ended_;
    };
    absl::MutexLock lock(&mu_);
    return mu_.AwaitWithTimeout(absl::Condition(&enough), kLongTime) &&
           seen_.size() >= count;
  }
  std::string AwaitEnd() {
    absl::MutexLock lock(&mu_);
    if (!mu_.AwaitWithTimeout(absl::Condition(&ended_), 2 * kLongTime))
      return "no end";
    return Describe(end_);
  }
  std::vector<Seen> seen() {
    absl::MutexLock lock(&mu_);
    return seen_;
  }

 private:
  absl::Mutex mu_;
  std::vector<Seen> seen_ ABSL_GUARDED_BY(mu_);
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
  absl::StatusOr<v1::Task> end_ ABSL_GUARDED_BY(mu_);
};

class FollowTest : public ::testing::Test {
 protected:
  std::string SubmitCount(uint64_t to, double interval_seconds,
                          const std::string& queue = "default") {
    const auto handle = platform_.tasks().Submit(
        {.type = "apium.count",
         .payload = JsonArguments(to, interval_seconds),
         .queue = queue});
    APIUM_EXPECT_OK(handle);
    return handle.ok() ? handle->id() : "";
  }
  // Positions without a gap, attempts that only grow, and within one each
  // number the next of the one before.
  static void ExpectInOrder(const std::vector<Seen>& seen, uint64_t from) {
    for (size_t i = 0; i < seen.size(); ++i) {
      EXPECT_EQ(seen[i].position, from + i);
      if (i == 0) continue;
      EXPECT_GE(seen[i].attempt, seen[i - 1].attempt);
      if (seen[i].attempt == seen[i - 1].attempt) {
        EXPECT_EQ(seen[i].number, seen[i - 1].number + 1) << "position " << i;
      }
    }
  }

  TestPlatform platform_;
};

TEST_F(FollowTest, SeesEveryChunkOnceAlthoughBrokerAndWorkerAreKilled) {
  v1::Queue queue;
  queue.set_name("counted");
  APIUM_ASSERT_OK(platform_.queues().Create(queue));
  auto worker = platform_.StartWorker("first", {"--queues=counted"});
  const std::string id = SubmitCount(100, 0.02, "counted");
  Follower follower(&platform_.tasks(), id, 1);
  ASSERT_TRUE(follower.Await(20));
  platform_.broker().Kill();
  platform_.StartBroker();
  ASSERT_TRUE(follower.Await(40));
  // The same worker goes on with the same attempt.
  EXPECT_EQ(follower.seen().back().attempt, 1u);
  worker->Kill();
  worker = platform_.StartWorker("first", {"--queues=counted"});
  ASSERT_TRUE(follower.Await(60));
  platform_.broker().Kill();
  platform_.StartBroker();
  EXPECT_EQ(follower.AwaitEnd(), "SUCCEEDED#2");

  const std::vector<Seen> seen = follower.seen();
  ExpectInOrder(seen, 1);
  std::set<uint64_t> numbers;
  for (const Seen& chunk : seen) numbers.insert(chunk.number);
  EXPECT_EQ(numbers.size(), 100u);
  // The second attempt did not begin anew: details were handed to it.
  for (const Seen& chunk : seen) {
    if (chunk.attempt == 1) continue;
    EXPECT_GT(chunk.number, 20u);
    break;
  }
  const auto task = platform_.tasks().Get(id);
  APIUM_ASSERT_OK(task);
  EXPECT_EQ(task->outcome().chunks(), seen.size());
  EXPECT_EQ(task->outcome().details().data(), "100");

  // It is all still there, for another follower, and after another crash.
  platform_.broker().Kill();
  platform_.StartBroker();
  Follower late(&platform_.tasks(), id, 31);
  EXPECT_EQ(late.AwaitEnd(), "SUCCEEDED#2");
  ExpectInOrder(late.seen(), 31);
  EXPECT_EQ(late.seen().size(), seen.size() - 30);
}

TEST_F(FollowTest, AppendsFasterThanTheDiskAreHeldBackAndComeAll) {
  const std::string id = SubmitCount(20000, 0);
  Follower follower(&platform_.tasks(), id, 1);
  ASSERT_TRUE(follower.Await(1000));
  platform_.broker().Kill();
  platform_.StartBroker();
  EXPECT_EQ(follower.AwaitEnd(), "SUCCEEDED");
  ExpectInOrder(follower.seen(), 1);
  EXPECT_EQ(follower.seen().size(), 20000u);
}

TEST_F(FollowTest, AnUnknownTaskIsNotFound) {
  EXPECT_THAT(platform_.tasks().Follow(
                  "nobody", 1, [](const v1::TaskChunk&) { return true; }),
              HasReason("TASK_NOT_FOUND"));
}

}  // namespace
}  // namespace apium
