// Control of tasks, with the real programs, over deaths of the broker.

#include "client/task_control.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "client/json_payload.h"
#include "tests/integration/platform_fixture.h"
#include "tests/support/status_matchers.h"

namespace apium {
namespace {

using ::testing::ElementsAre;

using TaskControlEndToEndTest = PlatformFixture;

TEST_F(TaskControlEndToEndTest, CancelsSurviveTheBroker) {
  const std::string running =
      Submit({.type = "apium.sleep", .payload = JsonArguments(3600.0)});
  ASSERT_TRUE(AwaitDescription(&tasks(), running, "STARTED"));
  std::vector<std::string> ids;
  for (int i = 0; i < 20; ++i) {
    ids.push_back(Submit({.type = "nobody.runs.it",
                          .headers = {{"customer", i < 10 ? "7" : "8"}}}));
  }
  v1::TaskFilter filter;
  (*filter.mutable_headers())["customer"] = "7";
  const auto matching = control().CancelMatching(filter, "left us");
  APIUM_ASSERT_OK(matching);
  EXPECT_EQ(matching->cancelled(), 10u);
  const auto some = control().CancelMany({ids[0], ids[10], running, "nobody"});
  APIUM_ASSERT_OK(some);
  EXPECT_THAT(
      some->results(),
      ElementsAre(v1::CANCEL_RESULT_ALREADY_ENDED, v1::CANCEL_RESULT_CANCELLED,
                  v1::CANCEL_RESULT_REQUESTED, v1::CANCEL_RESULT_NOT_FOUND));
  KillBroker();
  // The worker was told, or is told again.
  EXPECT_EQ(Describe(tasks().Wait(running, kLongTime)), "CANCELLED");
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(Describe(tasks().Get(ids[i])), i <= 10 ? "CANCELLED" : "QUEUED");
  }
  EXPECT_EQ(control().Cancel(ids[0])->result(),
            v1::CANCEL_RESULT_ALREADY_ENDED);
  const auto counts = control().Count("default");
  APIUM_ASSERT_OK(counts);
  EXPECT_EQ(counts->queues(0).queued(), 9u);
  EXPECT_EQ(counts->queues(0).cancelled(), 12u);
  EXPECT_EQ(counts->queues(0).leased() + counts->queues(0).started(), 0u);
}

TEST_F(TaskControlEndToEndTest, ChangesSurviveTheBroker) {
  const std::string delayed =
      Submit({.type = "apium.noop", .delay = absl::Hours(1)});
  const std::string retried =
      Submit({.type = "apium.fail",
              .payload = JsonArguments("", "Boom", false, 2),
              .retry = {.initial_delay = absl::Hours(1), .jitter = 0}});
  ASSERT_TRUE(AwaitDescription(&tasks(), retried, "SCHEDULED"));
  const std::string waits = Submit({.type = "nobody.runs.it"});
  v1::UpdateTaskRequest changes;
  changes.set_task_id(waits);
  changes.set_priority(200);
  changes.mutable_expire_after()->set_seconds(3600);
  APIUM_ASSERT_OK(control().Update(changes));
  changes.Clear();
  changes.set_task_id(delayed);
  changes.mutable_delay()->set_seconds(7200);
  APIUM_ASSERT_OK(control().Update(changes));
  KillBroker();
  EXPECT_EQ(tasks().Get(waits)->spec().priority(), 200u);
  EXPECT_TRUE(tasks().Get(waits)->spec().has_expire_time());
  EXPECT_EQ(Describe(tasks().Get(delayed)), "SCHEDULED");
  EXPECT_EQ(Describe(control().RunNow(retried)), "QUEUED");
  EXPECT_EQ(Describe(control().RunNow(delayed)), "QUEUED");
  KillBroker();
  EXPECT_EQ(Describe(tasks().Wait(delayed, kLongTime)), "SUCCEEDED");
  EXPECT_EQ(Describe(tasks().Wait(retried, kLongTime)), "SUCCEEDED#2");
  EXPECT_THAT(control().RunNow(delayed), HasReason("TASK_NOT_WAITING"));
}

}  // namespace
}  // namespace apium
