// Queues whose every worker gets a copy.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "absl/time/time.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class BroadcastTest : public ::testing::Test {
 protected:
  BroadcastTest() { h_.CreateQueue("all", {.broadcast = true}); }

  // A worker of the queue, with credit.
  void Join(const std::string& worker, WorkerOptions options = {}) {
    options.queues.push_back("all");
    h_.Connect(worker, options);
    h_.Credit(worker, 9);
  }
  std::string Submit(const std::string& id, SubmitOptions options = {}) {
    options.queue = "all";
    return h_.Submit(id, options);
  }

  EngineHarness h_;
};

TEST_F(BroadcastTest, EveryWorkerGetsItsCopy) {
  Join("w2");
  Join("w1");
  h_.Credit("outsider", 9);
  EXPECT_EQ(Submit("a"), "OK");
  EXPECT_THAT(h_.last_submit().copy_task_ids, ElementsAre("a.2"));
  EXPECT_EQ(h_.Delivered("w1"), "a#1");
  EXPECT_EQ(h_.Delivered("w2"), "a.2#1");
  EXPECT_EQ(h_.Delivered("outsider"), "");
}

TEST_F(BroadcastTest, ACopyIsForItsWorkerAlone) {
  h_.Connect("w1", {.queues = {"all"}});
  Join("w2");
  Submit("a");
  EXPECT_EQ(h_.Delivered("w2"), "a.2#1");
  h_.Succeed("w2", "a.2");
  h_.Credit("w2", 9);
  EXPECT_EQ(h_.Delivered("w2"), "");
  EXPECT_EQ(h_.State("a"), "QUEUED");
  h_.Credit("w1", 1);
  EXPECT_EQ(h_.Delivered("w1"), "a#1");
  // It comes back to the same worker, too.
  h_.Return("w1", "a");
  h_.Advance(absl::Minutes(1));
  EXPECT_EQ(h_.Delivered("w2"), "");
}

TEST_F(BroadcastTest, TwoSessionsOfOneWorkerAreOne) {
  Join("w1");
  h_.Connect("w1", {.queues = {"all"}});
  EXPECT_EQ(Submit("a"), "OK");
  EXPECT_THAT(h_.last_submit().copy_task_ids, IsEmpty());
}

TEST_F(BroadcastTest, WithoutWorkersItIsRefused) {
  const std::string none = "FAILED_PRECONDITION/NO_SUBSCRIBERS";
  EXPECT_EQ(Submit("a"), none);
  h_.Credit("outsider", 9);
  EXPECT_EQ(Submit("a"), none);
  Join("other", {.types = {"other"}});
  EXPECT_EQ(Submit("a"), none);
  Join("draining");
  h_.SayDraining("draining");
  EXPECT_EQ(Submit("a"), none);
  Join("gone");
  h_.Disconnect("gone");
  EXPECT_EQ(Submit("a"), none);
  EXPECT_EQ(h_.State("a"), "UNKNOWN");
  ResolveRouteCommand resolve;
  resolve.namespace_name = "default";
  resolve.type = "job";
  resolve.queue = "all";
  EXPECT_EQ(h_.Answers(h_.Send(resolve)), none);
  Join("w");
  EXPECT_EQ(h_.Answers(h_.Send(resolve)), "all");
}

TEST_F(BroadcastTest, OnlyWorkersThatCanRunItGetACopy) {
  Join("cpu");
  Join("gpu", {.labels = {{"gpu", "true"}}});
  Join("other", {.types = {"other"}});
  SubmitOptions options;
  options.placement = Placement{.required_labels = {{"gpu", "true"}}};
  EXPECT_EQ(Submit("a", options), "OK");
  EXPECT_THAT(h_.last_submit().copy_task_ids, IsEmpty());
  EXPECT_EQ(h_.Delivered("gpu"), "a#1");
}

