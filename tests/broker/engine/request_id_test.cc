// Requests that carry an id are carried out once.

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "absl/time/time.h"
#include "broker/storage/key_format.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {
namespace {

constexpr char kReused[] = "ALREADY_EXISTS/REQUEST_ID_REUSED";

std::string Request(EngineHarness& h, const std::string& request_id,
                    SubmitOptions options = {}) {
  options.request_id = request_id;
  return h.Submit("", options);
}

TEST(RequestIdTest, ARepeatedRequestAnswersAsTheFirst) {
  EngineHarness h;
  EXPECT_EQ(Request(h, "r"), "OK");
  const std::string id = h.last_task_id();
  const absl::Time accepted = h.now();
  EXPECT_TRUE(h.last_submit().minted);
  h.Advance(absl::Seconds(5));
  EXPECT_EQ(Request(h, "r"), "OK");
  EXPECT_EQ(h.last_task_id(), id);
  EXPECT_EQ(h.last_submit().create_time, accepted);
  EXPECT_TRUE(h.last_submit().minted);
  EXPECT_EQ(h.Queue(), "ready=1 scheduled=0 leased=0");
  EXPECT_EQ(Request(h, "s"), "OK");
  EXPECT_NE(h.last_task_id(), id);
}

TEST(RequestIdTest, OtherContentIsRefused) {
  EngineHarness h;
  Request(h, "r");
  EXPECT_EQ(Request(h, "r", {.data = "other"}), kReused);
  EXPECT_EQ(h.Queue(), "ready=1 scheduled=0 leased=0");
  EXPECT_EQ(h.StatsOf().submitted_rejected, 1u);
}

TEST(RequestIdTest, IsKnownInTheSameTurnAndAfterARestart) {
  EngineHarness h;
  h.InOneTurn([&] {
    Request(h, "r");
    Request(h, "r");
    Request(h, "r", {.data = "other"});
  });
  EXPECT_EQ(h.Queue(), "ready=1 scheduled=0 leased=0");
  h.Restart();
  EXPECT_EQ(Request(h, "r"), "OK");
  EXPECT_EQ(Request(h, "r", {.data = "other"}), kReused);
  EXPECT_EQ(h.Queue(), "ready=1 scheduled=0 leased=0");
}

TEST(RequestIdTest, IsForgottenWithAWholeTurn) {
  EngineHarness h;
  h.HoldTurns();
  Request(h, "r");
  h.Crash();
  EXPECT_EQ(Request(h, "r", {.data = "other"}), "OK");
  EXPECT_EQ(h.Queue(), "ready=1 scheduled=0 leased=0");
}

TEST(RequestIdTest, ARefusedRequestIsTriedAnew) {
  EngineHarness h;
  EXPECT_EQ(Request(h, "r", {.queue = "extra"}), "NOT_FOUND/QUEUE_NOT_FOUND");
  h.CreateQueue("extra");
  EXPECT_EQ(Request(h, "r", {.queue = "extra"}), "OK");
  EXPECT_EQ(h.Queue("extra"), "ready=1 scheduled=0 leased=0");
}

TEST(RequestIdTest, AnswersAlsoWhenTheTaskHasEnded) {
  EngineHarness h;
  Request(h, "r");
  const std::string id = h.last_task_id();
  h.Cancel(id);
  EXPECT_EQ(Request(h, "r", {.report_outcome = true}), "OK");
  EXPECT_EQ(h.Answers(h.last_call()), "outcome=CANCELLED");
  h.ConfirmOutbox(1);
  h.Advance(absl::Hours(23));
  EXPECT_EQ(Request(h, "r", {.report_outcome = true}), "OK");
  EXPECT_EQ(h.last_task_id(), id);
  EXPECT_EQ(h.Answers(h.last_call()), "outcome=elsewhere");
  h.Advance(absl::Hours(1));
  EXPECT_EQ(Request(h, "r"), "OK");
  EXPECT_NE(h.last_task_id(), id) << "a day later it is a new request";
}

TEST(RequestIdTest, ReportsTheOutcomeOfTheTaskThatRuns) {
  EngineHarness h;
  Request(h, "r");
  Request(h, "r", {.report_outcome = true});
  const int call = h.last_call();
  h.Credit("w1", 1);
  h.Succeed("w1", h.last_task_id());
  EXPECT_EQ(h.Answers(call), "outcome=SUCCEEDED");
}

TEST(RequestIdTest, AnAttachedRequestStaysAttached) {
  EngineHarness h;
  SubmitOptions options;
  options.unique = Unique{.key = "k", .on_conflict = UniqueConflict::kAttach};
  h.Submit("a", options);
  EXPECT_EQ(Request(h, "r", options), "ATTACHED a");
  h.Cancel("a");
  EXPECT_EQ(Request(h, "r", options), "ATTACHED a") << "as it was first";
  EXPECT_EQ(Request(h, "s", options), "OK");
  const std::string id = h.last_task_id();
  EXPECT_EQ(Request(h, "s", options), "OK") << "not attached to itself";
  EXPECT_EQ(h.last_task_id(), id);
}

TEST(RequestIdTest, AnIdOfATaskIsRepeatedUnderAnotherRequest) {
  EngineHarness h;
  EXPECT_EQ(h.Submit("a", {.request_id = "r"}), "OK");
  EXPECT_EQ(h.Submit("a", {.request_id = "s"}), "OK");
  EXPECT_EQ(h.Submit("a", {.data = "other", .request_id = "r"}), kReused);
  EXPECT_EQ(h.Submit("a", {.data = "other", .request_id = "t"}),
            "ALREADY_EXISTS/TASK_ID_REUSED");
  EXPECT_EQ(h.Submit("a", {.data = "other", .request_id = "s"}), kReused);
}

}  // namespace
}  // namespace apium::broker
