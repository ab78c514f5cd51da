#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "broker/storage/key_format.h"
#include "storage/memory_store.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {
namespace {

const SubmitOptions kIgnore = {.result_mode = ResultMode::kIgnore};
const SubmitOptions kKeepFailures = {.result_mode = ResultMode::kKeepFailures};

size_t TaskRows(EngineHarness& h) {
  size_t rows = 0;
  EXPECT_TRUE(
      h.driver()
          .store()
          .Scan(std::string(1, kTaskRow), RowsEnd(kTaskRow),
                [&](std::string_view, std::string_view) { return ++rows > 0; })
          .ok());
  return rows;
}

TEST(ResultModeTest, AnIgnoredOutcomeIsNotPublished) {
  EngineHarness h;
  h.Credit("w1", 3);
  for (const char* id : {"good", "bad"}) h.Submit(id, kIgnore);
  h.Succeed("w1", "good", "42");
  h.Fail("w1", "bad", {.non_retryable = true});
  EXPECT_EQ(h.Outbox(), "");
  // The result service is asked, and knows of nothing.
  EXPECT_EQ(h.State("good"), "FINISHED");
  EXPECT_EQ(h.State("bad"), "FINISHED");
}

TEST(ResultModeTest, KeepFailuresKeepsWhatDidNotSucceed) {
  EngineHarness h;
  h.Credit("w1", 2);
  for (const char* id : {"good", "bad", "cancelled"})
    h.Submit(id, kKeepFailures);
  h.Succeed("w1", "good");
  h.Fail("w1", "bad", {.non_retryable = true});
  h.Cancel("cancelled");
  EXPECT_EQ(h.Outbox(), "1: bad FAILED; 2: cancelled CANCELLED");
  EXPECT_EQ(h.State("good"), "FINISHED");
  EXPECT_EQ(h.State("bad"), "FAILED");
  EXPECT_EQ(h.OutcomeOf("bad").result_mode, ResultMode::kKeepFailures);
}

TEST(ResultModeTest, WhoWaitsNowIsAnswered) {
  EngineHarness h;
  SubmitOptions reported = kIgnore;
  reported.report_outcome = true;
  h.Submit("a", reported);
  const int submit = h.last_call();
  const int wait = h.Wait("a");
  const int watch = h.Watch("a");
  h.Answers(watch);
  h.Credit("w1", 1);
  h.Answers(watch);
  h.Succeed("w1", "a");
  EXPECT_EQ(h.Answers(submit), "outcome=SUCCEEDED");
  EXPECT_EQ(h.Answers(wait), "SUCCEEDED");
  EXPECT_EQ(h.Answers(watch), "SUCCEEDED");
  const int later = h.Wait("a");
  EXPECT_EQ(h.Answers(later), "FINISHED");
}

TEST(ResultModeTest, AChosenIdIsStillKnown) {
  EngineHarness h;
  h.Credit("w1", 2);
  h.Submit("a", kIgnore);
  h.Succeed("w1", "a");
  h.Restart();
  EXPECT_EQ(h.Submit("a", kIgnore), "OK");
  h.Credit("w2", 1);
  EXPECT_EQ(h.Delivered("w2"), "");
  h.Advance(absl::Hours(24));
  EXPECT_EQ(h.State("a"), "UNKNOWN");
}

TEST(ResultModeTest, AMintedOneLeavesNoRow) {
  EngineHarness h;
  h.Credit("w1", 2);
  h.Submit("", kIgnore);
  const std::string id = h.last_task_id();
  EXPECT_EQ(TaskRows(h), 1u);
  h.Succeed("w1", id);
  EXPECT_EQ(TaskRows(h), 0u);
  EXPECT_EQ(h.State(id), "UNKNOWN");
  h.Restart();
  EXPECT_EQ(h.State(id), "UNKNOWN");
  h.Submit("", kIgnore);
  h.Cancel(h.last_task_id());
  EXPECT_EQ(TaskRows(h), 0u);
}

TEST(ResultModeTest, AnswersTheCancelThatEndsIt) {
  EngineHarness h;
  h.Submit("a", kIgnore);
  EXPECT_EQ(h.Cancel("a"), "CANCELLED");
  EXPECT_EQ(h.State("a"), "FINISHED");
}

}  // namespace
}  // namespace apium::broker
