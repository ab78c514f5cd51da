// Brokers at the wire: PublishOutcomes of a whole service in this process.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>

#include "common/strings.h"
#include "storage/memory_store.h"
#include "tests/results/result_client.h"
#include "tests/results/result_server_fixture.h"
#include "tests/support/fault_injecting_store.h"
#include "tests/support/status_matchers.h"

namespace apium::results {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST_F(ResultServerTest, PublishedOutcomeIsRead) {
  Start();
  Publish({"a"});
  const auto outcome = Get(stub(), "a");
  APIUM_ASSERT_OK(outcome);
  EXPECT_EQ(outcome->SerializeAsString(), MakeOutcome("a").SerializeAsString());
  EXPECT_THAT(Get(stub(), "b"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(Get(stub(), "b"), HasReason("RESULT_NOT_FOUND"));
}

TEST_F(ResultServerTest, PublisherResumesWhereTheStoreIsAfterARestart) {
  const std::string folder = FreshFolder();
  StartInFolder(folder);
  Publish({"a"});
  Publish({"b"});
  publisher_.reset();
  server_->Shutdown(absl::ZeroDuration());
  server_.reset();
  StartInFolder(folder);
  PublishClient publisher(stub());
  ASSERT_TRUE(publisher.Hello("s1"));
  EXPECT_EQ(publisher.ReadConfirmation(), 2u);
  // Again what is recorded, with other content, and then what is new.
  ASSERT_TRUE(publisher.Publish(2, {MakeOutcome("x")}));
  ASSERT_TRUE(publisher.Publish(3, {MakeOutcome("c"), MakeOutcome("a")}));
  EXPECT_TRUE(publisher.AwaitConfirmation(3));
  const auto page = List(stub(), v1::ListResultsRequest());
  APIUM_ASSERT_OK(page);
  EXPECT_THAT(IdsOf(*page), ElementsAre("c", "b", "a"));
}

TEST_F(ResultServerTest, GapEndsThePublisher) {
  Start();
  PublishClient publisher(stub());
  publisher.Hello("s1");
  publisher.Publish(2, {MakeOutcome("a")});
  const absl::Status status = publisher.Finish();
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument,
                               HasSubstr("batch.position is 2")));
  EXPECT_THAT(status, HasReason("POSITION_GAP"));
}

TEST_F(ResultServerTest, MessagesOutOfTurnEndThePublisher) {
  Start();
  {
    PublishClient publisher(stub());
    publisher.Publish(1, {MakeOutcome("a")});
    EXPECT_THAT(publisher.Finish(), HasReason("PROTOCOL_VIOLATION"));
  }
  {
    PublishClient publisher(stub());
    publisher.Hello("s1");
    publisher.Hello("s1");
    const absl::Status status = publisher.Finish();
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument));
    EXPECT_THAT(status, HasReason("PROTOCOL_VIOLATION"));
  }
  {
    PublishClient publisher(stub());
    publisher.Send(v1::PublishOutcomesRequest());
    EXPECT_THAT(publisher.Finish(), HasReason("PROTOCOL_VIOLATION"));
  }
  {
    PublishClient publisher(stub());
    publisher.Hello("");
    EXPECT_THAT(publisher.Finish(), StatusIs(absl::StatusCode::kInvalidArgument,
                                             HasSubstr("hello.shard_id")));
  }
}

TEST_F(ResultServerTest, WrongOutcomesAreNamedAndNothingIsRecorded) {
  Start();
  struct Case {
    const char* field;
    void (*spoil)(v1::TaskOutcome*);
  };
  const Case cases[] = {
      {"batch.outcomes[1].task_id",
       [](v1::TaskOutcome* outcome) { outcome->clear_task_id(); }},
      {"batch.outcomes[1].task_id",
       [](v1::TaskOutcome* outcome) { outcome->set_task_id("a\nb"); }},
      {"batch.outcomes[1].namespace",
       [](v1::TaskOutcome* outcome) { outcome->set_namespace_("A B"); }},
      {"batch.outcomes[1].state",
       [](v1::TaskOutcome* outcome) { outcome->clear_state(); }},
      {"batch.outcomes[1].queue",
       [](v1::TaskOutcome* outcome) {
         outcome->set_queue(std::string(256, 'q'));
       }},
      {"batch.outcomes[1].type",
       [](v1::TaskOutcome* outcome) {
         outcome->set_type(std::string(256, 't'));
       }},
  };
  for (const Case& wrong : cases) {
    PublishClient publisher(stub());
    publisher.Hello("s1");
    v1::TaskOutcome spoiled = MakeOutcome("b");
    wrong.spoil(&spoiled);
    publisher.Publish(1, {MakeOutcome("a"), spoiled});
    const absl::Status status = publisher.Finish();
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument,
                                 HasSubstr(wrong.field)));
    EXPECT_THAT(status, HasReason("INVALID_FIELD"));
  }
  EXPECT_THAT(Get(stub(), "a"), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(ResultServerTest, NewestPublisherOfAShardWins) {
  Start();
  PublishClient older(stub());
  ASSERT_TRUE(older.Hello("s1"));
  EXPECT_EQ(older.ReadConfirmation(), 0u);
  PublishClient newer(stub());
  ASSERT_TRUE(newer.Hello("s1"));
  EXPECT_EQ(newer.ReadConfirmation(), 0u);
  const absl::Status status = older.Finish();
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(status, HasReason("PUBLISHER_REPLACED"));
  ASSERT_TRUE(newer.Publish(1, {MakeOutcome("a")}));
  EXPECT_TRUE(newer.AwaitConfirmation(1));
}

TEST_F(ResultServerTest, HalfClosedPublisherIsConfirmedAndEndsOk) {
  Start();
  PublishClient publisher(stub());
  publisher.Hello("s1");
  for (uint64_t position = 1; position <= 100; ++position) {
    ASSERT_TRUE(
        publisher.Publish(position, {MakeOutcome(StrCat("id", position))}));
  }
  publisher.WritesDone();
  EXPECT_TRUE(publisher.AwaitConfirmation(100));
  APIUM_EXPECT_OK(publisher.Finish());
}

TEST_F(ResultServerTest, PublisherIsNotReadBeyondItsWindow) {
  auto store =
      std::make_unique<FaultInjectingStore>(std::make_unique<MemoryStore>());
  FaultInjectingStore* faults = store.get();
  config_.store = std::move(store);
  Start();
  Publish({"first"});
  faults->HoldSyncs();
  // Far more than the window of 8 MiB and the buffers of the connection.
  constexpr int kBatches = 200;
  v1::TaskOutcome large = MakeOutcome("large");
  large.mutable_result()->set_data(std::string(1 << 20, 'x'));
  auto sent = std::async(std::launch::async, [&] {
    for (int i = 0; i < kBatches; ++i) {
      large.set_task_id(StrCat("large", i));
      if (!publisher_->Publish(position_ + 1 + i, {large})) {
        return i;
      }
    }
    return kBatches;
  });
  ASSERT_TRUE(faults->WaitForHeldSync(kTestDeadline));
  // Without a bound, all would be taken in a fraction of this.
  EXPECT_EQ(sent.wait_for(std::chrono::seconds(1)),
            std::future_status::timeout);
  faults->ReleaseSyncs();
  EXPECT_TRUE(publisher_->AwaitConfirmation(position_ + kBatches));
  EXPECT_EQ(sent.get(), kBatches);
}

}  // namespace
}  // namespace apium::results
