#include "client/routing_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "client/connection.h"
#include "client/queue_client.h"
#include "client/task_client.h"
#include "common/error_reason.h"
#include "tests/broker/support/broker_harness.h"
#include "tests/support/status_matchers.h"

namespace apium {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

MATCHER_P(HasFieldViolation, field, "names the field " + std::string(field)) {
  const auto violations = FieldViolationsOf(arg.status());
  return violations.size() == 1 && violations.front().first == field;
}

v1::Exchange ExchangeOf(const std::string& name, v1::ExchangeType type) {
  v1::Exchange exchange;
  exchange.set_name(name);
  exchange.set_type(type);
  return exchange;
}

v1::Binding BindingOf(const std::string& exchange, const std::string& queue,
                      const std::string& routing_key = "") {
  v1::Binding binding;
  binding.set_exchange(exchange);
  binding.set_queue(queue);
  binding.set_routing_key(routing_key);
  return binding;
}

v1::RouteRule RuleOf(const std::string& pattern, const std::string& queue) {
  v1::RouteRule rule;
  rule.set_type_pattern(pattern);
  rule.set_queue(queue);
  return rule;
}

// The client, and the service behind it.
class RoutingClientTest : public ::testing::Test {
 protected:
  RoutingClientTest()
      : connection_(
            *Connection::Open({.addresses = {broker_.server().local_target()},
                               .deadline = broker::kTestDeadline})),
        routing_(connection_),
        queues_(connection_),
        tasks_(connection_) {
    for (const char* name : {"mail", "audit"}) {
      v1::Queue queue;
      queue.set_name(name);
      EXPECT_TRUE(queues_.Create(queue).ok());
    }
  }

  absl::StatusOr<std::vector<std::string>> Resolve(
      const std::string& exchange, const std::string& routing_key) {
    v1::ResolveRouteRequest request;
    request.set_type("job");
    request.set_exchange(exchange);
    request.set_routing_key(routing_key);
    return routing_.Resolve(std::move(request));
  }

