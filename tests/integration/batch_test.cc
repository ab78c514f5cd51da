// Batches over programs that are killed: each callback becomes one task, which
// runs.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "client/batch_client.h"
#include "client/json_payload.h"
#include "client/submit_options.h"
#include "common/strings.h"
#include "tests/integration/test_platform.h"
#include "tests/support/status_matchers.h"

namespace apium {
namespace {

using ::testing::Each;
using ::testing::Pair;
using ::testing::SizeIs;

constexpr int kBatches = 30;
constexpr int kMembers = 4;

class BatchTest : public ::testing::Test {
 protected:
  // Members are no-ops, of which the first of every third batch fails;
  // callbacks are echoes and nothing else is.
  static bool HasFailure(int batch) { return batch % 3 == 0; }

  void Create(int batch) {
    const SubmitOptions callback = {.type = "apium.echo",
                                    .payload = JsonArguments(batch)};
    APIUM_EXPECT_OK(platform_.batches().Create({.batch_id = StrCat("b", batch),
                                                .on_success = callback,
                                                .on_complete = callback,
                                                .on_first_failure = callback}));
  }
  void SubmitMember(int batch, int member) {
    const bool fails = HasFailure(batch) && member == 0;
    APIUM_EXPECT_OK(
        platform_.tasks().Submit({.type = fails ? "apium.fail" : "apium.noop",
                                  .task_id = StrCat("b", batch, "-", member),
                                  .retry = {.attempts_max = 1},
                                  .batch_id = StrCat("b", batch)}));
  }
  void KillBroker() {
    platform_.broker().Kill();
    platform_.StartBroker();
  }
  // The next one has its name, and nothing of what it held.
  void KillWorker() {
    (worker_ != nullptr ? *worker_ : platform_.worker()).Kill();
    worker_ = platform_.StartWorker("worker", {"--concurrency=2"});
  }
  // How often each task of `type` has ended, as the result service was told up
  // to and with `last`.
  std::map<std::string, int> EndsOf(const std::string& type,
                                    const std::string& last) {
    std::map<std::string, int> ends;
    bool seen = false;
    APIUM_EXPECT_OK(platform_.results().Watch(
        {.after_cursor = "0"}, [&](const v1::WatchResultsResponse& news) {
          for (const v1::TaskOutcome& outcome : news.outcomes()) {
            if (outcome.type() == type) ++ends[outcome.task_id()];
            seen = seen || outcome.task_id() == last;
          }
          return !seen;
        }));
    return ends;
  }
  void ExpectRan(const std::string& callback_id) {
    EXPECT_NE(callback_id, "");
    const auto task = platform_.tasks().Wait(callback_id, kLongTime);
    APIUM_ASSERT_OK(task);
    EXPECT_EQ(task->state(), v1::TASK_STATE_SUCCEEDED) << callback_id;
  }

