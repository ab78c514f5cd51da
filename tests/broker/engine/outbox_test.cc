#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "broker/storage/outbox_reader.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {
namespace {

TEST(OutboxTest, PositionsCountFromOneWithoutGaps) {
  EngineHarness h;
  for (const char* id : {"a", "b", "c"}) h.Submit(id);
  h.Cancel("a");
  h.State("b");  // turns without an outcome take no position
  h.Cancel("b");
  h.Cancel("c");
  EXPECT_EQ(h.Outbox(), "1: a CANCELLED; 2: b CANCELLED; 3: c CANCELLED");
  EXPECT_EQ(h.driver().engine().outbox_last_position(), 3u);
  EXPECT_EQ(h.driver().engine().outbox_confirmed_position(), 0u);
}

TEST(OutboxTest, ATurnHasOneRow) {
  EngineHarness h;
  for (const char* id : {"a", "b", "c"}) h.Submit(id);
  h.InOneTurn([&] {
    h.Cancel("b");
    h.Cancel("a");
  });
  h.Cancel("c");
  EXPECT_EQ(h.Outbox(), "1: b CANCELLED, a CANCELLED; 2: c CANCELLED");
}

TEST(OutboxTest, LargeResultsOfATurnTakeSeveralRows) {
  EngineHarness h;
  h.Credit("w1", 4);
  WorkerReportCommand report;
  for (const char* id : {"a", "b", "c", "d"}) {
    h.Submit(id);
    report.outcomes.push_back(
        {.lease = h.Lease("w1", id),
         .result = {.data = std::string(700 * 1024, id[0])}});
  }
  h.Report("w1", std::move(report));
  EXPECT_EQ(h.Outbox(),
            "1: a SUCCEEDED, b SUCCEEDED; 2: c SUCCEEDED, d SUCCEEDED");
  for (const char* id : {"a", "b", "c", "d"}) {
    EXPECT_EQ(h.Task(id).outcome->result.data.at(0), id[0]);
  }
  h.ConfirmOutbox(1);
  EXPECT_EQ(h.State("b"), "FINISHED");
  EXPECT_EQ(h.State("c"), "SUCCEEDED");
}

TEST(OutboxTest, LargeFailuresAndHistoriesTakeSeveralRows) {
  EngineHarness h;
  const std::string message(700 * 1024, 'x');
  for (const char* id : {"a", "b", "c"}) {
    h.Submit(id, {.retry = {.max_attempts = 2,
                            .initial_delay = absl::ZeroDuration(),
                            .jitter = 0}});
  }
  h.Credit("w1", 6);
  for (const char* id : {"a", "b", "c"}) h.Fail("w1", id, {.message = message});
  h.InOneTurn([&] {
    for (const char* id : {"a", "b", "c"})
      h.Fail("w1", id, {.message = "short"});
  });
  EXPECT_EQ(h.Outbox(), "1: a FAILED, b FAILED; 2: c FAILED");
}

TEST(OutboxTest, GoesOnBehindARestart) {
  EngineHarness h;
  h.Submit("a");
  h.Submit("b");
  h.Cancel("a");
  h.Restart();
  EXPECT_EQ(h.driver().engine().outbox_last_position(), 1u);
  h.Cancel("b");
  EXPECT_EQ(h.Outbox(), "1: a CANCELLED; 2: b CANCELLED");
}

TEST(OutboxTest, PositionsGoOnWhenAllIsConfirmedAndTheBrokerRestarts) {
  EngineHarness h;
  h.Submit("a");
  h.Submit("b");
  h.Cancel("a");
  h.ConfirmOutbox(1);
  h.Restart();
  EXPECT_EQ(h.driver().engine().outbox_confirmed_position(), 1u);
  EXPECT_EQ(h.driver().engine().outbox_last_position(), 1u);
  h.Cancel("b");
  EXPECT_EQ(h.Outbox(), "1: a CANCELLED; 2: b CANCELLED");
}

TEST(OutboxTest, ConfirmedRowsAreTrimmed) {
  EngineHarness h;
  for (int i = 0; i < 200; ++i) {
    h.Submit(absl::StrCat("t", i));
    h.Cancel(absl::StrCat("t", i));
  }
  std::vector<OutboxEntry> rows;
  ASSERT_TRUE(
      ReadOutbox(h.driver().store(), 1, 200, size_t{1} << 30, &rows).ok());
  EXPECT_EQ(rows.size(), 200u);
  h.ConfirmOutbox(199);
  EXPECT_EQ(h.driver().engine().outbox_confirmed_position(), 199u);
  rows.clear();
  ASSERT_TRUE(
      ReadOutbox(h.driver().store(), 1, 200, size_t{1} << 30, &rows).ok());
  EXPECT_EQ(rows.size(), 0u) << "reading stops at a row that is not there";
  ASSERT_TRUE(
      ReadOutbox(h.driver().store(), 200, 200, size_t{1} << 30, &rows).ok());
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].position, 200u);
  EXPECT_EQ(rows[0].outcomes.at(0)->task_id, "t199");
}

