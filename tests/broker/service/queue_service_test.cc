#include "broker/service/queue_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "common/rpc/grpc_status.h"
#include "tests/broker/support/broker_harness.h"
#include "tests/support/status_matchers.h"

namespace apium::broker {
namespace {

using testing::HasSubstr;

class QueueServiceTest : public testing::Test {
 protected:
  absl::StatusOr<v1::Queue> Create(const v1::Queue& queue) {
    TestContext context;
    v1::CreateQueueRequest request;
    *request.mutable_queue() = queue;
    v1::CreateQueueResponse response;
    return Answer(broker_.queues().CreateQueue(&context, request, &response),
                  response);
  }
  absl::StatusOr<v1::Queue> Create(const std::string& name) {
    v1::Queue queue;
    queue.set_name(name);
    return Create(queue);
  }
  absl::StatusOr<v1::Queue> Get(const std::string& name) {
    TestContext context;
    v1::GetQueueRequest request;
    request.set_name(name);
    v1::GetQueueResponse response;
    return Answer(broker_.queues().GetQueue(&context, request, &response),
                  response);
  }
  absl::StatusOr<v1::Queue> Update(const v1::Queue& queue,
                                   const std::vector<std::string>& mask) {
    TestContext context;
    v1::UpdateQueueRequest request;
    *request.mutable_queue() = queue;
    for (const std::string& path : mask) {
      request.mutable_update_mask()->add_paths(path);
    }
    v1::UpdateQueueResponse response;
    return Answer(broker_.queues().UpdateQueue(&context, request, &response),
                  response);
  }
  absl::Status Delete(const std::string& name) {
    TestContext context;
    v1::DeleteQueueRequest request;
    request.set_name(name);
    v1::DeleteQueueResponse response;
    return FromGrpcStatus(
        broker_.queues().DeleteQueue(&context, request, &response));
  }
  absl::StatusOr<v1::Queue> Pause(const std::string& name) {
    TestContext context;
    v1::PauseQueueRequest request;
    request.set_name(name);
    v1::PauseQueueResponse response;
    return Answer(broker_.queues().PauseQueue(&context, request, &response),
                  response);
  }
  absl::StatusOr<v1::Queue> Resume(const std::string& name) {
    TestContext context;
    v1::ResumeQueueRequest request;
    request.set_name(name);
    v1::ResumeQueueResponse response;
    return Answer(broker_.queues().ResumeQueue(&context, request, &response),
                  response);
  }
  absl::StatusOr<v1::PeekQueueResponse> Peek(
      const v1::PeekQueueRequest& request) {
    TestContext context;
    v1::PeekQueueResponse response;
    const grpc::Status status =
        broker_.queues().PeekQueue(&context, request, &response);
    if (!status.ok()) return FromGrpcStatus(status);
    return response;
  }
  absl::Status Release(const std::string& queue, const std::string& key) {
    TestContext context;
    v1::ReleaseOrderingKeyRequest request;
    request.set_queue(queue);
    request.set_ordering_key(key);
    v1::ReleaseOrderingKeyResponse response;
    return FromGrpcStatus(
        broker_.queues().ReleaseOrderingKey(&context, request, &response));
  }
  template <typename Response>
  absl::StatusOr<v1::Queue> Answer(const grpc::Status& status,
                                   const Response& response) {
    if (!status.ok()) return FromGrpcStatus(status);
    return response.queue();
  }

