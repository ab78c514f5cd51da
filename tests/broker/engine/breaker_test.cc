// Circuit breakers of task types.

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {
namespace {

class BreakerTest : public ::testing::Test {
 protected:
  BreakerTest() {
    h_.Connect("w1", {.types = {"job", "mail"}, .slots = 100});
    h_.Credit("w1", 50);
  }

  std::string Set(const BreakerSettings& settings = kSettings) {
    return Ask(SetBreakerCommand{.settings = settings});
  }
  template <typename CommandType>
  std::string Ask(CommandType command) {
    command.namespace_name = "default";
    if (command.type.empty()) command.type = "job";
    return h_.Answers(h_.Send(std::move(command)));
  }
  std::string Get() { return Ask(GetBreakerCommand{}); }

  // Runs a task of the type to its end.
  void Run(bool succeeds) {
    const std::string id = absl::StrCat("run", ++runs_);
    h_.Submit(id);
    h_.Delivered("w1");
    End(id, succeeds);
  }
  void End(const std::string& id, bool succeeds) {
    if (succeeds) {
      h_.Succeed("w1", id);
    } else {
      h_.Fail("w1", id, {.non_retryable = true});
    }
    h_.Credit("w1", 1);
  }
  void OpenIt() {
    Set();
    for (int i = 0; i < 4; ++i) Run(false);
    EXPECT_EQ(Get(), "OPEN 4/4");
  }

  static constexpr BreakerSettings kSettings = {
      .failure_share = 0.5,
      .min_attempts = 4,
      .window = absl::Seconds(60),
      .open_duration = absl::Seconds(30)};

  EngineHarness h_;
  int runs_ = 0;
};

TEST_F(BreakerTest, OpensWhenTheShareIsReached) {
  EXPECT_EQ(Set(), "CLOSED 0/0");
  Run(true);
  Run(false);
  Run(true);
  EXPECT_EQ(Get(), "CLOSED 1/3");
  Run(false);
  EXPECT_EQ(Get(), "OPEN 2/4");
  h_.Submit("a");
  h_.Submit("other", {.type = "mail"});
  EXPECT_EQ(h_.Delivered("w1"), "other#1");
  EXPECT_EQ(h_.Task("a").waiting_reason,
            "the breaker of type job is open until 2023-11-14T22:13:50+00:00");
}

TEST_F(BreakerTest, StaysClosedBelowTheShareOrTheNumber) {
  Set();
  for (int i = 0; i < 3; ++i) Run(false);
  EXPECT_EQ(Get(), "CLOSED 3/3");
  Set({.failure_share = 0.9, .min_attempts = 4});
  for (int i = 0; i < 3; ++i) Run(true);
  Run(false);
  EXPECT_EQ(Get(), "CLOSED 4/7");
}

TEST_F(BreakerTest, RetriesAndCrashesCountAsFailures) {
  Set({.failure_share = 1, .min_attempts = 3});
  h_.Submit("a", {.retry = {.max_attempts = 9, .jitter = 0}});
  h_.Fail("w1", "a");
  EXPECT_EQ(Get(), "CLOSED 1/1");
  h_.Submit("b");
  h_.Submit("c");
  h_.Disconnect("w1");
  h_.Advance(absl::Seconds(15));
  EXPECT_EQ(Get(), "OPEN 3/3");
}

TEST_F(BreakerTest, ReturnsAndCancelsDoNotCount) {
  Set();
  h_.Submit("a");
  h_.Return("w1", "a");
  h_.Cancel("a");
  h_.Fail("w1", "a");
  EXPECT_EQ(h_.State("a"), "CANCELLED");
  EXPECT_EQ(Get(), "CLOSED 0/0");
}

TEST_F(BreakerTest, TheWindowForgets) {
  Set();
  Run(false);
  Run(false);
  h_.Advance(absl::Seconds(20));
  h_.Heartbeat("w1");
  Run(false);
  EXPECT_EQ(Get(), "CLOSED 3/3");
  h_.Advance(absl::Seconds(20));
  h_.Heartbeat("w1");
  h_.Advance(absl::Seconds(20));
  EXPECT_EQ(Get(), "CLOSED 1/1");
}

TEST_F(BreakerTest, HalfOpenTriesOneAtATime) {
  OpenIt();
  for (const char* id : {"a", "b", "c"}) h_.Submit(id);
  h_.Advance(absl::Seconds(29));
  h_.Heartbeat("w1");
  EXPECT_EQ(h_.Delivered("w1"), "");
  h_.Advance(absl::Seconds(1));
  EXPECT_EQ(h_.Delivered("w1"), "a#1");
  EXPECT_EQ(h_.Task("b").waiting_reason,
            "the breaker of type job is half open: one task at a time");
  End("a", true);
  EXPECT_EQ(h_.Delivered("w1"), "b#1 c#1");
  EXPECT_EQ(Get(), "CLOSED 0/0");
}

TEST_F(BreakerTest, ATrialThatFailsOpensItAgain) {
  OpenIt();
  h_.Submit("a");
  h_.Submit("b");
  h_.Advance(absl::Seconds(20));
  h_.Heartbeat("w1");
  h_.Advance(absl::Seconds(10));
  EXPECT_EQ(h_.Delivered("w1"), "a#1");
  End("a", false);
  EXPECT_EQ(h_.Delivered("w1"), "");
  h_.Advance(absl::Seconds(20));
  h_.Heartbeat("w1");
  EXPECT_EQ(h_.Delivered("w1"), "");
  h_.Advance(absl::Seconds(10));
  EXPECT_EQ(h_.Delivered("w1"), "b#1");
}

TEST_F(BreakerTest, ATrialThatComesBackIsFollowedByAnother) {
  OpenIt();
  h_.Submit("a");
  h_.Advance(absl::Seconds(20));
  h_.Heartbeat("w1");
  h_.Advance(absl::Seconds(10));
  EXPECT_EQ(h_.Delivered("w1"), "a#1");
  h_.Return("w1", "a");
  EXPECT_EQ(h_.Delivered("w1"), "a#2");
  End("a", true);
  EXPECT_EQ(Get(), "CLOSED 0/0");
}

TEST_F(BreakerTest, WhatRanBeforeItOpenedIsNoTrial) {
  h_.Submit("old");
  OpenIt();
  h_.Advance(absl::Seconds(20));
  h_.Heartbeat("w1");
  h_.Advance(absl::Seconds(10));
  h_.Succeed("w1", "old");
  EXPECT_EQ(Get().substr(0, 9), "HALF_OPEN");
}

TEST_F(BreakerTest, ItsStateSurvivesARestart) {
  OpenIt();
  h_.Crash();
  EXPECT_EQ(Get(), "OPEN 0/0");
  h_.Connect("w1", {.types = {"job", "mail"}, .slots = 100});
  h_.Credit("w1", 50);
  h_.Submit("a");
  h_.Submit("b");
  h_.Advance(absl::Seconds(20));
  h_.Heartbeat("w1");
  EXPECT_EQ(h_.Delivered("w1"), "");
  h_.Advance(absl::Seconds(10));
  EXPECT_EQ(h_.Delivered("w1"), "a#1");
  h_.Crash();
  h_.Reconnect("w1");
  h_.Credit("w1", 10);
  EXPECT_EQ(Get(), "HALF_OPEN 0/0");
  EXPECT_EQ(h_.Delivered("w1"), "");
  h_.Succeed("w1", "a");
  EXPECT_EQ(h_.Delivered("w1"), "b#1");
  EXPECT_EQ(Get(), "CLOSED 0/0");
}

TEST_F(BreakerTest, ResetClosesIt) {
  OpenIt();
  h_.Submit("a");
  EXPECT_EQ(Ask(ResetBreakerCommand{}), "CLOSED 0/0");
  EXPECT_EQ(h_.Delivered("w1"), "a#1");
}

TEST_F(BreakerTest, RemovingItLetsTasksThrough) {
  OpenIt();
  h_.Submit("a");
  EXPECT_EQ(Ask(SetBreakerCommand{}), "removed");
  EXPECT_EQ(h_.Delivered("w1"), "a#1");
  EXPECT_EQ(Get(), "NOT_FOUND/BREAKER_NOT_FOUND");
  EXPECT_EQ(Ask(SetBreakerCommand{}), "removed");
  EXPECT_EQ(Ask(ResetBreakerCommand{}), "NOT_FOUND/BREAKER_NOT_FOUND");
  h_.Restart();
  EXPECT_EQ(Get(), "NOT_FOUND/BREAKER_NOT_FOUND");
}

TEST_F(BreakerTest, ListsByType) {
  Ask(SetBreakerCommand{.type = "z", .settings = kSettings});
  Ask(SetBreakerCommand{.type = "a", .settings = kSettings});
  const std::string all = "a CLOSED 0/0; z CLOSED 0/0";
  EXPECT_EQ(
      h_.Answers(h_.Send(ListBreakersCommand{.namespace_name = "default"})),
      all);
  h_.Restart();
  EXPECT_EQ(
      h_.Answers(h_.Send(ListBreakersCommand{.namespace_name = "default"})),
      all);
  EXPECT_EQ(
      h_.Answers(h_.Send(ListBreakersCommand{.namespace_name = "nowhere"})),
      "NOT_FOUND/NAMESPACE_NOT_FOUND");
}

TEST_F(BreakerTest, ANamespaceHasAThousand) {
  h_.InOneTurn([&] {
    for (int i = 0; i < 1000; ++i) {
      h_.Send(SetBreakerCommand{.namespace_name = "default",
                                .type = absl::StrCat("type", i),
                                .settings = kSettings});
    }
  });
  EXPECT_EQ(Set(), "RESOURCE_EXHAUSTED/TOO_MANY_BREAKERS");
  EXPECT_EQ(Ask(SetBreakerCommand{.type = "type7", .settings = kSettings}),
            "CLOSED 0/0");
  EXPECT_EQ(Ask(SetBreakerCommand{.type = "type8"}), "removed");
  EXPECT_EQ(Set(), "CLOSED 0/0");
}

TEST_F(BreakerTest, StatsTellOfIt) {
  OpenIt();
  const EngineStats stats = h_.Stats();
  ASSERT_EQ(stats.breakers.size(), 1u);
  EXPECT_EQ(stats.breakers[0].type, "job");
  EXPECT_EQ(stats.breakers[0].state, BreakerState::kOpen);
  EXPECT_EQ(stats.breakers[0].opened, 1u);
}

}  // namespace
}  // namespace apium::broker
