// Ordering keys over deaths of the broker.

#include <gmock/gmock.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "apium/v1/queue_service.grpc.pb.h"
#include "client/connection.h"
#include "client/json_payload.h"
#include "common/rpc/grpc_status.h"
#include "common/strings.h"
#include "tests/integration/platform_fixture.h"
#include "tests/support/status_matchers.h"

namespace apium {
namespace {

using ::testing::HasSubstr;

class OrderingEndToEndTest : public PlatformFixture {
 protected:
  static v1::TaskSpec Ordered(SubmitOptions options, const std::string& key,
                              v1::OrderingFailurePolicy policy =
                                  v1::ORDERING_FAILURE_POLICY_UNSPECIFIED) {
    v1::TaskSpec spec = ToTaskSpec(std::move(options));
    spec.set_ordering_key(key);
    spec.set_ordering_failure_policy(policy);
    return spec;
  }
  // Expects success.
  std::vector<std::string> SubmitSpecs(std::vector<v1::TaskSpec> specs) {
    std::vector<std::string> ids;
    for (const auto& handle : tasks().SubmitMany(std::move(specs))) {
      APIUM_EXPECT_OK(handle);
      ids.push_back(handle.ok() ? handle->id() : "");
    }
    return ids;
  }
  absl::Status Release(const std::string& key) {
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    context.set_deadline(absl::ToChronoTime(absl::Now() + kLongTime));
    v1::ReleaseOrderingKeyRequest request;
    request.set_queue("default");
    request.set_ordering_key(key);
    v1::ReleaseOrderingKeyResponse response;
    return FromGrpcStatus(
        v1::QueueService::NewStub(platform_.connection()->channel())
            ->ReleaseOrderingKey(&context, request, &response));
  }
};

TEST_F(OrderingEndToEndTest, OneAtATimeInOrderThoughTheBrokerIsKilled) {
  constexpr int kKeys = 3;
  constexpr int kTasks = 90;
  std::vector<v1::TaskSpec> specs;
  for (int i = 0; i < kTasks; ++i) {
    specs.push_back(Ordered({.type = "apium.sleep",
                             .payload = JsonArguments(0.005),
                             .priority = static_cast<uint32_t>(i)},
                            StrCat("customer-", i % kKeys)));
  }
  const std::vector<std::string> ids = SubmitSpecs(std::move(specs));
  for (const int last : {10, 40}) {
    ASSERT_EQ(Describe(tasks().Wait(ids[last], kLongTime)).substr(0, 9),
              "SUCCEEDED");
    KillBroker();
  }
  std::vector<v1::TaskOutcome> before(kKeys);
  for (int i = 0; i < kTasks; ++i) {
    const auto task = tasks().Wait(ids[i], kLongTime);
    APIUM_ASSERT_OK(task);
    ASSERT_EQ(task->state(), v1::TASK_STATE_SUCCEEDED);
    const v1::TaskOutcome& outcome = task->outcome();
    v1::TaskOutcome& last = before[i % kKeys];
    if (i >= kKeys) {
      // All by the broker's clock: it was given out when the one before had
      // ended, and not sooner.
      EXPECT_GE(TimeOf(outcome.lease_time()), TimeOf(last.finish_time())) << i;
      EXPECT_GT(outcome.epoch(), last.epoch()) << i;
    }
    last = outcome;
  }
  EXPECT_EQ(CountsOf("default").succeeded(), static_cast<uint64_t>(kTasks));
  EXPECT_EQ(CountsOf("default").blocked(), 0u);
}

TEST_F(OrderingEndToEndTest, ABlockedKeyWaitsForItsRelease) {
  const std::vector<std::string> ids =
      SubmitSpecs({Ordered({.type = "apium.fail", .retry = {.attempts_max = 1}},
                           "k", v1::ORDERING_FAILURE_POLICY_BLOCK),
                   Ordered({.type = "apium.noop"}, "k"),
                   Ordered({.type = "apium.noop"}, "k"),
                   Ordered({.type = "apium.noop"}, "other")});
  EXPECT_EQ(Describe(tasks().Wait(ids[0], kLongTime)), "FAILED");
  EXPECT_EQ(Describe(tasks().Wait(ids[3], kLongTime)), "SUCCEEDED");
  KillBroker();
  const auto blocked = tasks().Get(ids[1]);
  EXPECT_EQ(Describe(blocked), "BLOCKED");
  EXPECT_THAT(blocked->waiting_reason(), HasSubstr(ids[0]));
  EXPECT_THAT(Release("other"), HasReason("ORDERING_KEY_NOT_BLOCKED"));
  const std::string later =
      SubmitSpecs({Ordered({.type = "apium.noop"}, "k")})[0];
  EXPECT_EQ(Describe(tasks().Get(later)), "BLOCKED");
  APIUM_EXPECT_OK(Release("k"));
  KillBroker();
  for (const std::string& id : {ids[1], ids[2], later})
    EXPECT_EQ(Describe(tasks().Wait(id, kLongTime)).substr(0, 9), "SUCCEEDED");
  EXPECT_THAT(Release("k"), HasReason("ORDERING_KEY_NOT_BLOCKED"));
}

TEST_F(OrderingEndToEndTest, TheRestFailsThoughTheBrokerIsKilled) {
  constexpr int kRest = 5000;
  APIUM_ASSERT_OK(platform_.queues().Pause("default"));
  const std::string head =
      SubmitSpecs({Ordered({.type = "apium.fail", .retry = {.attempts_max = 1}},
                           "k", v1::ORDERING_FAILURE_POLICY_FAIL_REST)})[0];
  const std::vector<std::string> rest = SubmitSpecs(
      std::vector<v1::TaskSpec>(kRest, Ordered({.type = "apium.noop"}, "k")));
  EXPECT_EQ(CountsOf("default").blocked(), static_cast<uint64_t>(kRest));
  APIUM_ASSERT_OK(platform_.queues().Resume("default"));
  EXPECT_EQ(Describe(tasks().Wait(head, kLongTime)), "FAILED");
  KillBroker();
  const std::string later =
      SubmitSpecs({Ordered({.type = "apium.noop"}, "k")})[0];
  const auto last = tasks().Wait(rest.back(), kLongTime);
  EXPECT_EQ(Describe(last), "FAILED");
  EXPECT_EQ(last->outcome().failure().type(), "apium.OrderingHeadFailed");
  EXPECT_THAT(last->outcome().failure().message(), HasSubstr(head));
  EXPECT_EQ(Describe(tasks().Wait(later, kLongTime)), "SUCCEEDED");
  const v1::TaskCounts counts = CountsOf("default");
  EXPECT_EQ(counts.failed(), static_cast<uint64_t>(kRest) + 1);
  EXPECT_EQ(counts.blocked(), 0u);
}

}  // namespace
}  // namespace apium