  BrokerHarness broker_;
};

TEST_F(QueueServiceTest, MakesShowsAndDeletesAQueue) {
  v1::Queue wanted;
  wanted.set_name("mail");
  wanted.set_description("outgoing");
  wanted.set_paused(true);
  const auto made = Create(wanted);
  APIUM_ASSERT_OK(made);
  EXPECT_EQ(made->description(), "outgoing");
  EXPECT_TRUE(made->paused());
  EXPECT_NE(made->etag(), "");
  EXPECT_THAT(Create("mail"), HasReason("QUEUE_EXISTS"));
  const auto shown = Get("mail");
  APIUM_ASSERT_OK(shown);
  EXPECT_EQ(shown->SerializeAsString(), made->SerializeAsString());
  APIUM_EXPECT_OK(Delete("mail"));
  EXPECT_THAT(Get("mail"), HasReason("QUEUE_NOT_FOUND"));
}

TEST_F(QueueServiceTest, RefusesMalformedNamesAndLongDescriptions) {
  EXPECT_THAT(Create("a b"), StatusIs(absl::StatusCode::kInvalidArgument,
                                      HasSubstr("queue.name")));
  EXPECT_THAT(Get(""), StatusIs(absl::StatusCode::kInvalidArgument));
  v1::Queue queue;
  queue.set_name("mail");
  queue.set_description(std::string(1025, 'x'));
  EXPECT_THAT(Create(queue), StatusIs(absl::StatusCode::kInvalidArgument,
                                      HasSubstr("at most 1024")));
}

TEST_F(QueueServiceTest, ListsQueuesByNamePageByPage) {
  for (const char* name : {"c", "a", "b"}) APIUM_ASSERT_OK(Create(name));
  std::vector<std::string> names;
  std::string token;
  do {
    TestContext context;
    v1::ListQueuesRequest request;
    request.set_page_size(3);
    request.set_page_token(token);
    v1::ListQueuesResponse response;
    ASSERT_TRUE(broker_.queues().ListQueues(&context, request, &response).ok());
    for (const v1::Queue& queue : response.queues()) {
      names.push_back(queue.name());
    }
    token = response.next_page_token();
  } while (!token.empty());
  EXPECT_THAT(names, testing::ElementsAre("a", "b", "c", "default"));
}

TEST_F(QueueServiceTest, ChangesWhatTheMaskNames) {
  APIUM_ASSERT_OK(Create("mail"));
  v1::Queue change;
  change.set_name("mail");
  change.set_description("new");
  change.set_submit_paused(true);
  const auto described = Update(change, {"description"});
  APIUM_ASSERT_OK(described);
  EXPECT_EQ(described->description(), "new");
  EXPECT_FALSE(described->submit_paused());
  const auto all = Update(change, {"*"});
  APIUM_ASSERT_OK(all);
  EXPECT_TRUE(all->submit_paused());
  v1::TaskSpec spec = Spec("t");
  spec.set_queue("mail");
  EXPECT_THAT(broker_.Submit(spec), HasReason("QUEUE_PAUSED_FOR_SUBMIT"));
  EXPECT_THAT(Update(change, {}), StatusIs(absl::StatusCode::kInvalidArgument,
                                           HasSubstr("update_mask")));
  EXPECT_THAT(
      Update(change, {"name"}),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("\"name\"")));
  change.set_etag(described->etag());
  EXPECT_THAT(Update(change, {"*"}), HasReason("ETAG_MISMATCH"));
}

TEST_F(QueueServiceTest, DispatchesNothingWhilePaused) {
  const auto paused = Pause("default");
  APIUM_ASSERT_OK(paused);
  EXPECT_TRUE(paused->paused());
  const auto id = broker_.Submit(Spec("t"));
  APIUM_ASSERT_OK(id);
  TestWorker worker(broker_, HelloFor("w", "t"));
  worker.Grant(1);
  const auto task = broker_.Get(*id);
  APIUM_ASSERT_OK(task);
  EXPECT_EQ(task->state(), v1::TASK_STATE_QUEUED);
  EXPECT_THAT(task->waiting_reason(), HasSubstr("paused"));
  const auto resumed = Resume("default");
  APIUM_ASSERT_OK(resumed);
  EXPECT_FALSE(resumed->paused());
  EXPECT_EQ(worker.Deliveries(1).size(), 1u);
}

TEST_F(QueueServiceTest, PurgesWhatWaits) {
  for (int i = 0; i < 10; ++i) APIUM_ASSERT_OK(broker_.Submit(Spec("t")));
  v1::TaskSpec later = Spec("t");
  later.mutable_delay()->set_seconds(3600);
  const auto scheduled = broker_.Submit(later);
  APIUM_ASSERT_OK(scheduled);
  EXPECT_THAT(Delete("default"),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  TestContext context;
  v1::PurgeQueueRequest request;
  request.set_name("default");
  v1::PurgeQueueResponse response;
  ASSERT_TRUE(broker_.queues().PurgeQueue(&context, request, &response).ok());
  EXPECT_EQ(response.purged(), 11u);
  const auto task = broker_.Get(*scheduled);
  APIUM_ASSERT_OK(task);
  EXPECT_EQ(task->state(), v1::TASK_STATE_CANCELLED);
}

TEST_F(QueueServiceTest, ShowsTheHead) {
  v1::TaskSpec spec = Spec("t", "payload");
  const auto first = broker_.Submit(spec);
  APIUM_ASSERT_OK(first);
  spec.set_priority(200);
  const auto second = broker_.Submit(spec);
  APIUM_ASSERT_OK(second);
  v1::PeekQueueRequest request;
  request.set_name("default");
  const auto basic = Peek(request);
  APIUM_ASSERT_OK(basic);
  ASSERT_EQ(basic->tasks_size(), 2);
  EXPECT_EQ(basic->tasks(0).spec().task_id(), *second);
  EXPECT_EQ(basic->tasks(1).spec().task_id(), *first);
  EXPECT_FALSE(basic->tasks(0).spec().has_payload());
  request.set_view(v1::TASK_VIEW_FULL);
  request.set_max_tasks(1);
  const auto full = Peek(request);
  APIUM_ASSERT_OK(full);
  ASSERT_EQ(full->tasks_size(), 1);
  EXPECT_EQ(full->tasks(0).spec().payload().data(), "payload");
  request.set_max_tasks(101);
  EXPECT_THAT(Peek(request), StatusIs(absl::StatusCode::kInvalidArgument,
                                      HasSubstr("max_tasks")));
  request.set_max_tasks(1);
  request.set_name("nowhere");
  EXPECT_THAT(Peek(request), HasReason("QUEUE_NOT_FOUND"));
}

TEST_F(QueueServiceTest, ALookAtTheHeadFitsIntoAMessage) {
  for (int i = 0; i < 5; ++i)
    APIUM_ASSERT_OK(broker_.Submit(Spec("t", std::string(900'000, 'x'))));
  v1::PeekQueueRequest request;
  request.set_name("default");
  request.set_view(v1::TASK_VIEW_FULL);
  const auto cut = Peek(request);
  APIUM_ASSERT_OK(cut);
  EXPECT_EQ(cut->tasks_size(), 2);
  request.set_view(v1::TASK_VIEW_BASIC);
  EXPECT_EQ(Peek(request)->tasks_size(), 5);
}

TEST_F(QueueServiceTest, ReleasesAnOrderingKey) {
  v1::TaskSpec spec = Spec("t");
  spec.set_ordering_key("k");
  spec.set_ordering_failure_policy(v1::ORDERING_FAILURE_POLICY_BLOCK);
  spec.mutable_retry_policy()->set_max_attempts(1);
  APIUM_ASSERT_OK(broker_.Submit(spec));
  const auto next = broker_.Submit(spec);
  APIUM_ASSERT_OK(next);
  EXPECT_THAT(Release("default", "k"), HasReason("ORDERING_KEY_NOT_BLOCKED"));
  TestWorker worker(broker_, HelloFor("w", "t"));
  worker.Grant(2);
  const v1::Delivery delivery = worker.Deliveries(1).front();
  v1::WorkerReport report;
  v1::ExecutionOutcome* outcome = report.add_outcomes();
  outcome->mutable_lease()->CopyFrom(delivery.lease());
  outcome->mutable_failure()->set_type("Boom");
  worker.Report(report);
  worker.NextVerdict();
  EXPECT_EQ(broker_.Get(*next)->state(), v1::TASK_STATE_BLOCKED);
  APIUM_EXPECT_OK(Release("default", "k"));
  EXPECT_EQ(worker.Deliveries(1).front().spec().task_id(), *next);
  EXPECT_THAT(
      Release("default", ""),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("ordering_key")));
  EXPECT_THAT(Release("default", std::string(129, 'x')),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(Release("nowhere", "k"), HasReason("QUEUE_NOT_FOUND"));
}

TEST_F(QueueServiceTest, SaysThatAQueueIsFullAndWhatSettingsNeed) {
  v1::Queue queue;
  queue.set_name("mail");
  queue.set_max_length(1);
  queue.set_overflow_policy(v1::OVERFLOW_POLICY_DEAD_LETTER_OLDEST);
  EXPECT_THAT(Create(queue), HasReason("OVERFLOW_NEEDS_DEAD_LETTERS"));
  queue.clear_overflow_policy();
  APIUM_ASSERT_OK(Create(queue));
  v1::TaskSpec spec = Spec("t");
  spec.set_queue("mail");
  APIUM_ASSERT_OK(broker_.Submit(spec));
  EXPECT_THAT(broker_.Submit(spec),
              StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(broker_.Submit(spec), HasReason("QUEUE_FULL"));
}

TEST_F(QueueServiceTest, NamesAQueueThatIsNotThere) {
  EXPECT_THAT(Pause("nowhere"), HasReason("QUEUE_NOT_FOUND"));
  EXPECT_THAT(Resume("nowhere"), HasReason("QUEUE_NOT_FOUND"));
  EXPECT_THAT(Delete("nowhere"), HasReason("QUEUE_NOT_FOUND"));
}

}  // namespace
}  // namespace apium::broker
