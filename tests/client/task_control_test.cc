#include "client/task_control.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "client/connection.h"
#include "common/strings.h"
#include "tests/broker/support/broker_harness.h"
#include "tests/broker/support/fake_result_service.h"
#include "tests/support/status_matchers.h"

namespace apium {
namespace {

using ::testing::Each;

class TaskControlTest : public ::testing::Test {
 protected:
  TaskControlTest()
      : broker_(broker::BrokerConfig{.results_channel = results_.Channel()}),
        control_(*Connection::Open(
            {.addresses = {StrCat("127.0.0.1:", broker_.server().port())},
             .deadline = broker::kTestDeadline})) {}

  void Submit(const std::string& id) {
    v1::TaskSpec spec = broker::Spec("t");
    spec.set_task_id(id);
    APIUM_EXPECT_OK(broker_.Submit(spec));
  }

  broker::FakeResultService results_;
  broker::BrokerHarness broker_;
  TaskControl control_;
};

TEST_F(TaskControlTest, CancelsOneManyAndAllThatMatch) {
  Submit("one");
  EXPECT_EQ(control_.Cancel("one", "why")->result(),
            v1::CANCEL_RESULT_CANCELLED);
  std::vector<std::string> ids;
  for (int i = 0; i < 1500; ++i) {
    ids.push_back(StrCat("t", i));
    Submit(ids.back());
  }
  const auto many = control_.CancelMany(ids);
  APIUM_ASSERT_OK(many);
  EXPECT_EQ(many->cancelled(), 1500u);
  EXPECT_EQ(many->results_size(), 1500);
  EXPECT_THAT(many->results(), Each(v1::CANCEL_RESULT_CANCELLED));
  Submit("match");
  v1::TaskFilter filter;
  filter.set_type("t");
  EXPECT_EQ(control_.CountMatching(filter)->cancelled(), 1u);
  EXPECT_EQ(control_.CancelMatching(filter, "all")->cancelled(), 1u);
  EXPECT_EQ(broker_.Get("match")->outcome().failure().message(), "all");
}

TEST_F(TaskControlTest, ChangesForgetsAndCounts) {
  Submit("a");
  v1::UpdateTaskRequest changes;
  changes.set_task_id("a");
  changes.mutable_delay()->set_seconds(3600);
  EXPECT_EQ(control_.Update(changes)->state(), v1::TASK_STATE_SCHEDULED);
  EXPECT_EQ(control_.Count("default")->queues(0).scheduled(), 1u);
  EXPECT_EQ(control_.RunNow("a")->state(), v1::TASK_STATE_QUEUED);
  EXPECT_THAT(control_.Forget("a"), HasReason("TASK_LIVE"));
  APIUM_EXPECT_OK(control_.Cancel("a"));
  APIUM_EXPECT_OK(control_.Forget("a"));
  EXPECT_THAT(control_.RunNow("a"), HasReason("TASK_NOT_WAITING"));
  EXPECT_EQ(control_.Count()->queues(0).cancelled(), 1u);
}

}  // namespace
}  // namespace apium
