// Exchanges, route rules and broadcasts, over deaths of the broker.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "client/connection.h"
#include "client/queue_client.h"
#include "client/routing_client.h"
#include "common/error_reason.h"
#include "common/strings.h"
#include "tests/integration/platform_fixture.h"
#include "tests/support/child_process.h"
#include "tests/support/status_matchers.h"

namespace apium {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

class RoutingTest : public PlatformFixture {
 protected:
  void MakeExchange(const std::string& name, v1::ExchangeType type,
                    const std::string& alternate = "") {
    v1::Exchange exchange;
    exchange.set_name(name);
    exchange.set_type(type);
    exchange.set_alternate_exchange(alternate);
    APIUM_EXPECT_OK(routing_.CreateExchange(exchange));
  }
  void Bind(const std::string& exchange, const std::string& queue,
            const std::string& routing_key = "",
            const std::map<std::string, std::string>& headers = {}) {
    v1::Binding binding;
    binding.set_exchange(exchange);
    binding.set_queue(queue);
    binding.set_routing_key(routing_key);
    binding.mutable_headers()->insert(headers.begin(), headers.end());
    APIUM_EXPECT_OK(routing_.CreateBinding(binding));
  }
  // The queues of the tasks that a submit makes, by their ids.
  std::map<std::string, std::string> Submitted(SubmitOptions options) {
    options.type = "apium.noop";
    const auto handle = tasks().Submit(std::move(options));
    APIUM_EXPECT_OK(handle);
    std::map<std::string, std::string> queues;
    if (!handle.ok()) return queues;
    std::vector<std::string> ids = handle->copy_ids();
    ids.push_back(handle->id());
    for (const std::string& id : ids) {
      const auto task = tasks().Get(id);
      APIUM_EXPECT_OK(task);
      if (task.ok()) queues[id] = task->spec().queue();
    }
    return queues;
  }

  RoutingClient routing_{platform_.connection()};
};

TEST_F(RoutingTest, BindingsFindQueuesOverKills) {
  for (const char* queue : {"mail", "audit", "other"}) CreateQueue(queue);
  MakeExchange("rest", v1::EXCHANGE_TYPE_FANOUT);
  MakeExchange("events", v1::EXCHANGE_TYPE_TOPIC, "rest");
  MakeExchange("kinds", v1::EXCHANGE_TYPE_HEADERS);
  Bind("rest", "other");
  Bind("events", "mail", "order.*.paid");
  Bind("events", "audit", "order.#");
  Bind("kinds", "mail", "", {{"kind", "mail"}});
  KillBroker();
  EXPECT_THAT(Submitted({.task_id = "a",
                         .exchange = "events",
                         .routing_key = "order.7.paid"}),
              ElementsAre(Pair("a", "audit"), Pair("a.2", "mail")));
  EXPECT_THAT(
      Submitted(
          {.task_id = "b", .exchange = "kinds", .headers = {{"kind", "mail"}}}),
      ElementsAre(Pair("b", "mail")));
  EXPECT_THAT(
      Submitted({.task_id = "c", .exchange = "events", .routing_key = "user"}),
      ElementsAre(Pair("c", "other")));
  EXPECT_THAT(tasks().Submit({.type = "apium.noop", .exchange = "kinds"}),
              HasReason("UNROUTABLE"));
  KillBroker();
  // The same submit is answered as before, and makes nothing.
  EXPECT_THAT(Submitted({.task_id = "a",
                         .exchange = "events",
                         .routing_key = "order.7.paid"}),
              ElementsAre(Pair("a", "audit"), Pair("a.2", "mail")));
  EXPECT_EQ(CountsOf("mail").queued(), 2u);
  const auto worker =
      platform_.StartWorker("second", {"--queues=mail,audit,other"});
  for (const char* id : {"a", "a.2", "b", "c"}) {
    const auto task = tasks().Wait(id, kLongTime);
    APIUM_ASSERT_OK(task);
    EXPECT_EQ(task->state(), v1::TASK_STATE_SUCCEEDED) << id;
  }
}

TEST_F(RoutingTest, RulesNameTheQueuesOfTypesOverAKill) {
  CreateQueue("slow");
  v1::RouteRule rule;
  rule.set_type_pattern("apium.sl*");
  rule.set_queue("slow");
  APIUM_ASSERT_OK(routing_.SetRouteRules({rule}));
  KillBroker();
  Submit({.type = "apium.sleep", .task_id = "a"});
  Submit({.type = "apium.noop", .task_id = "b"});
  EXPECT_EQ(tasks().Get("a")->spec().queue(), "slow");
  EXPECT_EQ(tasks().Get("b")->spec().queue(), "default");
  EXPECT_TRUE(platform_.queues().Purge("slow").ok());
  EXPECT_THAT(platform_.queues().Delete("slow"), HasReason("QUEUE_IN_USE"));
}

TEST_F(RoutingTest, ABroadcastRunsOnEveryWorkerOverAKill) {
  v1::Queue queue;
  queue.set_name("all");
  queue.set_broadcast(true);
  APIUM_ASSERT_OK(platform_.queues().Create(queue));
  EXPECT_THAT(tasks().Submit({.type = "apium.noop", .queue = "all"}),
              HasReason("NO_SUBSCRIBERS"));
  const auto first = platform_.StartWorker("w1", {"--queues=all"});
  auto second = platform_.StartWorker("w2", {"--queues=all"});
  ASSERT_TRUE(Eventually(
      [&] { return platform_.queues().Get("all")->counts().workers() == 2; }));
  APIUM_ASSERT_OK(platform_.queues().Pause("all"));
  EXPECT_THAT(Submitted({.task_id = "a", .queue = "all"}),
              UnorderedElementsAre(Pair("a", "all"), Pair("a.2", "all")));
  KillBroker();
  APIUM_ASSERT_OK(platform_.queues().Resume("all"));
  const auto on_first = tasks().Wait("a", kLongTime);
  const auto on_second = tasks().Wait("a.2", kLongTime);
  APIUM_ASSERT_OK(on_first);
  APIUM_ASSERT_OK(on_second);
  EXPECT_EQ(on_first->state(), v1::TASK_STATE_SUCCEEDED);
  EXPECT_EQ(on_first->outcome().worker_id(), "w1");
  EXPECT_EQ(on_second->state(), v1::TASK_STATE_SUCCEEDED);
  EXPECT_EQ(on_second->outcome().worker_id(), "w2");

  // What is for a worker that dies ends with it.
  ASSERT_TRUE(Eventually(
      [&] { return platform_.queues().Get("all")->counts().workers() == 2; }));
  APIUM_ASSERT_OK(platform_.queues().Pause("all"));
  Submit({.type = "apium.noop", .task_id = "b", .queue = "all"});
  second->Kill();
  const auto gone = tasks().Wait("b.2", kLongTime);
  APIUM_ASSERT_OK(gone);
  EXPECT_EQ(gone->state(), v1::TASK_STATE_CANCELLED);
  EXPECT_EQ(gone->outcome().failure().type(), "apium.WorkerGone");
  APIUM_ASSERT_OK(platform_.queues().Resume("all"));
  EXPECT_EQ(tasks().Wait("b", kLongTime)->state(), v1::TASK_STATE_SUCCEEDED);
}

}  // namespace
}  // namespace apium
