// What queues bound and say of their tasks, over deaths of the broker.

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
#include "apium/v1/task_service.grpc.pb.h"
#include "client/connection.h"
#include "common/error_reason.h"
#include "common/rpc/grpc_status.h"
#include "common/strings.h"
#include "tests/integration/platform_fixture.h"
#include "tests/support/status_matchers.h"

namespace apium {
namespace {

using ::testing::ElementsAre;

class QueueSettingsTest : public PlatformFixture {
 protected:
  struct Call : grpc::ClientContext {
    Call() {
      set_wait_for_ready(true);
      set_deadline(absl::ToChronoTime(absl::Now() + kLongTime));
    }
  };
  // Once: the client would try a full queue again.
  absl::StatusOr<std::string> SubmitOnce(const v1::TaskSpec& spec) {
    Call call;
    v1::SubmitTaskRequest request;
    *request.mutable_spec() = spec;
    v1::SubmitTaskResponse response;
    const absl::Status status = FromGrpcStatus(
        v1::TaskService::NewStub(platform_.connection()->channel())
            ->SubmitTask(&call, request, &response));
    // A kill breaks the connection, and calls with it; the id makes it safe.
    if (absl::IsUnavailable(status)) return SubmitOnce(spec);
    if (!status.ok()) return status;
    return response.task_id();
  }
  absl::Status SubmitAtomic(const std::vector<v1::TaskSpec>& specs) {
    Call call;
    v1::SubmitTasksRequest request;
    request.mutable_specs()->Assign(specs.begin(), specs.end());
    request.set_atomic(true);
    v1::SubmitTasksResponse response;
    const absl::Status status = FromGrpcStatus(
        v1::TaskService::NewStub(platform_.connection()->channel())
            ->SubmitTasks(&call, request, &response));
    return absl::IsUnavailable(status) ? SubmitAtomic(specs) : status;
  }
  std::vector<std::string> Peek(const std::string& queue) {
    Call call;
    v1::PeekQueueRequest request;
    request.set_name(queue);
    v1::PeekQueueResponse response;
    APIUM_EXPECT_OK(FromGrpcStatus(
        v1::QueueService::NewStub(platform_.connection()->channel())
            ->PeekQueue(&call, request, &response)));
    std::vector<std::string> ids;
    for (const v1::Task& task : response.tasks())
      ids.push_back(task.spec().task_id());
    return ids;
  }
  void MakeQueue(v1::Queue queue) {
    queue.set_name("q");
    APIUM_ASSERT_OK(platform_.queues().Create(std::move(queue)));
  }
  // A task of the queue, which nobody runs.
  static v1::TaskSpec Task(const std::string& id, const std::string& data = "",
                           std::optional<uint32_t> priority = std::nullopt) {
    v1::TaskSpec spec;
    spec.set_task_id(id);
    spec.set_type("nobody.runs.it");
    spec.set_queue("q");
    spec.mutable_payload()->set_data(data);
    if (priority.has_value()) spec.set_priority(*priority);
    return spec;
  }
};

TEST_F(QueueSettingsTest, AFullQueueRefusesThoughTheBrokerIsKilled) {
  v1::Queue settings;
  settings.set_max_length(4);
  settings.set_max_bytes(100);
  MakeQueue(settings);
  APIUM_EXPECT_OK(SubmitOnce(Task("a", std::string(60, 'x'))));
  APIUM_EXPECT_OK(SubmitOnce(Task("b")));
  KillBroker();
  const absl::Status full =
      SubmitOnce(Task("c", std::string(41, 'x'))).status();
  EXPECT_THAT(full, HasReason("QUEUE_FULL"));
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(RetryDelayOf(full).has_value());
  EXPECT_THAT(SubmitAtomic({Task("c"), Task("d"), Task("e")}),
              HasReason("QUEUE_FULL"));
  APIUM_EXPECT_OK(SubmitAtomic({Task("c"), Task("d")}));
  KillBroker();
  EXPECT_THAT(SubmitOnce(Task("e")), HasReason("QUEUE_FULL"));
  // What is known is answered as before.
  APIUM_EXPECT_OK(SubmitOnce(Task("a", std::string(60, 'x'))));
  APIUM_EXPECT_OK(tasks().Cancel("a"));
  APIUM_EXPECT_OK(SubmitOnce(Task("e", std::string(100, 'x'))));
  EXPECT_THAT(Peek("q"), ElementsAre("b", "c", "d", "e"));
}

TEST_F(QueueSettingsTest, TheOldestIsSetAsideThoughTheBrokerIsKilled) {
  v1::Queue settings;
  settings.set_max_length(2);
  settings.set_overflow_policy(v1::OVERFLOW_POLICY_DEAD_LETTER_OLDEST);
  settings.set_name("q");
  EXPECT_THAT(platform_.queues().Create(settings),
              HasReason("OVERFLOW_NEEDS_DEAD_LETTERS"));
  settings.set_dead_letter(true);
  MakeQueue(settings);
  APIUM_EXPECT_OK(SubmitOnce(Task("a")));
  APIUM_EXPECT_OK(SubmitOnce(Task("b", "", 200)));
  KillBroker();
  APIUM_EXPECT_OK(SubmitOnce(Task("c")));
  KillBroker();
  const auto task = tasks().Wait("a", kLongTime);
  EXPECT_EQ(Describe(task), "DEAD_LETTERED");
  EXPECT_EQ(task->outcome().failure().type(), "apium.QueueOverflow");
  EXPECT_THAT(Peek("q"), ElementsAre("b", "c"));
  EXPECT_EQ(CountsOf("q").dead_letters(), 1u);
}

TEST_F(QueueSettingsTest, DefaultsAndPausesSurviveTheBroker) {
  v1::Queue settings;
  settings.mutable_task_defaults()->set_priority(7);
  settings.mutable_task_defaults()->mutable_expire_after()->set_seconds(3600);
  settings.mutable_task_defaults()->mutable_retry_policy()->set_max_attempts(2);
  MakeQueue(settings);
  {
    Call call;
    v1::PauseQueueRequest request;
    request.set_name("q");
    request.set_paused_by("ada");
    request.set_reason("a leak");
    v1::PauseQueueResponse response;
    APIUM_EXPECT_OK(FromGrpcStatus(
        v1::QueueService::NewStub(platform_.connection()->channel())
            ->PauseQueue(&call, request, &response)));
  }
  KillBroker();
  APIUM_EXPECT_OK(SubmitOnce(Task("unsaid")));
  APIUM_EXPECT_OK(SubmitAtomic({Task("said", "", 100)}));
  KillBroker();
  const auto unsaid = tasks().Get("unsaid");
  APIUM_ASSERT_OK(unsaid);
  EXPECT_EQ(unsaid->spec().priority(), 7u);
  EXPECT_EQ(unsaid->spec().retry_policy().max_attempts(), 2u);
  EXPECT_EQ(TimeOf(unsaid->spec().expire_time()),
            TimeOf(unsaid->create_time()) + absl::Hours(1));
  const auto said = tasks().Get("said");
  APIUM_ASSERT_OK(said);
  EXPECT_EQ(said->spec().priority(), 100u);
  EXPECT_EQ(said->spec().retry_policy().max_attempts(), 2u);
  const auto queue = platform_.queues().Get("q");
  APIUM_ASSERT_OK(queue);
  EXPECT_TRUE(queue->paused());
  EXPECT_EQ(queue->paused_by(), "ada");
  EXPECT_EQ(queue->pause_reason(), "a leak");
  EXPECT_TRUE(queue->has_pause_time());
  const auto resumed = platform_.queues().Resume("q");
  APIUM_ASSERT_OK(resumed);
  EXPECT_EQ(resumed->paused_by(), "");
}

}  // namespace
}  // namespace apium
