// How far a running task says that it is, and what the next attempt gets of it.

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "broker/storage/key_format.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {
namespace {

class ProgressTest : public ::testing::Test {
 protected:
  void Say(const std::string& details) {
    h_.ReportProgress(
        "w1", "a",
        {.completed = 1,
         .state = "loading",
         .details = std::make_shared<const Payload>(Payload{.data = details})});
  }
  std::string Details() {
    const TaskSnapshot task = h_.Task("a");
    return task.progress.details == nullptr ? "none"
                                            : task.progress.details->data;
  }
  bool HasRow() {
    std::string value;
    return h_.driver()
        .store()
        .Get(DetailsRowKey(MakeTaskKey("default", "a")), &value)
        .ok();
  }
  // Of the last delivery, as the engine wrote it.
  std::string LastDelivery() {
    const size_t at = h_.Trace().rfind("push delivery ");
    return h_.Trace().substr(at, h_.Trace().find('\n', at) - at);
  }

  EngineHarness h_;
};

TEST_F(ProgressTest, ShowsTheLast) {
  h_.Submit("a");
  h_.Credit("w1", 1);
  h_.Start("w1", "a");
  EXPECT_EQ(Details(), "none");
  Say("one");
  EXPECT_EQ(h_.Task("a").progress.state, "loading");
  EXPECT_EQ(Details(), "one");
  Say("two");
  EXPECT_EQ(Details(), "two");
}

TEST_F(ProgressTest, DetailsStayUntilOthersAreSaid) {
  h_.Submit("a");
  h_.Credit("w1", 1);
  h_.Start("w1", "a");
  Say("one");
  h_.ReportProgress("w1", "a", {.completed = 2});
  EXPECT_EQ(h_.Task("a").progress.completed, 2);
  EXPECT_EQ(Details(), "one");
}

TEST_F(ProgressTest, IsToldToWhoWatches) {
  h_.Submit("a");
  h_.Credit("w1", 1);
  h_.Start("w1", "a");
  const int watch = h_.Watch("a");
  EXPECT_EQ(h_.Answers(watch), "STARTED");
  Say("one");
  EXPECT_EQ(h_.Answers(watch), "STARTED");
}

TEST_F(ProgressTest, TheNextAttemptGetsTheDetails) {
  h_.Submit("a",
            {.retry = {.initial_delay = absl::ZeroDuration(), .jitter = 0}});
  h_.Credit("w1", 1);
  EXPECT_EQ(LastDelivery().find("details"), std::string::npos);
  Say("cursor");
  h_.Fail("w1", "a");
  EXPECT_EQ(Details(), "cursor");
  h_.Credit("w1", 1);
  EXPECT_NE(LastDelivery().find("attempt=2"), std::string::npos);
  EXPECT_NE(LastDelivery().find("details=cursor"), std::string::npos);
}

TEST_F(ProgressTest, TheNextAttemptGetsTheDetailsAfterAReturnOrACrash) {
  h_.Submit("a");
  h_.Credit("w1", 1);
  Say("one");
  h_.Return("w1", "a");
  h_.Credit("w1", 1);
  EXPECT_NE(LastDelivery().find("details=one"), std::string::npos);
  Say("two");
  h_.Disconnect("w1");
  h_.Advance(absl::Minutes(1));
  h_.Connect("w2");
  h_.Credit("w2", 1);
  EXPECT_NE(LastDelivery().find("details=two"), std::string::npos);
}

TEST_F(ProgressTest, DetailsOfARunningTaskSurviveAPowerLoss) {
  h_.Submit("a");
  h_.Credit("w1", 1);
  h_.Start("w1", "a");
  Say("durable");
  h_.HoldTurns();
  Say("lost");
  h_.Crash();
  EXPECT_EQ(Details(), "durable");
  EXPECT_EQ(h_.Reconnect("w1"), "resumed");
  EXPECT_EQ(Details(), "durable");
  h_.Return("w1", "a");
  h_.Restart();
  EXPECT_EQ(Details(), "durable");
  h_.Connect("w2");
  h_.Credit("w2", 1);
  EXPECT_NE(LastDelivery().find("details=durable"), std::string::npos);
}

TEST_F(ProgressTest, TheOutcomeHasTheLastDetailsAndTheRowIsGone) {
  h_.Submit("a");
  h_.Credit("w1", 1);
  Say("one");
  EXPECT_TRUE(HasRow());
  h_.Succeed("w1", "a");
  EXPECT_FALSE(HasRow());
  ASSERT_NE(h_.OutcomeOf("a").details, nullptr);
  EXPECT_EQ(h_.OutcomeOf("a").details->data, "one");
}

TEST_F(ProgressTest, SaidAndEndedInOneTurnLeavesNoRow) {
  h_.Submit("a");
  h_.Credit("w1", 1);
  h_.InOneTurn([this] {
    Say("one");
    h_.Succeed("w1", "a");
  });
  EXPECT_FALSE(HasRow());
  ASSERT_NE(h_.OutcomeOf("a").details, nullptr);
  EXPECT_EQ(h_.OutcomeOf("a").details->data, "one");
}

TEST_F(ProgressTest, AnOldLeaseChangesNothing) {
  h_.Submit("a");
  h_.Credit("w1", 1);
  h_.Return("w1", "a");
  h_.Credit("w2", 1);
  Say("late");
  EXPECT_EQ(Details(), "none");
}

TEST_F(ProgressTest, ReportsOfOneTurnAreOneWrite) {
  h_.Submit("a", {.data = std::string(100000, 'x')});
  h_.Credit("w1", 1);
  size_t changes = 0;
  size_t bytes = 0;
  h_.driver().set_turn_observer([&](const Effects& effects) {
    changes += effects.writes.count();
    bytes += effects.writes.byte_size();
  });
  h_.InOneTurn([this] {
    Say("one");
    Say("two");
    Say("three");
  });
  EXPECT_EQ(changes, 1u);
  EXPECT_LT(bytes, 1000u);  // not the task's row
}

}  // namespace
}  // namespace apium::broker
