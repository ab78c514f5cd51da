#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ExplainTest : public testing::Test {
 protected:
  std::vector<WaitReason> Task(const std::string& id) {
    return h_
        .Ask<ExplainReply>(
            ExplainTaskCommand{.namespace_name = "default", .task_id = id})
        .reasons;
  }
  std::vector<WaitReason> Queue(const std::string& queue = "default") {
    return h_
        .Ask<ExplainReply>(
            ExplainQueueCommand{.namespace_name = "default", .queue = queue})
        .reasons;
  }
  std::vector<WaitReasonKind> Kinds(const std::vector<WaitReason>& reasons) {
    std::vector<WaitReasonKind> kinds;
    for (const WaitReason& reason : reasons) kinds.push_back(reason.kind);
    return kinds;
  }
  void Limit(const std::string& name, uint32_t max_concurrency,
             std::optional<Rate> rate = std::nullopt) {
    const LimitReply reply = h_.Ask<LimitReply>(CreateLimitCommand{
        .namespace_name = "default",
        .limit = {
            .name = name,
            .settings = {.max_concurrency = max_concurrency, .rate = rate}}});
    ASSERT_TRUE(reply.status.ok()) << reply.status;
  }

  EngineHarness h_;
};

TEST_F(ExplainTest, ATaskThatRunsOrEndedHasNoReasons) {
  h_.Submit("a");
  h_.Credit("w", 1);
  EXPECT_THAT(Task("a"), IsEmpty());
  h_.Succeed("w", "a");
  EXPECT_THAT(Task("a"), IsEmpty());
}

TEST_F(ExplainTest, ScheduledSaysWhen) {
  h_.Submit("a", {.delay = absl::Seconds(30)});
  const auto reasons = Task("a");
  ASSERT_THAT(Kinds(reasons), ElementsAre(WaitReasonKind::kScheduled));
  EXPECT_EQ(reasons[0].until, h_.now() + absl::Seconds(30));
}

TEST_F(ExplainTest, PausedSaysByWhomAndWhy) {
  h_.Submit("a");
  h_.Credit("w", 0);
  h_.UpdateQueue({.queue = "default",
                  .paused = true,
                  .paused_by = "ann",
                  .pause_reason = "database is down"});
  const auto reasons = Task("a");
  ASSERT_THAT(Kinds(reasons), ElementsAre(WaitReasonKind::kPaused));
  EXPECT_THAT(reasons[0].text, HasSubstr("by ann: database is down"));
  EXPECT_EQ(reasons[0].since, h_.now());
}

TEST_F(ExplainTest, WorkersThatAreMissingAreTold) {
  h_.Submit("a", {.type = "x"});
  EXPECT_THAT(Kinds(Task("a")), ElementsAre(WaitReasonKind::kNoWorker));
  h_.Credit("w", 1);
  EXPECT_THAT(Kinds(Task("a")), ElementsAre(WaitReasonKind::kNoWorkerForType));
  SubmitOptions gpu;
  gpu.placement = Placement{.required_labels = {{"gpu", "true"}}};
  h_.Submit("b", gpu);
  const auto reasons = Task("b");
  ASSERT_THAT(Kinds(reasons), ElementsAre(WaitReasonKind::kNoWorkerForLabels));
  EXPECT_THAT(reasons[0].text, HasSubstr("gpu=true"));
}

TEST_F(ExplainTest, AConcurrencyLimitNamesItsHolders) {
  Limit("one", 1);
  h_.Submit("holder");
  h_.Submit("a");
  h_.Credit("w", 2);
  EXPECT_EQ(h_.Delivered("w"), "holder#1");
  const auto reasons = Task("a");
  ASSERT_THAT(Kinds(reasons), ElementsAre(WaitReasonKind::kConcurrencyLimit));
  EXPECT_EQ(reasons[0].limit, "one");
  EXPECT_EQ(reasons[0].usage, 1);
  EXPECT_EQ(reasons[0].capacity, 1);
  EXPECT_THAT(reasons[0].task_ids, ElementsAre("holder"));
}

