// Queues that can be full, defaults of their tasks, and a look at their head.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/error_reason.h"
#include "tests/support/batch_calls.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {
namespace {

using testing::HasSubstr;

constexpr char kFull[] = "RESOURCE_EXHAUSTED/QUEUE_FULL";

class QueueLimitsTest : public ::testing::Test {
 protected:
  std::string Submit(std::string_view id, SubmitOptions options = {}) {
    options.queue = "q";
    return h_.Submit(id, options);
  }
  void ConnectWorker() {
    h_.Connect("w1", {.queues = {"q", "default"}, .slots = 100});
    h_.Credit("w1", 100);
  }
  // As "OK a b", or the error and the number of the task that it is about.
  std::string SubmitAll(const std::vector<std::string>& ids,
                        const std::string& queue = "q",
                        const std::string& data = "") {
    SubmitAllCommand command;
    for (const std::string& id : ids) {
      auto content = std::make_shared<TaskContent>();
      content->namespace_name = "default";
      content->task_id = id;
      content->queue = queue;
      content->type = "job";
      content->payload.data = data;
      command.tasks.push_back(
          {.content = std::move(content), .unsaid = {.priority = true}});
    }
    return h_.Answers(h_.Send(std::move(command)));
  }
  std::string FailureOf(std::string_view id) {
    return h_.OutcomeOf(id).failure.type;
  }

