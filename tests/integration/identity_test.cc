// Unique keys and request ids over deaths of the broker.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "client/json_payload.h"
#include "tests/integration/platform_fixture.h"
#include "tests/support/status_matchers.h"

namespace apium {
namespace {

using ::testing::SizeIs;

constexpr int kSubmitters = 64;

class IdentityTest : public PlatformFixture {
 protected:
  struct Answers {
    std::set<std::string> ids;
    int attached = 0;
    int submitted = 0;
  };
  // `kSubmitters` threads submit `options` at once. When `kill_after` of them
  // are answered, the broker is killed, and started again.
  Answers SubmitAtOnce(const SubmitOptions& options, int kill_after) {
    absl::Mutex mu;
    Answers answers;
    const auto answered = [&] {
      return answers.attached + answers.submitted >= kill_after;
    };
    std::vector<std::thread> threads;
    for (int i = 0; i < kSubmitters; ++i) {
      threads.emplace_back([&] {
        const absl::StatusOr<TaskHandle> handle = tasks().Submit(options);
        APIUM_EXPECT_OK(handle);
        if (!handle.ok()) return;
        absl::MutexLock lock(&mu);
        answers.ids.insert(handle->id());
        ++(handle->attached() ? answers.attached : answers.submitted);
      });
    }
    if (kill_after < kSubmitters) {
      {
        absl::MutexLock lock(&mu);
        EXPECT_TRUE(mu.AwaitWithTimeout(absl::Condition(&answered), kLongTime));
      }
      KillBroker();
    }
    for (std::thread& thread : threads) thread.join();
    return answers;
  }

  // All handles of the one task tell the same, and it ran once. A broker that
  // was killed may count a lease that never reached its worker as an attempt.
  void ExpectOneExecution(const Answers& answers, const std::string& type) {
    ASSERT_THAT(answers.ids, SizeIs(1));
    // An answer that was lost is given again as it was.
    EXPECT_EQ(answers.submitted, 1);
    EXPECT_EQ(answers.attached, kSubmitters - 1);
    const std::string id = *answers.ids.begin();
    for (int i = 0; i < kSubmitters; ++i) {
      const auto task = tasks().Wait(id, kLongTime);
      APIUM_ASSERT_OK(task);
      ASSERT_EQ(task->state(), v1::TASK_STATE_SUCCEEDED);
      EXPECT_EQ(task->outcome().result().data(), R"({"args":[7]})");
    }
    APIUM_ASSERT_OK(platform_.results().Wait(id, kLongTime));
    v1::ListTasksRequest list;
    list.set_type(type);
    const auto listed = tasks().List(list);
    APIUM_ASSERT_OK(listed);
    EXPECT_EQ(listed->tasks_size(), 1);
  }
};

SubmitOptions OncePerHour(const std::string& key) {
  return {.type = "apium.echo",
          .payload = JsonArguments(7),
          .unique = {.key = key,
                     .window = absl::Hours(1),
                     .on_conflict = v1::UNIQUE_CONFLICT_THROTTLE}};
}

TEST_F(IdentityTest, SixtyFourSubmitsAtOnceAreOneExecution) {
  ExpectOneExecution(SubmitAtOnce(OncePerHour("k"), kSubmitters), "apium.echo");
}

TEST_F(IdentityTest, SixtyFourSubmitsAreOneExecutionThoughTheBrokerIsKilled) {
  ExpectOneExecution(SubmitAtOnce(OncePerHour("k"), 1), "apium.echo");
  // The window outlives the task and the broker.
  KillBroker();
  const auto again = tasks().Submit(OncePerHour("k"));
  APIUM_ASSERT_OK(again);
  EXPECT_TRUE(again->attached());
  APIUM_EXPECT_OK(again->Wait(kLongTime));
}

TEST_F(IdentityTest, AKilledBrokerKeepsTheLatestBlocked) {
  const SubmitUniqueOptions latest = {
      .key = "k", .on_conflict = v1::UNIQUE_CONFLICT_KEEP_LATEST};
  const std::string running = Submit({.type = "apium.sleep",
                                      .payload = JsonArguments(3600.0),
                                      .unique = latest});
  ASSERT_TRUE(AwaitDescription(&tasks(), running, "STARTED"));
  const std::string replaced = Submit({.type = "apium.noop", .unique = latest});
  EXPECT_EQ(Describe(tasks().Get(replaced)), "BLOCKED");
  KillBroker();
  EXPECT_EQ(Describe(tasks().Get(replaced)), "BLOCKED");
  const std::string next = Submit({.type = "apium.noop", .unique = latest});
  const auto outcome = tasks().Get(replaced);
  EXPECT_EQ(Describe(outcome), "CANCELLED");
  EXPECT_EQ(outcome->outcome().failure().type(), "apium.Replaced");
  KillBroker();
  EXPECT_EQ(platform_.queues().Get("default")->counts().blocked(), 1u);
  APIUM_EXPECT_OK(tasks().Cancel(running));
  EXPECT_EQ(Describe(tasks().Wait(running, kLongTime)), "CANCELLED");
  EXPECT_EQ(Describe(tasks().Wait(next, kLongTime)), "SUCCEEDED");
  EXPECT_EQ(platform_.queues().Get("default")->counts().blocked(), 0u);
}

TEST_F(IdentityTest, KeysAndRequestsAreKnownToTheNextBroker) {
  SubmitOptions debounced = {
      .type = "apium.noop",
      .unique = {.key = "quiet",
                 .window = absl::Hours(1),
                 .on_conflict = v1::UNIQUE_CONFLICT_DEBOUNCE}};
  const std::string first = Submit(debounced);
  const std::string held =
      Submit({.type = "nobody.runs.it", .unique = {.key = "held"}});
  SubmitOptions request = {.type = "nobody.runs.it", .request_id = "r-1"};
  const std::string requested = Submit(request);
  KillBroker();
  EXPECT_EQ(Submit(request), requested);
  request.priority = 1;
  EXPECT_THAT(tasks().Submit(request), HasReason("REQUEST_ID_REUSED"));
  const SubmitOptions rejected = {.type = "apium.noop",
                                  .unique = {.key = "held"}};
  EXPECT_THAT(tasks().Submit(rejected), HasReason("UNIQUE_KEY_HELD"));
  EXPECT_EQ(Describe(tasks().Get(held)), "QUEUED");
  const std::string second = Submit(debounced);
  EXPECT_EQ(Describe(tasks().Get(first)), "CANCELLED");
  EXPECT_EQ(Describe(tasks().Get(second)), "SCHEDULED");
  // A key is free once its task has ended.
  APIUM_EXPECT_OK(tasks().Cancel(held));
  KillBroker();
  EXPECT_EQ(Describe(tasks().Wait(Submit(rejected), kLongTime)), "SUCCEEDED");
}

}  // namespace
}  // namespace apium