TEST_F(ExplainTest, ARateLimitSaysWhenTheNextTokenComes) {
  Limit("slow", 0,
        Rate{.points = 1, .period = absl::Seconds(10), .burst = 1, .cost = 1});
  h_.Submit("first");
  h_.Submit("a");
  h_.Credit("w", 2);
  EXPECT_EQ(h_.Delivered("w"), "first#1");
  const auto reasons = Task("a");
  ASSERT_THAT(Kinds(reasons), ElementsAre(WaitReasonKind::kRateLimit));
  EXPECT_EQ(reasons[0].until, h_.now() + absl::Seconds(10));
  h_.Advance(absl::Seconds(10));
  EXPECT_EQ(h_.Delivered("w"), "a#1");
}

TEST_F(ExplainTest, BehindOthersIsAnEstimate) {
  h_.Credit("w", 1);
  h_.Submit("running");
  for (int i = 0; i < 3; ++i)
    h_.Submit(absl::StrCat("high", i), {.priority = 200});
  h_.Submit("before");
  h_.Submit("a");
  const auto reasons = Task("a");
  ASSERT_THAT(Kinds(reasons), ElementsAre(WaitReasonKind::kBusy));
  EXPECT_EQ(reasons[0].ahead, 4u);
  EXPECT_TRUE(reasons[0].estimate);
}

TEST_F(ExplainTest, TheKeysOfATaskSayWhoHoldsThem) {
  h_.Submit("holder",
            {.unique = Unique{.key = "k",
                              .on_conflict = UniqueConflict::kKeepLatest}});
  h_.Credit("w", 1);
  h_.Submit("next",
            {.unique = Unique{.key = "k",
                              .on_conflict = UniqueConflict::kKeepLatest}});
  const auto unique = Task("next");
  ASSERT_THAT(Kinds(unique), ElementsAre(WaitReasonKind::kUniqueKey));
  EXPECT_THAT(unique[0].task_ids, ElementsAre("holder"));
  SubmitOptions ordered;
  ordered.placement = Placement{.ordering_key = "o"};
  h_.Submit("head", ordered);
  h_.Submit("behind", ordered);
  const auto ordering = Task("behind");
  ASSERT_THAT(Kinds(ordering), ElementsAre(WaitReasonKind::kOrdering));
  EXPECT_THAT(ordering[0].task_ids, ElementsAre("head"));
}

TEST_F(ExplainTest, AQueueSumsItsReasons) {
  Limit("one", 1);
  for (int i = 0; i < 4; ++i) h_.Submit(absl::StrCat("t", i));
  h_.Submit("later", {.delay = absl::Hours(1)});
  h_.Credit("w", 9);
  auto reasons = Queue();
  ASSERT_THAT(Kinds(reasons), ElementsAre(WaitReasonKind::kConcurrencyLimit,
                                          WaitReasonKind::kScheduled));
  EXPECT_EQ(reasons[0].tasks, 3u);
  EXPECT_EQ(reasons[1].tasks, 1u);
  EXPECT_EQ(reasons[0].blocked_time, absl::ZeroDuration());
  h_.Advance(absl::Seconds(5));
  reasons = Queue();
  EXPECT_EQ(reasons[0].blocked_time, 3 * absl::Seconds(5));
  EXPECT_DOUBLE_EQ(h_.StatsOf().blocked_seconds[static_cast<size_t>(
                       WaitReasonKind::kConcurrencyLimit)],
                   15);
}

TEST_F(ExplainTest, WhatIsNotKnownIsAskedElsewhere) {
  const ExplainReply unknown = h_.Ask<ExplainReply>(
      ExplainTaskCommand{.namespace_name = "default", .task_id = "nobody"});
  EXPECT_EQ(unknown.elsewhere, TaskReply::Elsewhere::kUnknown);
  const ExplainReply queue = h_.Ask<ExplainReply>(
      ExplainQueueCommand{.namespace_name = "default", .queue = "nobody"});
  EXPECT_TRUE(absl::IsNotFound(queue.status));
}

}  // namespace
}  // namespace apium::broker
