#include "broker/service/task_from_proto.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>

#include "apium/v1/task.pb.h"
#include "broker/service/spec_fingerprint.h"
#include "common/error_reason.h"
#include "tests/support/status_matchers.h"

namespace apium::broker {
namespace {

using testing::HasSubstr;

const absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);

v1::TaskSpec MinimalSpec() {
  v1::TaskSpec spec;
  spec.set_type("mail.send");
  return spec;
}

absl::StatusOr<SubmitCommand> Convert(v1::TaskSpec spec,
                                      TaskLimits limits = {}) {
  SubmitCommand command;
  const absl::Status status =
      SubmitFromProto(limits, "default", kNow, &spec, &command);
  if (!status.ok()) return status;
  return command;
}

TEST(TaskFromProtoTest, FillsInTheDocumentedDefaults) {
  const auto command = Convert(MinimalSpec());
  APIUM_ASSERT_OK(command);
  const TaskContent& content = *command->content;
  EXPECT_EQ(content.namespace_name, "default");
  EXPECT_EQ(content.task_id, "");
  EXPECT_EQ(content.type, "mail.send");
  EXPECT_EQ(content.queue, "") << "the engine asks the route rules";
  EXPECT_EQ(content.priority, 100);
  EXPECT_EQ(content.eta, absl::InfinitePast());
  EXPECT_EQ(content.expire_time, absl::InfiniteFuture());
  EXPECT_EQ(content.retry_policy.max_attempts, 4u);
  EXPECT_EQ(content.retry_policy.initial_delay, absl::Seconds(1));
  EXPECT_EQ(content.retry_policy.multiplier, 2);
  EXPECT_EQ(content.retry_policy.max_delay, absl::Minutes(10));
  EXPECT_EQ(content.retry_policy.jitter, 0.2);
  EXPECT_EQ(content.retry_policy.max_crashes, 5u);
  EXPECT_FALSE(command->delay.has_value());
  EXPECT_FALSE(command->expire_after.has_value());
}

TEST(TaskFromProtoTest, TakesEveryFieldOver) {
  v1::TaskSpec spec = MinimalSpec();
  spec.set_task_id("order-7");
  spec.set_queue("mail");
  spec.set_priority(0);
  spec.mutable_payload()->set_data(std::string("\0\xff", 2));
  spec.mutable_payload()->set_content_type("application/json");
  spec.mutable_payload()->set_content_encoding("zstd");
  (*spec.mutable_headers())["b"] = "2";
  (*spec.mutable_headers())["a"] = "1";
  spec.mutable_delay()->set_seconds(5);
  spec.mutable_expire_after()->set_seconds(60);
  spec.mutable_result_ttl()->set_seconds(3600);
  spec.mutable_soft_time_limit()->set_seconds(30);
  v1::RetryPolicy* retry = spec.mutable_retry_policy();
  retry->set_max_attempts(1);
  retry->mutable_initial_delay()->set_seconds(0);
  retry->set_multiplier(1.5);
  retry->mutable_max_delay()->set_seconds(7);
  retry->set_jitter(0);
  retry->add_non_retryable_types("ValueError");
  retry->set_max_crashes(3);
  retry->set_max_returns(8);
  retry->mutable_total_time_limit()->set_seconds(90);
  spec.set_result_mode(v1::RESULT_MODE_IGNORE);
  spec.set_delivery_mode(v1::DELIVERY_MODE_AT_MOST_ONCE);
  const auto command = Convert(spec);
  APIUM_ASSERT_OK(command);
  const TaskContent& content = *command->content;
  EXPECT_EQ(content.task_id, "order-7");
  EXPECT_EQ(content.queue, "mail");
  EXPECT_EQ(content.priority, 0);
  EXPECT_EQ(content.payload.data, std::string("\0\xff", 2));
  EXPECT_EQ(content.payload.content_type, "application/json");
  EXPECT_EQ(content.payload.content_encoding, "zstd");
  EXPECT_THAT(content.headers, testing::ElementsAre(testing::Pair("a", "1"),
                                                    testing::Pair("b", "2")));
  EXPECT_EQ(command->delay, absl::Seconds(5));
  EXPECT_EQ(command->expire_after, absl::Seconds(60));
  EXPECT_EQ(content.result_ttl, absl::Hours(1));
  EXPECT_EQ(content.soft_time_limit, absl::Seconds(30));
  EXPECT_EQ(content.retry_policy.max_attempts, 1u);
  EXPECT_EQ(content.retry_policy.initial_delay, absl::ZeroDuration());
  EXPECT_EQ(content.retry_policy.multiplier, 1.5);
  EXPECT_EQ(content.retry_policy.max_delay, absl::Seconds(7));
  EXPECT_EQ(content.retry_policy.jitter, 0);
  EXPECT_THAT(content.retry_policy.non_retryable_types,
              testing::ElementsAre("ValueError"));
  EXPECT_EQ(content.retry_policy.max_crashes, 3u);
  EXPECT_EQ(content.retry_policy.max_returns, 8u);
  EXPECT_EQ(content.retry_policy.total_time_limit, absl::Seconds(90));
  EXPECT_EQ(content.result_mode, ResultMode::kIgnore);
  EXPECT_EQ(content.delivery_mode, DeliveryMode::kAtMostOnce);
}

TEST(TaskFromProtoTest, AcceptsAnEtaInThePast) {
  v1::TaskSpec spec = MinimalSpec();
  spec.mutable_eta()->set_seconds(1);
  const auto command = Convert(spec);
  APIUM_ASSERT_OK(command);
  EXPECT_EQ(command->content->eta, absl::FromUnixSeconds(1));
}

TEST(TaskFromProtoTest, RaisesTheMaximumBackoffToAnInitialOneAboveTheDefault) {
  v1::TaskSpec spec = MinimalSpec();
  spec.mutable_retry_policy()->mutable_initial_delay()->set_seconds(3600);
  const auto command = Convert(spec);
  APIUM_ASSERT_OK(command);
  EXPECT_EQ(command->content->retry_policy.max_delay, absl::Hours(1));
}

TEST(TaskFromProtoTest, RefusesAPayloadAboveTheLimitAndNamesBothSizes) {
  v1::TaskSpec spec = MinimalSpec();
  spec.mutable_payload()->set_data(std::string(11, 'x'));
  const auto command = Convert(spec, {.payload_bytes_max = 10});
  EXPECT_THAT(command, StatusIs(absl::StatusCode::kInvalidArgument,
                                testing::AllOf(HasSubstr("11 bytes"),
                                               HasSubstr("limit is 10"))));
  EXPECT_THAT(command, HasReason("PAYLOAD_TOO_LARGE"));
  spec.mutable_payload()->set_data(std::string(10, 'x'));
  APIUM_EXPECT_OK(Convert(spec, {.payload_bytes_max = 10}));
}

struct BadInput {
  const char* name;
  std::function<void(v1::TaskSpec*)> spoil;
  const char* field;
  const char* says;
};

class BadInputTest : public testing::TestWithParam<BadInput> {};

TEST_P(BadInputTest, IsRefusedByFieldAndReason) {
  v1::TaskSpec spec = MinimalSpec();
  GetParam().spoil(&spec);
  const auto command = Convert(spec);
  EXPECT_THAT(command, StatusIs(absl::StatusCode::kInvalidArgument,
                                HasSubstr(GetParam().says)));
  EXPECT_THAT(command, HasReason("INVALID_FIELD"));
  const auto violations = FieldViolationsOf(command.status());
  ASSERT_EQ(violations.size(), 1u);
  EXPECT_EQ(violations[0].first, GetParam().field);
}

v1::RetryPolicy* Retry(v1::TaskSpec* spec) {
  return spec->mutable_retry_policy();
}

constexpr int64_t kElevenYears = 11ll * 366 * 24 * 3600;

const BadInput kBadInputs[] = {
    {"NoType", [](auto* s) { s->clear_type(); }, "spec.type", "task type"},
    {"MalformedType", [](auto* s) { s->set_type("a b"); }, "spec.type",
     "\"a b\""},
    {"LongType", [](auto* s) { s->set_type(std::string(256, 'a')); },
     "spec.type", "255"},
    {"MalformedTaskId", [](auto* s) { s->set_task_id("a/b"); }, "spec.task_id",
     "128"},
    {"LongTaskId", [](auto* s) { s->set_task_id(std::string(129, 'a')); },
     "spec.task_id", "128"},
    {"MalformedQueue", [](auto* s) { s->set_queue("-a"); }, "spec.queue",
     "255"},
    {"HighPriority", [](auto* s) { s->set_priority(256); }, "spec.priority",
     "is 256; must be in [0, 255]"},
    {"LongContentType",
     [](auto* s) {
       s->mutable_payload()->set_content_type(std::string(256, 'a'));
     },
     "spec.payload.content_type", "256 bytes"},
    {"LongContentEncoding",
     [](auto* s) {
       s->mutable_payload()->set_content_encoding(std::string(256, 'a'));
     },
     "spec.payload.content_encoding", "256 bytes"},
    {"ManyHeaders",
     [](auto* s) {
       for (int i = 0; i < 65; ++i) {
         (*s->mutable_headers())["h" + std::to_string(i)] = "";
       }
     },
     "spec.headers", "at most 64"},
    {"LargeHeaders",
     [](auto* s) {
       (*s->mutable_headers())["h"] = std::string(16 * 1024, 'a');
     },
     "spec.headers", "16385 bytes; must be at most 16384"},
    {"MalformedHeader", [](auto* s) { (*s->mutable_headers())["A b"] = ""; },
     "spec.headers", "A b"},
    {"FarEta",
     [](auto* s) {
       s->mutable_eta()->set_seconds(absl::ToUnixSeconds(kNow) + kElevenYears);
     },
     "spec.eta", "ahead"},
    {"MalformedEta",
     [](auto* s) {
       s->mutable_eta()->set_nanos(-1);
       s->mutable_eta()->set_seconds(5);
     },
     "spec.eta", "nanos"},
    {"NegativeDelay", [](auto* s) { s->mutable_delay()->set_seconds(-1); },
     "spec.delay", "-1s"},
    {"FarDelay", [](auto* s) { s->mutable_delay()->set_seconds(kElevenYears); },
     "spec.delay", "must be in [0, "},
    {"EtaAndDelay",
     [](auto* s) {
       s->mutable_eta()->set_seconds(1);
       s->mutable_delay()->set_seconds(1);
     },
     "spec.delay", "excludes eta"},
    {"ExpireTimeAndExpireAfter",
     [](auto* s) {
       s->mutable_expire_time()->set_seconds(1);
       s->mutable_expire_after()->set_seconds(1);
     },
     "spec.expire_after", "excludes expire_time"},
    {"ZeroExpireAfter", [](auto* s) { s->mutable_expire_after(); },
     "spec.expire_after", "above 0"},
    {"ShortResultTtl",
     [](auto* s) { s->mutable_result_ttl()->set_nanos(1000); },
     "spec.result_ttl", "at least 1s"},
    {"ZeroSoftTimeLimit", [](auto* s) { s->mutable_soft_time_limit(); },
     "spec.soft_time_limit", "above 0"},
    {"ManyAttempts", [](auto* s) { Retry(s)->set_max_attempts(1'000'001); },
     "spec.retry_policy.max_attempts", "1000000"},
    {"ZeroTotalTime", [](auto* s) { Retry(s)->mutable_total_time_limit(); },
     "spec.retry_policy.total_time_limit", "above 0"},
    {"ManyReturns", [](auto* s) { Retry(s)->set_max_returns(1'000'001); },
     "spec.retry_policy.max_returns", "1000000"},
    {"ResultMode",
     [](auto* s) { s->set_result_mode(static_cast<v1::ResultMode>(9)); },
     "spec.result_mode", "ResultMode"},
    {"DeliveryMode",
     [](auto* s) { s->set_delivery_mode(static_cast<v1::DeliveryMode>(9)); },
     "spec.delivery_mode", "DeliveryMode"},
    {"ManyCrashes", [](auto* s) { Retry(s)->set_max_crashes(1'000'001); },
     "spec.retry_policy.max_crashes", "1000000"},
    {"NegativeInitialDelay",
     [](auto* s) { Retry(s)->mutable_initial_delay()->set_seconds(-1); },
     "spec.retry_policy.initial_delay", "-1s"},
    {"MaxDelayBelowInitial",
     [](auto* s) {
       Retry(s)->mutable_initial_delay()->set_seconds(10);
       Retry(s)->mutable_max_delay()->set_seconds(9);
     },
     "spec.retry_policy.max_delay", "at least initial_delay"},
    {"SmallMultiplier", [](auto* s) { Retry(s)->set_multiplier(0.5); },
     "spec.retry_policy.multiplier", "[1, 100]"},
    {"NanMultiplier",
     [](auto* s) {
       Retry(s)->set_multiplier(std::numeric_limits<double>::quiet_NaN());
     },
     "spec.retry_policy.multiplier", "[1, 100]"},
    {"LargeJitter", [](auto* s) { Retry(s)->set_jitter(1.01); },
     "spec.retry_policy.jitter", "[0, 1]"},
    {"ManyNonRetryableTypes",
     [](auto* s) {
       for (int i = 0; i < 65; ++i) Retry(s)->add_non_retryable_types("E");
     },
     "spec.retry_policy.non_retryable_types", "at most 64"},
    {"EmptyNonRetryableType",
     [](auto* s) { Retry(s)->add_non_retryable_types(""); },
     "spec.retry_policy.non_retryable_types", "1 to 255 bytes"},
};

INSTANTIATE_TEST_SUITE_P(All, BadInputTest, testing::ValuesIn(kBadInputs),
                         [](const auto& info) { return info.param.name; });

struct NotCarriedOut {
  const char* field;
  std::function<void(v1::TaskSpec*)> ask;
};

class NotCarriedOutTest : public testing::TestWithParam<NotCarriedOut> {};

TEST_P(NotCarriedOutTest, IsRefusedAsUnimplementedByName) {
  v1::TaskSpec spec = MinimalSpec();
  GetParam().ask(&spec);
  const auto command = Convert(spec);
  EXPECT_THAT(command, StatusIs(absl::StatusCode::kUnimplemented,
                                HasSubstr(GetParam().field)));
  EXPECT_THAT(command, HasReason("NOT_IMPLEMENTED"));
  EXPECT_EQ(FieldViolationsOf(command.status()).at(0).first, GetParam().field);
}

INSTANTIATE_TEST_SUITE_P(
    All, NotCarriedOutTest,
    testing::Values(NotCarriedOut{"spec.hard_time_limit",
                                  [](auto* s) {
                                    s->mutable_hard_time_limit();
                                  }},
                    NotCarriedOut{"spec.parent_task_ids", [](auto* s) {
                                    s->add_parent_task_ids("p");
                                  }}));

TEST(SpecFingerprintTest, IsTheSameForTheSameContentUnderAnyId) {
  v1::TaskSpec a = MinimalSpec();
  (*a.mutable_headers())["x"] = "1";
  (*a.mutable_headers())["y"] = "2";
  v1::TaskSpec b;
  (*b.mutable_headers())["y"] = "2";
  (*b.mutable_headers())["x"] = "1";
  b.set_type("mail.send");
  b.set_task_id("other");
  EXPECT_EQ(SpecFingerprint(a), SpecFingerprint(b));
}

TEST(SpecFingerprintTest, DiffersWithEveryField) {
  const std::function<void(v1::TaskSpec*)> changes[] = {
      [](auto* s) { s->set_type("mail.read"); },
      [](auto* s) { s->set_queue("mail"); },
      [](auto* s) { s->mutable_payload()->set_data("x"); },
      [](auto* s) { s->mutable_payload()->set_content_type("x"); },
      [](auto* s) { s->mutable_payload()->set_content_encoding("x"); },
      [](auto* s) { (*s->mutable_headers())["x"] = ""; },
      [](auto* s) { s->set_priority(100); },
      [](auto* s) { s->mutable_eta(); },
      [](auto* s) { s->mutable_delay(); },
      [](auto* s) { s->mutable_expire_time(); },
      [](auto* s) { s->mutable_expire_after(); },
      [](auto* s) { s->mutable_result_ttl(); },
      [](auto* s) { s->mutable_soft_time_limit(); },
      [](auto* s) { s->mutable_retry_policy(); },
      [](auto* s) { s->mutable_retry_policy()->set_max_attempts(2); },
      [](auto* s) { s->mutable_retry_policy()->mutable_initial_delay(); },
      [](auto* s) { s->mutable_retry_policy()->set_multiplier(2); },
      [](auto* s) { s->mutable_retry_policy()->mutable_max_delay(); },
      [](auto* s) { s->mutable_retry_policy()->set_jitter(0); },
      [](auto* s) { s->mutable_retry_policy()->add_non_retryable_types("x"); },
      [](auto* s) { s->mutable_retry_policy()->set_max_crashes(2); },
      [](auto* s) { s->mutable_unique(); },
      [](auto* s) { s->mutable_unique()->set_key("x"); },
      [](auto* s) { s->mutable_unique()->set_scope(v1::UNIQUE_SCOPE_WINDOW); },
      [](auto* s) { s->mutable_unique()->mutable_window(); },
      [](auto* s) {
        s->mutable_unique()->set_on_conflict(v1::UNIQUE_CONFLICT_ATTACH);
      },
      [](auto* s) { s->set_fairness_key("x"); },
      [](auto* s) { s->set_fairness_weight(2); },
      [](auto* s) { s->set_ordering_key("x"); },
      [](auto* s) {
        s->set_ordering_failure_policy(v1::ORDERING_FAILURE_POLICY_BLOCK);
      },
      [](auto* s) { (*s->mutable_required_labels())["x"] = ""; },
      [](auto* s) { (*s->mutable_preferred_labels())["x"] = ""; },
      [](auto* s) { (*s->mutable_limit_keys())["x"] = ""; },
      [](auto* s) { s->set_sticky_key("x"); },
      [](auto* s) { s->set_exchange("x"); },
      [](auto* s) { s->set_routing_key("x"); },
  };
  std::vector<Fingerprint> seen = {SpecFingerprint(MinimalSpec())};
  for (const auto& change : changes) {
    v1::TaskSpec spec = MinimalSpec();
    change(&spec);
    const Fingerprint fingerprint = SpecFingerprint(spec);
    EXPECT_THAT(seen, testing::Not(testing::Contains(fingerprint)))
        << spec.DebugString();
    seen.push_back(fingerprint);
  }
}

TEST(SpecFingerprintTest, OfARequestDiffersWithTheId) {
  v1::TaskSpec a = MinimalSpec();
  v1::TaskSpec b = MinimalSpec();
  EXPECT_EQ(RequestFingerprint(a), RequestFingerprint(b));
  b.set_task_id("other");
  EXPECT_NE(RequestFingerprint(a), RequestFingerprint(b));
  b = MinimalSpec();
  b.set_priority(1);
  EXPECT_NE(RequestFingerprint(a), RequestFingerprint(b));
}

TEST(FailureFromProtoTest, CutsLongTextsInsteadOfRefusingThem) {
  v1::Failure proto;
  proto.set_type(std::string(1000, 't'));
  proto.set_message(std::string(100'000, 'm'));
  proto.set_stack(std::string(100'000, 's'));
  proto.set_non_retryable(true);
  const Failure failure = FailureFromProto(&proto);
  EXPECT_EQ(failure.type.size(), 255u);
  EXPECT_EQ(failure.message.size(), 4096u);
  EXPECT_EQ(failure.stack.size(), 32'768u);
  EXPECT_TRUE(failure.non_retryable);
}

TEST(NamespaceFromProtoTest, DefaultsAndRefusesMalformedNames) {
  EXPECT_THAT(NamespaceFromProto(""), IsOkAndHolds("default"));
  EXPECT_THAT(NamespaceFromProto("team-a"), IsOkAndHolds("team-a"));
  EXPECT_THAT(
      NamespaceFromProto("Team A"),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("namespace")));
}

}  // namespace
}  // namespace apium::broker
