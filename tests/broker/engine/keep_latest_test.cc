// KEEP_LATEST: one task of a key runs, and at most one is BLOCKED behind it.

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "broker/storage/key_format.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {
namespace {

constexpr char kHeld[] = "ALREADY_EXISTS/UNIQUE_KEY_HELD";

class KeepLatestTest : public ::testing::Test {
 protected:
  KeepLatestTest() { h_.CreateQueue("extra"); }

  std::string Submit(std::string_view id, SubmitOptions options = {},
                     const std::string& key = "k") {
    options.unique =
        Unique{.key = key, .on_conflict = UniqueConflict::kKeepLatest};
    return h_.Submit(id, options);
  }
  std::string SubmitWith(std::string_view id, UniqueConflict on_conflict,
                         UniqueScope scope = UniqueScope::kUntilEnd) {
    return h_.Submit(id, {.unique = Unique{.key = "k",
                                           .scope = scope,
                                           .window = absl::Seconds(10),
                                           .on_conflict = on_conflict}});
  }
  // A task of the key runs, and another is blocked behind it.
  void RunAndBlock(SubmitOptions options = {}) {
    ASSERT_EQ(Submit("running"), "OK");
    h_.Credit("w1", 1);
    ASSERT_EQ(h_.Delivered("w1"), "running#1");
    ASSERT_EQ(Submit("next", std::move(options)), "OK");
    ASSERT_EQ(h_.State("next"), "BLOCKED");
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

TEST_F(KeepLatestTest, OneRunsAndTheLatestIsNext) {
  RunAndBlock();
  h_.Credit("w1", 4);
  EXPECT_EQ(h_.Delivered("w1"), "") << "it is blocked";
  EXPECT_EQ(Submit("later"), "OK");
  EXPECT_EQ(h_.State("next"), "CANCELLED");
  EXPECT_EQ(h_.OutcomeOf("next").failure.type, "apium.Replaced");
  EXPECT_EQ(Submit("latest"), "OK");
  EXPECT_EQ(h_.State("later"), "CANCELLED");
  EXPECT_EQ(h_.Queue(), "ready=0 scheduled=0 leased=1 blocked=1");
  h_.Succeed("w1", "running");
  EXPECT_EQ(h_.Delivered("w1"), "latest#1") << "in the same turn";
  EXPECT_EQ(Submit("again"), "OK");
  EXPECT_EQ(h_.State("again"), "BLOCKED");
  h_.Succeed("w1", "latest");
  EXPECT_EQ(h_.Delivered("w1"), "again#1");
  h_.Succeed("w1", "again");
  EXPECT_EQ(h_.Queue(), "ready=0 scheduled=0 leased=0");
  EXPECT_EQ(Rows(kUniqueRow) + Rows(kBlockedRow), 0u);
}

TEST_F(KeepLatestTest, OneThatWaitsIsReplaced) {
  EXPECT_EQ(Submit("a", {.delay = absl::Seconds(5)}), "OK");
  EXPECT_EQ(Submit("b"), "OK");
  EXPECT_EQ(h_.State("a"), "CANCELLED");
  EXPECT_EQ(Submit("c"), "OK");
  EXPECT_EQ(h_.State("b"), "CANCELLED");
  EXPECT_EQ(h_.List(), "c");
}

TEST_F(KeepLatestTest, EveryEndOfTheHolderUnblocks) {
  RunAndBlock();
  h_.Fail("w1", "running", {.non_retryable = true});
  EXPECT_EQ(h_.State("next"), "QUEUED");
  h_.Credit("w1", 1);
  EXPECT_EQ(h_.Delivered("w1"), "next#1");
  Submit("third");
  h_.Cancel("next");
  EXPECT_EQ(h_.State("third"), "BLOCKED");
  h_.ObeyCancel("w1", "next");
  EXPECT_EQ(h_.State("third"), "QUEUED");
}

TEST_F(KeepLatestTest, ARetryOfTheHolderDoesNotUnblock) {
  RunAndBlock();
  h_.Fail("w1", "running");
  EXPECT_EQ(h_.State("running"), "SCHEDULED");
  EXPECT_EQ(h_.State("next"), "BLOCKED");
  h_.Advance(absl::Seconds(1));
  h_.Credit("w1", 1);
  EXPECT_EQ(h_.Delivered("w1"), "running#2");
  h_.Fail("w1", "running");
  // Neither is the latest any more.
  EXPECT_EQ(Submit("latest"), "OK");
  EXPECT_EQ(h_.State("running"), "CANCELLED");
  EXPECT_EQ(h_.State("next"), "CANCELLED");
  EXPECT_EQ(h_.State("latest"), "QUEUED");
  EXPECT_EQ(h_.Queue(), "ready=1 scheduled=0 leased=0");
}

TEST_F(KeepLatestTest, SurvivesRestartsInEveryState) {
  RunAndBlock();
  const int rounds = 2;
  for (int i = 0; i < rounds; ++i) {
    h_.Restart();
    EXPECT_EQ(h_.State("next"), "BLOCKED");
    EXPECT_EQ(h_.Queue(), "ready=0 scheduled=0 leased=1 blocked=1");
  }
  h_.Reconnect("w1");
  h_.Fail("w1", "running");
  h_.Restart();
  EXPECT_EQ(h_.Queue(), "ready=0 scheduled=1 leased=0 blocked=1");
  EXPECT_EQ(h_.List(), "running next");
  h_.Cancel("running");
  EXPECT_EQ(h_.State("next"), "QUEUED");
  h_.Restart();
  EXPECT_EQ(h_.Queue(), "ready=1 scheduled=0 leased=0");
  h_.Connect("w1");
  h_.Credit("w1", 1);
  EXPECT_EQ(h_.Delivered("w1"), "next#1");
}

TEST_F(KeepLatestTest, ACrashTakesBackOrKeepsTheWholeTurn) {
  RunAndBlock();
  h_.HoldTurns();
  h_.Succeed("w1", "running");
  h_.Crash();
  EXPECT_EQ(h_.State("running"), "LEASED");
  EXPECT_EQ(h_.State("next"), "BLOCKED");
  h_.Reconnect("w1");
  h_.HoldTurns();
  h_.Succeed("w1", "running");
  h_.Crash(/*surviving_turns=*/1);
  EXPECT_EQ(h_.State("running"), "SUCCEEDED");
  EXPECT_EQ(h_.State("next"), "QUEUED");
}

TEST_F(KeepLatestTest, TheEtaIsRespectedOnRelease) {
  RunAndBlock({.delay = absl::Seconds(30)});
  const absl::Time eta = h_.now() + absl::Seconds(30);
  const int watch = h_.Watch("next");
  EXPECT_EQ(h_.Answers(watch), "BLOCKED");
  h_.Advance(absl::Seconds(10));
  h_.Succeed("w1", "running");
  EXPECT_EQ(h_.Answers(watch), "SCHEDULED");
  EXPECT_EQ(h_.Task("next").schedule_time, eta);
  EXPECT_EQ(h_.Queue(), "ready=0 scheduled=1 leased=0");
  h_.Credit("w1", 1);
  h_.Advance(absl::Milliseconds(19'999));
  EXPECT_EQ(h_.Delivered("w1"), "");
  h_.Advance(absl::Milliseconds(1));
  EXPECT_EQ(h_.Delivered("w1"), "next#1");
}

TEST_F(KeepLatestTest, AnEtaThatHasPassedMeansAtOnce) {
  RunAndBlock({.delay = absl::Seconds(3)});
  h_.Advance(absl::Seconds(5));
  EXPECT_EQ(h_.State("next"), "BLOCKED");
  h_.Succeed("w1", "running");
  EXPECT_EQ(h_.State("next"), "QUEUED");
}

TEST_F(KeepLatestTest, SaysWhyItWaits) {
  RunAndBlock();
  EXPECT_EQ(h_.Task("next").waiting_reason,
            "another task holds the unique key k");
}

TEST_F(KeepLatestTest, ABlockedTaskExpires) {
  RunAndBlock({.expire_after = absl::Seconds(3)});
  h_.Restart();
  h_.Advance(absl::Seconds(3));
  EXPECT_EQ(h_.State("next"), "EXPIRED");
  EXPECT_EQ(h_.Queue(), "ready=0 scheduled=0 leased=1");
  EXPECT_EQ(Submit("other"), "OK");
  EXPECT_EQ(h_.State("other"), "BLOCKED");
}

TEST_F(KeepLatestTest, ABlockedTaskIsCancelledAtOnce) {
  RunAndBlock();
  const int wait = h_.Wait("next");
  EXPECT_EQ(h_.Cancel("next"), "CANCELLED");
  EXPECT_EQ(h_.Answers(wait), "CANCELLED");
  EXPECT_EQ(Rows(kBlockedRow), 0u);
  h_.Succeed("w1", "running");
  EXPECT_EQ(Rows(kUniqueRow), 0u);
  EXPECT_EQ(Submit("other"), "OK");
  EXPECT_EQ(h_.State("other"), "QUEUED");
}

TEST_F(KeepLatestTest, BlockedTasksAreListed) {
  for (int i = 0; i < 5; ++i) {
    const std::string key = absl::StrCat("k", i);
    Submit(absl::StrCat("r", i), {}, key);
    h_.Credit("w1", 1);
    Submit(absl::StrCat("n", i), {.queue = i < 2 ? "extra" : "default"}, key);
  }
  h_.Submit("ready");
  h_.Submit("scheduled", {.delay = absl::Hours(1)});
  EXPECT_EQ(h_.List({.page_size = 3}),
            "r0 r1 r2 | r3 r4 ready | scheduled n2 n3 | n4 n0 n1");
  EXPECT_EQ(h_.List({.filter = {.states = {TaskState::kBlocked}}}),
            "n2 n3 n4 n0 n1");
  EXPECT_EQ(
      h_.List({.filter = {.states = {TaskState::kBlocked}, .queue = "extra"},
               .page_size = 1}),
      "n0 | n1");
  EXPECT_EQ(h_.QueueDetails("extra").blocked, 2u);
  h_.Restart();
  EXPECT_EQ(h_.QueueDetails("extra").blocked, 2u);
  EXPECT_EQ(h_.QueueDetails("default").blocked, 3u);
}

TEST_F(KeepLatestTest, AQueueWithBlockedTasksIsNotEmpty) {
  RunAndBlock({.queue = "extra"});
  EXPECT_EQ(h_.DeleteQueue("extra"), "FAILED_PRECONDITION/QUEUE_NOT_EMPTY");
  h_.Cancel("next");
  EXPECT_EQ(h_.DeleteQueue("extra"), "OK");
}

TEST_F(KeepLatestTest, APurgeTakesBlockedTasks) {
  RunAndBlock();
  EXPECT_EQ(h_.Purge("default"), "purged 1");
  EXPECT_EQ(h_.State("next"), "CANCELLED");
  EXPECT_EQ(h_.State("running"), "LEASED");
  EXPECT_EQ(h_.Queue(), "ready=0 scheduled=0 leased=1");
  Submit("other", {.queue = "extra"});
  EXPECT_EQ(h_.Purge("default"), "purged 0");
  EXPECT_EQ(h_.State("other"), "BLOCKED");
}

TEST_F(KeepLatestTest, APurgeTakesTheHolderAndWhatItWouldUnblock) {
  RunAndBlock();
  h_.Fail("w1", "running");
  h_.WithoutSettling([&] { h_.Purge("default"); });
  EXPECT_EQ(h_.Queue(), "ready=0 scheduled=0 leased=0");
  EXPECT_EQ(h_.State("next"), "CANCELLED");
  EXPECT_EQ(h_.OutcomeOf("next").failure.type, "apium.Purged");
  EXPECT_EQ(Rows(kUniqueRow), 0u);
}

TEST_F(KeepLatestTest, OtherPoliciesMeetTheHolder) {
  RunAndBlock();
  EXPECT_EQ(SubmitWith("x", UniqueConflict::kReject), kHeld);
  EXPECT_EQ(SubmitWith("x", UniqueConflict::kReplace), kHeld);
  EXPECT_EQ(SubmitWith("x", UniqueConflict::kAttach), "ATTACHED running");
  EXPECT_EQ(SubmitWith("x", UniqueConflict::kThrottle, UniqueScope::kWindow),
            "ATTACHED running");
  EXPECT_EQ(h_.State("next"), "BLOCKED");
  // Whoever takes the key takes the place of all who wait under it.
  EXPECT_EQ(
      SubmitWith("d", UniqueConflict::kDebounce, UniqueScope::kUntilStart),
      "OK");
  EXPECT_EQ(h_.State("next"), "CANCELLED");
  EXPECT_EQ(h_.State("d"), "SCHEDULED");
  h_.Succeed("w1", "running");
  EXPECT_EQ(SubmitWith("x", UniqueConflict::kAttach), "ATTACHED d");
}

TEST_F(KeepLatestTest, ABlockedTaskKeepsAWindowOpen) {
  EXPECT_EQ(SubmitWith("w", UniqueConflict::kReject, UniqueScope::kWindow),
            "OK");
  h_.Credit("w1", 1);
  EXPECT_EQ(Submit("next"), "OK");
  EXPECT_EQ(h_.State("next"), "BLOCKED");
  h_.Advance(absl::Seconds(12));
  h_.Heartbeat("w1");
  EXPECT_EQ(SubmitWith("x", UniqueConflict::kReject), kHeld);
  EXPECT_EQ(h_.State("next"), "BLOCKED");
  h_.Succeed("w1", "w");
  EXPECT_EQ(h_.State("next"), "QUEUED");
  h_.Cancel("next");
  EXPECT_EQ(Rows(kUniqueRow), 0u);
}

TEST_F(KeepLatestTest, AWindowWhoseTaskHasEndedHoldsNothing) {
  SubmitWith("w", UniqueConflict::kReject, UniqueScope::kWindow);
  h_.Cancel("w");
  EXPECT_EQ(Submit("a"), "OK");
  EXPECT_EQ(h_.State("a"), "QUEUED");
}

}  // namespace
}  // namespace apium::broker