TEST(OutboxTest, ConfirmationsMayComeTwiceAndLate) {
  EngineHarness h;
  for (const char* id : {"a", "b"}) {
    h.Submit(id);
    h.Cancel(id);
  }
  h.ConfirmOutbox(2);
  h.ConfirmOutbox(2);
  h.ConfirmOutbox(1);
  EXPECT_EQ(h.driver().engine().outbox_confirmed_position(), 2u);
}

TEST(OutboxTest, AFinishedTaskIsReadHereUntilItIsConfirmed) {
  EngineHarness h;
  h.Credit("w1", 2);
  h.Submit("a");
  h.Submit("b");
  h.Succeed("w1", "a", "one");
  h.Succeed("w1", "b", "two");
  EXPECT_EQ(h.State("a"), "SUCCEEDED");
  EXPECT_EQ(h.Task("a").outcome->result.data, "one");
  h.ConfirmOutbox(1);
  EXPECT_EQ(h.State("a"), "FINISHED");
  EXPECT_EQ(h.State("b"), "SUCCEEDED");
  EXPECT_EQ(h.Answers(h.Wait("a")), "FINISHED");
  EXPECT_EQ(h.Answers(h.Watch("a")), "FINISHED");
  EXPECT_EQ(h.Cancel("a"), "FINISHED");
}

TEST(OutboxTest, AFinishedTaskIsReadHereAfterARestart) {
  EngineHarness h;
  h.Credit("w1", 1);
  h.Submit("a");
  h.Succeed("w1", "a", "one");
  h.Restart();
  EXPECT_EQ(h.State("a"), "SUCCEEDED");
  EXPECT_EQ(h.Task("a").outcome->result.data, "one");
}

TEST(OutboxTest, AMintedTaskIsReadHereUntilItIsConfirmed) {
  EngineHarness h;
  h.Submit("");
  const std::string id = h.last_task_id();
  h.Cancel(id);
  EXPECT_EQ(h.State(id), "CANCELLED");
  h.ConfirmOutbox(1);
  // Its id is not remembered: nobody can submit it again.
  EXPECT_THAT(h.State(id), testing::AnyOf("UNKNOWN", "FINISHED"));
}

TEST(OutboxTest, OutcomesSurviveACrashOnceTheyAreSynced) {
  EngineHarness h;
  h.Credit("w1", 2);
  h.Submit("a");
  h.Submit("b");
  h.Succeed("w1", "a");
  h.HoldTurns();
  h.Succeed("w1", "b");
  h.Crash();
  EXPECT_EQ(h.State("a"), "SUCCEEDED");
  EXPECT_EQ(h.State("b"), "LEASED");
  EXPECT_EQ(h.Outbox(), "1: a SUCCEEDED");
  // The worker was told nothing, and says it again.
  h.Reconnect("w1");
  EXPECT_EQ(h.Succeed("w1", "b"), "ack b#1");
  EXPECT_EQ(h.Outbox(), "1: a SUCCEEDED; 2: b SUCCEEDED");
}

}  // namespace
}  // namespace apium::broker
