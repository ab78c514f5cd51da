#include <gtest/gtest.h>

#include <string>

#include "absl/time/time.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {
namespace {

// Number of the call.
int Forget(EngineHarness& h, const std::string& id,
           absl::Duration timeout = absl::Seconds(10)) {
  return h.Send(ForgetTaskCommand{.namespace_name = "default",
                                  .task_id = id,
                                  .deadline = h.now() + timeout});
}

TEST(ForgetTest, ALiveTaskIsRefused) {
  EngineHarness h;
  h.Submit("a");
  EXPECT_EQ(h.Answers(Forget(h, "a")), "FAILED_PRECONDITION/TASK_LIVE");
  EXPECT_EQ(h.Answers(Forget(h, "nobody")), "NOT_FOUND/TASK_NOT_FOUND");
  EXPECT_EQ(h.State("a"), "QUEUED");
}

TEST(ForgetTest, WaitsUntilTheResultServiceHasTheOutcome) {
  EngineHarness h;
  h.Submit("a");
  h.Submit("b");
  h.Cancel("a");
  h.Cancel("b");
  const int a = Forget(h, "a");
  const int b = Forget(h, "b");
  EXPECT_EQ(h.Answers(a), "");
  h.ConfirmOutbox(1);
  EXPECT_EQ(h.Answers(a), "OK");
  EXPECT_EQ(h.Answers(b), "");
  h.ConfirmOutbox(2);
  EXPECT_EQ(h.Answers(b), "OK");
  EXPECT_EQ(h.Answers(Forget(h, "a")), "OK");
}

TEST(ForgetTest, OfATaskThatEndsInTheSameTurnWaitsToo) {
  EngineHarness h;
  h.Submit("a");
  int forget = 0;
  h.InOneTurn([&] {
    h.Cancel("a");
    forget = Forget(h, "a");
  });
  EXPECT_EQ(h.Answers(forget), "");
  h.ConfirmOutbox(1);
  EXPECT_EQ(h.Answers(forget), "OK");
}

TEST(ForgetTest, GivesUpAtItsDeadline) {
  EngineHarness h;
  h.Submit("a");
  h.Cancel("a");
  const int forget = Forget(h, "a", absl::Seconds(3));
  h.Advance(absl::Seconds(3));
  EXPECT_EQ(h.Answers(forget), "UNAVAILABLE/RESULTS_UNAVAILABLE");
  h.ConfirmOutbox(1);
  EXPECT_EQ(h.Answers(forget), "");
}

TEST(ForgetTest, ACallerThatHasGoneIsForgotten) {
  EngineHarness h;
  h.Submit("a");
  h.Cancel("a");
  const int forget = Forget(h, "a");
  h.Forget(forget);
  h.ConfirmOutbox(1);
  EXPECT_EQ(h.Answers(forget), "");
}

TEST(ForgetTest, TooManyCallersAreRefused) {
  EngineHarness h;
  h.Submit("a");
  h.Cancel("a");
  for (int i = 0; i < 1000; ++i) Forget(h, "a");
  EXPECT_EQ(h.Answers(Forget(h, "a")), "RESOURCE_EXHAUSTED/TOO_MANY_WAITERS");
}

}  // namespace
}  // namespace apium::broker
