#include "client/submit_options.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

namespace apium {
namespace {

std::string Text(const v1::TaskSpec& spec) {
  std::string text;
  google::protobuf::TextFormat::Printer printer;
  printer.SetSingleLineMode(true);
  printer.PrintToString(spec, &text);
  return text;
}

TEST(SubmitOptionsTest, WhatIsNotSetIsLeftToTheServer) {
  EXPECT_EQ(Text(ToTaskSpec({.type = "t"})), R"(type: "t" payload { } )");
}

TEST(SubmitOptionsTest, EveryFieldArrives) {
  SubmitOptions options = {
      .type = "mail.send",
      .task_id = "id-1",
      .queue = "mail",
      .priority = 0,
      .delay = absl::Milliseconds(1500),
      .expires = absl::Hours(1),
      .retry = {.attempts_max = 3,
                .initial_delay = absl::Seconds(2),
                .multiplier = 1.5,
                .delay_max = absl::Minutes(1),
                .jitter = 0.0,
                .non_retryable_types = {"ValueError"},
                .crashes_max = 2,
                .returns_max = 7,
                .total_time_limit = absl::Minutes(5)},
      .result_ttl = absl::Hours(2),
      .soft_time_limit = absl::Seconds(30),
      .headers = {{"traceparent", "00-1"}},
      .result_mode = v1::RESULT_MODE_KEEP_FAILURES,
      .delivery_mode = v1::DELIVERY_MODE_AT_MOST_ONCE,
      .batch_id = "letters",
  };
  options.payload.set_data("x");
  EXPECT_EQ(
      Text(ToTaskSpec(options)),
      R"(task_id: "id-1" type: "mail.send" payload { data: "x" } )"
      R"(headers { key: "traceparent" value: "00-1" } queue: "mail" priority: 0 )"
      R"(delay { seconds: 1 nanos: 500000000 } expire_after { seconds: 3600 } )"
      R"(retry_policy { max_attempts: 3 initial_delay { seconds: 2 } multiplier: 1.5 )"
      R"(max_delay { seconds: 60 } jitter: 0 non_retryable_types: "ValueError" )"
      R"(max_crashes: 2 max_returns: 7 total_time_limit { seconds: 300 } } )"
      R"(result_ttl { seconds: 7200 } soft_time_limit { seconds: 30 } )"
      R"(result_mode: RESULT_MODE_KEEP_FAILURES )"
      R"(delivery_mode: DELIVERY_MODE_AT_MOST_ONCE batch_id: "letters" )");
}

TEST(SubmitOptionsTest, AUniqueKeyArrives) {
  EXPECT_EQ(
      Text(ToTaskSpec({.type = "t",
                       .unique = {.key = "k",
                                  .scope = v1::UNIQUE_SCOPE_WINDOW,
                                  .window = absl::Seconds(3),
                                  .on_conflict = v1::UNIQUE_CONFLICT_ATTACH},
                       .request_id = "r"})),
      R"(type: "t" payload { } unique { key: "k" scope: UNIQUE_SCOPE_WINDOW )"
      R"(window { seconds: 3 } on_conflict: UNIQUE_CONFLICT_ATTACH } )");
}

TEST(SubmitOptionsTest, ThePlacementArrives) {
  EXPECT_EQ(
      Text(ToTaskSpec({.type = "t",
                       .exchange = "orders",
                       .routing_key = "eu.books",
                       .placement = {.fairness_key = "acme",
                                     .fairness_weight = 2.5,
                                     .ordering_key = "order-7",
                                     .ordering_failure_policy =
                                         v1::ORDERING_FAILURE_POLICY_BLOCK,
                                     .required_labels = {{"gpu", "true"}},
                                     .preferred_labels = {{"zone", "eu"}},
                                     .sticky_key = "model-3",
                                     .limit_keys = {{"customer", "42"}}}})),
      R"(type: "t" payload { } fairness_key: "acme" ordering_key: "order-7" )"
      R"(required_labels { key: "gpu" value: "true" } fairness_weight: 2.5 )"
      R"(ordering_failure_policy: ORDERING_FAILURE_POLICY_BLOCK )"
      R"(preferred_labels { key: "zone" value: "eu" } sticky_key: "model-3" )"
      R"(limit_keys { key: "customer" value: "42" } exchange: "orders" )"
      R"(routing_key: "eu.books" )");
}

TEST(SubmitOptionsTest, TimesArrive) {
  const v1::TaskSpec spec =
      ToTaskSpec({.type = "t",
                  .eta = absl::FromUnixSeconds(10),
                  .expire_time = absl::FromUnixSeconds(20)});
  EXPECT_EQ(spec.eta().seconds(), 10);
  EXPECT_EQ(spec.expire_time().seconds(), 20);
}

}  // namespace
}  // namespace apium
