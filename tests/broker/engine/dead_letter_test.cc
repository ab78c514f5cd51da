// Tasks that used up their attempts: where they go, and what can be done with
// one of them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {
namespace {

class DeadLetterTest : public ::testing::Test {
 protected:
  DeadLetterTest() {
    EXPECT_EQ(h_.CreateQueue("mail", {.dead_letter = true}),
              "ready=0 scheduled=0 leased=0");
    h_.Connect("w1", {.queues = {"mail", "default"}, .slots = 100});
    h_.Credit("w1", 50);
  }

  // A task of the queue mail that ends DEAD_LETTERED at its first failure.
  void Die(const std::string& id, SubmitOptions options = {},
           const std::string& failure = "Boom") {
    options.queue = "mail";
    EXPECT_EQ(h_.Submit(id, options), "OK");
    EXPECT_EQ(h_.Fail("w1", id, {.type = failure, .non_retryable = true})
                  .substr(0, 3),
              "ack");
    h_.Credit("w1", 1);
  }

  template <typename CommandType>
  std::string Ask(CommandType command) {
    command.namespace_name = "default";
    if (command.queue.empty()) command.queue = "mail";
    return h_.Answers(h_.Send(std::move(command)));
  }
  std::string Letters(const std::string& queue = "mail") {
    return Ask(ListDeadLettersCommand{.queue = queue});
  }
  uint64_t Count() { return h_.QueueDetails("mail").dead_letters; }