  EngineHarness h_;
};

TEST_F(QueueLimitsTest, AFullQueueRefuses) {
  h_.CreateQueue("q", {.max_length = 3});
  EXPECT_EQ(Submit("a"), "OK");
  EXPECT_EQ(Submit("b", {.delay = absl::Hours(1)}), "OK");
  EXPECT_EQ(Submit("c"), "OK");
  EXPECT_EQ(Submit("d"), kFull);
  EXPECT_EQ(RetryDelayOf(h_.last_submit().status), absl::Seconds(1));
  EXPECT_THAT(std::string(h_.last_submit().status.message()),
              HasSubstr("3 of at most 3"));
  EXPECT_EQ(h_.State("d"), "UNKNOWN");
  EXPECT_EQ(h_.Submit("other"), "OK") << "of another queue";
  h_.Restart();
  EXPECT_EQ(Submit("d"), kFull);
  // What runs no longer waits.
  ConnectWorker();
  EXPECT_EQ(Submit("d"), "OK");
}

TEST_F(QueueLimitsTest, BlockedTasksWaitToo) {
  h_.CreateQueue("q", {.max_length = 3});
  const Placement ordered = {.ordering_key = "k"};
  for (const char* id : {"a", "b", "c"})
    EXPECT_EQ(Submit(id, {.placement = ordered}), "OK");
  EXPECT_EQ(Submit("d", {.placement = ordered}), kFull);
  EXPECT_EQ(Submit("d"), kFull);
  h_.Cancel("b");
  EXPECT_EQ(Submit("d", {.placement = ordered}), "OK");
}

TEST_F(QueueLimitsTest, WhatIsKnownIsAnsweredAsBefore) {
  h_.CreateQueue("q", {.max_length = 1});
  const Unique unique = {.key = "u", .on_conflict = UniqueConflict::kAttach};
  EXPECT_EQ(Submit("a", {.unique = unique, .request_id = "r"}), "OK");
  EXPECT_EQ(Submit("x"), kFull);
  EXPECT_EQ(Submit("a", {.unique = unique}), "OK") << "the same task";
  EXPECT_EQ(Submit("a", {.unique = unique, .request_id = "r"}), "OK");
  EXPECT_EQ(Submit("b", {.unique = unique}), "ATTACHED a");
  EXPECT_EQ(SubmitAll({"a"}), "ALREADY_EXISTS/TASK_ID_REUSED at 0");
}

TEST_F(QueueLimitsTest, WhoTakesAPlaceNeedsNoOther) {
  h_.CreateQueue("q", {.max_length = 2, .max_bytes = 20});
  const Unique unique = {.key = "u", .on_conflict = UniqueConflict::kReplace};
  EXPECT_EQ(Submit("a", {.data = std::string(10, 'x'), .unique = unique}),
            "OK");
  EXPECT_EQ(Submit("b", {.data = std::string(10, 'x')}), "OK");
  EXPECT_EQ(Submit("c", {.data = std::string(10, 'x'), .unique = unique}),
            "OK");
  EXPECT_EQ(h_.State("a"), "CANCELLED");
  EXPECT_EQ(Submit("d", {.data = std::string(11, 'x'), .unique = unique}),
            kFull);
  EXPECT_EQ(h_.State("c"), "QUEUED");
}

TEST_F(QueueLimitsTest, ABlockedTaskIsReplacedInAFullQueue) {
  h_.CreateQueue("q", {.max_length = 1});
  const Unique unique = {.key = "u",
                         .on_conflict = UniqueConflict::kKeepLatest};
  Submit("a", {.unique = unique});
  ConnectWorker();
  EXPECT_EQ(Submit("b", {.unique = unique}), "OK");
  EXPECT_EQ(h_.State("b"), "BLOCKED");
  EXPECT_EQ(Submit("c"), kFull);
  EXPECT_EQ(Submit("d", {.unique = unique}), "OK");
  EXPECT_EQ(h_.State("b"), "CANCELLED");
  EXPECT_EQ(h_.State("d"), "BLOCKED");
}

TEST_F(QueueLimitsTest, BytesCountUntilTheEnd) {
  h_.CreateQueue("q", {.max_bytes = 100});
  EXPECT_EQ(Submit("a", {.data = std::string(60, 'x')}), "OK");
  EXPECT_EQ(Submit("b", {.data = std::string(50, 'x')}), kFull);
  EXPECT_EQ(Submit("b", {.data = std::string(40, 'x')}), "OK");
  EXPECT_EQ(Submit("nothing"), "OK") << "takes no room";
  ConnectWorker();
  h_.Restart();
  h_.Reconnect("w1");
  h_.Credit("w1", 10);
  EXPECT_EQ(Submit("c", {.data = "x"}), kFull) << "those that run are live";
  h_.Succeed("w1", "a");
  EXPECT_EQ(Submit("c", {.data = std::string(60, 'x')}), "OK");
  h_.Restart();
  EXPECT_EQ(Submit("d", {.data = "x"}), kFull);
  EXPECT_EQ(Submit("d", {.data = std::string(101, 'x')}), kFull);
}

TEST_F(QueueLimitsTest, LimitsAreChangedWhileTasksWait) {
  h_.CreateQueue("q");
  for (int i = 0; i < 5; ++i) Submit(absl::StrCat("t", i), {.data = "12345"});
  h_.UpdateQueue({.queue = "q", .max_length = 3});
  EXPECT_EQ(Submit("x"), kFull);
  h_.UpdateQueue({.queue = "q", .max_length = 6});
  EXPECT_EQ(Submit("x"), "OK");
  h_.UpdateQueue({.queue = "q", .max_length = 0, .max_bytes = 27});
  EXPECT_EQ(Submit("y", {.data = "123"}), kFull);
  EXPECT_EQ(Submit("y", {.data = "12"}), "OK");
}

TEST_F(QueueLimitsTest, AtomicSubmitsNeedRoomForAll) {
  h_.CreateQueue("q", {.max_length = 3});
  Submit("a");
  EXPECT_EQ(SubmitAll({"b", "c", "d"}), kFull);
  EXPECT_EQ(h_.State("b"), "UNKNOWN");
  EXPECT_EQ(h_.Queue("q"), "ready=1 scheduled=0 leased=0");
  EXPECT_EQ(SubmitAll({"b", "c"}), "OK b c");
  EXPECT_EQ(SubmitAll({"b", "c"}), "OK b c") << "repeated";
  EXPECT_EQ(SubmitAll({"d"}), kFull);
  EXPECT_EQ(SubmitAll({"d"}, "default"), "OK d");
}

TEST_F(QueueLimitsTest, RedrivesAndRetriesAreNotRefused) {
  h_.CreateQueue("q", {.dead_letter = true, .max_length = 1});
  ConnectWorker();
  Submit("a", {.retry = {.max_attempts = 1}});
  h_.Fail("w1", "a");
  Submit("b");
  h_.Pause("q");
  Submit("c");
  EXPECT_EQ(Submit("d"), kFull);
  h_.Fail("w1", "b");
  EXPECT_EQ(h_.State("b"), "SCHEDULED");
  h_.Answers(h_.Send(RedriveDeadLetterCommand{
      .namespace_name = "default", .queue = "q", .task_id = "a"}));
  EXPECT_EQ(h_.Queue("q"), "ready=2 scheduled=1 leased=0");
}

// --- DEAD_LETTER_OLDEST ---

class OverflowTest : public QueueLimitsTest {
 protected:
  void Create(QueueSettings settings) {
    settings.dead_letter = true;
    settings.overflow_policy = OverflowPolicy::kDeadLetterOldest;
    ASSERT_EQ(h_.CreateQueue("q", settings), "ready=0 scheduled=0 leased=0");
  }
  std::string Letters() {
    return h_.Answers(h_.Send(
        ListDeadLettersCommand{.namespace_name = "default", .queue = "q"}));
  }
};

TEST_F(OverflowTest, NeedsAQueueThatKeepsDeadLetters) {
  constexpr char kRefused[] = "FAILED_PRECONDITION/OVERFLOW_NEEDS_DEAD_LETTERS";
  EXPECT_EQ(h_.CreateQueue(
                "q", {.overflow_policy = OverflowPolicy::kDeadLetterOldest}),
            kRefused);
  EXPECT_EQ(h_.Queue("q"), "NOT_FOUND/QUEUE_NOT_FOUND");
  h_.CreateQueue("q", {.dead_letter = true});
  EXPECT_EQ(
      h_.UpdateQueue(
          {.queue = "q", .overflow_policy = OverflowPolicy::kDeadLetterOldest}),
      "ready=0 scheduled=0 leased=0");
  const std::string etag = h_.QueueDetails("q").etag;
  EXPECT_EQ(h_.UpdateQueue({.queue = "q", .dead_letter = false}), kRefused);
  EXPECT_EQ(h_.QueueDetails("q").etag, etag) << "nothing changed";
  EXPECT_EQ(h_.UpdateQueue({.queue = "q",
                            .dead_letter = false,
                            .overflow_policy = OverflowPolicy::kReject}),
            "ready=0 scheduled=0 leased=0");
}

TEST_F(OverflowTest, TheOldestOfTheLowestPriorityIsSetAside) {
  Create({.max_length = 4});
  Submit("high", {.priority = 200});
  Submit("first", {.type = "a", .priority = 50});
  Submit("second", {.type = "b", .priority = 50});
  Submit("third", {.type = "a", .priority = 50});
  EXPECT_EQ(Submit("new", {.priority = 1}), "OK");
  EXPECT_EQ(h_.State("first"), "DEAD_LETTERED");
  EXPECT_EQ(FailureOf("first"), "apium.QueueOverflow");
  EXPECT_EQ(h_.QueueDetails("q").dead_letters, 1u);
  EXPECT_EQ(Letters(), "first");
  EXPECT_EQ(Submit("newer", {.priority = 60}), "OK");
  EXPECT_EQ(h_.State("new"), "DEAD_LETTERED") << "it is now of the lowest";
  h_.Restart();
  EXPECT_EQ(Submit("newest", {.priority = 60}), "OK");
  EXPECT_EQ(h_.State("second"), "DEAD_LETTERED");
  EXPECT_EQ(h_.Queue("q"), "ready=4 scheduled=0 leased=0");
  EXPECT_EQ(Letters(), "first new second");
}

TEST_F(OverflowTest, WithoutAReadyTaskItRefuses) {
  Create({.max_length = 2});
  Submit("a", {.delay = absl::Hours(1)});
  Submit("b", {.delay = absl::Hours(1)});
  EXPECT_EQ(Submit("c"), kFull);
  h_.Cancel("b");
  EXPECT_EQ(Submit("c"), "OK");
  EXPECT_EQ(Submit("d", {.delay = absl::Hours(1)}), "OK");
  EXPECT_EQ(h_.State("c"), "DEAD_LETTERED");
}

TEST_F(OverflowTest, AsManyGoAsBytesNeed) {
  Create({.max_bytes = 30});
  for (const char* id : {"a", "b", "c"})
    Submit(id, {.data = std::string(10, 'x')});
  EXPECT_EQ(Submit("d", {.data = std::string(15, 'x')}), "OK");
  EXPECT_EQ(h_.State("a"), "DEAD_LETTERED");
  EXPECT_EQ(h_.State("b"), "DEAD_LETTERED");
  EXPECT_EQ(h_.State("c"), "QUEUED");
  EXPECT_EQ(Submit("e", {.data = std::string(31, 'x')}), kFull);
  EXPECT_EQ(h_.State("c"), "QUEUED") << "nothing was done for nothing";
}

TEST_F(OverflowTest, AnAtomicSubmitIsNotSetAsideForItself) {
  Create({.max_length = 2});
  Submit("old", {.priority = 250});
  EXPECT_EQ(SubmitAll({"a", "b", "c"}), kFull);
  EXPECT_EQ(h_.State("old"), "QUEUED");
  EXPECT_EQ(SubmitAll({"a", "b"}), "OK a b");
  EXPECT_EQ(h_.State("old"), "DEAD_LETTERED");
  EXPECT_EQ(h_.Queue("q"), "ready=2 scheduled=0 leased=0");
}

TEST_F(OverflowTest, AQueueWhoseLimitWasLoweredShrinks) {
  Create({});
  for (int i = 0; i < 10; ++i) Submit(absl::StrCat("t", i));
  h_.UpdateQueue({.queue = "q", .max_length = 3});
  EXPECT_EQ(h_.QueueDetails("q").ready, 10u);
  EXPECT_EQ(Submit("x"), "OK");
  EXPECT_EQ(h_.Peek("q"), "t8 t9 x");
}

TEST_F(OverflowTest, AReplacedTaskIsNotSetAside) {
  Create({});
  const Unique unique = {.key = "u", .on_conflict = UniqueConflict::kReplace};
  Submit("a", {.unique = unique});
  Submit("b");
  h_.UpdateQueue({.queue = "q", .max_length = 1});
  EXPECT_EQ(Submit("c", {.data = "x", .unique = unique}), "OK");
  EXPECT_EQ(h_.State("a"), "CANCELLED");
  EXPECT_EQ(h_.QueueDetails("q").ready, 2u);
}

TEST_F(OverflowTest, TheHeadOfAnOrderCanBeSetAside) {
  Create({.max_length = 2});
  const Placement ordered = {.ordering_key = "k"};
  Submit("a", {.placement = ordered});
  Submit("b", {.placement = ordered});
  EXPECT_EQ(Submit("c", {.placement = ordered}), "OK");
  EXPECT_EQ(h_.State("a"), "DEAD_LETTERED");
  EXPECT_EQ(h_.State("b"), "QUEUED");
  EXPECT_EQ(h_.State("c"), "BLOCKED");
}

// --- Defaults ---

class TaskDefaultsTest : public QueueLimitsTest {
 protected:
  TaskDefaultsTest() {
    h_.CreateQueue(
        "q", {.task_defaults = {.priority = 7,
                                .retry_policy = RetryPolicy{.max_attempts = 9},
                                .expire_after = absl::Minutes(1),
                                .result_ttl = absl::Hours(2),
                                .soft_time_limit = absl::Seconds(30),
                                .result_mode = ResultMode::kIgnore,
                                .delivery_mode = DeliveryMode::kAtMostOnce}});
  }
  TaskContent ContentOf(std::string_view id) { return *h_.Task(id).content; }
};

constexpr SubmitCommand::Unsaid kNothingSaid = {.priority = true,
                                                .retry_policy = true,
                                                .result_mode = true,
                                                .delivery_mode = true};

TEST_F(TaskDefaultsTest, AreForWhatIsUnsaid) {
  Submit("a", {.unsaid = kNothingSaid});
  const TaskContent content = ContentOf("a");
  EXPECT_EQ(content.priority, 7);
  EXPECT_EQ(content.retry_policy.max_attempts, 9u);
  EXPECT_EQ(content.expire_time, h_.now() + absl::Minutes(1));
  EXPECT_EQ(content.result_ttl, absl::Hours(2));
  EXPECT_EQ(content.soft_time_limit, absl::Seconds(30));
  EXPECT_EQ(content.result_mode, ResultMode::kIgnore);
  EXPECT_EQ(content.delivery_mode, DeliveryMode::kAtMostOnce);
  h_.Restart();
  EXPECT_EQ(ContentOf("a").priority, 7);
  h_.Advance(absl::Minutes(1));
  EXPECT_EQ(h_.State("a"), "FINISHED") << "it expired, and is not kept";
}

TEST_F(TaskDefaultsTest, WhatIsSaidStays) {
  Submit("a", {.priority = 100,
               .expire_after = absl::Hours(5),
               .result_ttl = absl::Hours(1)});
  const TaskContent content = ContentOf("a");
  EXPECT_EQ(content.priority, 100);
  EXPECT_EQ(content.retry_policy.max_attempts, 4u);
  EXPECT_EQ(content.expire_time, h_.now() + absl::Hours(5));
  EXPECT_EQ(content.result_ttl, absl::Hours(1));
  EXPECT_EQ(content.result_mode, ResultMode::kKeep);
  EXPECT_EQ(content.delivery_mode, DeliveryMode::kAtLeastOnce);
}

TEST_F(TaskDefaultsTest, AreForTasksThatAreSubmittedFromThenOn) {
  Submit("a", {.unsaid = kNothingSaid});
  h_.UpdateQueue({.queue = "q", .task_defaults = TaskDefaults{.priority = 9}});
  Submit("b", {.unsaid = kNothingSaid});
  EXPECT_EQ(ContentOf("a").priority, 7);
  EXPECT_EQ(ContentOf("b").priority, 9);
  EXPECT_EQ(ContentOf("b").expire_time, absl::InfiniteFuture());
  EXPECT_EQ(ContentOf("b").retry_policy, (RetryPolicy{.jitter = 0}))
      << "as the submit came";
}

TEST_F(TaskDefaultsTest, AreForAtomicSubmitsToo) {
  EXPECT_EQ(SubmitAll({"a"}), "OK a");
  EXPECT_EQ(ContentOf("a").priority, 7);
  EXPECT_EQ(ContentOf("a").expire_time, h_.now() + absl::Minutes(1));
  EXPECT_EQ(ContentOf("a").result_mode, ResultMode::kKeep) << "it was said";
}

// --- Peek ---

TEST_F(QueueLimitsTest, PeekShowsTheHeadInOrderOfDispatch) {
  h_.CreateQueue("q");
  Submit("low", {.priority = 1});
  Submit("b1", {.type = "b"});
  Submit("a1", {.type = "a"});
  Submit("b2", {.type = "b"});
  Submit("high", {.priority = 255});
  Submit("later", {.priority = 255, .delay = absl::Hours(1)});
  EXPECT_EQ(h_.Peek("q"), "high b1 a1 b2 low");
  EXPECT_EQ(h_.Peek("q", 2), "high b1");
  EXPECT_EQ(h_.Peek("default"), "");
  EXPECT_EQ(h_.Peek("nowhere"), "NOT_FOUND/QUEUE_NOT_FOUND");
  EXPECT_EQ(h_.Queue("q"), "ready=5 scheduled=1 leased=0") << "takes none";
  h_.Restart();
  EXPECT_EQ(h_.Peek("q"), "high b1 a1 b2 low");
  h_.Connect("w1", {.types = {"job", "a", "b"}, .queues = {"q"}});
  h_.Credit("w1", 5);
  EXPECT_EQ(h_.Delivered("w1"), "high#1 b1#1 a1#1 b2#1 low#1");
}

}  // namespace
}  // namespace apium::broker
