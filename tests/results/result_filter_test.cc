#include "results/result_filter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "apium/v1/result_service.pb.h"
#include "apium/v1/task.pb.h"
#include "tests/support/status_matchers.h"

namespace apium::results {
namespace {

using ::testing::HasSubstr;

constexpr LogEntry kEntry = {.state = v1::TASK_STATE_FAILED,
                             .task_id = "a",
                             .queue = "mail",
                             .type = "mail.send",
                             .finish_ns = 5'000'000'007};

TEST(ResultFilterTest, WithoutConditionsMatchesAll) {
  const auto filter = ResultFilter::From(v1::ResultFilter());
  APIUM_ASSERT_OK(filter);
  EXPECT_TRUE(filter->Matches(kEntry));
}

TEST(ResultFilterTest, EachConditionCounts) {
  v1::ResultFilter proto;
  proto.add_states(v1::TASK_STATE_CANCELLED);
  EXPECT_FALSE(ResultFilter::From(proto)->Matches(kEntry));
  proto.add_states(v1::TASK_STATE_FAILED);
  EXPECT_TRUE(ResultFilter::From(proto)->Matches(kEntry));
  proto.set_queue("mail");
  proto.set_type("mail.send");
  EXPECT_TRUE(ResultFilter::From(proto)->Matches(kEntry));
  proto.set_type("mail.sent");
  EXPECT_FALSE(ResultFilter::From(proto)->Matches(kEntry));
  proto.set_type("");
  proto.set_queue("other");
  EXPECT_FALSE(ResultFilter::From(proto)->Matches(kEntry));
}

TEST(ResultFilterTest, UnspecifiedStateMeansAny) {
  v1::ResultFilter proto;
  proto.add_states(v1::TASK_STATE_CANCELLED);
  proto.add_states(v1::TASK_STATE_UNSPECIFIED);
  EXPECT_TRUE(ResultFilter::From(proto)->Matches(kEntry));
}

TEST(ResultFilterTest, TimesAreFromInclusiveToExclusive) {
  v1::ResultFilter proto;
  proto.mutable_finished_after()->set_seconds(5);
  proto.mutable_finished_after()->set_nanos(7);
  EXPECT_TRUE(ResultFilter::From(proto)->Matches(kEntry));
  proto.mutable_finished_after()->set_nanos(8);
  EXPECT_FALSE(ResultFilter::From(proto)->Matches(kEntry));
  proto.clear_finished_after();
  proto.mutable_finished_before()->set_seconds(5);
  proto.mutable_finished_before()->set_nanos(7);
  EXPECT_FALSE(ResultFilter::From(proto)->Matches(kEntry));
  proto.mutable_finished_before()->set_nanos(8);
  EXPECT_TRUE(ResultFilter::From(proto)->Matches(kEntry));
}

TEST(ResultFilterTest, HeadersAndCreationAreTheOutcomesOwn) {
  v1::TaskOutcome outcome;
  outcome.mutable_create_time()->set_seconds(5);
  (*outcome.mutable_headers())["customer"] = "7";
  (*outcome.mutable_headers())["region"] = "eu";
  v1::ResultFilter proto;
  EXPECT_FALSE(ResultFilter::From(proto)->NeedsOutcome());
  EXPECT_TRUE(ResultFilter::From(proto)->Matches(outcome));
  (*proto.mutable_headers())["customer"] = "7";
  EXPECT_TRUE(ResultFilter::From(proto)->NeedsOutcome());
  EXPECT_TRUE(ResultFilter::From(proto)->Matches(outcome));
  (*proto.mutable_headers())["region"] = "us";
  EXPECT_FALSE(ResultFilter::From(proto)->Matches(outcome));
  proto.clear_headers();
  (*proto.mutable_headers())["absent"] = "";
  EXPECT_FALSE(ResultFilter::From(proto)->Matches(outcome));
  proto.clear_headers();
  proto.mutable_created_after()->set_seconds(5);
  EXPECT_TRUE(ResultFilter::From(proto)->Matches(outcome));
  proto.mutable_created_before()->set_seconds(5);
  EXPECT_FALSE(ResultFilter::From(proto)->Matches(outcome));
}

TEST(ResultFilterTest, TooManyHeadersAreRefused) {
  v1::ResultFilter proto;
  for (int i = 0; i < 17; ++i) {
    (*proto.mutable_headers())["h" + std::to_string(i)] = "x";
  }
  EXPECT_THAT(ResultFilter::From(proto),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("filter.headers")));
}

TEST(ResultFilterTest, WrongFieldsAreNamed) {
  v1::ResultFilter states;
  states.add_states(v1::TASK_STATE_FAILED);
  states.add_states(static_cast<v1::TaskState>(77));
  EXPECT_THAT(ResultFilter::From(states),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("filter.states[1]")));
  v1::ResultFilter queue;
  queue.set_queue("a b");
  EXPECT_THAT(
      ResultFilter::From(queue),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("filter.queue")));
  v1::ResultFilter type;
  type.set_type("-x");
  EXPECT_THAT(
      ResultFilter::From(type),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("filter.type")));
  v1::ResultFilter time;
  time.mutable_finished_before()->set_nanos(-1);
  EXPECT_THAT(ResultFilter::From(time),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("filter.finished_before")));
}

TEST(ResultFilterTest, HashTellsFiltersApartAndStaysTheSame) {
  ResultFilter queue;
  queue.queue = "x";
  ResultFilter type;
  type.type = "x";
  EXPECT_NE(queue.StableHash(), type.StableHash());
  EXPECT_NE(queue.StableHash(), ResultFilter().StableHash());
  EXPECT_EQ(type.StableHash(), ResultFilter(type).StableHash());
  ResultFilter header;
  header.headers = {{"x", ""}};
  EXPECT_NE(header.StableHash(), ResultFilter().StableHash());
}

}  // namespace
}  // namespace apium::results