  EngineHarness h_;
};

TEST_F(DeadLetterTest, WithoutTheSettingATaskEndsFailed) {
  h_.Submit("a", {.retry = {.max_attempts = 1, .jitter = 0}});
  h_.Fail("w1", "a");
  EXPECT_EQ(h_.State("a"), "FAILED");
  EXPECT_EQ(Letters("default"), "");
}

TEST_F(DeadLetterTest, TheLastFailureMakesALetter) {
  h_.Submit("a", {.queue = "mail",
                  .retry = {.max_attempts = 2, .jitter = 0},
                  .data = "payload"});
  h_.Fail("w1", "a", {.type = "First"});
  EXPECT_EQ(Count(), 0u);
  h_.Advance(absl::Seconds(1));
  h_.Fail("w1", "a", {.type = "Second", .message = "again"});
  EXPECT_EQ(h_.State("a"), "DEAD_LETTERED");
  EXPECT_EQ(Count(), 1u);
  EXPECT_EQ(Ask(GetDeadLetterCommand{.task_id = "a"}),
            "a#2 failures=2 crashes=0 Second");
  EXPECT_EQ(h_.OutcomeOf("a").failure.message, "again");
}

TEST_F(DeadLetterTest, CrashesMakeALetter) {
  h_.Submit("a", {.queue = "mail", .retry = {.jitter = 0, .max_crashes = 1}});
  h_.Disconnect("w1");
  h_.Advance(absl::Seconds(30));
  EXPECT_EQ(h_.State("a"), "DEAD_LETTERED");
  EXPECT_EQ(Ask(GetDeadLetterCommand{.task_id = "a"}),
            "a#1 failures=0 crashes=1 apium.WorkerLost");
}

TEST_F(DeadLetterTest, OtherEndsMakeNone) {
  h_.Submit("expired", {.queue = "mail",
                        .delay = absl::Seconds(5),
                        .expire_after = absl::Seconds(1)});
  h_.Submit("cancelled", {.queue = "mail", .delay = absl::Seconds(5)});
  h_.Cancel("cancelled");
  h_.Submit("done", {.queue = "mail"});
  h_.Succeed("w1", "done");
  h_.Submit("stopped", {.queue = "mail"});
  h_.Cancel("stopped");
  h_.Fail("w1", "stopped", {.non_retryable = true});
  h_.Advance(absl::Seconds(10));
  EXPECT_EQ(h_.State("stopped"), "CANCELLED");
  EXPECT_EQ(Letters(), "");
  EXPECT_EQ(Count(), 0u);
}

TEST_F(DeadLetterTest, LettersSurviveARestart) {
  Die("a", {.data = "payload"});
  Die("b");
  h_.Crash();
  EXPECT_EQ(Count(), 2u);
  EXPECT_EQ(Letters(), "a b");
  EXPECT_EQ(Ask(GetDeadLetterCommand{.task_id = "a"}),
            "a#1 failures=1 crashes=0 Boom");
}

TEST_F(DeadLetterTest, ALostTurnLeavesNoLetter) {
  h_.Submit("a", {.queue = "mail"});
  h_.HoldTurns();
  h_.Fail("w1", "a", {.non_retryable = true});
  h_.Crash();
  EXPECT_EQ(Count(), 0u);
  EXPECT_EQ(Letters(), "");
  EXPECT_EQ(h_.State("a"), "LEASED");
}

TEST_F(DeadLetterTest, ListsInPages) {
  for (const char* id : {"a", "b", "c", "d", "e"}) Die(id);
  EXPECT_EQ(Ask(ListDeadLettersCommand{.page_size = 2}), "a b next=b");
  EXPECT_EQ(Ask(ListDeadLettersCommand{.page_size = 2, .page_token = "b"}),
            "c d next=d");
  EXPECT_EQ(Ask(ListDeadLettersCommand{.page_size = 2, .page_token = "d"}),
            "e");
  EXPECT_EQ(Ask(ListDeadLettersCommand{.page_size = 5}), "a b c d e");
}

TEST_F(DeadLetterTest, FiltersWhatItLists) {
  h_.Connect("w2", {.types = {"send"}, .queues = {"mail"}});
  const absl::Time start = h_.now();
  Die("a", {}, "Boom");
  h_.Advance(absl::Seconds(1));
  Die("b", {}, "Other");
  h_.Submit("c", {.type = "send", .queue = "mail"});
  h_.Credit("w2", 1);
  h_.Fail("w2", "c", {.non_retryable = true});
  EXPECT_EQ(Ask(ListDeadLettersCommand{.filter = {.type = "send"}}), "c");
  EXPECT_EQ(Ask(ListDeadLettersCommand{.filter = {.failure_type = "Other"}}),
            "b");
  EXPECT_EQ(Ask(ListDeadLettersCommand{
                .filter = {.dead_after = start + absl::Seconds(1)}}),
            "b c");
  EXPECT_EQ(Ask(ListDeadLettersCommand{
                .filter = {.dead_before = start + absl::Seconds(1)}}),
            "a");
  EXPECT_EQ(Ask(ListDeadLettersCommand{.page_size = 1,
                                       .filter = {.failure_type = "Boom"}}),
            "a next=a");
}

TEST_F(DeadLetterTest, TheSameTurnIsSeen) {
  Die("a");
  Die("c");
  h_.Submit("b", {.queue = "mail"});
  int listed = 0;
  h_.InOneTurn([&] {
    h_.Send(DiscardDeadLetterCommand{
        .namespace_name = "default", .queue = "mail", .task_id = "a"});
    h_.Fail("w1", "b", {.non_retryable = true});
    listed = h_.Send(
        ListDeadLettersCommand{.namespace_name = "default", .queue = "mail"});
  });
  EXPECT_EQ(h_.Answers(listed), "b c");
}

TEST_F(DeadLetterTest, ALargeLetterIsOneOfAPage) {
  const std::string large(3 * 1024 * 1024, 'x');
  for (const char* id : {"a", "b", "c", "d"}) Die(id, {.data = large});
  // A page looks at about 8 MiB.
  EXPECT_EQ(Letters(), "a b c next=c");
}

TEST_F(DeadLetterTest, RedrivesOne) {
  Die("a", {.priority = 7, .data = "payload"});
  Ask(RedriveDeadLetterCommand{.task_id = "a"});
  const std::string id =
      h_.Task("a").outcome != nullptr ? h_.Delivered("w1") : "";
  EXPECT_NE(id, "");
  EXPECT_EQ(Count(), 0u);
  EXPECT_EQ(Letters(), "");
  EXPECT_EQ(Ask(RedriveDeadLetterCommand{.task_id = "a"}),
            "NOT_FOUND/DEAD_LETTER_NOT_FOUND");
  EXPECT_EQ(h_.State("a"), "DEAD_LETTERED");
  EXPECT_EQ(h_.StatsOf("mail").redriven, 1u);
}

TEST_F(DeadLetterTest, ARedrivenTaskSaysWhereItIsFrom) {
  Die("a", {.expire_after = absl::Minutes(1), .data = "payload"});
  h_.Advance(absl::Hours(1));
  h_.Pause("mail");
  EXPECT_EQ(Ask(RedriveDeadLetterCommand{.task_id = "a"}), "OK");
  const std::string id = h_.List();
  const TaskSnapshot task = h_.Task(id);
  EXPECT_EQ(task.state, TaskState::kQueued);
  EXPECT_EQ(task.content->payload.data, "payload");
  EXPECT_EQ(task.content->queue, "mail");
  EXPECT_EQ(task.content->create_time, h_.now());
  EXPECT_EQ(task.content->expire_time, absl::InfiniteFuture());
  EXPECT_THAT(task.content->headers, ::testing::ElementsAre(::testing::Pair(
                                         "apium-redriven-from", "a")));
  EXPECT_EQ(task.failures, 0u);
}

TEST_F(DeadLetterTest, RedrivesOneWithEdits) {
  Die("a", {.data = "bad"});
  h_.Pause("default");
  EXPECT_EQ(Ask(RedriveDeadLetterCommand{
                .task_id = "a",
                .payload = Payload{.data = "good"},
                .type = "other",
                .target_queue = "default",
                .priority = 9,
                .retry_policy = RetryPolicy{.max_attempts = 9}}),
            "OK");
  const TaskSnapshot task = h_.Task(h_.List());
  EXPECT_EQ(task.content->payload.data, "good");
  EXPECT_EQ(task.content->type, "other");
  EXPECT_EQ(task.content->queue, "default");
  EXPECT_EQ(task.content->priority, 9);
  EXPECT_EQ(task.content->retry_policy.max_attempts, 9u);
}

TEST_F(DeadLetterTest, ARefusedRedriveLeavesTheLetter) {
  Die("a");
  EXPECT_EQ(
      Ask(RedriveDeadLetterCommand{.task_id = "a", .target_queue = "nowhere"}),
      "NOT_FOUND/QUEUE_NOT_FOUND");
  h_.UpdateQueue({.queue = "mail", .submit_paused = true});
  EXPECT_EQ(Ask(RedriveDeadLetterCommand{.task_id = "a"}),
            "FAILED_PRECONDITION/QUEUE_PAUSED_FOR_SUBMIT");
  EXPECT_EQ(Letters(), "a");
  EXPECT_EQ(Count(), 1u);
}

TEST_F(DeadLetterTest, ARedriveIsOneWrite) {
  Die("a");
  h_.Pause("mail");
  h_.HoldTurns();
  Ask(RedriveDeadLetterCommand{.task_id = "a"});
  h_.Crash();
  EXPECT_EQ(Letters(), "a");
  EXPECT_EQ(h_.List(), "");
  EXPECT_EQ(Ask(RedriveDeadLetterCommand{.task_id = "a"}), "OK");
  h_.Crash();
  EXPECT_EQ(Letters(), "");
  EXPECT_EQ(h_.Queue("mail"), "ready=1 scheduled=0 leased=0");
}

TEST_F(DeadLetterTest, DiscardIsIdempotent) {
  Die("a");
  Die("b");
  EXPECT_EQ(Ask(DiscardDeadLetterCommand{.task_id = "a"}), "OK");
  EXPECT_EQ(Ask(DiscardDeadLetterCommand{.task_id = "a"}), "OK");
  EXPECT_EQ(Count(), 1u);
  EXPECT_EQ(Letters(), "b");
}

TEST_F(DeadLetterTest, AnotherDeathOfAForgottenIdReplacesItsLetter) {
  Die("a", {.data = "old"});
  h_.ConfirmOutbox(1);
  h_.Advance(absl::Hours(25));
  h_.Connect("w1", {.queues = {"mail"}, .slots = 100});
  h_.Credit("w1", 1);
  Die("a", {.data = "new"}, "Newer");
  EXPECT_EQ(Count(), 1u);
  EXPECT_EQ(Ask(GetDeadLetterCommand{.task_id = "a"}),
            "a#1 failures=1 crashes=0 Newer");
}

TEST_F(DeadLetterTest, NamesWhatIsMissing) {
  EXPECT_EQ(Ask(GetDeadLetterCommand{.task_id = "a"}),
            "NOT_FOUND/DEAD_LETTER_NOT_FOUND");
  EXPECT_EQ(Ask(GetDeadLetterCommand{.queue = "nowhere", .task_id = "a"}),
            "NOT_FOUND/QUEUE_NOT_FOUND");
  EXPECT_EQ(Letters("nowhere"), "NOT_FOUND/QUEUE_NOT_FOUND");
  EXPECT_EQ(Ask(DiscardDeadLetterCommand{.queue = "nowhere", .task_id = "a"}),
            "NOT_FOUND/QUEUE_NOT_FOUND");
  EXPECT_EQ(Ask(PurgeDeadLettersCommand{.queue = "nowhere"}),
            "NOT_FOUND/QUEUE_NOT_FOUND");
}

TEST_F(DeadLetterTest, AQueueWithLettersIsNotDeleted) {
  Die("a");
  EXPECT_EQ(h_.DeleteQueue("mail"), "FAILED_PRECONDITION/QUEUE_NOT_EMPTY");
  EXPECT_EQ(Ask(PurgeDeadLettersCommand{}), "purged 1");
  EXPECT_EQ(h_.DeleteQueue("mail"), "OK");
}

TEST_F(DeadLetterTest, PurgesOverManyTurns) {
  constexpr int kLetters = 2500;
  h_.Connect("w2", {.queues = {"mail"}, .slots = 3000});
  h_.Credit("w2", kLetters);
  h_.InOneTurn([&] {
    for (int i = 0; i < kLetters; ++i)
      h_.Submit(absl::StrCat("t", i),
                {.queue = "mail", .retry = {.jitter = 0, .max_crashes = 1}});
  });
  h_.Disconnect("w1");
  h_.Disconnect("w2");
  h_.Advance(absl::Minutes(1));
  EXPECT_EQ(Count(), static_cast<uint64_t>(kLetters));
  EXPECT_EQ(Ask(PurgeDeadLettersCommand{}), "purged 2500");
  EXPECT_EQ(Count(), 0u);
  EXPECT_EQ(Letters(), "");
  h_.Restart();
  EXPECT_EQ(Count(), 0u);
}

TEST_F(DeadLetterTest, SwitchingTheSettingOffKeepsTheLetters) {
  Die("a");
  h_.UpdateQueue({.queue = "mail", .dead_letter = false});
  EXPECT_FALSE(h_.QueueDetails("mail").settings.dead_letter);
  h_.Submit("b", {.queue = "mail"});
  h_.Fail("w1", "b", {.non_retryable = true});
  EXPECT_EQ(h_.State("b"), "FAILED");
  EXPECT_EQ(Letters(), "a");
  h_.UpdateQueue({.queue = "mail", .dead_letter = true});
  h_.Restart();
  EXPECT_TRUE(h_.QueueDetails("mail").settings.dead_letter);
}

}  // namespace
}  // namespace apium::broker
