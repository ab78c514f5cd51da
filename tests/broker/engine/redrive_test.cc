// Redrives of many dead letters: filters, rates, dry runs, restarts.

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {
namespace {

class RedriveTest : public ::testing::Test {
 protected:
  RedriveTest() {
    h_.CreateQueue("mail", {.dead_letter = true});
    h_.CreateQueue("again");
  }

  // Tasks of the queue mail that end DEAD_LETTERED: "t0", "t1", ...
  void Die(int count, const std::string& failure = "Boom") {
    h_.Connect("w1", {.queues = {"mail"}, .slots = 5000});
    h_.Credit("w1", static_cast<uint32_t>(count));
    h_.InOneTurn([&] {
      for (int i = 0; i < count; ++i)
        h_.Submit(absl::StrCat("t", died_ + i), {.queue = "mail"});
    });
    for (int i = 0; i < count; ++i) {
      h_.Fail("w1", absl::StrCat("t", died_ + i),
              {.type = failure, .non_retryable = true});
    }
    died_ += count;
    h_.Delivered("w1");
  }

  template <typename CommandType>
  std::string Ask(CommandType command) {
    command.namespace_name = "default";
    if (command.queue.empty()) command.queue = "mail";
    return h_.Answers(h_.Send(std::move(command)));
  }
  // To the queue again, where nobody runs what comes.
  std::string Start(StartRedriveCommand command = {}) {
    if (command.target_queue.empty()) command.target_queue = "again";
    return Ask(std::move(command));
  }
  std::string Status() { return Ask(GetRedriveCommand{}); }
  uint64_t Ready() { return h_.QueueDetails("again").ready; }
  uint64_t Letters() { return h_.QueueDetails("mail").dead_letters; }

  EngineHarness h_;
  int died_ = 0;
};

TEST_F(RedriveTest, SubmitsAllAgain) {
  Die(3);
  EXPECT_EQ(Status(), "NOT_FOUND/REDRIVE_NOT_FOUND");
  EXPECT_EQ(Start(), "RUNNING matched=0 redriven=0 refused=0");
  EXPECT_EQ(Status(), "DONE matched=3 redriven=3 refused=0");
  EXPECT_EQ(Ready(), 3u);
  EXPECT_EQ(Letters(), 0u);
}

TEST_F(RedriveTest, TakesManyTurns) {
  Die(2500);
  Start();
  EXPECT_EQ(Status(), "DONE matched=2500 redriven=2500 refused=0");
  EXPECT_EQ(Ready(), 2500u);
  EXPECT_EQ(Letters(), 0u);
}

TEST_F(RedriveTest, OneTurnIsBounded) {
  Die(2500);
  h_.WithoutSettling([&] {
    Start();
    h_.Heartbeat("w1");
    EXPECT_EQ(Ready(), 2000u);
  });
}

TEST_F(RedriveTest, OnlyWhatMatchesAndWasThere) {
  Die(2, "Boom");
  Die(2, "Other");
  EXPECT_EQ(Start({.filter = {.failure_type = "Other"}, .max_per_second = 1}),
            "RUNNING matched=0 redriven=0 refused=0");
  Die(3, "Other");
  h_.Advance(absl::Minutes(1));
  EXPECT_EQ(Status(), "DONE matched=2 redriven=2 refused=0");
  EXPECT_EQ(Letters(), 5u);
}

TEST_F(RedriveTest, WhatDiesAgainIsNotRedrivenAgain) {
  Die(1);
  h_.Credit("w1", 1);
  EXPECT_EQ(Start({.target_queue = "mail"}),
            "RUNNING matched=0 redriven=0 refused=0");
  std::string id = h_.Delivered("w1");
  id = id.substr(0, id.find('#'));
  h_.Fail("w1", id, {.non_retryable = true});
  EXPECT_EQ(Status(), "DONE matched=1 redriven=1 refused=0");
  EXPECT_EQ(Letters(), 1u);
}

TEST_F(RedriveTest, KeepsTheRate) {
  Die(100);
  Start({.max_per_second = 10});
  for (int second = 0; second < 9; ++second) {
    EXPECT_EQ(Ready(), static_cast<uint64_t>(1 + second * 10));
    h_.Advance(absl::Seconds(1));
  }
  h_.Advance(absl::Seconds(1));
  EXPECT_EQ(Ready(), 100u);
  EXPECT_EQ(Status(), "DONE matched=100 redriven=100 refused=0");
}

TEST_F(RedriveTest, DoesNotCatchUpOnALongPause) {
  Die(100);
  Start({.max_per_second = 10});
  h_.Jump(absl::Seconds(5));
  EXPECT_EQ(Ready(), 1u + 2u);
}

TEST_F(RedriveTest, ResumesAfterACrash) {
  Die(100);
  Start({.filter = {.failure_type = "Boom"}, .max_per_second = 10});
  h_.Advance(absl::Seconds(2));
  EXPECT_EQ(Ready(), 21u);
  h_.HoldTurns();
  h_.Advance(absl::Seconds(1));
  h_.Crash();
  h_.Advance(absl::Seconds(20));
  EXPECT_EQ(Status(), "DONE matched=100 redriven=100 refused=0");
  EXPECT_EQ(Ready(), 100u);
  EXPECT_EQ(Letters(), 0u);
}

TEST_F(RedriveTest, ADryRunOnlyCounts) {
  Die(2, "Boom");
  Die(3, "Other");
  EXPECT_EQ(Start({.filter = {.failure_type = "Other"}, .dry_run = true}),
            "DONE dry matched=3 redriven=0 refused=0");
  EXPECT_EQ(Letters(), 5u);
  EXPECT_EQ(Ready(), 0u);
  EXPECT_EQ(Status(), "NOT_FOUND/REDRIVE_NOT_FOUND");
}

TEST_F(RedriveTest, OneAtATime) {
  Die(10);
  Start({.max_per_second = 1});
  EXPECT_EQ(Start(), "ALREADY_EXISTS/REDRIVE_EXISTS");
  EXPECT_EQ(Start({.dry_run = true}),
            "DONE dry matched=9 redriven=0 refused=0");
  h_.Advance(absl::Seconds(10));
  EXPECT_EQ(Status(), "DONE matched=10 redriven=10 refused=0");
  EXPECT_EQ(Start(), "RUNNING matched=0 redriven=0 refused=0");
  EXPECT_EQ(Status(), "DONE matched=0 redriven=0 refused=0");
}

TEST_F(RedriveTest, CancelKeepsWhatWasSubmitted) {
  Die(10);
  EXPECT_EQ(Ask(CancelRedriveCommand{}), "NOT_FOUND/REDRIVE_NOT_FOUND");
  Start({.max_per_second = 1});
  h_.Advance(absl::Seconds(2));
  EXPECT_EQ(Ask(CancelRedriveCommand{}),
            "CANCELLED matched=3 redriven=3 refused=0");
  h_.Restart();
  h_.Advance(absl::Seconds(10));
  EXPECT_EQ(Ask(CancelRedriveCommand{}),
            "CANCELLED matched=3 redriven=3 refused=0");
  EXPECT_EQ(Ready(), 3u);
  EXPECT_EQ(Letters(), 7u);
}

TEST_F(RedriveTest, SaysWhatCouldNotBeSubmitted) {
  Die(3);
  h_.UpdateQueue({.queue = "again", .submit_paused = true});
  Start();
  EXPECT_EQ(Status(), "DONE matched=3 redriven=0 refused=3");
  EXPECT_EQ(Letters(), 3u);
}

TEST_F(RedriveTest, WaitsWhileNobodyCanSubmit) {
  Die(3);
  h_.Post(SetAdmissionCommand{.refusal = absl::UnavailableError("disk")});
  Start();
  h_.Advance(absl::Seconds(5));
  EXPECT_EQ(Status(), "RUNNING matched=0 redriven=0 refused=0");
  h_.Post(SetAdmissionCommand{});
  h_.Advance(absl::Seconds(1));
  EXPECT_EQ(Status(), "DONE matched=3 redriven=3 refused=0");
}

TEST_F(RedriveTest, ManyQueuesGetOn) {
  Die(1500);
  h_.CreateQueue("other", {.dead_letter = true});
  h_.Connect("w2", {.queues = {"other"}});
  h_.Submit("o", {.queue = "other"});
  h_.Credit("w2", 1);
  h_.Fail("w2", "o", {.non_retryable = true});
  h_.WithoutSettling([&] {
    h_.Send(StartRedriveCommand{
        .namespace_name = "default", .queue = "mail", .target_queue = "again"});
    h_.Send(StartRedriveCommand{.namespace_name = "default",
                                .queue = "other",
                                .target_queue = "again"});
    h_.Heartbeat("w1");
    EXPECT_EQ(Ask(GetRedriveCommand{.queue = "other"}),
              "DONE matched=1 redriven=1 refused=0");
  });
}

TEST_F(RedriveTest, ADeletedQueueForgetsItsRedrive) {
  Die(1);
  Start();
  EXPECT_EQ(h_.DeleteQueue("mail"), "OK");
  h_.CreateQueue("mail");
  EXPECT_EQ(Status(), "NOT_FOUND/REDRIVE_NOT_FOUND");
  h_.Restart();
  EXPECT_EQ(Status(), "NOT_FOUND/REDRIVE_NOT_FOUND");
}

TEST_F(RedriveTest, NamesWhatIsMissing) {
  EXPECT_EQ(Start({.queue = "nowhere"}), "NOT_FOUND/QUEUE_NOT_FOUND");
  EXPECT_EQ(Start({.target_queue = "nowhere"}), "NOT_FOUND/QUEUE_NOT_FOUND");
  EXPECT_EQ(Ask(GetRedriveCommand{.queue = "nowhere"}),
            "NOT_FOUND/QUEUE_NOT_FOUND");
}

}  // namespace
}  // namespace apium::broker