TEST_F(BroadcastTest, OrderAndUniqueKeysAreNotForCopies) {
  Join("w1");
  Join("w2");
  SubmitOptions ordered;
  ordered.placement = Placement{.ordering_key = "k"};
  EXPECT_EQ(Submit("a", ordered), "INVALID_ARGUMENT/INVALID_FIELD");
  EXPECT_EQ(Submit("a", {.unique = Unique{.key = "k"}}),
            "FAILED_PRECONDITION/UNIQUE_KEY_COPIES");
}

TEST_F(BroadcastTest, ARepeatedSubmitIsAnsweredAsTheFirst) {
  Join("w1");
  Join("w2");
  Submit("a");
  Join("w3");
  h_.Restart();
  EXPECT_EQ(Submit("a"), "OK");
  EXPECT_THAT(h_.last_submit().copy_task_ids, ElementsAre("a.2"));
  EXPECT_EQ(h_.State("a.3"), "UNKNOWN");
}

TEST_F(BroadcastTest, ExchangesLeadToIt) {
  const auto ask = [&](auto command) {
    command.namespace_name = "default";
    return h_.Answers(h_.Send(std::move(command)));
  };
  ask(CreateExchangeCommand{
      .exchange = {.name = "e", .type = ExchangeType::kFanout}});
  for (const char* queue : {"all", "default"})
    ask(CreateBindingCommand{.binding = {.exchange = "e", .queue = queue}});
  EXPECT_EQ(h_.Submit("a", {.exchange = "e"}),
            "FAILED_PRECONDITION/NO_SUBSCRIBERS");
  Join("w1", {.queues = {}});
  Join("w2", {.queues = {}});
  EXPECT_EQ(h_.Submit("a", {.exchange = "e"}), "OK");
  EXPECT_THAT(h_.last_submit().copy_task_ids, ElementsAre("a.2", "a.3"));
  EXPECT_EQ(h_.Delivered("w1"), "a#1");
  EXPECT_EQ(h_.Delivered("w2"), "a.2#1");
  EXPECT_EQ(h_.Queue(), "ready=1 scheduled=0 leased=0");
}

// --- Workers that go ---

TEST_F(BroadcastTest, CopiesEndWithTheirWorker) {
  Join("w1");
  h_.Connect("w2", {.queues = {"all"}});
  Submit("ready");
  Submit("later", {.delay = absl::Hours(1)});
  EXPECT_EQ(h_.State("ready.2"), "QUEUED");
  h_.Disconnect("w2");
  h_.Advance(absl::Seconds(14));
  EXPECT_EQ(h_.State("ready.2"), "QUEUED");
  h_.Heartbeat("w1");
  h_.Advance(absl::Seconds(2));
  EXPECT_EQ(h_.State("ready.2"), "CANCELLED");
  EXPECT_EQ(h_.OutcomeOf("ready.2").failure.type, "apium.WorkerGone");
  EXPECT_EQ(h_.State("later.2"), "CANCELLED");
  EXPECT_EQ(h_.State("ready"), "LEASED");
  EXPECT_EQ(h_.State("later"), "SCHEDULED");
}

TEST_F(BroadcastTest, WhatALostWorkerHeldEndsToo) {
  Join("w1");
  Submit("a");
  EXPECT_EQ(h_.Delivered("w1"), "a#1");
  h_.Lose("w1");
  h_.Advance(absl::Minutes(1));
  EXPECT_EQ(h_.State("a"), "CANCELLED");
}

TEST_F(BroadcastTest, AWorkerThatIsBackKeepsItsCopies) {
  h_.Connect("w1", {.queues = {"all"}});
  Submit("a");
  h_.Disconnect("w1");
  h_.Advance(absl::Seconds(10));
  // Restarted: its old session is over.
  h_.Connect("w1", {.queues = {"all"}});
  h_.Advance(absl::Seconds(10));
  h_.Credit("w1", 1);
  EXPECT_EQ(h_.Delivered("w1"), "a#1");
}