  broker::BrokerHarness broker_;
  std::shared_ptr<Connection> connection_;
  RoutingClient routing_;
  QueueClient queues_;
  TaskClient tasks_;
};

TEST_F(RoutingClientTest, AnExchangeFromCreateToDelete) {
  v1::Exchange exchange = ExchangeOf("rest", v1::EXCHANGE_TYPE_FANOUT);
  APIUM_ASSERT_OK(routing_.CreateExchange(exchange));
  exchange = ExchangeOf("events", v1::EXCHANGE_TYPE_TOPIC);
  exchange.set_description("what happens");
  exchange.set_alternate_exchange("rest");
  const auto made = routing_.CreateExchange(exchange);
  APIUM_ASSERT_OK(made);
  EXPECT_EQ(made->description(), "what happens");
  EXPECT_EQ(made->alternate_exchange(), "rest");
  EXPECT_TRUE(made->has_create_time());
  EXPECT_EQ(made->etag(), "1");
  exchange = *made;
  exchange.set_alternate_exchange("");
  const auto changed = routing_.UpdateExchange(exchange);
  APIUM_ASSERT_OK(changed);
  EXPECT_EQ(changed->etag(), "2");
  EXPECT_THAT(routing_.UpdateExchange(exchange), HasReason("ETAG_MISMATCH"));
  EXPECT_EQ(routing_.GetExchange("events")->alternate_exchange(), "");
  const auto page = routing_.ListExchanges(1);
  APIUM_ASSERT_OK(page);
  EXPECT_EQ(page->exchanges(0).name(), "events");
  EXPECT_EQ(
      routing_.ListExchanges(1, page->next_page_token())->exchanges(0).name(),
      "rest");
  APIUM_EXPECT_OK(routing_.DeleteExchange("events"));
  EXPECT_THAT(routing_.GetExchange("events"), HasReason("EXCHANGE_NOT_FOUND"));
}

TEST_F(RoutingClientTest, BindingsAreListedInPages) {
  APIUM_ASSERT_OK(
      routing_.CreateExchange(ExchangeOf("e", v1::EXCHANGE_TYPE_DIRECT)));
  for (const char* key : {"1", "2", "3"})
    APIUM_ASSERT_OK(routing_.CreateBinding(BindingOf("e", "mail", key)));
  v1::Binding to_exchange;
  to_exchange.set_exchange("e");
  to_exchange.set_destination_exchange("e");
  APIUM_ASSERT_OK(routing_.CreateBinding(to_exchange));
  std::vector<std::string> keys;
  std::string token;
  do {
    const auto page = routing_.ListBindings("e", 2, token);
    APIUM_ASSERT_OK(page);
    for (const v1::Binding& binding : page->bindings())
      keys.push_back(binding.destination_exchange() + binding.routing_key());
    token = page->next_page_token();
  } while (!token.empty());
  EXPECT_THAT(keys, ElementsAre("e", "1", "2", "3"));
  token = routing_.ListBindings("e", 2)->next_page_token();
  EXPECT_THAT(routing_.ListBindings("", 2, token),
              HasFieldViolation("page_token"));
  APIUM_EXPECT_OK(routing_.DeleteBinding(BindingOf("e", "mail", "2")));
  EXPECT_EQ(routing_.DeleteBinding(BindingOf("e", "mail", "2")).code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(routing_.GetExchange("e")->bindings(), 3u);
}

TEST_F(RoutingClientTest, ASubmitGoesToTheQueuesOfItsExchange) {
  APIUM_ASSERT_OK(
      routing_.CreateExchange(ExchangeOf("e", v1::EXCHANGE_TYPE_TOPIC)));
  APIUM_ASSERT_OK(routing_.CreateBinding(BindingOf("e", "mail", "order.#")));
  APIUM_ASSERT_OK(routing_.CreateBinding(BindingOf("e", "audit", "*.paid")));
  EXPECT_THAT(*Resolve("e", "order.paid"), ElementsAre("audit", "mail"));
  v1::TaskSpec spec;
  spec.set_type("job");
  spec.set_task_id("a");
  spec.set_exchange("e");
  spec.set_routing_key("order.paid");
  const auto handle = tasks_.Submit(spec);
  APIUM_ASSERT_OK(handle);
  EXPECT_EQ(handle->id(), "a");
  EXPECT_THAT(handle->copy_ids(), ElementsAre("a.2"));
  EXPECT_EQ(tasks_.Get("a")->spec().queue(), "audit");
  EXPECT_EQ(tasks_.Get("a.2")->spec().queue(), "mail");
  // The same again, in a call with others.
  v1::SubmitTasksRequest many;
  *many.add_specs() = spec;
  spec.set_task_id("b");
  *many.add_specs() = spec;
  spec.set_routing_key("other");
  spec.set_task_id("c");
  *many.add_specs() = spec;
  for (const bool atomic : {false, true}) {
    broker::TestContext context;
    v1::SubmitTasksResponse response;
    many.set_atomic(atomic);
    if (atomic) many.mutable_specs()->RemoveLast();
    const grpc::Status status =
        broker_.tasks().SubmitTasks(&context, many, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_THAT(response.results(0).copy_task_ids(), ElementsAre("a.2"));
    EXPECT_THAT(response.results(1).copy_task_ids(), ElementsAre("b.2"));
    if (atomic) continue;
    EXPECT_EQ(response.results(2).error().reason(), "UNROUTABLE");
  }
}

TEST_F(RoutingClientTest, AnAtomicSubmitNamesWhatIsUnroutable) {
  APIUM_ASSERT_OK(
      routing_.CreateExchange(ExchangeOf("e", v1::EXCHANGE_TYPE_TOPIC)));
  v1::SubmitTasksRequest request;
  request.set_atomic(true);
  request.add_specs()->set_type("job");
  v1::TaskSpec* spec = request.add_specs();
  spec->set_type("job");
  spec->set_exchange("e");
  broker::TestContext context;
  v1::SubmitTasksResponse response;
  const grpc::Status status =
      broker_.tasks().SubmitTasks(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(),
              ::testing::HasSubstr("specs[1].exchange"));
}

TEST_F(RoutingClientTest, RulesAreReplacedAsAWhole) {
  const auto etag =
      routing_.SetRouteRules({RuleOf("mail.*", "mail"), RuleOf("*", "audit")});
  APIUM_ASSERT_OK(etag);
  EXPECT_THAT(routing_.SetRouteRules({}, "99"), HasReason("ETAG_MISMATCH"));
  const auto rules = routing_.GetRouteRules();
  APIUM_ASSERT_OK(rules);
  EXPECT_EQ(rules->etag(), *etag);
  ASSERT_EQ(rules->rules_size(), 2);
  EXPECT_EQ(rules->rules(0).type_pattern(), "mail.*");
  const auto handle = tasks_.Submit({.type = "mail.send", .task_id = "a"});
  APIUM_ASSERT_OK(handle);
  EXPECT_THAT(handle->copy_ids(), IsEmpty());
  EXPECT_EQ(tasks_.Get("a")->spec().queue(), "mail");
  APIUM_ASSERT_OK(queues_.Purge("mail"));
  EXPECT_THAT(queues_.Delete("mail"), HasReason("QUEUE_IN_USE"));
  APIUM_EXPECT_OK(routing_.SetRouteRules({}, *etag));
  EXPECT_EQ(routing_.GetRouteRules()->rules_size(), 0);
}

TEST_F(RoutingClientTest, WhatIsWrongIsNamed) {
  EXPECT_THAT(
      routing_.CreateExchange(ExchangeOf("bad name", v1::EXCHANGE_TYPE_TOPIC)),
      HasFieldViolation("exchange.name"));
  EXPECT_THAT(
      routing_.CreateExchange(ExchangeOf("e", v1::EXCHANGE_TYPE_UNSPECIFIED)),
      HasFieldViolation("exchange.type"));
  v1::Exchange exchange = ExchangeOf("e", v1::EXCHANGE_TYPE_TOPIC);
  exchange.set_description(std::string(1025, 'x'));
  EXPECT_THAT(routing_.CreateExchange(exchange),
              HasFieldViolation("exchange.description"));
  exchange.clear_description();
  exchange.set_alternate_exchange("no name");
  EXPECT_THAT(routing_.CreateExchange(exchange),
              HasFieldViolation("exchange.alternate_exchange"));
  v1::Binding binding;
  binding.set_exchange("e");
  EXPECT_THAT(routing_.CreateBinding(binding), HasFieldViolation("binding"));
  EXPECT_THAT(
      routing_.CreateBinding(BindingOf("e", "mail", std::string(256, 'x'))),
      HasFieldViolation("binding.routing_key"));
  binding = BindingOf("e", "mail");
  (*binding.mutable_headers())["UPPER"] = "x";
  EXPECT_THAT(routing_.CreateBinding(binding),
              HasFieldViolation("binding.headers"));
  EXPECT_THAT(routing_.SetRouteRules({RuleOf("a", "mail"), RuleOf("", "mail")}),
              HasFieldViolation("rules[1].type_pattern"));
  EXPECT_THAT(routing_.SetRouteRules({RuleOf("a", "nowhere")}),
              HasFieldViolation("rules[0].queue"));
  EXPECT_THAT(routing_.SetRouteRules(
                  std::vector<v1::RouteRule>(1001, RuleOf("a", "mail"))),
              HasFieldViolation("rules"));
  v1::ResolveRouteRequest request;
  request.set_type("no type");
  EXPECT_THAT(routing_.Resolve(request), HasFieldViolation("type"));
  request.set_type("job");
  request.set_routing_key("k");
  EXPECT_THAT(routing_.Resolve(request), HasFieldViolation("routing_key"));
}

}  // namespace
}  // namespace apium
