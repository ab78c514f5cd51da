#include "client/batch_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "client/connection.h"
#include "client/submit_options.h"
#include "client/task_client.h"
#include "tests/broker/support/broker_harness.h"
#include "tests/support/status_matchers.h"

namespace apium {
namespace {

class BatchClientTest : public ::testing::Test {
 protected:
  BatchClientTest()
      : connection_(
            *Connection::Open({.addresses = {broker_.server().local_target()},
                               .deadline = broker::kTestDeadline})),
        batches_(connection_),
        tasks_(connection_) {}

  broker::BrokerHarness broker_;
  std::shared_ptr<Connection> connection_;
  BatchClient batches_;
  TaskClient tasks_;
};

TEST_F(BatchClientTest, ABatchIsMadeJoinedClosedAndRead) {
  const auto made = batches_.Create(
      {.batch_id = "b",
       .description = "letters",
       .on_success = SubmitOptions{.type = "done"},
       .on_complete = SubmitOptions{.type = "tidy", .priority = 7},
       .on_first_failure = SubmitOptions{.type = "undo"}});
  APIUM_ASSERT_OK(made);
  EXPECT_EQ(made->batch_id(), "b");
  EXPECT_EQ(made->description(), "letters");
  EXPECT_EQ(made->on_success().type(), "done");
  EXPECT_EQ(made->on_complete().priority(), 7u);
  EXPECT_EQ(made->on_first_failure().type(), "undo");
  const auto task = tasks_.Submit({.type = "job", .batch_id = "b"});
  APIUM_ASSERT_OK(task);
  EXPECT_EQ(batches_.Get("b")->members(), 1u);
  EXPECT_EQ(batches_.Close("b")->state(), v1::BATCH_STATE_CLOSED);
  EXPECT_THAT(tasks_.Submit({.type = "job", .batch_id = "b"}),
              HasReason("BATCH_CLOSED"));
  APIUM_EXPECT_OK(task->Cancel());
  const auto complete = batches_.Get("b");
  APIUM_ASSERT_OK(complete);
  EXPECT_EQ(complete->state(), v1::BATCH_STATE_COMPLETE);
  EXPECT_EQ(complete->success_task_id(), "");
  EXPECT_EQ(tasks_.Get(complete->complete_task_id())->spec().type(), "tidy");
  EXPECT_EQ(tasks_.Get(complete->first_failure_task_id())->spec().type(),
            "undo");
}

v1::TaskSpec Job(const std::string& batch_id) {
  return ToTaskSpec({.type = "job", .batch_id = batch_id});
}

TEST_F(BatchClientTest, SeveralTasksJoinAtomically) {
  APIUM_ASSERT_OK(batches_.Create({.batch_id = "b"}));
  const auto joined = tasks_.SubmitAtomic({Job("b"), Job("b"), Job("b")});
  APIUM_ASSERT_OK(joined);
  ASSERT_EQ(joined->size(), 3u);
  EXPECT_EQ(batches_.Get("b")->members(), 3u);
  APIUM_EXPECT_OK((*joined)[2].Get());
  const auto refused = tasks_.SubmitAtomic({Job("b"), Job("nothing")});
  EXPECT_THAT(refused, HasReason("BATCH_NOT_FOUND"));
  EXPECT_THAT(refused.status().ToString(),
              ::testing::HasSubstr("specs[1].batch_id"));
  EXPECT_EQ(batches_.Get("b")->members(), 3u);
}

TEST_F(BatchClientTest, AnAtomicSubmitThatIsRepeatedIsTheSame) {
  const auto first = tasks_.SubmitAtomic({Job(""), Job("")}, "request");
  const auto second = tasks_.SubmitAtomic({Job(""), Job("")}, "request");
  APIUM_ASSERT_OK(first);
  APIUM_ASSERT_OK(second);
  EXPECT_EQ((*first)[1].id(), (*second)[1].id());
  EXPECT_THAT(tasks_.SubmitAtomic({Job("")}, "request"),
              HasReason("REQUEST_ID_REUSED"));
}

TEST_F(BatchClientTest, AnAtomicSubmitMayAttach) {
  v1::TaskSpec unique = ToTaskSpec(
      {.type = "job",
       .unique = {.key = "k", .on_conflict = v1::UNIQUE_CONFLICT_ATTACH}});
  const auto first = tasks_.SubmitAtomic({unique});
  APIUM_ASSERT_OK(first);
  const auto second = tasks_.SubmitAtomic({Job(""), unique});
  APIUM_ASSERT_OK(second);
  EXPECT_FALSE((*second)[0].attached());
  EXPECT_TRUE((*second)[1].attached());
  EXPECT_EQ((*second)[1].id(), (*first)[0].id());
}

TEST_F(BatchClientTest, MintsItsIdsItself) {
  const auto first = batches_.Create(BatchOptions());
  const auto second = batches_.Create(BatchOptions());
  APIUM_ASSERT_OK(first);
  APIUM_ASSERT_OK(second);
  EXPECT_EQ(first->batch_id().size(), 36u);
  EXPECT_NE(first->batch_id(), second->batch_id());
}

TEST_F(BatchClientTest, ErrorsAreTheServers) {
  EXPECT_THAT(batches_.Get("b"), HasReason("BATCH_NOT_FOUND"));
  EXPECT_THAT(batches_.Close("b"), HasReason("BATCH_NOT_FOUND"));
  APIUM_ASSERT_OK(batches_.Create({.batch_id = "b"}));
  APIUM_EXPECT_OK(batches_.Create({.batch_id = "b"}));
  EXPECT_THAT(batches_.Create({.batch_id = "b", .description = "other"}),
              HasReason("BATCH_ID_REUSED"));
}

TEST_F(BatchClientTest, ListsPageByPage) {
  for (const char* id : {"a", "b", "c"})
    APIUM_ASSERT_OK(batches_.Create({.batch_id = id}));
  const auto first = batches_.List(2);
  APIUM_ASSERT_OK(first);
  ASSERT_EQ(first->batches_size(), 2);
  EXPECT_EQ(first->batches(1).batch_id(), "b");
  const auto second = batches_.List(2, first->next_page_token());
  APIUM_ASSERT_OK(second);
  ASSERT_EQ(second->batches_size(), 1);
  EXPECT_EQ(second->batches(0).batch_id(), "c");
  EXPECT_EQ(second->next_page_token(), "");
}

}  // namespace
}  // namespace apium
