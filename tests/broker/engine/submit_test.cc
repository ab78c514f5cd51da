#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/time/time.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {
namespace {

TEST(SubmitTest, MintsAnIdWhereNoneIsGiven) {
  EngineHarness h;
  EXPECT_EQ(h.Submit(""), "OK");
  const std::string first = h.last_task_id();
  EXPECT_TRUE(h.last_submit().minted);
  EXPECT_EQ(first.size(), 36u);
  EXPECT_EQ(h.Submit(""), "OK");
  EXPECT_NE(h.last_task_id(), first);
  EXPECT_EQ(h.State(first), "QUEUED");
  h.Credit("w1", 1);
  EXPECT_EQ(h.Delivered("w1"), first + "#1");
}

TEST(SubmitTest, MintedIdsDifferAfterARestart) {
  EngineHarness h;
  h.Submit("");
  const std::string first = h.last_task_id();
  h.Restart();
  EXPECT_EQ(h.Submit(""), "OK");
  EXPECT_NE(h.last_task_id(), first);
  EXPECT_EQ(h.Queue(), "ready=2 scheduled=0 leased=0");
}

TEST(SubmitTest, MintedIdsOfScheduledTasksDifferAfterARestart) {
  EngineHarness h;
  h.Restart();
  h.Submit("", {.delay = absl::Hours(1)});
  const std::string first = h.last_task_id();
  h.Restart();
  h.Submit("", {.delay = absl::Hours(1)});
  EXPECT_NE(h.last_task_id(), first);
  EXPECT_EQ(h.Queue(), "ready=0 scheduled=2 leased=0");
}

TEST(SubmitTest, SaysWhenItAccepted) {
  EngineHarness h;
  h.Submit("a");
  EXPECT_EQ(h.last_task_id(), "a");
  EXPECT_FALSE(h.last_submit().minted);
  EXPECT_EQ(h.last_submit().create_time, h.now());
}

TEST(SubmitTest, TheSameAgainIsAnsweredTheSame) {
  EngineHarness h;
  EXPECT_EQ(h.Submit("a"), "OK");
  const absl::Time create_time = h.last_submit().create_time;
  h.Advance(absl::Seconds(5));
  EXPECT_EQ(h.Submit("a"), "OK");
  EXPECT_EQ(h.last_submit().create_time, create_time);
  EXPECT_EQ(h.last_task_id(), "a");
  EXPECT_EQ(h.Queue(), "ready=1 scheduled=0 leased=0");
  h.Credit("w1", 5);
  EXPECT_EQ(h.Delivered("w1"), "a#1");
}

TEST(SubmitTest, TheSameAgainInOneTurnIsAcceptedOnce) {
  EngineHarness h;
  h.InOneTurn([&] {
    h.Submit("a");
    h.Submit("a");
  });
  EXPECT_EQ(h.Answers(0), "OK");
  EXPECT_EQ(h.Answers(1), "OK");
  EXPECT_EQ(h.Queue(), "ready=1 scheduled=0 leased=0");
}

TEST(SubmitTest, OtherContentUnderAKnownIdIsRefused) {
  EngineHarness h;
  h.Submit("a", {.data = "one"});
  EXPECT_EQ(h.Submit("a", {.data = "two"}), "ALREADY_EXISTS/TASK_ID_REUSED");
  EXPECT_EQ(h.Task("a").content->payload.data, "one");
  EXPECT_EQ(h.Queue(), "ready=1 scheduled=0 leased=0");
}

TEST(SubmitTest, TheSameAgainWhileItRunsChangesNothing) {
  EngineHarness h;
  h.Credit("w1", 2);
  h.Submit("a");
  EXPECT_EQ(h.Submit("a"), "OK");
  EXPECT_EQ(h.State("a"), "LEASED");
  EXPECT_EQ(h.Submit("a", {.data = "other"}), "ALREADY_EXISTS/TASK_ID_REUSED");
  EXPECT_EQ(h.Delivered("w1"), "a#1");
}

TEST(SubmitTest, TheSameAgainAfterTheEndIsAnsweredTheSame) {
  EngineHarness h;
  h.Credit("w1", 2);
  h.Submit("a");
  const absl::Time create_time = h.last_submit().create_time;
  h.Succeed("w1", "a");
  h.Delivered("w1");
  h.Advance(absl::Hours(23));
  EXPECT_EQ(h.Submit("a"), "OK");
  EXPECT_EQ(h.last_submit().create_time, create_time);
  EXPECT_EQ(h.Submit("a", {.data = "other"}), "ALREADY_EXISTS/TASK_ID_REUSED");
  EXPECT_EQ(h.State("a"), "SUCCEEDED");
  EXPECT_EQ(h.Outbox(), "1: a SUCCEEDED");
  EXPECT_EQ(h.Delivered("w1"), "");
}

TEST(SubmitTest, TheSameAgainAfterARestartIsAnsweredTheSame) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("live", {.delay = absl::Hours(1)});
  h.Submit("ended");
  h.Succeed("w1", "ended");
  h.ConfirmOutbox(1);
  h.Restart();
  EXPECT_EQ(h.Submit("live", {.delay = absl::Hours(1)}), "OK");
  EXPECT_EQ(h.Submit("ended"), "OK");
  EXPECT_EQ(h.Submit("ended", {.data = "other"}),
            "ALREADY_EXISTS/TASK_ID_REUSED");
  EXPECT_EQ(h.Queue(), "ready=0 scheduled=1 leased=0");
}

