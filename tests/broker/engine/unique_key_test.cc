// Unique keys: what a submit gets whose key another task holds, and how long a
// task holds its key.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "broker/storage/key_format.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {
namespace {

constexpr char kHeld[] = "ALREADY_EXISTS/UNIQUE_KEY_HELD";

class UniqueKeyTest : public ::testing::Test {
 protected:
  // Submits a task of the key "k".
  std::string Submit(std::string_view id, UniqueConflict on_conflict,
                     UniqueScope scope = UniqueScope::kUntilEnd,
                     SubmitOptions options = {}) {
    options.unique =
        Unique{.key = "k",
               .scope = scope,
               .window = scope == UniqueScope::kWindow ? absl::Seconds(60)
                                                       : absl::ZeroDuration(),
               .on_conflict = on_conflict};
    return h_.Submit(id, options);
  }
  std::string Reject(std::string_view id,
                     UniqueScope scope = UniqueScope::kUntilEnd,
                     SubmitOptions options = {}) {
    return Submit(id, UniqueConflict::kReject, scope, std::move(options));
  }
  std::string Attach(std::string_view id, SubmitOptions options = {}) {
    return Submit(id, UniqueConflict::kAttach, UniqueScope::kUntilEnd,
                  std::move(options));
  }
  std::string Replace(std::string_view id) {
    return Submit(id, UniqueConflict::kReplace);
  }
  std::string Throttle(std::string_view id, SubmitOptions options = {}) {
    return Submit(id, UniqueConflict::kThrottle, UniqueScope::kWindow,
                  std::move(options));
  }
  std::string Debounce(std::string_view id, SubmitOptions options = {}) {
    options.unique = Unique{.key = "k",
                            .scope = UniqueScope::kUntilStart,
                            .window = absl::Seconds(10),
                            .on_conflict = UniqueConflict::kDebounce};
    return h_.Submit(id, options);
  }

  size_t Rows(char kind) {
    size_t rows = 0;
    EXPECT_TRUE(h_.driver()
                    .store()
                    .Scan(std::string(1, kind), RowsEnd(kind),
                          [&](std::string_view, std::string_view) {
                            return ++rows > 0;
                          })
                    .ok());
    return rows;
  }

