#include "client/dead_letter_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <string>

#include "client/connection.h"
#include "client/queue_client.h"
#include "client/task_client.h"
#include "client/task_type_client.h"
#include "common/error_reason.h"
#include "tests/broker/support/broker_harness.h"
#include "tests/support/status_matchers.h"

namespace apium {
namespace {

MATCHER_P(HasFieldViolation, field, "names the field " + std::string(field)) {
  const auto violations = FieldViolationsOf(arg.status());
  return violations.size() == 1 && violations.front().first == field;
}

// The clients, and the services behind them.
class DeadLetterClientTest : public ::testing::Test {
 protected:
  DeadLetterClientTest()
      : connection_(
            *Connection::Open({.addresses = {broker_.server().local_target()},
                               .deadline = broker::kTestDeadline})),
        letters_(connection_, ""),
        queues_(connection_),
        tasks_(connection_),
        types_(connection_) {
    v1::Queue queue;
    queue.set_name("default");
    queue.set_dead_letter(true);
    const auto updated = queues_.Update(queue, {"dead_letter"});
    EXPECT_TRUE(updated.ok() && updated->dead_letter());
  }

  // A task that ends DEAD_LETTERED.
  void Die(const std::string& id) {
    APIUM_ASSERT_OK(tasks_.Submit(
        {.type = "job", .task_id = id, .headers = {{"who", "alice"}}}));
    broker::TestWorker worker(broker_, broker::HelloFor("w-" + id, "job"));
    worker.Grant(1);
    const auto deliveries = worker.Deliveries(1);
    v1::WorkerReport report;
    v1::ExecutionOutcome* outcome = report.add_outcomes();
    *outcome->mutable_lease() = deliveries.at(0).lease();
    outcome->mutable_failure()->set_type("Boom");
    outcome->mutable_failure()->set_message("it broke");
    outcome->mutable_failure()->set_non_retryable(true);
    worker.Report(report);
    worker.NextVerdict();
  }

