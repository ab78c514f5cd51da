// Dead letters over brokers that are killed: each is redriven exactly once.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "client/connection.h"
#include "client/dead_letter_client.h"
#include "client/json_payload.h"
#include "common/strings.h"
#include "tests/integration/test_platform.h"
#include "tests/support/status_matchers.h"

namespace apium {
namespace {

using ::testing::Each;
using ::testing::Pair;
using ::testing::SizeIs;

constexpr int kTasks = 200;

TEST(DeadLetterTest, EachIsRedrivenOnceOverKills) {
  TestPlatform platform;
  v1::Queue queue;
  queue.set_name("default");
  queue.set_dead_letter(true);
  APIUM_ASSERT_OK(platform.queues().Update(queue, {"dead_letter"}));
  queue.set_name("again");
  APIUM_ASSERT_OK(platform.queues().Create(queue));
  for (int i = 0; i < kTasks; ++i) {
    APIUM_ASSERT_OK(platform.tasks().Submit({.type = "apium.fail",
                                             .task_id = StrCat("t", i),
                                             .retry = {.attempts_max = 1}}));
  }
  for (int i = 0; i < kTasks; ++i) {
    const auto task = platform.tasks().Wait(StrCat("t", i), kLongTime);
    APIUM_ASSERT_OK(task);
    EXPECT_EQ(task->state(), v1::TASK_STATE_DEAD_LETTERED);
  }
  platform.broker().Kill();
  platform.StartBroker();
  EXPECT_EQ(platform.queues().Get("default")->counts().dead_letters(),
            uint64_t{kTasks});

  // Killed in the midst of it, wherever that is.
  DeadLetterClient letters(platform.connection(), "default");
  APIUM_ASSERT_OK(
      letters.StartRedrive({.max_per_second = 100, .target_queue = "again"}));
  uint64_t redriven = 0;
  for (const uint64_t some : {20, 80, 140}) {
    while (redriven < some) {
      const auto redrive = letters.GetRedrive();
      APIUM_ASSERT_OK(redrive);
      EXPECT_GE(redrive->redriven(), redriven);
      redriven = redrive->redriven();
    }
    platform.broker().Kill();
    platform.StartBroker();
  }
  absl::StatusOr<v1::Redrive> redrive;
  do {
    redrive = letters.GetRedrive();
    APIUM_ASSERT_OK(redrive);
  } while (redrive->state() == v1::REDRIVE_STATE_RUNNING);
  EXPECT_EQ(redrive->state(), v1::REDRIVE_STATE_DONE);
  EXPECT_EQ(redrive->redriven(), uint64_t{kTasks});
  EXPECT_EQ(letters.List({})->dead_letters_size(), 0);
  EXPECT_EQ(platform.queues().Get("again")->counts().ready(), uint64_t{kTasks});

  // They die again, and each letter says whose place it took.
  const auto worker =
      platform.StartWorker("second", {"--concurrency=4", "--queues=again"});
  DeadLetterClient second(platform.connection(), "again");
  std::map<std::string, int> origins;
  while (platform.queues().Get("again")->counts().dead_letters() <
         uint64_t{kTasks}) {
  }
  std::string token;
  do {
    const auto page = second.List({}, 0, token);
    APIUM_ASSERT_OK(page);
    for (const v1::DeadLetter& letter : page->dead_letters()) {
      const auto whole = second.Get(letter.task_id());
      APIUM_ASSERT_OK(whole);
      ++origins[whole->spec().headers().at("apium-redriven-from")];
    }
    token = page->next_page_token();
  } while (!token.empty());
  EXPECT_THAT(origins, SizeIs(kTasks));
  EXPECT_THAT(origins, Each(Pair(testing::_, 1)));
}

}  // namespace
}  // namespace apium
