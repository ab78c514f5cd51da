#include "client/limit_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <memory>
#include <string>

#include "client/connection.h"
#include "client/task_client.h"
#include "common/error_reason.h"
#include "tests/broker/support/broker_harness.h"
#include "tests/support/status_matchers.h"

namespace apium {
namespace {

using ::testing::HasSubstr;

// The client, and the service behind it.
class LimitClientTest : public ::testing::Test {
 protected:
  LimitClientTest()
      : connection_(
            *Connection::Open({.addresses = {broker_.server().local_target()},
                               .deadline = broker::kTestDeadline})),
        limits_(connection_),
        tasks_(connection_) {}

  static v1::Limit Limit(const std::string& name, uint32_t max_concurrency) {
    v1::Limit limit;
    limit.set_name(name);
    limit.set_max_concurrency(max_concurrency);
    return limit;
  }

  broker::BrokerHarness broker_;
  std::shared_ptr<Connection> connection_;
  LimitClient limits_;
  TaskClient tasks_;
};

TEST_F(LimitClientTest, ALimitIsMadeChangedAndDeleted) {
  v1::Limit limit = Limit("api", 3);
  limit.set_description("calls");
  limit.set_type_pattern("api.*");
  limit.set_queue_pattern("q?");
  limit.set_partition(v1::LIMIT_PARTITION_KEY);
  limit.set_key("account");
  limit.mutable_rate()->set_points(10);
  limit.mutable_rate()->mutable_period()->set_seconds(60);
  const auto created = limits_.Create(limit);
  APIUM_ASSERT_OK(created);
  EXPECT_EQ(created->description(), "calls");
  EXPECT_EQ(created->type_pattern(), "api.*");
  EXPECT_EQ(created->queue_pattern(), "q?");
  EXPECT_EQ(created->partition(), v1::LIMIT_PARTITION_KEY);
  EXPECT_EQ(created->key(), "account");
  EXPECT_EQ(created->max_concurrency(), 3u);
  EXPECT_EQ(created->rate().points(), 10);
  EXPECT_EQ(created->rate().period().seconds(), 60);
  EXPECT_EQ(created->rate().burst(), 10);
  EXPECT_EQ(created->rate().cost(), 1);
  EXPECT_TRUE(created->has_create_time());
  EXPECT_THAT(limits_.Create(limit),
              StatusIs(absl::StatusCode::kAlreadyExists));

  v1::Limit change = Limit("api", 5);
  change.set_etag(created->etag());
  const auto changed = limits_.Update(change, {"max_concurrency"});
  APIUM_ASSERT_OK(changed);
  EXPECT_EQ(changed->max_concurrency(), 5u);
  EXPECT_EQ(changed->description(), "calls");
  EXPECT_TRUE(changed->has_rate());
  const auto stale = limits_.Update(change, {"max_concurrency"});
  EXPECT_THAT(stale, StatusIs(absl::StatusCode::kAborted));
  EXPECT_EQ(ReasonOf(stale.status()), "ETAG_MISMATCH");
  // "*" takes everything from what is given.
  const auto replaced = limits_.Update(Limit("api", 6), {"*"});
  APIUM_ASSERT_OK(replaced);
  EXPECT_EQ(replaced->description(), "");
  EXPECT_FALSE(replaced->has_rate());
  EXPECT_EQ(replaced->key(), "account");
  EXPECT_EQ(limits_.Get("api")->max_concurrency(), 6u);

  APIUM_ASSERT_OK(limits_.Delete("api"));
  const auto gone = limits_.Get("api");
  EXPECT_THAT(gone, StatusIs(absl::StatusCode::kNotFound));
  EXPECT_EQ(ReasonOf(gone.status()), "LIMIT_NOT_FOUND");
}

TEST_F(LimitClientTest, ListsInPages) {
  for (const char* name : {"c", "a", "b"})
    APIUM_ASSERT_OK(limits_.Create(Limit(name, 1)));
  const auto first = limits_.List(2);
  APIUM_ASSERT_OK(first);
  ASSERT_EQ(first->limits_size(), 2);
  EXPECT_EQ(first->limits(0).name(), "a");
  const auto second = limits_.List(2, first->next_page_token());
  APIUM_ASSERT_OK(second);
  ASSERT_EQ(second->limits_size(), 1);
  EXPECT_EQ(second->limits(0).name(), "c");
  EXPECT_EQ(second->next_page_token(), "");
  EXPECT_THAT(
      limits_.List(2, "a b"),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("page_token")));
}

TEST_F(LimitClientTest, UsageTellsOfWhatRunsAndOfPauses) {
  v1::Limit limit = Limit("api", 1);
  limit.set_partition(v1::LIMIT_PARTITION_KEY);
  limit.set_key("account");
  APIUM_ASSERT_OK(limits_.Create(limit));
  for (int i = 0; i < 2; ++i) {
    APIUM_ASSERT_OK(tasks_.Submit(
        {.type = "job", .placement = {.limit_keys = {{"account", "a"}}}}));
  }
  broker::TestWorker worker(broker_, broker::HelloFor("w", "job"));
  worker.Grant(5);
  worker.Deliveries(1);
  const auto paused = limits_.PauseKey("api", "b", absl::Minutes(5));
  APIUM_ASSERT_OK(paused);
  EXPECT_TRUE(paused->has_pause_until());
  const auto first = limits_.Usage("api", 1);
  APIUM_ASSERT_OK(first);
  ASSERT_EQ(first->usage_size(), 1);
  EXPECT_EQ(first->usage(0).key(), "a");
  EXPECT_EQ(first->usage(0).running(), 1u);
  EXPECT_EQ(first->usage(0).waiting_lanes(), 1u);
  EXPECT_FALSE(first->usage(0).has_pause_until());
  const auto second = limits_.Usage("api", 1, first->next_page_token());
  APIUM_ASSERT_OK(second);
  ASSERT_EQ(second->usage_size(), 1);
  EXPECT_EQ(second->usage(0).key(), "b");
  EXPECT_TRUE(second->usage(0).has_pause_until());
  EXPECT_EQ(second->next_page_token(), "");
  const auto resumed = limits_.PauseKey("api", "b", absl::ZeroDuration());
  APIUM_ASSERT_OK(resumed);
  EXPECT_FALSE(resumed->has_pause_until());
  EXPECT_EQ(limits_.Usage("api")->usage_size(), 1);
}

TEST_F(LimitClientTest, BadCallsNameTheirField) {
  APIUM_ASSERT_OK(limits_.Create(Limit("api", 1)));
  const auto field_of = [](const absl::Status& status) {
    const auto violations = FieldViolationsOf(status);
    return violations.size() == 1 ? violations.front().first : "";
  };
  EXPECT_EQ(field_of(limits_.Get("a b").status()), "name");
  EXPECT_EQ(field_of(limits_.Delete("")), "name");
  EXPECT_EQ(field_of(limits_.Usage("").status()), "limit");
  EXPECT_EQ(field_of(limits_.Update(Limit("api", 1), {}).status()),
            "update_mask");
  EXPECT_EQ(field_of(limits_.Update(Limit("api", 1), {"key"}).status()),
            "update_mask");
  EXPECT_EQ(
      field_of(limits_.Update(Limit("api", 0), {"max_concurrency"}).status()),
      "limit.max_concurrency");
  EXPECT_EQ(field_of(limits_.PauseKey("api", "a", absl::Seconds(1)).status()),
            "key");
  EXPECT_EQ(
      field_of(limits_.PauseKey("api", std::string(300, 'k'), absl::Seconds(1))
                   .status()),
      "key");
  EXPECT_EQ(field_of(limits_.PauseKey("api", "", -absl::Seconds(1)).status()),
            "duration");
  EXPECT_EQ(
      field_of(limits_.PauseKey("api", "", absl::Hours(24 * 367)).status()),
      "duration");
}

struct BadLimit {
  std::string name;
  std::function<void(v1::Limit*)> spoil;
  std::string field;
};

class BadLimitTest : public LimitClientTest,
                     public ::testing::WithParamInterface<BadLimit> {};

TEST_P(BadLimitTest, IsRefusedByField) {
  v1::Limit limit = Limit("api", 1);
  limit.mutable_rate()->set_points(1);
  limit.mutable_rate()->mutable_period()->set_seconds(1);
  GetParam().spoil(&limit);
  const auto created = limits_.Create(limit);
  EXPECT_THAT(created, StatusIs(absl::StatusCode::kInvalidArgument));
  ASSERT_EQ(FieldViolationsOf(created.status()).size(), 1u);
  EXPECT_EQ(FieldViolationsOf(created.status())[0].first, GetParam().field);
  EXPECT_EQ(limits_.List()->limits_size(), 0);
}

INSTANTIATE_TEST_SUITE_P(
    All, BadLimitTest,
    ::testing::Values(
        BadLimit{"Name", [](auto* l) { l->set_name("a b"); }, "limit.name"},
        BadLimit{"Description",
                 [](auto* l) { l->set_description(std::string(1025, 'x')); },
                 "limit.description"},
        BadLimit{"TypePattern", [](auto* l) { l->set_type_pattern("a b"); },
                 "limit.type_pattern"},
        BadLimit{"QueuePattern",
                 [](auto* l) { l->set_queue_pattern(std::string(256, '*')); },
                 "limit.queue_pattern"},
        BadLimit{"Partition",
                 [](auto* l) {
                   l->set_partition(static_cast<v1::LimitPartition>(6));
                 },
                 "limit.partition"},
        BadLimit{"NoKey",
                 [](auto* l) { l->set_partition(v1::LIMIT_PARTITION_KEY); },
                 "limit.key"},
        BadLimit{"KeyOfNoPartition", [](auto* l) { l->set_key("account"); },
                 "limit.key"},
        BadLimit{"Concurrency",
                 [](auto* l) { l->set_max_concurrency(1'000'001); },
                 "limit.max_concurrency"},
        BadLimit{"NoLimit",
                 [](auto* l) {
                   l->set_max_concurrency(0);
                   l->clear_rate();
                 },
                 "limit.max_concurrency"},
        BadLimit{"NoPoints", [](auto* l) { l->mutable_rate()->set_points(0); },
                 "limit.rate.points"},
        BadLimit{"TooManyPoints",
                 [](auto* l) { l->mutable_rate()->set_points(1e6 + 1); },
                 "limit.rate.points"},
        BadLimit{"PointsThatAreNoNumber",
                 [](auto* l) { l->mutable_rate()->set_points(std::nan("")); },
                 "limit.rate.points"},
        BadLimit{"NoPeriod", [](auto* l) { l->mutable_rate()->clear_period(); },
                 "limit.rate.period"},
        BadLimit{"LongPeriod",
                 [](auto* l) {
                   l->mutable_rate()->mutable_period()->set_seconds(367 * 24 *
                                                                    3600);
                 },
                 "limit.rate.period"},
        BadLimit{"Cost", [](auto* l) { l->mutable_rate()->set_cost(-1); },
                 "limit.rate.cost"},
        BadLimit{"EndlessCost",
                 [](auto* l) { l->mutable_rate()->set_cost(INFINITY); },
                 "limit.rate.cost"},
        BadLimit{"BurstBelowTheCost",
                 [](auto* l) {
                   l->mutable_rate()->set_cost(3);
                   l->mutable_rate()->set_burst(2);
                 },
                 "limit.rate.burst"},
        BadLimit{"EndlessBurst",
                 [](auto* l) { l->mutable_rate()->set_burst(INFINITY); },
                 "limit.rate.burst"}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace apium