TEST(SubmitTest, AnIdIsForgottenAfterItsRetention) {
  EngineHarness h({.finished_retention = absl::Hours(1)});
  h.Submit("a", {.data = "one"});
  h.Cancel("a");
  h.ConfirmOutbox(1);
  h.Advance(absl::Hours(1) + absl::Seconds(1));
  EXPECT_EQ(h.Submit("a", {.data = "two"}), "OK");
  EXPECT_EQ(h.State("a"), "QUEUED");
}

TEST(SubmitTest, AnIdIsRememberedForAsLongAsItsResult) {
  EngineHarness h({.finished_retention = absl::Hours(1)});
  h.Submit("a", {.result_ttl = absl::Hours(5)});
  h.Cancel("a");
  h.ConfirmOutbox(1);
  h.Advance(absl::Hours(4));
  EXPECT_EQ(h.Submit("a", {.data = "two"}), "ALREADY_EXISTS/TASK_ID_REUSED");
  h.Advance(absl::Hours(1));
  EXPECT_EQ(h.Submit("a", {.data = "two"}), "OK");
}

TEST(SubmitTest, ADuplicateOfADelayedTaskKeepsItsTime) {
  EngineHarness h;
  h.Submit("a", {.delay = absl::Seconds(10)});
  const absl::Time due = h.Task("a").schedule_time;
  h.Advance(absl::Seconds(5));
  EXPECT_EQ(h.Submit("a", {.delay = absl::Seconds(10)}), "OK");
  EXPECT_EQ(h.Task("a").schedule_time, due);
}

TEST(SubmitTest, AnUnknownQueueIsNotFound) {
  EngineHarness h;
  EXPECT_EQ(h.Submit("a", {.queue = "nowhere"}), "NOT_FOUND/QUEUE_NOT_FOUND");
  EXPECT_EQ(h.State("a"), "UNKNOWN");
}

TEST(SubmitTest, AnUnknownNamespaceIsNotFound) {
  EngineHarness h;
  EXPECT_EQ(h.Submit("a", {.namespace_name = "nowhere"}),
            "NOT_FOUND/NAMESPACE_NOT_FOUND");
}

TEST(SubmitTest, AQueueIsMadeOnUseWhereThatIsWanted) {
  EngineHarness h({.create_queues_on_use = true});
  EXPECT_EQ(h.Submit("a", {.queue = "new"}), "OK");
  EXPECT_EQ(h.Queue("new"), "ready=1 scheduled=0 leased=0");
  EXPECT_EQ(h.Connect("w1", {.queues = {"newer"}}), "opened");
  EXPECT_EQ(h.Queue("newer"), "ready=0 scheduled=0 leased=0");
  h.Restart();
  EXPECT_EQ(h.Queue("new"), "ready=1 scheduled=0 leased=0");
}

TEST(SubmitTest, NamespacesKeepIdsAndQueuesApart) {
  EngineHarness h({.namespaces = {"default", "other"}});
  EXPECT_EQ(h.Submit("a", {.data = "one"}), "OK");
  EXPECT_EQ(h.Submit("a", {.data = "two", .namespace_name = "other"}), "OK");
  EXPECT_EQ(h.Queue(), "ready=1 scheduled=0 leased=0");
  h.Connect("w1", {.namespace_name = "other"});
  h.Credit("w1", 5);
  EXPECT_EQ(h.Delivered("w1"), "a#1");
  EXPECT_EQ(h.State("a"), "QUEUED");
}

TEST(SubmitTest, IsRefusedWhileAdmissionIsClosed) {
  EngineHarness h;
  h.Submit("a");
  h.Post(SetAdmissionCommand{.refusal = absl::ResourceExhaustedError("disk")});
  EXPECT_EQ(h.Submit("b"), "RESOURCE_EXHAUSTED");
  EXPECT_EQ(h.State("b"), "UNKNOWN");
  // What was accepted goes on.
  h.Credit("w1", 1);
  EXPECT_EQ(h.Succeed("w1", "a"), "ack a#1");
  h.Post(SetAdmissionCommand{});
  EXPECT_EQ(h.Submit("b"), "OK");
}

TEST(SubmitTest, ReportsTheOutcomeToWhoeverAskedForIt) {
  EngineHarness h;
  h.Submit("a", {.report_outcome = true});
  const int call = h.last_call();
  h.Submit("b");
  h.Credit("w1", 2);
  h.Fail("w1", "a");
  h.Succeed("w1", "b");
  EXPECT_EQ(h.Answers(call), "");
  h.Credit("w1", 1);
  h.Advance(absl::Seconds(1));
  h.Succeed("w1", "a");
  EXPECT_EQ(h.Answers(call), "outcome=SUCCEEDED");
}

TEST(SubmitTest, ADuplicateOfAFinishedTaskIsToldItsOutcome) {
  EngineHarness h;
  h.Submit("a");
  h.Cancel("a");
  EXPECT_EQ(h.Submit("a", {.report_outcome = true}), "OK");
  EXPECT_EQ(h.Answers(h.last_call()), "outcome=CANCELLED");
}

}  // namespace
}  // namespace apium::broker