  EngineHarness h_;
};

// --- REJECT, and the scopes ---

TEST_F(UniqueKeyTest, ASecondTaskOfTheKeyIsRefusedUntilTheFirstEnds) {
  EXPECT_EQ(Reject("a"), "OK");
  EXPECT_EQ(Reject("b"), kHeld);
  EXPECT_THAT(std::string(h_.last_submit().status.message()),
              testing::HasSubstr("held by task a"));
  EXPECT_EQ(h_.State("b"), "UNKNOWN");
  h_.Credit("w1", 1);
  EXPECT_EQ(h_.Delivered("w1"), "a#1");
  EXPECT_EQ(Reject("b"), kHeld);
  h_.Succeed("w1", "a");
  EXPECT_EQ(Reject("b"), "OK");
  EXPECT_EQ(h_.State("b"), "QUEUED");
}

TEST_F(UniqueKeyTest, EveryEndReleasesTheKey) {
  Reject("cancelled");
  h_.Cancel("cancelled");
  EXPECT_EQ(Reject("purged"), "OK");
  h_.Purge("default");
  EXPECT_EQ(Reject("expired", UniqueScope::kUntilEnd,
                   {.expire_after = absl::Seconds(1)}),
            "OK");
  h_.Advance(absl::Seconds(1));
  EXPECT_EQ(Reject("late", UniqueScope::kUntilEnd,
                   {.expire_after = absl::ZeroDuration()}),
            "OK");
  EXPECT_EQ(Reject("failed"), "OK");
  h_.Credit("w1", 2);
  h_.Fail("w1", "failed", {.non_retryable = true});
  EXPECT_EQ(Reject("crashed", UniqueScope::kUntilEnd,
                   {.retry = {.jitter = 0, .max_crashes = 1}}),
            "OK");
  EXPECT_EQ(Reject("x"), kHeld);
  h_.Advance(absl::Minutes(2));
  EXPECT_EQ(h_.State("crashed"), "FAILED");
  EXPECT_EQ(Reject("x"), "OK");
  h_.Cancel("x");
  EXPECT_EQ(Rows(kUniqueRow), 0u);
}

TEST_F(UniqueKeyTest, TheKeyIsFreeInTheSameTurn) {
  Reject("a");
  h_.InOneTurn([&] {
    h_.Cancel("a");
    Reject("b");
    Reject("c");
  });
  EXPECT_EQ(h_.State("b"), "QUEUED");
  EXPECT_EQ(h_.State("c"), "UNKNOWN");
}

TEST_F(UniqueKeyTest, ARetriedTaskKeepsItsKey) {
  Reject("a");
  h_.Credit("w1", 1);
  h_.Fail("w1", "a");
  EXPECT_EQ(h_.State("a"), "SCHEDULED");
  EXPECT_EQ(Reject("b"), kHeld);
  h_.Restart();
  EXPECT_EQ(Reject("b"), kHeld);
}

TEST_F(UniqueKeyTest, UntilStartIsReleasedWhenAWorkerGetsTheTask) {
  EXPECT_EQ(Reject("a", UniqueScope::kUntilStart), "OK");
  EXPECT_EQ(Reject("b", UniqueScope::kUntilStart), kHeld);
  h_.Credit("w1", 1);
  EXPECT_EQ(h_.Delivered("w1"), "a#1");
  EXPECT_EQ(Reject("b", UniqueScope::kUntilStart), "OK");
  // It never gets it back.
  h_.Fail("w1", "a");
  h_.Cancel("b");
  EXPECT_EQ(Reject("c", UniqueScope::kUntilStart), "OK");
  EXPECT_EQ(Reject("d", UniqueScope::kUntilStart), kHeld);
  h_.Cancel("a");
  EXPECT_EQ(Reject("d", UniqueScope::kUntilStart), kHeld);
}

TEST_F(UniqueKeyTest, AWindowOutlivesItsTask) {
  EXPECT_EQ(Reject("a", UniqueScope::kWindow), "OK");
  h_.Cancel("a");
  h_.Restart();
  h_.Advance(absl::Milliseconds(59'999));
  EXPECT_EQ(Reject("b", UniqueScope::kWindow), kHeld);
  h_.Advance(absl::Milliseconds(1));
  EXPECT_EQ(Reject("b", UniqueScope::kWindow), "OK");
}

TEST_F(UniqueKeyTest, AWindowIsOverWhileItsTaskRuns) {
  Reject("a", UniqueScope::kWindow);
  h_.Credit("w1", 1);
  h_.Start("w1", "a");
  for (int i = 0; i < 4; ++i) {
    h_.Advance(absl::Seconds(15));
    h_.Heartbeat("w1");
  }
  EXPECT_EQ(Reject("b"), "OK");
  // What a does no longer matters to the key.
  h_.Succeed("w1", "a");
  EXPECT_EQ(Reject("c"), kHeld);
}

TEST_F(UniqueKeyTest, CompactionDropsWindowsThatAreOver) {
  Reject("a", UniqueScope::kWindow);
  h_.Submit("r", {.request_id = "r1"});
  std::vector<std::string> dropped;
  const auto scan = [&](absl::Duration later) {
    dropped.clear();
    EXPECT_TRUE(h_.driver()
                    .store()
                    .Scan("\x01", "\xff",
                          [&](std::string_view key, std::string_view value) {
                            if (IsDroppableRow(key, value, h_.now() + later, 0))
                              dropped.emplace_back(key);
                            return true;
                          })
                    .ok());
    return dropped;
  };
  const std::string unique = UniqueRowKey(MakeTaskKey("default", "k"));
  const std::string request = RequestRowKey(MakeTaskKey("default", "r1"));
  EXPECT_THAT(scan(absl::Seconds(59)), testing::IsEmpty());
  EXPECT_THAT(scan(absl::Seconds(60)), testing::ElementsAre(unique));
  EXPECT_THAT(scan(absl::Hours(24)), testing::ElementsAre(request, unique));
  // A key that is held until its task ends is never dropped.
  h_.Advance(absl::Seconds(61));
  EXPECT_EQ(Reject("b"), "OK");
  EXPECT_THAT(scan(absl::Hours(24 * 365 * 100)), testing::ElementsAre(request));
}

TEST_F(UniqueKeyTest, KeysOfOtherNamesAndNamespacesAreOthers) {
  EngineHarness h({.namespaces = {"default", "other"}});
  SubmitOptions options;
  options.unique = Unique{.key = "k"};
  EXPECT_EQ(h.Submit("a", options), "OK");
  options.namespace_name = "other";
  EXPECT_EQ(h.Submit("a", options), "OK");
  EXPECT_EQ(h.Submit("b", options), kHeld);
  options.unique = Unique{.key = "k2"};
  EXPECT_EQ(h.Submit("b", options), "OK");
}

TEST_F(UniqueKeyTest, OtherTypesAndQueuesAreTheSameKey) {
  h_.CreateQueue("extra");
  Reject("a");
  EXPECT_EQ(
      Reject("b", UniqueScope::kUntilEnd, {.type = "mail", .queue = "extra"}),
      kHeld);
}

TEST_F(UniqueKeyTest, TheIdIsLookedAtBeforeTheKey) {
  EXPECT_EQ(Reject("a"), "OK");
  EXPECT_EQ(Reject("a"), "OK");
  EXPECT_EQ(h_.Submit("a", {.data = "other"}), "ALREADY_EXISTS/TASK_ID_REUSED");
  h_.Cancel("a");
  EXPECT_EQ(Reject("b"), "OK");
  EXPECT_EQ(Reject("a"), "OK") << "as it was answered first";
  EXPECT_EQ(h_.State("a"), "CANCELLED");
}

TEST_F(UniqueKeyTest, ARefusedSubmitTakesNoKey) {
  EXPECT_EQ(Reject("a", UniqueScope::kUntilEnd, {.queue = "nowhere"}),
            "NOT_FOUND/QUEUE_NOT_FOUND");
  EXPECT_EQ(Reject("b", UniqueScope::kUntilEnd, {.batch_id = "none"}),
            "NOT_FOUND/BATCH_NOT_FOUND");
  EXPECT_EQ(Rows(kUniqueRow), 0u);
  EXPECT_EQ(Reject("c"), "OK");
}

TEST_F(UniqueKeyTest, AnotherTaskOfTheHoldersIdIsNotTheHolder) {
  EngineHarness h({.finished_retention = absl::Seconds(1)});
  SubmitOptions options;
  options.unique = Unique{
      .key = "k", .scope = UniqueScope::kWindow, .window = absl::Hours(1)};
  h.Submit("a", options);
  h.Cancel("a");
  h.ConfirmOutbox(1);
  h.Advance(absl::Seconds(2));
  EXPECT_EQ(h.Submit("a", {.delay = absl::Hours(1)}), "OK") << "forgotten";
  options.unique->on_conflict = UniqueConflict::kReplace;
  EXPECT_EQ(h.Submit("b", options), kHeld);
  EXPECT_EQ(h.State("a"), "SCHEDULED");
  h.Cancel("a");
  EXPECT_EQ(h.Submit("b", options), kHeld);
}

TEST_F(UniqueKeyTest, APlainTaskWritesNoIdentityRows) {
  h_.Submit("a");
  h_.Credit("w1", 1);
  h_.Succeed("w1", "a");
  EXPECT_EQ(Rows(kUniqueRow) + Rows(kRequestRow) + Rows(kBlockedRow), 0u);
}

// --- ATTACH ---

TEST_F(UniqueKeyTest, AttachedSubmitsGetTheHolderAndItsOutcome) {
  EXPECT_EQ(Attach("a"), "OK");
  const absl::Time accepted = h_.now();
  h_.Advance(absl::Seconds(1));
  EXPECT_EQ(Attach("b", {.report_outcome = true}), "ATTACHED a");
  const int b = h_.last_call();
  EXPECT_EQ(h_.last_submit().create_time, accepted);
  EXPECT_EQ(h_.State("b"), "UNKNOWN");
  h_.Credit("w1", 1);
  EXPECT_EQ(Attach("", {.report_outcome = true}), "ATTACHED a");
  const int c = h_.last_call();
  EXPECT_FALSE(h_.last_submit().minted);
  const int wait = h_.Wait("a");
  EXPECT_EQ(h_.Delivered("w1"), "a#1");
  h_.Succeed("w1", "a");
  EXPECT_EQ(h_.Answers(b), "outcome=SUCCEEDED");
  EXPECT_EQ(h_.Answers(c), "outcome=SUCCEEDED");
  EXPECT_EQ(h_.Answers(wait), "SUCCEEDED");
  EXPECT_EQ(Attach("d"), "OK");
  EXPECT_EQ(h_.StatsOf().submitted_duplicate, 2u);
  EXPECT_EQ(h_.StatsOf().submitted_accepted, 2u);
}

TEST_F(UniqueKeyTest, AttachSurvivesRestarts) {
  Attach("a");
  h_.Restart();
  EXPECT_EQ(Attach("b"), "ATTACHED a");
  h_.Credit("w1", 1);
  h_.Delivered("w1");
  h_.Restart();
  EXPECT_EQ(Attach("b"), "ATTACHED a");
  h_.Reconnect("w1");
  h_.Fail("w1", "a");
  h_.Restart();
  EXPECT_EQ(Attach("b"), "ATTACHED a");
  h_.Crash();
  EXPECT_EQ(Attach("b"), "ATTACHED a");
  h_.Cancel("a");
  h_.Restart();
  EXPECT_EQ(Attach("b"), "OK");
}

TEST_F(UniqueKeyTest, WhatIsLostInACrashHoldsNoKey) {
  h_.HoldTurns();
  Attach("a");
  h_.Crash();
  EXPECT_EQ(Attach("b"), "OK");
  h_.HoldTurns();
  h_.Cancel("b");
  h_.Crash();
  EXPECT_EQ(Attach("c"), "ATTACHED b");
}

TEST_F(UniqueKeyTest, SixtyFourSubmitsAtOnceAreOneTask) {
  h_.InOneTurn([&] {
    for (int i = 0; i < 64; ++i) Attach(absl::StrCat("t", i));
  });
  EXPECT_EQ(h_.List(), "t0");
  EXPECT_EQ(h_.StatsOf().submitted_duplicate, 63u);
}

// --- REPLACE ---

TEST_F(UniqueKeyTest, ReplaceTakesThePlaceOfOneThatWaits) {
  EXPECT_EQ(Replace("a"), "OK");
  const int wait = h_.Wait("a");
  EXPECT_EQ(Replace("b"), "OK");
  EXPECT_EQ(h_.Answers(wait), "CANCELLED");
  const Outcome outcome = h_.OutcomeOf("a");
  EXPECT_EQ(outcome.state, TaskState::kCancelled);
  EXPECT_EQ(outcome.failure.type, "apium.Replaced");
  EXPECT_EQ(outcome.failure.message, "task b took its place");
  EXPECT_EQ(Submit("c", UniqueConflict::kReplace, UniqueScope::kUntilEnd,
                   {.delay = absl::Seconds(9)}),
            "OK");
  h_.Restart();
  EXPECT_EQ(Replace("d"), "OK");
  EXPECT_EQ(h_.List(), "d");
  h_.Credit("w1", 1);
  EXPECT_EQ(h_.Delivered("w1"), "d#1");
  EXPECT_EQ(Replace("e"), kHeld);
  // Back in the queue, it waits.
  h_.Fail("w1", "d");
  EXPECT_EQ(Replace("e"), "OK");
  EXPECT_EQ(h_.State("d"), "CANCELLED");
  EXPECT_EQ(h_.Queue(), "ready=1 scheduled=0 leased=0");
}

TEST_F(UniqueKeyTest, ReplaceOfAnEndedWindowIsRefused) {
  Submit("a", UniqueConflict::kReplace, UniqueScope::kWindow);
  h_.Cancel("a");
  EXPECT_EQ(Replace("b"), kHeld);
}

// --- DEBOUNCE ---

TEST_F(UniqueKeyTest, DebounceWaitsForQuiet) {
  h_.Credit("w1", 4);
  EXPECT_EQ(Debounce("a"), "OK");
  EXPECT_EQ(h_.State("a"), "SCHEDULED");
  h_.Advance(absl::Seconds(9));
  EXPECT_EQ(Debounce("b"), "OK");
  EXPECT_EQ(h_.State("a"), "CANCELLED");
  h_.Advance(absl::Milliseconds(9'999));
  EXPECT_EQ(h_.Delivered("w1"), "");
  h_.Restart();
  h_.Connect("w1");
  h_.Credit("w1", 4);
  h_.Advance(absl::Milliseconds(1));
  EXPECT_EQ(h_.Delivered("w1"), "b#1");
  // The one that runs holds nothing.
  EXPECT_EQ(Debounce("c"), "OK");
  h_.Succeed("w1", "b");
  EXPECT_EQ(Debounce("d"), "OK");
  EXPECT_EQ(h_.State("c"), "CANCELLED");
  h_.Advance(absl::Seconds(10));
  EXPECT_EQ(h_.Delivered("w1"), "d#1");
}

TEST_F(UniqueKeyTest, DebounceReplacesOneThatIsReady) {
  Debounce("a");
  h_.Advance(absl::Seconds(20));
  EXPECT_EQ(h_.State("a"), "QUEUED");
  EXPECT_EQ(Debounce("b"), "OK");
  EXPECT_EQ(h_.List(), "b");
  EXPECT_EQ(h_.State("b"), "SCHEDULED");
}

TEST_F(UniqueKeyTest, DebounceKeepsAnEtaThatIsLater) {
  Debounce("a", {.delay = absl::Seconds(60)});
  EXPECT_EQ(h_.Task("a").schedule_time, h_.now() + absl::Seconds(60));
  Debounce("b", {.delay = absl::Seconds(1)});
  EXPECT_EQ(h_.Task("b").schedule_time, h_.now() + absl::Seconds(10));
}

TEST_F(UniqueKeyTest, DebounceTakesTheKeyFromOneThatRuns) {
  Reject("a");
  h_.Credit("w1", 1);
  EXPECT_EQ(h_.Delivered("w1"), "a#1");
  EXPECT_EQ(Debounce("b"), "OK");
  h_.Succeed("w1", "a");
  EXPECT_EQ(Attach("c"), "ATTACHED b");
}

// --- THROTTLE ---

TEST_F(UniqueKeyTest, ThrottleIsOneTaskForEachWindow) {
  EXPECT_EQ(Throttle("a"), "OK");
  EXPECT_EQ(Throttle("b"), "ATTACHED a");
  h_.Credit("w1", 9);
  h_.Succeed("w1", "a");
  h_.Advance(absl::Seconds(30));
  EXPECT_EQ(Throttle("b", {.report_outcome = true}), "ATTACHED a");
  EXPECT_EQ(h_.Answers(h_.last_call()), "outcome=SUCCEEDED");
  h_.ConfirmOutbox(1);
  h_.Restart();
  EXPECT_EQ(Throttle("b", {.report_outcome = true}), "ATTACHED a");
  EXPECT_EQ(h_.Answers(h_.last_call()), "outcome=elsewhere");
  // The window is that of the task that was accepted, not of those attached.
  h_.Advance(absl::Seconds(30));
  EXPECT_EQ(Throttle("b"), "OK");
  EXPECT_EQ(Throttle("c"), "ATTACHED b");
}

TEST_F(UniqueKeyTest, ThrottleAttachesToAMintedTaskThatIsForgotten) {
  EXPECT_EQ(Throttle(""), "OK");
  const std::string id = h_.last_task_id();
  const absl::Time accepted = h_.now();
  h_.Cancel(id);
  h_.ConfirmOutbox(1);
  h_.Advance(absl::Seconds(5));
  EXPECT_EQ(h_.State(id), "UNKNOWN");
  EXPECT_EQ(Throttle("", {.report_outcome = true}),
            absl::StrCat("ATTACHED ", id));
  EXPECT_EQ(h_.last_submit().create_time, accepted);
  EXPECT_EQ(h_.Answers(h_.last_call()), "outcome=elsewhere");
}

// --- Policies of several submits of one key ---

TEST_F(UniqueKeyTest, EachSubmitSaysForItselfWhatItGets) {
  Throttle("a");
  EXPECT_EQ(Reject("x"), kHeld);
  EXPECT_EQ(Attach("x"), "ATTACHED a");
  EXPECT_EQ(Replace("b"), "OK");
  EXPECT_EQ(h_.State("a"), "CANCELLED");
  EXPECT_EQ(Throttle("x"), "ATTACHED b");
  EXPECT_EQ(Debounce("c"), "OK");
  EXPECT_EQ(h_.State("b"), "CANCELLED");
  h_.Cancel("c");
  EXPECT_EQ(Rows(kUniqueRow), 0u);
}

}  // namespace
}  // namespace apium::broker