  broker::BrokerHarness broker_;
  std::shared_ptr<Connection> connection_;
  DeadLetterClient letters_;
  QueueClient queues_;
  TaskClient tasks_;
  TaskTypeClient types_;
};

TEST_F(DeadLetterClientTest, ALetterIsListedShownAndRedrivenWithEdits) {
  Die("a");
  EXPECT_EQ(tasks_.Get("a")->state(), v1::TASK_STATE_DEAD_LETTERED);
  const auto page = letters_.List({});
  APIUM_ASSERT_OK(page);
  ASSERT_EQ(page->dead_letters_size(), 1);
  EXPECT_EQ(page->dead_letters(0).task_id(), "a");
  EXPECT_EQ(page->dead_letters(0).failure().type(), "Boom");
  EXPECT_EQ(page->dead_letters(0).spec().headers_size(), 0);
  const auto letter = letters_.Get("a");
  APIUM_ASSERT_OK(letter);
  EXPECT_EQ(letter->spec().headers().at("who"), "alice");
  EXPECT_EQ(letter->failures(), 1u);
  EXPECT_TRUE(letter->has_dead_time());
  EXPECT_TRUE(letter->has_create_time());
  v1::RedriveDeadLetterRequest edits;
  edits.mutable_payload()->set_data("better");
  edits.set_priority(7);
  const auto id = letters_.Redrive("a", edits);
  APIUM_ASSERT_OK(id);
  const auto task = tasks_.Get(*id);
  APIUM_ASSERT_OK(task);
  EXPECT_EQ(task->spec().payload().data(), "better");
  EXPECT_EQ(task->spec().priority(), 7u);
  EXPECT_EQ(task->spec().headers().at("apium-redriven-from"), "a");
  EXPECT_THAT(letters_.Get("a"), HasReason("DEAD_LETTER_NOT_FOUND"));
  EXPECT_EQ(queues_.Get("default")->counts().dead_letters(), 0u);
}

TEST_F(DeadLetterClientTest, ManyAreCountedRedrivenDiscardedAndPurged) {
  for (const char* id : {"a", "b", "c", "d"}) Die(id);
  EXPECT_EQ(letters_.List({}, 3)->next_page_token(), "c");
  EXPECT_EQ(letters_.List({}, 3, "c")->dead_letters_size(), 1);
  APIUM_EXPECT_OK(letters_.Discard("a"));
  APIUM_EXPECT_OK(letters_.Discard("a"));
  const auto counted = letters_.StartRedrive({.dry_run = true});
  APIUM_ASSERT_OK(counted);
  EXPECT_EQ(counted->matched(), 3u);
  EXPECT_EQ(counted->state(), v1::REDRIVE_STATE_DONE);
  EXPECT_THAT(letters_.GetRedrive(), HasReason("REDRIVE_NOT_FOUND"));
  // The first is redriven at once, the next in an hour.
  const auto started = letters_.StartRedrive({.max_per_second = 1.0 / 3600});
  APIUM_ASSERT_OK(started);
  EXPECT_THAT(letters_.StartRedrive({}), HasReason("REDRIVE_EXISTS"));
  const auto cancelled = letters_.CancelRedrive();
  APIUM_ASSERT_OK(cancelled);
  EXPECT_EQ(cancelled->state(), v1::REDRIVE_STATE_CANCELLED);
  EXPECT_EQ(letters_.GetRedrive()->redriven(), cancelled->redriven());
  const auto purged = letters_.Purge();
  APIUM_ASSERT_OK(purged);
  EXPECT_EQ(*purged + cancelled->redriven(), 3u);
}

TEST_F(DeadLetterClientTest, WhatIsWrongIsNamed) {
  EXPECT_THAT(letters_.Get(""), HasFieldViolation("task_id"));
  v1::RedriveDeadLetterRequest edits;
  edits.set_priority(256);
  EXPECT_THAT(letters_.Redrive("a", edits), HasFieldViolation("priority"));
  edits.Clear();
  edits.mutable_retry_policy()->set_multiplier(-1);
  EXPECT_THAT(letters_.Redrive("a", edits),
              HasFieldViolation("retry_policy.multiplier"));
  EXPECT_THAT(letters_.StartRedrive({.max_per_second = -1}),
              HasFieldViolation("max_per_second"));
  EXPECT_THAT(letters_.StartRedrive(
                  {.max_per_second = std::numeric_limits<double>::quiet_NaN()}),
              HasFieldViolation("max_per_second"));
  EXPECT_THAT(letters_.StartRedrive({.target_queue = "nowhere"}),
              HasReason("QUEUE_NOT_FOUND"));
  EXPECT_THAT(letters_.List({}, 0, "not an id!"),
              HasFieldViolation("page_token"));
  EXPECT_THAT(DeadLetterClient(connection_, "nowhere").Purge(),
              HasReason("QUEUE_NOT_FOUND"));
}

TEST_F(DeadLetterClientTest, ABreakerIsSetReadResetAndRemoved) {
  v1::Breaker breaker;
  breaker.set_type("job");
  breaker.set_failure_share(1);
  breaker.set_min_attempts(1);
  const auto set = types_.SetBreaker(breaker);
  APIUM_ASSERT_OK(set);
  EXPECT_EQ(set->window().seconds(), 60);
  EXPECT_EQ(set->open_duration().seconds(), 30);
  EXPECT_EQ(set->state(), v1::BREAKER_STATE_CLOSED);
  EXPECT_FALSE(set->has_open_time());
  Die("a");
  const auto open = types_.GetBreaker("job");
  APIUM_ASSERT_OK(open);
  EXPECT_EQ(open->state(), v1::BREAKER_STATE_OPEN);
  EXPECT_EQ(open->failures(), 1u);
  EXPECT_TRUE(open->has_open_time());
  APIUM_ASSERT_OK(tasks_.Submit({.type = "job", .task_id = "b"}));
  EXPECT_THAT(tasks_.Get("b")->waiting_reason(),
              testing::HasSubstr("the breaker of type job is open until"));
  EXPECT_EQ(types_.ResetBreaker("job")->state(), v1::BREAKER_STATE_CLOSED);
  EXPECT_EQ(types_.ListBreakers()->breakers_size(), 1);
  APIUM_EXPECT_OK(types_.RemoveBreaker("job"));
  EXPECT_THAT(types_.GetBreaker("job"), HasReason("BREAKER_NOT_FOUND"));
  breaker.set_failure_share(1.5);
  EXPECT_THAT(types_.SetBreaker(breaker),
              HasFieldViolation("breaker.failure_share"));
  breaker.set_failure_share(1);
  breaker.mutable_window()->set_seconds(4000);
  EXPECT_THAT(types_.SetBreaker(breaker), HasFieldViolation("breaker.window"));
}

}  // namespace
}  // namespace apium