TEST_F(BroadcastTest, OtherTasksDoNotEndWithAWorker) {
  h_.Connect("w1", {.queues = {"all", "default"}});
  SubmitOptions pinned;
  pinned.placement = Placement{.required_labels = {{"apium.worker_id", "w1"}}};
  h_.Submit("pinned", pinned);
  h_.Submit("plain");
  Submit("copy");
  h_.Disconnect("w1");
  h_.Advance(absl::Minutes(1));
  EXPECT_EQ(h_.State("copy"), "CANCELLED");
  EXPECT_EQ(h_.State("pinned"), "QUEUED");
  EXPECT_EQ(h_.State("plain"), "QUEUED");
}

TEST_F(BroadcastTest, ManyCopiesEndOverManyTurns) {
  h_.Connect("w1", {.queues = {"all"}});
  h_.InOneTurn([&] {
    for (int i = 0; i < 5000; ++i) Submit("");
  });
  EXPECT_EQ(h_.Queue("all"), "ready=5000 scheduled=0 leased=0");
  h_.Disconnect("w1");
  h_.Advance(absl::Minutes(1));
  EXPECT_EQ(h_.Queue("all"), "ready=0 scheduled=0 leased=0");
}

TEST_F(BroadcastTest, WorkersThatDoNotComeBackAfterARestartAreGone) {
  h_.Connect("w1", {.queues = {"all"}});
  h_.Connect("w2", {.queues = {"all"}});
  Submit("a");
  h_.Crash();
  h_.Connect("w2", {.queues = {"all"}});
  EXPECT_EQ(h_.State("a"), "QUEUED");
  h_.Advance(absl::Seconds(16));
  EXPECT_EQ(h_.State("a"), "CANCELLED");
  EXPECT_EQ(h_.State("a.2"), "QUEUED");
  h_.Credit("w2", 1);
  EXPECT_EQ(h_.Delivered("w2"), "a.2#1");
}

TEST_F(BroadcastTest, CopiesExpire) {
  h_.Connect("w1", {.queues = {"all"}});
  Submit("plain");
  Submit("short", {.expire_after = absl::Minutes(1)});
  Submit("long", {.expire_after = absl::Hours(3)});
  const auto pass = [&](absl::Duration time) {
    for (; time > absl::ZeroDuration(); time -= absl::Seconds(20)) {
      h_.Heartbeat("w1");
      h_.Advance(absl::Seconds(20));
    }
  };
  pass(absl::Minutes(2));
  EXPECT_EQ(h_.State("short"), "EXPIRED");
  EXPECT_EQ(h_.State("plain"), "QUEUED");
  pass(absl::Hours(1));
  EXPECT_EQ(h_.State("plain"), "EXPIRED");
  EXPECT_EQ(h_.State("long"), "QUEUED");
}

TEST_F(BroadcastTest, ALetterRunsAgainOnItsWorkerOrElsewhereOnAny) {
  EngineHarness h;
  h.CreateQueue("all", {.dead_letter = true, .broadcast = true});
  h.Connect("w1", {.queues = {"all"}, .slots = 100});
  h.Credit("w1", 9);
  h.Connect("w2", {.queues = {"default"}});
  h.Credit("w2", 9);
  const auto redrive = [&](const std::string& id, const std::string& target) {
    RedriveDeadLetterCommand command;
    command.namespace_name = "default";
    command.queue = "all";
    command.task_id = id;
    command.target_queue = target;
    return h.Answers(h.Send(std::move(command)));
  };
  for (const char* id : {"a", "b"}) {
    h.Submit(id, {.queue = "all"});
    h.Fail("w1", id, {.non_retryable = true});
    EXPECT_EQ(h.State(id), "DEAD_LETTERED");
  }
  h.Delivered("w1");
  EXPECT_EQ(redrive("a", ""), "OK");
  EXPECT_NE(h.Delivered("w1"), "");
  EXPECT_EQ(redrive("b", "default"), "OK");
  EXPECT_NE(h.Delivered("w2"), "");
}

}  // namespace
}  // namespace apium::broker
