#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {
namespace {

TEST(SuspectTest, TasksOfALostWorkerRunAlone) {
  EngineHarness h;
  for (const char* id : {"a", "b", "c"}) h.Submit(id);
  h.Credit("w1", 2);
  EXPECT_EQ(h.Delivered("w1"), "a#1 b#1");
  h.Lose("w1");
  EXPECT_TRUE(h.Task("a").suspect);
  EXPECT_TRUE(h.Task("b").suspect);
  EXPECT_FALSE(h.Task("c").suspect);
  h.Credit("w2", 8);
  EXPECT_EQ(h.Delivered("w2"), "a#2");
  EXPECT_EQ(h.Workers(), "w2 connected credit=7 leases=1");
  h.Succeed("w2", "a");
  EXPECT_EQ(h.Delivered("w2"), "b#2");
  h.Succeed("w2", "b");
  EXPECT_EQ(h.Delivered("w2"), "c#1");
  h.Submit("d");
  EXPECT_EQ(h.Delivered("w2"), "d#1");
}

TEST(SuspectTest, SaysWhatItWaitsFor) {
  EngineHarness h;
  h.Submit("a");
  h.Credit("w1", 1);
  h.Lose("w1");
  EXPECT_THAT(h.Task("a").waiting_reason, testing::HasSubstr("no connected"));
  h.Submit("b", {.type = "long"});
  h.Connect("w2", {.types = {"long", "job"}});
  h.Pause("default");
  h.Credit("w2", 2);
  h.Delivered("w2");
  EXPECT_THAT(h.Task("a").waiting_reason, testing::HasSubstr("paused"));
  h.Resume("default");
  EXPECT_EQ(h.Delivered("w2"), "a#2");
  h.Submit("c");
  h.Connect("w3", {.types = {"long"}});
  EXPECT_EQ(h.State("c"), "QUEUED");
}

TEST(SuspectTest, TheReportOfACrashMakesASuspectOfThatTaskOnly) {
  EngineHarness h;
  for (const char* id : {"a", "b"}) h.Submit(id);
  h.Credit("w1", 3);
  EXPECT_EQ(h.Delivered("w1"), "a#1 b#1");
  EXPECT_EQ(h.Crash("w1", "a"), "ack a#1");
  EXPECT_TRUE(h.Task("a").suspect);
  EXPECT_EQ(h.Task("a").crashes, 1u);
  EXPECT_EQ(h.Task("a").failures, 0u);
  EXPECT_FALSE(h.Task("b").suspect);
  EXPECT_EQ(h.Task("a").waiting_reason, "waits to run alone after a crash");
  // The only worker runs empty for it.
  h.Submit("c");
  EXPECT_EQ(h.Delivered("w1"), "");
  h.Succeed("w1", "b");
  EXPECT_EQ(h.Delivered("w1"), "a#2");
}

TEST(SuspectTest, AnInnocentEndClearsTheFlag) {
  EngineHarness h;
  h.Submit("a");
  h.Credit("w1", 1);
  h.Lose("w1");
  h.Credit("w2", 1);
  h.Fail("w2", "a");
  EXPECT_FALSE(h.Task("a").suspect);
  EXPECT_EQ(h.Task("a").crashes, 1u);
}

TEST(SuspectTest, OneThatNeverBeganProvesNothing) {
  EngineHarness h;
  h.Submit("a");
  h.Credit("w1", 1);
  h.Lose("w1");
  h.Credit("w2", 1);
  h.Return("w2", "a");
  EXPECT_TRUE(h.Task("a").suspect);
  h.Credit("w2", 1);
  h.Start("w2", "a");
  h.Return("w2", "a");
  EXPECT_FALSE(h.Task("a").suspect);
}

TEST(SuspectTest, ACulpritRunsAloneUntilItsLimit) {
  EngineHarness h;
  h.Submit("a", {.retry = {.jitter = 0, .max_crashes = 3}});
  for (int i = 1; i <= 3; ++i) {
    const std::string worker = absl::StrCat("w", i);
    h.Credit(worker, 4);
    EXPECT_EQ(h.Delivered(worker), absl::StrCat("a#", i));
    h.Lose(worker);
  }
  EXPECT_EQ(h.State("a"), "FAILED");
  EXPECT_EQ(h.OutcomeOf("a").failure.type, "apium.WorkerLost");
  EXPECT_EQ(h.OutcomeOf("a").crashes, 3u);
}

TEST(SuspectTest, AnIdleSessionTakesOneBesideTheReservedOne) {
  EngineHarness h;
  for (const char* id : {"a", "b"}) h.Submit(id);
  h.Credit("w1", 2);
  h.Delivered("w1");
  h.Submit("x");
  h.Credit("busy", 4);
  EXPECT_EQ(h.Delivered("busy"), "x#1");
  h.Lose("w1");
  h.Heartbeat("busy");
  // "busy" is reserved and runs empty; "idle" need not.
  h.Credit("idle", 4);
  EXPECT_EQ(h.Delivered("idle"), "a#2");
  h.Submit("y");
  EXPECT_EQ(h.Delivered("busy"), "");
  h.Succeed("busy", "x");
  EXPECT_EQ(h.Delivered("busy"), "b#2");
  h.Succeed("idle", "a");
  EXPECT_EQ(h.Delivered("idle"), "y#1");
}

TEST(SuspectTest, IsNotStarvedByOrdinaryTasks) {
  EngineHarness h;
  h.Submit("poison");
  h.Credit("w0", 1);
  h.Lose("w0");
  // Two workers that always hold something.
  int submitted = 0;
  std::map<std::string, std::vector<std::string>> held;
  for (const char* worker : {"w1", "w2"}) {
    h.Connect(worker);
    h.Pause("default");
  }
  h.Resume("default");
  for (int i = 0; i < 4; ++i) h.Submit(absl::StrCat("t", submitted++));
  for (const char* worker : {"w1", "w2"}) h.Credit(worker, 2);
  int rounds = 0;
  while (h.State("poison") == "QUEUED" && rounds < 20) {
    ++rounds;
    for (const char* worker : {"w1", "w2"}) {
      h.Submit(absl::StrCat("t", submitted++));
      for (const auto& label :
           absl::StrSplit(h.Delivered(worker), ' ', absl::SkipEmpty())) {
        held[worker].push_back(std::string(label.substr(0, label.find('#'))));
      }
      if (held[worker].empty()) continue;
      const std::string id = held[worker].front();
      held[worker].erase(held[worker].begin());
      h.InOneTurn([&] {
        h.Succeed(worker, id);
        h.Credit(worker, 1);
      });
    }
  }
  EXPECT_LT(rounds, 20);
}

TEST(SuspectTest, OrdinaryTasksGoOnElsewhere) {
  EngineHarness h;
  h.Submit("s");
  h.Credit("w0", 1);
  h.Submit("l1");
  h.Submit("l2");
  h.Credit("w1", 1);
  h.Credit("w2", 1);
  h.Lose("w0");
  for (const char* worker : {"w1", "w2"}) {
    h.Heartbeat(worker);
    h.Delivered(worker);
    h.Credit(worker, 4);
  }
  for (const char* id : {"a", "b", "c"}) h.Submit(id);
  // One of the two runs empty, the other takes them all.
  const std::string one = h.Delivered("w1");
  const std::string other = h.Delivered("w2");
  EXPECT_EQ(one + other, "a#1 b#1 c#1");
  EXPECT_TRUE(one.empty() || other.empty());
}

TEST(SuspectTest, AReservedWorkerThatDrainsIsReplaced) {
  EngineHarness h;
  h.Submit("l1");
  h.Submit("l2");
  h.Credit("w1", 4);
  h.Delivered("w1");
  h.Crash("w1", "l1");
  EXPECT_EQ(h.State("l1"), "QUEUED");
  h.SayDraining("w1");
  h.Credit("w2", 1);
  EXPECT_EQ(h.Delivered("w2"), "l1#2");
}

TEST(SuspectTest, SurvivesARestart) {
  EngineHarness h;
  for (const char* id : {"a", "b", "c"}) h.Submit(id);
  h.Credit("w1", 2);
  h.Lose("w1");
  h.Restart();
  EXPECT_TRUE(h.Task("a").suspect);
  h.Credit("w2", 8);
  EXPECT_EQ(h.Delivered("w2"), "a#2");
  // Also while it is leased.
  h.Restart();
  h.Reconnect("w2");
  h.Credit("w2", 8);
  EXPECT_EQ(h.Delivered("w2"), "");
  EXPECT_EQ(h.Succeed("w2", "a"), "ack a#2");
  EXPECT_EQ(h.Delivered("w2"), "b#2");
}

TEST(SuspectTest, IsHandledLikeAnyWaitingTask) {
  EngineHarness h;
  h.Submit("cancelled");
  h.Submit("expired", {.expire_after = absl::Seconds(60)});
  h.Submit("purged");
  h.Credit("w1", 3);
  h.Lose("w1");
  EXPECT_EQ(h.Queue(), "ready=3 scheduled=0 leased=0");
  EXPECT_EQ(h.List(), "cancelled expired purged");
  EXPECT_EQ(h.Cancel("cancelled"), "CANCELLED");
  h.Advance(absl::Seconds(60));
  EXPECT_EQ(h.State("expired"), "EXPIRED");
  EXPECT_EQ(h.Purge("default"), "purged 1");
  EXPECT_EQ(h.State("purged"), "CANCELLED");
  EXPECT_EQ(h.Queue(), "ready=0 scheduled=0 leased=0");
  h.Submit("next");
  h.Credit("w2", 1);
  EXPECT_EQ(h.Delivered("w2"), "next#1");
}

TEST(SuspectTest, PausedOnesReserveNobody) {
  EngineHarness h;
  h.CreateQueue("other");
  h.Submit("s", {.queue = "other"});
  h.Connect("w1", {.queues = {"other"}});
  h.Credit("w1", 1);
  h.Lose("w1");
  h.Pause("other");
  h.Connect("w2", {.queues = {"default", "other"}});
  h.Submit("l");
  h.Credit("w2", 4);
  EXPECT_EQ(h.Delivered("w2"), "l#1");
  h.Submit("m");
  EXPECT_EQ(h.Delivered("w2"), "m#1");
  h.Resume("other");
  h.Submit("n");
  EXPECT_EQ(h.Delivered("w2"), "");
}

TEST(SuspectTest, ALaneFullOfSuspectsDispatchesNothingElse) {
  EngineHarness h({.suspect_window_tasks = 2});
  for (int i = 0; i < 6; ++i) h.Submit(absl::StrCat("t", i));
  h.Submit("other", {.type = "mail"});
  h.Credit("w1", 2);
  h.Lose("w1");
  h.Submit("late");
  h.Connect("w2", {.types = {"job", "mail"}});
  h.Connect("w3", {.types = {"job", "mail"}});
  h.Credit("w2", 4);
  h.Credit("w3", 4);
  // Two suspects fill the lane; as soon as one has left, it goes on.
  EXPECT_EQ(h.Delivered("w2"), "t0#2");
  EXPECT_EQ(h.Delivered("w3"), "t1#2");
  h.Succeed("w2", "t0");
  EXPECT_EQ(h.Delivered("w2"), "t2#1 t3#1 t4#1");
}

// One poisonous task among a thousand: each innocent is with it at most once.
TEST(SuspectTest, NoInnocentTaskCrashesTwice) {
  constexpr int kTasks = 1000;
  constexpr int kWorkers = 4;
  constexpr uint32_t kSlots = 8;
  EngineHarness h;
  for (int i = 0; i < kTasks; ++i) h.Submit(absl::StrCat("t", i));
  std::map<std::string, std::set<std::string>> held;
  int incarnation = 0;
  const auto connect = [&] {
    const std::string worker = absl::StrCat("w", ++incarnation);
    held[worker] = {};
    h.Credit(worker, kSlots);
  };
  for (int i = 0; i < kWorkers; ++i) connect();
  int crashes = 0;
  while (!held.empty()) {
    bool idle = true;
    std::vector<std::string> lost;
    for (auto& [worker, tasks] : held) {
      for (const auto& label :
           absl::StrSplit(h.Delivered(worker), ' ', absl::SkipEmpty())) {
        tasks.insert(std::string(label.substr(0, label.find('#'))));
      }
      if (tasks.empty()) continue;
      idle = false;
      if (tasks.count("t500") > 0) {
        lost.push_back(worker);
        continue;
      }
      const std::string id = *tasks.begin();
      tasks.erase(id);
      h.InOneTurn([&] {
        h.Succeed(worker, id);
        h.Credit(worker, 1);
      });
    }
    for (const std::string& worker : lost) {
      ++crashes;
      held.erase(worker);
      h.Disconnect(worker);
      // Another process of the same worker says hello.
      for (auto& [other, tasks] : held) h.Heartbeat(other);
      h.Advance(absl::Seconds(15));
      for (auto& [other, tasks] : held) h.Heartbeat(other);
      connect();
    }
    if (idle) break;
  }
  EXPECT_EQ(crashes, 5);
  EXPECT_EQ(h.State("t500"), "FAILED");
  int touched = 0;
  for (int i = 0; i < kTasks; ++i) {
    if (i == 500) continue;
    const Outcome outcome = h.OutcomeOf(absl::StrCat("t", i));
    EXPECT_EQ(outcome.state, TaskState::kSucceeded);
    EXPECT_LE(outcome.crashes, 1u) << "t" << i;
    touched += outcome.crashes > 0;
  }
  EXPECT_GT(touched, 0);
  EXPECT_LT(touched, static_cast<int>(kSlots));
}

}  // namespace
}  // namespace apium::broker
