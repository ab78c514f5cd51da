// Exchanges, bindings, route rules: where a submit goes.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tests/support/batch_calls.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {
namespace {

// Takes the one answer of a command.
template <typename Body>
struct AnswerSink : ReplySink {
  void Take(uint64_t, Reply&& reply) override {
    body = std::get<Body>(std::move(reply.body));
  }
  Body body;
};

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class RoutingTest : public ::testing::Test {
 protected:
  RoutingTest() {
    for (const char* queue : {"mail", "audit", "other"}) h_.CreateQueue(queue);
  }

  template <typename CommandType>
  std::string Ask(CommandType command) {
    command.namespace_name = "default";
    return h_.Answers(h_.Send(std::move(command)));
  }
  template <typename Body, typename CommandType>
  Body AskFor(CommandType command) {
    const auto sink = std::make_shared<AnswerSink<Body>>();
    command.reply = {.sink = sink};
    h_.Post(std::move(command));
    return std::move(sink->body);
  }
  std::string Make(const std::string& name, ExchangeType type,
                   const std::string& alternate = "") {
    return Ask(CreateExchangeCommand{
        .exchange = {
            .name = name, .type = type, .alternate_exchange = alternate}});
  }
  std::string Bind(Binding binding) {
    return Ask(CreateBindingCommand{.binding = std::move(binding)});
  }
  std::string Unbind(Binding binding) {
    return Ask(DeleteBindingCommand{.binding = std::move(binding)});
  }
  std::string Bindings(const std::string& exchange = "") {
    return Ask(ListBindingsCommand{.exchange = exchange});
  }
  std::string Delete(const std::string& exchange) {
    return Ask(DeleteExchangeCommand{.name = exchange});
  }
  std::string Rules(std::vector<RouteRule> rules,
                    const std::string& etag = "") {
    return Ask(SetRouteRulesCommand{.rules = std::move(rules), .etag = etag});
  }
  // Where a submit to the exchange would go.
  std::string To(
      const std::string& exchange, const std::string& key = "",
      std::vector<std::pair<std::string, std::string>> headers = {}) {
    return Ask(
        ResolveRouteCommand{.type = "job",
                            .route = {.exchange = exchange, .routing_key = key},
                            .headers = std::move(headers)});
  }
  std::string Submit(const std::string& id, SubmitOptions options) {
    return h_.Submit(id, options);
  }
  std::vector<std::string> Copies() { return h_.last_submit().copy_task_ids; }
  std::string QueueOf(const std::string& id) {
    return h_.Task(id).content->queue;
  }

  EngineHarness h_{{.copy_bytes_per_turn = 2 * 1024 * 1024}};
};

// --- Exchanges and bindings ---

TEST_F(RoutingTest, ExchangesFromCreateToDelete) {
  EXPECT_EQ(Make("events", ExchangeType::kTopic),
            "topic events bindings=0 etag=1");
  EXPECT_EQ(Make("events", ExchangeType::kTopic),
            "topic events bindings=0 etag=1");
  EXPECT_EQ(Make("events", ExchangeType::kDirect),
            "ALREADY_EXISTS/EXCHANGE_EXISTS");
  EXPECT_EQ(Make("rest", ExchangeType::kFanout),
            "fanout rest bindings=0 etag=1");
  EXPECT_EQ(Ask(ListExchangesCommand{}), "events rest");
  EXPECT_EQ(Ask(ListExchangesCommand{.page_size = 1}), "events ...");
  EXPECT_EQ(Ask(ListExchangesCommand{.page_token = "events"}), "rest");
  EXPECT_EQ(Ask(UpdateExchangeCommand{
                .name = "events", .alternate_exchange = "rest", .etag = "1"}),
            "topic events bindings=0 etag=2 alternate=rest");
  EXPECT_EQ(Ask(UpdateExchangeCommand{.name = "events", .etag = "1"}),
            "ABORTED/ETAG_MISMATCH");
  EXPECT_EQ(Ask(UpdateExchangeCommand{.name = "events",
                                      .alternate_exchange = "rest"}),
            "topic events bindings=0 etag=2 alternate=rest");
  EXPECT_EQ(Delete("rest"), "FAILED_PRECONDITION/EXCHANGE_IN_USE");
  h_.Restart();
  EXPECT_EQ(Ask(GetExchangeCommand{.name = "events"}),
            "topic events bindings=0 etag=2 alternate=rest");
  EXPECT_EQ(Delete("events"), "OK");
  EXPECT_EQ(Delete("rest"), "OK");
  h_.Restart();
  EXPECT_EQ(Ask(GetExchangeCommand{.name = "events"}),
            "NOT_FOUND/EXCHANGE_NOT_FOUND");
}

TEST_F(RoutingTest, ExchangesThatAreNotThereAreNamed) {
  EXPECT_EQ(Make("a", ExchangeType::kTopic, "nowhere"),
            "NOT_FOUND/EXCHANGE_NOT_FOUND");
  EXPECT_EQ(Ask(GetExchangeCommand{.name = "a"}),
            "NOT_FOUND/EXCHANGE_NOT_FOUND");
  EXPECT_EQ(Bind({.exchange = "a", .queue = "mail"}),
            "NOT_FOUND/EXCHANGE_NOT_FOUND");
  EXPECT_EQ(Delete("a"), "NOT_FOUND/EXCHANGE_NOT_FOUND");
  EXPECT_EQ(Bindings("a"), "NOT_FOUND/EXCHANGE_NOT_FOUND");
  EXPECT_EQ(To("a"), "NOT_FOUND/EXCHANGE_NOT_FOUND");
  EXPECT_EQ(Submit("t", {.exchange = "a"}), "NOT_FOUND/EXCHANGE_NOT_FOUND");
  CreateExchangeCommand elsewhere;
  elsewhere.namespace_name = "nowhere";
  elsewhere.exchange.name = "a";
  EXPECT_EQ(h_.Answers(h_.Send(std::move(elsewhere))),
            "NOT_FOUND/NAMESPACE_NOT_FOUND");
}

TEST_F(RoutingTest, BindingsFromCreateToDelete) {
  Make("b", ExchangeType::kDirect);
  Make("a", ExchangeType::kTopic);
  EXPECT_EQ(Bind({.exchange = "b", .queue = "nowhere"}),
            "NOT_FOUND/QUEUE_NOT_FOUND");
  EXPECT_EQ(Bind({.exchange = "b", .destination_exchange = "nowhere"}),
            "NOT_FOUND/EXCHANGE_NOT_FOUND");
  EXPECT_EQ(Bind({.exchange = "b", .queue = "other", .routing_key = "k"}),
            "OK");
  EXPECT_EQ(Bind({.exchange = "b", .queue = "other", .routing_key = "k"}),
            "OK");
  EXPECT_EQ(Bind({.exchange = "b", .queue = "mail", .routing_key = "z"}), "OK");
  EXPECT_EQ(Bind({.exchange = "b", .queue = "mail", .routing_key = "k"}), "OK");
  EXPECT_EQ(Bind({.exchange = "a", .destination_exchange = "b"}), "OK");
  EXPECT_EQ(Bindings(), "a->exchange:b; b->mail k; b->mail z; b->other k");
  EXPECT_EQ(Bindings("b"), "b->mail k; b->mail z; b->other k");
  h_.Crash();
  EXPECT_EQ(Bindings(), "a->exchange:b; b->mail k; b->mail z; b->other k");
  EXPECT_EQ(Unbind({.exchange = "b", .queue = "mail", .routing_key = "k"}),
            "OK");
  EXPECT_EQ(Unbind({.exchange = "b", .queue = "mail", .routing_key = "k"}),
            "NOT_FOUND/BINDING_NOT_FOUND");
  EXPECT_EQ(Delete("b"), "FAILED_PRECONDITION/EXCHANGE_IN_USE");
  EXPECT_EQ(Unbind({.exchange = "a", .destination_exchange = "b"}), "OK");
  EXPECT_EQ(Delete("b"), "OK");
  h_.Restart();
  EXPECT_EQ(Bindings(), "");
}

TEST_F(RoutingTest, BindingsAreListedInPages) {
  Make("a", ExchangeType::kDirect);
  Make("b", ExchangeType::kFanout);
  std::vector<std::string> all;
  for (const char* key : {"1", "2", "3"}) {
    Bind({.exchange = "a", .queue = "mail", .routing_key = key});
    all.push_back(absl::StrCat("a->mail ", key));
  }
  Bind({.exchange = "b", .queue = "mail"});
  all.push_back("b->mail");
  for (uint32_t page_size : {1, 2, 3, 4}) {
    std::vector<std::string> listed;
    std::string token;
    do {
      ListBindingsCommand list;
      list.namespace_name = "default";
      list.page_size = page_size;
      list.page_token = token;
      const auto page = AskFor<BindingPageReply>(std::move(list));
      for (const Binding& binding : page.bindings) {
        listed.push_back(absl::StrCat(binding.exchange, "->", binding.queue,
                                      binding.routing_key.empty() ? "" : " ",
                                      binding.routing_key));
      }
      EXPECT_LE(page.bindings.size(), page_size);
      token = page.next_page_token;
      // What is gone does not hold the list up.
      if (page_size == 1 && listed.size() == 2)
        Unbind({.exchange = "a", .queue = "mail", .routing_key = "2"});
    } while (!token.empty());
    EXPECT_EQ(listed, all) << page_size;
    Bind({.exchange = "a", .queue = "mail", .routing_key = "2"});
  }
  EXPECT_EQ(Ask(ListBindingsCommand{.page_token = "\x01\x02"}),
            "INVALID_ARGUMENT/INVALID_FIELD");
}

TEST_F(RoutingTest, BindingsSayWhatTheirExchangeCompares) {
  Make("direct", ExchangeType::kDirect);
  Make("fanout", ExchangeType::kFanout);
  Make("headers", ExchangeType::kHeaders);
  const std::string wrong = "INVALID_ARGUMENT/INVALID_FIELD";
  EXPECT_EQ(
      Bind({.exchange = "direct", .queue = "mail", .headers = {{"a", ""}}}),
      wrong);
  EXPECT_EQ(Bind({.exchange = "direct", .queue = "mail", .match_any = true}),
            wrong);
  EXPECT_EQ(Bind({.exchange = "fanout", .queue = "mail", .routing_key = "k"}),
            wrong);
  EXPECT_EQ(Bind({.exchange = "headers", .queue = "mail", .routing_key = "k"}),
            wrong);
  EXPECT_EQ(Bind({.exchange = "headers", .queue = "mail", .match_any = true}),
            wrong);
  EXPECT_EQ(Bindings(), "");
}

TEST(RoutingBoundsTest, ExchangesAndBindingsAreBounded) {
  EngineHarness h({.max_exchanges = 2, .max_bindings = 2});
  const auto make = [&](const std::string& name) {
    CreateExchangeCommand create;
    create.namespace_name = "default";
    create.exchange = {.name = name, .type = ExchangeType::kDirect};
    return h.Answers(h.Send(std::move(create)));
  };
  const auto bind = [&](const std::string& key) {
    CreateBindingCommand create;
    create.namespace_name = "default";
    create.binding = {.exchange = "a", .queue = "default", .routing_key = key};
    return h.Answers(h.Send(std::move(create)));
  };
  make("a");
  make("b");
  EXPECT_EQ(make("c"), "RESOURCE_EXHAUSTED/TOO_MANY_EXCHANGES");
  EXPECT_EQ(make("a"), "direct a bindings=0 etag=1");
  EXPECT_EQ(bind("1"), "OK");
  EXPECT_EQ(bind("2"), "OK");
  EXPECT_EQ(bind("3"), "RESOURCE_EXHAUSTED/TOO_MANY_BINDINGS");
  EXPECT_EQ(bind("2"), "OK");
  h.Restart();
  EXPECT_EQ(make("c"), "RESOURCE_EXHAUSTED/TOO_MANY_EXCHANGES");
  EXPECT_EQ(bind("3"), "RESOURCE_EXHAUSTED/TOO_MANY_BINDINGS");
}

// --- What matches ---

TEST_F(RoutingTest, DirectComparesTheKey) {
  Make("e", ExchangeType::kDirect);
  Bind({.exchange = "e", .queue = "mail", .routing_key = "m"});
  Bind({.exchange = "e", .queue = "audit", .routing_key = "m"});
  Bind({.exchange = "e", .queue = "other"});
  EXPECT_EQ(To("e", "m"), "audit mail");
  EXPECT_EQ(To("e", ""), "other");
  EXPECT_EQ(To("e", "x"), "FAILED_PRECONDITION/UNROUTABLE");
}

TEST_F(RoutingTest, TopicComparesWords) {
  Make("e", ExchangeType::kTopic);
  Bind({.exchange = "e", .queue = "mail", .routing_key = "order.*.created"});
  Bind({.exchange = "e", .queue = "audit", .routing_key = "order.#"});
  Bind({.exchange = "e", .queue = "audit", .routing_key = "#.created"});
  EXPECT_EQ(To("e", "order.7.created"), "audit mail");
  EXPECT_EQ(To("e", "order"), "audit");
  EXPECT_EQ(To("e", "user.created"), "audit");
  EXPECT_EQ(To("e", "user"), "FAILED_PRECONDITION/UNROUTABLE");
  Unbind({.exchange = "e", .queue = "audit", .routing_key = "order.#"});
  EXPECT_EQ(To("e", "order"), "FAILED_PRECONDITION/UNROUTABLE");
  h_.Restart();
  EXPECT_EQ(To("e", "order.7.created"), "audit mail");
}

TEST_F(RoutingTest, FanoutMatchesAll) {
  Make("e", ExchangeType::kFanout);
  EXPECT_EQ(To("e", "x"), "FAILED_PRECONDITION/UNROUTABLE");
  Bind({.exchange = "e", .queue = "mail"});
  Bind({.exchange = "e", .queue = "audit"});
  EXPECT_EQ(To("e", "x"), "audit mail");
}

TEST_F(RoutingTest, HeadersCompareAllOrAny) {
  Make("e", ExchangeType::kHeaders);
  Bind({.exchange = "e",
        .queue = "mail",
        .headers = {{"kind", "mail"}, {"lang", ""}}});
  Bind({.exchange = "e",
        .queue = "audit",
        .headers = {{"kind", "mail"}, {"urgent", ""}},
        .match_any = true});
  EXPECT_EQ(To("e", "", {{"kind", "mail"}, {"lang", "de"}}), "audit mail");
  EXPECT_EQ(To("e", "", {{"kind", "mail"}}), "audit");
  EXPECT_EQ(To("e", "", {{"kind", "sms"}, {"urgent", "1"}}), "audit");
  EXPECT_EQ(To("e", "", {{"kind", "sms"}}), "FAILED_PRECONDITION/UNROUTABLE");
  Bind({.exchange = "e", .queue = "other"});
  EXPECT_EQ(To("e", ""), "other");
  EXPECT_EQ(Submit("a", {.headers = {{"kind", "mail"}}, .exchange = "e"}),
            "OK");
  EXPECT_EQ(QueueOf("a"), "audit");
  EXPECT_EQ(QueueOf("a.2"), "other");
}

TEST_F(RoutingTest, ExchangesAreFollowedAndCirclesOnce) {
  for (const char* name : {"a", "b", "c"}) Make(name, ExchangeType::kDirect);
  const auto bind = [&](const std::string& from, const std::string& to) {
    return Bind(
        {.exchange = from, .destination_exchange = to, .routing_key = "k"});
  };
  bind("a", "b");
  bind("b", "c");
  bind("c", "a");
  EXPECT_EQ(To("a", "k"), "FAILED_PRECONDITION/UNROUTABLE");
  Bind({.exchange = "c", .queue = "mail", .routing_key = "k"});
  Bind({.exchange = "a", .queue = "mail", .routing_key = "k"});
  EXPECT_EQ(To("a", "k"), "mail");
  EXPECT_EQ(To("b", "k"), "mail");
}

TEST_F(RoutingTest, AlternatesGetWhatMatchesNothing) {
  Make("last", ExchangeType::kFanout);
  Make("next", ExchangeType::kDirect, "last");
  Make("first", ExchangeType::kDirect, "next");
  Bind({.exchange = "last", .queue = "other"});
  Bind({.exchange = "next", .queue = "audit", .routing_key = "n"});
  Bind({.exchange = "first", .queue = "mail", .routing_key = "f"});
  EXPECT_EQ(To("first", "f"), "mail");
  EXPECT_EQ(To("first", "n"), "audit");
  EXPECT_EQ(To("first", "x"), "other");
  // A circle ends.
  Ask(UpdateExchangeCommand{.name = "last", .alternate_exchange = "first"});
  Unbind({.exchange = "last", .queue = "other"});
  EXPECT_EQ(To("first", "x"), "FAILED_PRECONDITION/UNROUTABLE");
}

// --- Submits ---

TEST_F(RoutingTest, EachQueueGetsATask) {
  Make("e", ExchangeType::kFanout);
  for (const char* queue : {"other", "mail", "audit"})
    Bind({.exchange = "e", .queue = queue});
  EXPECT_EQ(Submit("a", {.data = "payload", .exchange = "e"}), "OK");
  EXPECT_EQ(h_.last_task_id(), "a");
  EXPECT_THAT(Copies(), ElementsAre("a.2", "a.3"));
  EXPECT_EQ(QueueOf("a"), "audit");
  EXPECT_EQ(QueueOf("a.2"), "mail");
  EXPECT_EQ(QueueOf("a.3"), "other");
  h_.Crash();
  h_.Connect("w", {.queues = {"mail"}});
  h_.Credit("w", 9);
  EXPECT_EQ(h_.Delivered("w"), "a.2#1");
  EXPECT_EQ(h_.Task("a.2").content->payload.data, "payload");
}

TEST_F(RoutingTest, AMintedIdHasCopies) {
  Make("e", ExchangeType::kFanout);
  for (const char* queue : {"mail", "audit"})
    Bind({.exchange = "e", .queue = queue});
  EXPECT_EQ(Submit("", {.exchange = "e"}), "OK");
  const std::string id = h_.last_task_id();
  EXPECT_EQ(id.size(), 36u);
  EXPECT_TRUE(h_.last_submit().minted);
  EXPECT_THAT(Copies(), ElementsAre(id + ".2"));
  EXPECT_EQ(QueueOf(id + ".2"), "mail");
}

TEST_F(RoutingTest, ARepeatedSubmitIsAnsweredAsTheFirst) {
  Make("e", ExchangeType::kFanout);
  for (const char* queue : {"mail", "audit"})
    Bind({.exchange = "e", .queue = queue});
  const SubmitOptions options = {.exchange = "e"};
  EXPECT_EQ(Submit("a", options), "OK");
  // Routes are looked at once.
  Bind({.exchange = "e", .queue = "other"});
  EXPECT_EQ(Submit("a", options), "OK");
  EXPECT_THAT(Copies(), ElementsAre("a.2"));
  h_.Restart();
  EXPECT_EQ(Submit("a", options), "OK");
  EXPECT_THAT(Copies(), ElementsAre("a.2"));
  h_.Connect("w", {.queues = {"mail", "audit", "other"}});
  h_.Credit("w", 9);
  h_.Succeed("w", "a");
  h_.Restart();
  EXPECT_EQ(h_.State("a"), "SUCCEEDED");
  EXPECT_EQ(Submit("a", options), "OK");
  EXPECT_THAT(Copies(), ElementsAre("a.2"));
  EXPECT_EQ(Submit("a", {.data = "other", .exchange = "e"}),
            "ALREADY_EXISTS/TASK_ID_REUSED");
  EXPECT_EQ(h_.State("a.3"), "UNKNOWN");
}

TEST_F(RoutingTest, ARepeatedRequestListsTheCopies) {
  Make("e", ExchangeType::kFanout);
  for (const char* queue : {"mail", "audit"})
    Bind({.exchange = "e", .queue = queue});
  const SubmitOptions options = {.request_id = "r", .exchange = "e"};
  EXPECT_EQ(Submit("", options), "OK");
  const std::string id = h_.last_task_id();
  h_.Restart();
  EXPECT_EQ(Submit("", options), "OK");
  EXPECT_EQ(h_.last_task_id(), id);
  EXPECT_THAT(Copies(), ElementsAre(id + ".2"));
  EXPECT_EQ(h_.Queue("mail"), "ready=1 scheduled=0 leased=0");
}

TEST_F(RoutingTest, AllCopiesAreAcceptedOrNone) {
  Make("e", ExchangeType::kFanout);
  for (const char* queue : {"mail", "audit"})
    Bind({.exchange = "e", .queue = queue});
  h_.UpdateQueue({.queue = "mail", .submit_paused = true});
  EXPECT_EQ(Submit("a", {.exchange = "e"}),
            "FAILED_PRECONDITION/QUEUE_PAUSED_FOR_SUBMIT");
  EXPECT_EQ(h_.State("a"), "UNKNOWN");
  h_.UpdateQueue({.queue = "mail", .submit_paused = false, .max_length = 1});
  EXPECT_EQ(Submit("a", {.exchange = "e"}), "OK");
  EXPECT_EQ(Submit("b", {.exchange = "e"}), "RESOURCE_EXHAUSTED/QUEUE_FULL");
  EXPECT_EQ(h_.State("b"), "UNKNOWN");
  EXPECT_EQ(h_.Queue("audit"), "ready=1 scheduled=0 leased=0");
  h_.UpdateQueue({.queue = "mail", .max_length = 0});
  Submit("c.2", {});
  EXPECT_EQ(Submit("c", {.exchange = "e"}), "ALREADY_EXISTS/TASK_ID_REUSED");
  EXPECT_EQ(h_.State("c"), "UNKNOWN");
  h_.Post(SetAdmissionCommand{.refusal = absl::ResourceExhaustedError("full")});
  EXPECT_EQ(Submit("d", {.exchange = "e"}), "RESOURCE_EXHAUSTED");
}

TEST_F(RoutingTest, WhatCannotHaveCopiesIsRefused) {
  Make("e", ExchangeType::kFanout);
  for (const char* queue : {"mail", "audit"})
    Bind({.exchange = "e", .queue = queue});
  EXPECT_EQ(Submit("a", {.unique = Unique{.key = "k"}, .exchange = "e"}),
            "FAILED_PRECONDITION/UNIQUE_KEY_COPIES");
  EXPECT_EQ(Submit(std::string(127, 'x'), {.exchange = "e"}),
            "INVALID_ARGUMENT/INVALID_FIELD");
  EXPECT_EQ(Submit(std::string(126, 'x'), {.exchange = "e"}), "OK");
  EXPECT_EQ(
      Submit("large", {.data = std::string(2 << 20, 'x'), .exchange = "e"}),
      "FAILED_PRECONDITION/TOO_MANY_COPIES");
  Unbind({.exchange = "e", .queue = "audit"});
  EXPECT_EQ(Submit("a", {.unique = Unique{.key = "k"}, .exchange = "e"}), "OK");
  EXPECT_EQ(Submit("b", {.unique = Unique{.key = "k"}, .exchange = "e"}),
            "ALREADY_EXISTS/UNIQUE_KEY_HELD");
}

TEST_F(RoutingTest, ThereAreAtMostAThousandCopies) {
  Make("e", ExchangeType::kFanout);
  for (int i = 0; i < 1000; ++i) {
    const std::string queue = absl::StrCat("q", i);
    h_.CreateQueue(queue);
    Bind({.exchange = "e", .queue = queue});
  }
  EXPECT_EQ(Submit("a", {.exchange = "e"}), "OK");
  EXPECT_EQ(Copies().back(), "a.1000");
  Bind({.exchange = "e", .queue = "mail"});
  EXPECT_EQ(Submit("b", {.exchange = "e"}),
            "FAILED_PRECONDITION/TOO_MANY_COPIES");
}

TEST_F(RoutingTest, CopiesOfOneTurnAreBounded) {
  Make("e", ExchangeType::kFanout);
  for (const char* queue : {"mail", "audit"})
    Bind({.exchange = "e", .queue = queue});
  const SubmitOptions large = {.data = std::string(1200 << 10, 'x'),
                               .exchange = "e"};
  h_.InOneTurn([&] {
    Submit("a", large);
    Submit("b", large);
  });
  EXPECT_EQ(h_.State("a"), "QUEUED");
  EXPECT_EQ(h_.State("b"), "UNKNOWN");
  EXPECT_EQ(h_.Answers(h_.last_call() - 2), "RESOURCE_EXHAUSTED/BROKER_BUSY");
  EXPECT_EQ(Submit("b", large), "OK");
}

TEST_F(RoutingTest, TheOutcomeOfTheTaskIsReported) {
  Make("e", ExchangeType::kFanout);
  for (const char* queue : {"mail", "audit"})
    Bind({.exchange = "e", .queue = queue});
  EXPECT_EQ(Submit("a", {.report_outcome = true, .exchange = "e"}), "OK");
  const int call = h_.last_call();
  h_.Connect("w", {.queues = {"mail", "audit"}});
  h_.Credit("w", 9);
  h_.Succeed("w", "a.2");
  EXPECT_EQ(h_.Answers(call), "");
  h_.Succeed("w", "a");
  EXPECT_EQ(h_.Answers(call), "outcome=SUCCEEDED");
  // One that is over before it begins.
  EXPECT_EQ(Submit("b", {.expire_after = -absl::Seconds(1),
                         .report_outcome = true,
                         .exchange = "e"}),
            "OK");
  EXPECT_EQ(h_.Answers(h_.last_call()), "outcome=EXPIRED");
}

TEST_F(RoutingTest, EveryCopyIsAMemberOfTheBatch) {
  BatchCalls batches(&h_);
  Make("e", ExchangeType::kFanout);
  for (const char* queue : {"mail", "audit"})
    Bind({.exchange = "e", .queue = queue});
  batches.Create("b");
  EXPECT_EQ(Submit("a", {.batch_id = "b", .exchange = "e"}), "OK");
  EXPECT_EQ(batches.Get("b"), "OPEN 0+0/2");
}

TEST_F(RoutingTest, AtomicSubmitsAreRouted) {
  Make("e", ExchangeType::kDirect);
  Bind({.exchange = "e", .queue = "mail", .routing_key = "both"});
  Bind({.exchange = "e", .queue = "audit", .routing_key = "both"});
  const auto submit_all =
      [&](std::vector<std::pair<std::string, Route>> tasks) {
        SubmitAllCommand command;
        for (auto& [id, route] : tasks) {
          auto content = std::make_shared<TaskContent>();
          content->namespace_name = "default";
          content->task_id = id;
          content->type = "job";
          command.tasks.push_back(
              {.content = std::move(content),
               .route = route.exchange.empty()
                            ? nullptr
                            : std::make_shared<Route>(std::move(route))});
        }
        return AskFor<SubmitAllReply>(std::move(command));
      };
  SubmitAllReply reply =
      submit_all({{"a", {"e", "both"}}, {"b", {}}, {"a", {"e", "both"}}});
  EXPECT_TRUE(reply.status.ok()) << reply.status;
  ASSERT_EQ(reply.tasks.size(), 3u);
  EXPECT_THAT(reply.tasks[0].copy_task_ids, ElementsAre("a.2"));
  EXPECT_THAT(reply.tasks[1].copy_task_ids, IsEmpty());
  EXPECT_THAT(reply.tasks[2].copy_task_ids, ElementsAre("a.2"));
  EXPECT_EQ(h_.Queue("mail"), "ready=1 scheduled=0 leased=0");
  EXPECT_EQ(h_.Queue(), "ready=1 scheduled=0 leased=0");
  reply = submit_all({{"c", {}}, {"d", {"e", "nothing"}}});
  EXPECT_EQ(reply.failed, 1u);
  EXPECT_EQ(h_.State("c"), "UNKNOWN");
  // An id of the call that is a copy's, too.
  reply = submit_all({{"f.2", {}}, {"f", {"e", "both"}}});
  EXPECT_EQ(reply.failed, 1u);
  reply = submit_all({{"a", {"e", "both"}}});
  EXPECT_THAT(reply.tasks[0].copy_task_ids, ElementsAre("a.2"));
}

TEST_F(RoutingTest, NothingIsLostWithoutSaying) {
  Make("e", ExchangeType::kDirect);
  SubmitCommand submit;
  submit.content = std::make_shared<TaskContent>();
  submit.content->namespace_name = "default";
  submit.content->type = "job";
  submit.route =
      std::make_shared<Route>(Route{.exchange = "e", .routing_key = "the.key"});
  const auto reply = AskFor<SubmitReply>(std::move(submit));
  const std::string message(reply.status.message());
  EXPECT_THAT(message, HasSubstr("exchange e"));
  EXPECT_THAT(message, HasSubstr("\"the.key\""));
}

// --- Queues that things lead to ---

TEST_F(RoutingTest, AQueueIsDeletedWithItsBindings) {
  Make("e", ExchangeType::kFanout);
  Bind({.exchange = "e", .queue = "mail"});
  Bind({.exchange = "e", .queue = "audit"});
  EXPECT_EQ(h_.DeleteQueue("mail"), "OK");
  EXPECT_EQ(Bindings(), "e->audit");
  EXPECT_EQ(To("e"), "audit");
  h_.Restart();
  EXPECT_EQ(Bindings(), "e->audit");
}

TEST_F(RoutingTest, AQueueThatARuleLeadsToIsNotDeleted) {
  Rules({{.type_pattern = "mail.*", .queue = "mail"}});
  EXPECT_EQ(h_.DeleteQueue("mail"), "FAILED_PRECONDITION/QUEUE_IN_USE");
  Rules({});
  EXPECT_EQ(h_.DeleteQueue("mail"), "OK");
}

TEST(RoutingOnUseTest, QueuesAreMadeOnUse) {
  EngineHarness h({.create_queues_on_use = true});
  const auto ask = [&](auto command) {
    command.namespace_name = "default";
    return h.Answers(h.Send(std::move(command)));
  };
  ask(CreateExchangeCommand{
      .exchange = {.name = "e", .type = ExchangeType::kFanout}});
  EXPECT_EQ(
      ask(CreateBindingCommand{.binding = {.exchange = "e", .queue = "bound"}}),
      "OK");
  EXPECT_EQ(ask(SetRouteRulesCommand{
                .rules = {{.type_pattern = "*", .queue = "ruled"}}}),
            "*->ruled etag=1");
  EXPECT_EQ(h.Submit("a", {.queue = ""}), "OK");
  EXPECT_EQ(h.Queue("ruled"), "ready=1 scheduled=0 leased=0");
  EXPECT_EQ(h.Submit("b", {.exchange = "e"}), "OK");
  EXPECT_EQ(h.Queue("bound"), "ready=1 scheduled=0 leased=0");
}

// --- Route rules ---

TEST_F(RoutingTest, RulesNameTheQueueOfAType) {
  EXPECT_EQ(Ask(GetRouteRulesCommand{}), "etag=0");
  EXPECT_EQ(Rules({{"mail.send", "audit"}, {"mail.*", "mail"}}),
            "mail.send->audit mail.*->mail etag=1");
  const auto queue_of = [&](const std::string& type) {
    return Ask(ResolveRouteCommand{.type = type});
  };
  EXPECT_EQ(queue_of("mail.send"), "audit");
  EXPECT_EQ(queue_of("mail.read"), "mail");
  EXPECT_EQ(queue_of("sms"), "default");
  EXPECT_EQ(Ask(ResolveRouteCommand{.type = "mail.send", .queue = "other"}),
            "other");
  EXPECT_EQ(Ask(ResolveRouteCommand{.type = "a", .queue = "nowhere"}),
            "NOT_FOUND/QUEUE_NOT_FOUND");
  h_.Restart();
  EXPECT_EQ(h_.Submit("a", {.type = "mail.read", .queue = ""}), "OK");
  EXPECT_EQ(QueueOf("a"), "mail");
  EXPECT_EQ(h_.Submit("b", {.queue = ""}), "OK");
  EXPECT_EQ(QueueOf("b"), "default");
  EXPECT_EQ(h_.Submit("c", {.type = "mail.read", .queue = "other"}), "OK");
  EXPECT_EQ(QueueOf("c"), "other");
}

TEST_F(RoutingTest, RulesAreReplacedAsAWhole) {
  EXPECT_EQ(Rules({{"a", "mail"}}), "a->mail etag=1");
  EXPECT_EQ(Rules({{"a", "mail"}}), "a->mail etag=1");
  EXPECT_EQ(Rules({{"b", "mail"}}, "0"), "ABORTED/ETAG_MISMATCH");
  EXPECT_EQ(Rules({{"b", "mail"}}, "1"), "b->mail etag=2");
  EXPECT_EQ(Rules({{"b", "mail"}, {"c", "nowhere"}}),
            "NOT_FOUND/QUEUE_NOT_FOUND");
  EXPECT_EQ(Rules({}), "etag=3");
  h_.Restart();
  EXPECT_EQ(Ask(GetRouteRulesCommand{}), "etag=3");
  EXPECT_EQ(Ask(ResolveRouteCommand{.type = "b"}), "default");
}

TEST_F(RoutingTest, CallbacksOfBatchesFollowTheRules) {
  BatchCalls batches(&h_);
  Rules({{"done", "mail"}});
  auto callbacks = std::make_shared<BatchCallbacks>();
  auto content = std::make_shared<TaskContent>();
  content->namespace_name = "default";
  content->type = "done";
  (*callbacks)[BatchEvent::kComplete].content = std::move(content);
  CreateBatchCommand create;
  create.namespace_name = "default";
  create.batch_id = "b";
  create.callbacks = std::move(callbacks);
  h_.Send(std::move(create));
  batches.Close("b");
  EXPECT_EQ(h_.Queue("mail"), "ready=1 scheduled=0 leased=0");
}

}  // namespace
}  // namespace apium::broker
