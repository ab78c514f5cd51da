#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "client/connection.h"
#include "client/queue_client.h"
#include "client/result_client.h"
#include "client/server_client.h"
#include "client/task_client.h"
#include "client/task_control.h"
#include "client/worker_admin.h"
#include "tests/client/fake_broker.h"
#include "tests/support/status_matchers.h"

namespace apium {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class OperatorClientsTest : public ::testing::Test {
 protected:
  OperatorClientsTest()
      : connection_(*Connection::Open(broker_.ClientOptionsForTest())) {}

  v1::Queue Named(const std::string& name) {
    v1::Queue queue;
    queue.set_name(name);
    return queue;
  }

  FakeBroker broker_;
  std::shared_ptr<Connection> connection_;
};

TEST_F(OperatorClientsTest, AQueueIsCreatedChangedPausedPurgedAndDeleted) {
  QueueClient queues(connection_);
  ASSERT_THAT(queues.Create(Named("mail")), IsOk());
  EXPECT_THAT(queues.Create(Named("mail")), HasReason("QUEUE_EXISTS"));
  v1::Queue change = Named("mail");
  change.set_description("letters");
  EXPECT_EQ(queues.Update(change, {"description"})->description(), "letters");
  EXPECT_TRUE(queues.Pause("mail")->paused());
  EXPECT_FALSE(queues.Resume("mail")->paused());
  EXPECT_THAT(queues.Purge("mail"), IsOkAndHolds(0u));
  EXPECT_EQ(queues.List()->queues_size(), 1);
  EXPECT_THAT(queues.Delete("mail"), IsOk());
  EXPECT_THAT(queues.Get("mail"), HasReason("QUEUE_NOT_FOUND"));
}

TEST_F(OperatorClientsTest, CreatingAQueueIsNotRepeated) {
  QueueClient queues(connection_);
  broker_.FailNext("CreateQueue", 1, absl::UnavailableError("starting"));
  EXPECT_THAT(queues.Create(Named("mail")),
              StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_EQ(broker_.calls("CreateQueue"), 1);
}

TEST_F(OperatorClientsTest, APauseSaysByWhomAndWhy) {
  QueueClient queues(connection_);
  broker_.AddQueue(Named("mail"));
  const auto paused = queues.Pause(
      "mail", {.paused_by = "ops@example.org", .reason = "SMTP is down"});
  ASSERT_THAT(paused, IsOk());
  EXPECT_EQ(paused->paused_by(), "ops@example.org");
  EXPECT_EQ(paused->pause_reason(), "SMTP is down");
}

TEST_F(OperatorClientsTest, AnUpdateIsMadeOnlyIfTheEtagIsStillTheQueues) {
  QueueClient queues(connection_);
  broker_.AddQueue(Named("mail"));
  v1::Queue change = Named("mail");
  change.set_weight(3);
  (*change.mutable_fairness_weights())["acme"] = 2;
  change.set_max_length(10);  // not in the mask
  const auto changed = queues.Update(change, {"weight", "fairness_weights"});
  ASSERT_THAT(changed, IsOk());
  EXPECT_EQ(changed->weight(), 3u);
  EXPECT_EQ(changed->fairness_weights().at("acme"), 2);
  EXPECT_EQ(changed->max_length(), 0u);
  change.set_etag("another");
  EXPECT_THAT(queues.Update(change, {"weight"}), HasReason("ETAG_MISMATCH"));
}

TEST_F(OperatorClientsTest, TheHeadOfAQueueIsPeekedAt) {
  QueueClient queues(connection_);
  TaskClient tasks(connection_);
  broker_.AddQueue(Named("mail"));
  for (const char* id : {"a", "b", "c"}) {
    ASSERT_THAT(tasks.Submit({.type = "t", .task_id = id, .queue = "mail"}),
                IsOk());
  }
  ASSERT_THAT(tasks.Submit({.type = "t", .task_id = "aa", .queue = "other"}),
              IsOk());
  const auto head = queues.Peek("mail", 2);
  ASSERT_THAT(head, IsOk());
  ASSERT_EQ(head->tasks_size(), 2);
  EXPECT_EQ(head->tasks(0).spec().task_id(), "a");
  EXPECT_EQ(head->tasks(1).spec().task_id(), "b");
  EXPECT_THAT(queues.Peek("nowhere"), HasReason("QUEUE_NOT_FOUND"));
}

TEST_F(OperatorClientsTest, TasksAndQueuesAreExplained) {
  QueueClient queues(connection_);
  TaskClient tasks(connection_);
  TaskControl control(connection_);
  broker_.AddQueue(Named("mail"));
  ASSERT_THAT(tasks.Submit({.type = "t", .task_id = "a"}), IsOk());
  v1::WaitReason reason;
  reason.set_kind(v1::WAIT_REASON_KIND_RATE_LIMIT);
  reason.set_limit("smtp");
  broker_.AddReason("a", reason);
  reason.set_tasks(7);
  broker_.AddReason("mail", reason);
  const auto task = control.Explain("a");
  ASSERT_THAT(task, IsOk());
  EXPECT_EQ(task->state(), v1::TASK_STATE_QUEUED);
  ASSERT_EQ(task->reasons_size(), 1);
  EXPECT_EQ(task->reasons(0).limit(), "smtp");
  const auto queue = queues.Explain("mail");
  ASSERT_THAT(queue, IsOk());
  ASSERT_EQ(queue->reasons_size(), 1);
  EXPECT_EQ(queue->reasons(0).tasks(), 7u);
  EXPECT_THAT(control.Explain("b"), HasReason("TASK_NOT_FOUND"));
  EXPECT_THAT(queues.Explain("nowhere"), HasReason("QUEUE_NOT_FOUND"));
}

TEST_F(OperatorClientsTest, ReleasingAnOrderingKeyIsNotRepeated) {
  QueueClient queues(connection_);
  broker_.BlockOrderingKey("mail", "order-7");
  broker_.FailNext("ReleaseOrderingKey", 1, absl::UnavailableError("starting"));
  EXPECT_THAT(queues.ReleaseOrderingKey("mail", "order-7"),
              StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(queues.ReleaseOrderingKey("mail", "order-7"), IsOk());
  EXPECT_THAT(queues.ReleaseOrderingKey("mail", "order-7"),
              HasReason("ORDERING_KEY_NOT_BLOCKED"));
  EXPECT_EQ(broker_.calls("ReleaseOrderingKey"), 3);
}

TEST_F(OperatorClientsTest, WorkersAreListedAndDrained) {
  WorkerAdmin workers(connection_);
  v1::Worker worker;
  worker.set_worker_id("host-1");
  broker_.AddWorker(worker);
  ASSERT_EQ(workers.List()->workers_size(), 1);
  EXPECT_THAT(workers.Drain("host-1"), IsOk());
  EXPECT_THAT(broker_.drained_workers(), ElementsAre("host-1"));
}

TEST_F(OperatorClientsTest, AServerSaysWhoItIsAndWhetherItIsWell) {
  ServerClient server(connection_);
  EXPECT_EQ(server.Info()->service(), "apium-broker");
  EXPECT_THAT(server.CheckHealth(), IsOk());
  EXPECT_THAT(server.CheckHealth("nothing"),
              StatusIs(absl::StatusCode::kNotFound));
  broker_.SetServing(false);
  EXPECT_THAT(server.CheckHealth(), StatusIs(absl::StatusCode::kUnavailable,
                                             HasSubstr("NOT_SERVING")));
}

v1::TaskOutcome Outcome(const std::string& id) {
  v1::TaskOutcome outcome;
  outcome.set_task_id(id);
  outcome.set_state(v1::TASK_STATE_SUCCEEDED);
  return outcome;
}

TEST_F(OperatorClientsTest, ResultsAreRead) {
  ResultClient results(connection_);
  broker_.AddResult(Outcome("a"));
  EXPECT_EQ(results.Get("a")->state(), v1::TASK_STATE_SUCCEEDED);
  EXPECT_THAT(results.Get("b"), HasReason("RESULT_NOT_FOUND"));
}

TEST_F(OperatorClientsTest, AWatchThatBreaksGoesOnBehindItsCursor) {
  ResultClient results(connection_);
  for (const char* id : {"a", "b", "c", "d", "e"})
    broker_.AddResult(Outcome(id));
  broker_.BreakWatchesAfter(2);
  std::vector<std::string> ids;
  std::string cursor;
  EXPECT_THAT(results.Watch({.after_cursor = "1"},
                            [&](const v1::WatchResultsResponse& response) {
                              for (const v1::TaskOutcome& outcome :
                                   response.outcomes()) {
                                ids.push_back(outcome.task_id());
                              }
                              cursor = response.cursor();
                              return ids.size() < 4;
                            }),
              IsOk());
  EXPECT_THAT(ids, ElementsAre("b", "c", "d", "e"));
  EXPECT_EQ(cursor, "5");
  EXPECT_THAT(broker_.watch_cursors(), ElementsAre("1", "3"));
}

}  // namespace
}  // namespace apium