  TestPlatform platform_;
  std::unique_ptr<ChildProcess> worker_;  // after the first was killed
};

TEST_F(BatchTest, EveryCallbackIsOneTaskThatRunsOverKills) {
  for (int batch = 0; batch < kBatches; ++batch) {
    Create(batch);
    for (int member = 0; member < kMembers; ++member) {
      SubmitMember(batch, member);
      if (batch % 10 == 5 && member == 1) KillBroker();
      if (batch % 10 == 8 && member == 2) KillWorker();
    }
    // Half of them are closed while members run.
    if (batch % 2 == 0) {
      APIUM_EXPECT_OK(platform_.batches().Close(StrCat("b", batch)));
    }
  }
  KillBroker();
  KillWorker();
  std::vector<std::string> callbacks;
  for (int batch = 0; batch < kBatches; ++batch) {
    const std::string id = StrCat("b", batch);
    for (int member = 0; member < kMembers; ++member) {
      APIUM_EXPECT_OK(
          platform_.tasks().Wait(StrCat(id, "-", member), kLongTime));
    }
    if (batch == kBatches / 2) KillBroker();
    // The end of the last member and the callbacks are one write.
    if (batch % 2 == 1) {
      APIUM_EXPECT_OK(platform_.batches().Close(id));
    }
    const auto complete = platform_.batches().Get(id);
    APIUM_ASSERT_OK(complete);
    EXPECT_EQ(complete->state(), v1::BATCH_STATE_COMPLETE) << id;
    EXPECT_EQ(complete->members(), uint64_t{kMembers});
    EXPECT_EQ(complete->unsuccessful(), HasFailure(batch) ? 1u : 0u) << id;
    EXPECT_EQ(complete->success_task_id().empty(), HasFailure(batch)) << id;
    EXPECT_EQ(complete->first_failure_task_id().empty(), !HasFailure(batch))
        << id;
    callbacks.push_back(complete->complete_task_id());
    callbacks.push_back(HasFailure(batch) ? complete->first_failure_task_id()
                                          : complete->success_task_id());
  }
  KillWorker();
  for (const std::string& id : callbacks) ExpectRan(id);
  const auto last = platform_.tasks().Submit({.type = "apium.noop"});
  APIUM_ASSERT_OK(last);
  APIUM_EXPECT_OK(last->Wait(kLongTime));
  const std::map<std::string, int> ends = EndsOf("apium.echo", last->id());
  EXPECT_THAT(ends, SizeIs(callbacks.size()));
  EXPECT_THAT(ends, Each(Pair(testing::_, 1)));
  for (const std::string& id : callbacks) EXPECT_EQ(ends.count(id), 1u) << id;
}

TEST_F(BatchTest, AnEmptyBatchAndALongOneSurviveTheBroker) {
  const SubmitOptions callback = {.type = "apium.echo",
                                  .payload = JsonArguments("done")};
  APIUM_ASSERT_OK(platform_.batches().Create(
      {.batch_id = "empty", .on_success = callback}));
  APIUM_ASSERT_OK(platform_.batches().Create(
      {.batch_id = "long", .on_complete = callback}));
  const auto task = platform_.tasks().Submit({.type = "apium.sleep",
                                              .payload = JsonArguments(3600.0),
                                              .batch_id = "long"});
  APIUM_ASSERT_OK(task);
  ASSERT_TRUE(AwaitDescription(&platform_.tasks(), task->id(), "STARTED"));
  KillBroker();
  const auto closed = platform_.batches().Close("empty");
  APIUM_ASSERT_OK(closed);
  ExpectRan(closed->success_task_id());
  EXPECT_EQ(platform_.batches().Close("long")->state(), v1::BATCH_STATE_CLOSED);
  EXPECT_THAT(
      platform_.tasks().Submit({.type = "apium.noop", .batch_id = "long"}),
      HasReason("BATCH_CLOSED"));
  KillBroker();
  APIUM_EXPECT_OK(task->Cancel());
  APIUM_EXPECT_OK(task->Wait(kLongTime));
  const auto complete = platform_.batches().Get("long");
  APIUM_ASSERT_OK(complete);
  EXPECT_EQ(complete->unsuccessful(), 1u);
  ExpectRan(complete->complete_task_id());
  EXPECT_EQ(platform_.batches().List()->batches_size(), 2);
}

TEST_F(BatchTest, AnAtomicSubmitIsAllOrNoneOverKills) {
  const auto specs = [](int call, const std::string& last_queue) {
    std::vector<v1::TaskSpec> made;
    for (int i = 0; i < 20; ++i) {
      made.push_back(ToTaskSpec({.type = "apium.noop",
                                 .task_id = StrCat("c", call, "-", i),
                                 .queue = i == 19 ? last_queue : ""}));
    }
    return made;
  };
  for (int call = 0; call < 12; ++call) {
    const bool refused = call % 4 == 3;
    const auto answer = platform_.tasks().SubmitAtomic(
        specs(call, refused ? "nowhere" : "default"));
    if (refused) {
      EXPECT_THAT(answer, HasReason("QUEUE_NOT_FOUND"));
    } else {
      APIUM_EXPECT_OK(answer);
    }
    if (call % 3 == 1) KillBroker();
  }
  for (int call = 0; call < 12; ++call) {
    for (int i = 0; i < 20; ++i) {
      const std::string id = StrCat("c", call, "-", i);
      if (call % 4 == 3) {
        EXPECT_THAT(platform_.tasks().Get(id), HasReason("TASK_NOT_FOUND"));
      } else {
        EXPECT_EQ(Describe(platform_.tasks().Wait(id, kLongTime)).substr(0, 9),
                  "SUCCEEDED");
      }
    }
  }
}

}  // namespace
}  // namespace apium
