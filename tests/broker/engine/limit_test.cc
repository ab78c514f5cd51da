// Limits: how many tasks run at a time, and how many start in a time.

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {
namespace {

class LimitTest : public ::testing::Test {
 protected:
  LimitTest() { Connect("w1"); }

  void Connect(const std::string& worker) {
    h_.Connect(worker, {.types = {"job", "mail"},
                        .queues = {"default", "other"},
                        .slots = 100});
    h_.Credit(worker, 50);
  }
  template <typename CommandType>
  std::string Ask(CommandType command) {
    command.namespace_name = "default";
    return h_.Answers(h_.Send(std::move(command)));
  }
  std::string Create(const LimitSettings& settings,
                     LimitPartition partition = LimitPartition::kNone,
                     const std::string& name = "l") {
    return Ask(CreateLimitCommand{
        .limit = {.name = name,
                  .partition = partition,
                  .key = partition == LimitPartition::kKey ? "account" : "",
                  .settings = settings}});
  }
  std::string Usage(const std::string& name = "l", uint32_t page_size = 100,
                    const std::string& page_token = "") {
    return Ask(ListLimitUsageCommand{
        .limit = name, .page_size = page_size, .page_token = page_token});
  }
  std::string PauseKey(absl::Duration duration, const std::string& key = "",
                       const std::string& name = "l") {
    return Ask(
        PauseLimitKeyCommand{.limit = name, .key = key, .duration = duration});
  }
  std::string SubmitFor(const std::string& id, const std::string& tenant) {
    return h_.Submit(id, {.placement = Placement{.fairness_key = tenant}});
  }
  std::string Charge(const std::string& id, double points,
                     const std::string& limit = "l") {
    return h_.Report("w1", {.charges = {{.lease = h_.Lease("w1", id),
                                         .limit = limit,
                                         .points = points}}});
  }
  std::string Throttle(const std::string& id,
                       std::optional<absl::Duration> delay,
                       const std::string& limit = "l") {
    ExecutionReport report{.lease = h_.Lease("w1", id),
                           .kind = ExecutionReport::Kind::kReturned,
                           .reason = "429",
                           .return_delay = delay,
                           .throttled_limit = limit};
    report.start_time = h_.now();
    return h_.Report("w1", {.outcomes = {std::move(report)}, .credit = 1});
  }
  // Goes on in steps in which the worker's session lives.
  void Pass(absl::Duration time) {
    const absl::Time end = h_.now() + time;
    while (h_.now() < end) {
      h_.Advance(std::min<absl::Duration>(end - h_.now(), absl::Seconds(10)));
      h_.Heartbeat("w1");
    }
  }

  static constexpr LimitSettings Two() {
    LimitSettings settings;
    settings.max_concurrency = 2;
    return settings;
  }
  static LimitSettings OneASecond(double burst = 1) {
    LimitSettings settings;
    settings.rate = Rate{
        .points = 1, .period = absl::Seconds(1), .burst = burst, .cost = 1};
    return settings;
  }

  EngineHarness h_;
};

// --- Rules ---

TEST_F(LimitTest, ARuleIsMadeChangedAndDeleted) {
  EXPECT_EQ(Create(Two()), "l etag=1 max=2");
  EXPECT_EQ(Create(Two()), "ALREADY_EXISTS/LIMIT_EXISTS");
  EXPECT_EQ(Ask(GetLimitCommand{.name = "l"}), "l etag=1 max=2");
  EXPECT_EQ(Ask(UpdateLimitCommand{.name = "l", .max_concurrency = 3}),
            "l etag=2 max=3");
  EXPECT_EQ(Ask(UpdateLimitCommand{.name = "l", .max_concurrency = 3}),
            "l etag=2 max=3");
  EXPECT_EQ(
      Ask(UpdateLimitCommand{.name = "l", .etag = "1", .max_concurrency = 4}),
      "ABORTED/ETAG_MISMATCH");
  EXPECT_EQ(Ask(UpdateLimitCommand{.name = "l", .etag = "2", .disabled = true}),
            "l etag=3 max=3 disabled");
  h_.Restart();
  EXPECT_EQ(Ask(GetLimitCommand{.name = "l"}), "l etag=3 max=3 disabled");
  EXPECT_EQ(Ask(DeleteLimitCommand{.name = "l"}), "OK");
  EXPECT_EQ(Ask(DeleteLimitCommand{.name = "l"}), "NOT_FOUND/LIMIT_NOT_FOUND");
  h_.Restart();
  EXPECT_EQ(Ask(GetLimitCommand{.name = "l"}), "NOT_FOUND/LIMIT_NOT_FOUND");
}

TEST_F(LimitTest, ARuleWithoutALimitIsRefused) {
  Create(Two());
  EXPECT_EQ(Ask(UpdateLimitCommand{.name = "l", .max_concurrency = 0}),
            "INVALID_ARGUMENT/INVALID_FIELD");
  EXPECT_EQ(Ask(UpdateLimitCommand{
                .name = "l", .max_concurrency = 0, .rate = OneASecond().rate}),
            "l etag=2 rate=1/1s burst=1 cost=1");
  EXPECT_EQ(Ask(UpdateLimitCommand{.name = "l", .rate = std::optional<Rate>()}),
            "INVALID_ARGUMENT/INVALID_FIELD");
}

TEST_F(LimitTest, ListsByNameInPages) {
  Create(Two(), LimitPartition::kNone, "b");
  Create(OneASecond(), LimitPartition::kNone, "a");
  EXPECT_EQ(Ask(ListLimitsCommand{}),
            "a etag=1 rate=1/1s burst=1 cost=1; b etag=1 max=2");
  EXPECT_EQ(Ask(ListLimitsCommand{.page_size = 1}),
            "a etag=1 rate=1/1s burst=1 cost=1 ...");
  EXPECT_EQ(Ask(ListLimitsCommand{.page_size = 1, .page_token = "a"}),
            "b etag=1 max=2");
}

TEST_F(LimitTest, UnknownNamesAreRefused) {
  EXPECT_EQ(Ask(GetLimitCommand{.name = "l"}), "NOT_FOUND/LIMIT_NOT_FOUND");
  EXPECT_EQ(Ask(UpdateLimitCommand{.name = "l"}), "NOT_FOUND/LIMIT_NOT_FOUND");
  EXPECT_EQ(Usage(), "NOT_FOUND/LIMIT_NOT_FOUND");
  EXPECT_EQ(PauseKey(absl::Seconds(1)), "NOT_FOUND/LIMIT_NOT_FOUND");
  const std::string unknown = "NOT_FOUND/NAMESPACE_NOT_FOUND";
  const auto ask = [this](auto command) {
    command.namespace_name = "nowhere";
    return h_.Answers(h_.Send(std::move(command)));
  };
  EXPECT_EQ(ask(CreateLimitCommand{}), unknown);
  EXPECT_EQ(ask(GetLimitCommand{}), unknown);
  EXPECT_EQ(ask(ListLimitsCommand{}), unknown);
  EXPECT_EQ(ask(UpdateLimitCommand{}), unknown);
  EXPECT_EQ(ask(DeleteLimitCommand{}), unknown);
  EXPECT_EQ(ask(ListLimitUsageCommand{}), unknown);
  EXPECT_EQ(ask(PauseLimitKeyCommand{}), unknown);
}

TEST(LimitCountTest, ANamespaceHasAsManyAsTheOptionSays) {
  EngineHarness h({.namespaces = {"default", "second"}, .max_limits = 2});
  const auto create = [&](const std::string& namespace_name,
                          const std::string& name) {
    return h.Answers(h.Send(CreateLimitCommand{
        .namespace_name = namespace_name,
        .limit = {.name = name, .settings = {.max_concurrency = 1}}}));
  };
  create("default", "a");
  create("default", "b");
  EXPECT_EQ(create("default", "c"), "RESOURCE_EXHAUSTED/TOO_MANY_LIMITS");
  EXPECT_EQ(create("second", "c"), "c etag=1 max=1");
}

// --- Concurrency ---

TEST_F(LimitTest, NoMoreRunThanMay) {
  Create(Two());
  for (const char* id : {"a", "b", "c", "d"}) h_.Submit(id);
  EXPECT_EQ(h_.Delivered("w1"), "a#1 b#1");
  EXPECT_EQ(Usage(), ":2 waiting=1");
  h_.Succeed("w1", "a");
  EXPECT_EQ(h_.Delivered("w1"), "c#1");
  h_.Fail("w1", "b", {.non_retryable = true});
  EXPECT_EQ(h_.Delivered("w1"), "d#1");
  h_.Succeed("w1", "c");
  h_.Succeed("w1", "d");
  EXPECT_EQ(Usage(), "");
}

TEST_F(LimitTest, EachKeyIsLimitedAndWhoHasNoneIsNot) {
  Create({.max_concurrency = 1}, LimitPartition::kKey);
  const auto submit = [this](const std::string& id,
                             const std::string& account) {
    Placement placement;
    if (!account.empty()) placement.limit_keys = {{"account", account}};
    h_.Submit(id, {.placement = placement});
  };
  submit("a1", "a");
  submit("a2", "a");
  submit("b1", "b");
  submit("none1", "");
  submit("none2", "");
  EXPECT_EQ(h_.Delivered("w1"), "a1#1 b1#1 none1#1 none2#1");
  EXPECT_EQ(Usage(), "a:1 waiting=1; b:1");
  h_.Succeed("w1", "a1");
  EXPECT_EQ(h_.Delivered("w1"), "a2#1");
}

TEST_F(LimitTest, TypesQueuesAndTenantsAreLimitedApart) {
  h_.CreateQueue("other");
  Connect("w1");
  Create({.max_concurrency = 1}, LimitPartition::kType, "type");
  h_.Submit("job1");
  h_.Submit("job2");
  h_.Submit("mail1", {.type = "mail"});
  EXPECT_EQ(h_.Delivered("w1"), "job1#1 mail1#1");
  EXPECT_EQ(Usage("type"), "job:1 waiting=1; mail:1");
  Ask(DeleteLimitCommand{.name = "type"});
  EXPECT_EQ(h_.Delivered("w1"), "job2#1");
  Create({.max_concurrency = 2}, LimitPartition::kQueue, "queue");
  EXPECT_EQ(Usage("queue"), "default:3");
  h_.Submit("job3");
  h_.Submit("other1", {.queue = "other"});
  EXPECT_EQ(h_.Delivered("w1"), "other1#1");
  Ask(DeleteLimitCommand{.name = "queue"});
  EXPECT_EQ(h_.Delivered("w1"), "job3#1");
  Create({.max_concurrency = 1}, LimitPartition::kFairnessKey, "tenant");
  SubmitFor("acme1", "acme");
  SubmitFor("acme2", "acme");
  EXPECT_EQ(h_.Delivered("w1"), "acme1#1");
}

// Whatever ends a lease frees what it held.
TEST_F(LimitTest, EveryEndOfALeaseFreesItsPlace) {
  Create({.max_concurrency = 1});
  h_.Submit("succeeds");
  h_.Succeed("w1", "succeeds");
  h_.Submit("fails");
  h_.Fail("w1", "fails", {.non_retryable = true});
  h_.Submit("retries", {.retry = {.max_attempts = 9, .jitter = 0}});
  h_.Retry("w1", "retries", absl::Hours(1));
  h_.Submit("returns");
  h_.ReturnFor("w1", "returns", absl::Hours(1));
  h_.Submit("crashes", {.retry = {.jitter = 0, .max_crashes = 1}});
  h_.Crash("w1", "crashes");
  h_.Submit("cancelled");
  h_.Cancel("cancelled");
  h_.ObeyCancel("w1", "cancelled");
  EXPECT_EQ(h_.Delivered("w1"),
            "succeeds#1 fails#1 retries#1 returns#1 crashes#1 cancelled#1");
  EXPECT_EQ(Usage(), "");
  h_.Submit("lost", {.retry = {.jitter = 0, .max_crashes = 1}});
  EXPECT_EQ(Usage(), ":1");
  h_.Lose("w1");
  EXPECT_EQ(Usage(), "");
}

TEST_F(LimitTest, WhatRunsCountsAgainstANewLimit) {
  h_.Submit("a");
  h_.Submit("b");
  EXPECT_EQ(h_.Delivered("w1"), "a#1 b#1");
  Create({.max_concurrency = 3});
  EXPECT_EQ(Usage(), ":2");
  h_.Submit("c");
  h_.Submit("d");
  EXPECT_EQ(h_.Delivered("w1"), "c#1");
  h_.Succeed("w1", "a");
  EXPECT_EQ(h_.Delivered("w1"), "d#1");
}

TEST_F(LimitTest, AChangedPatternCountsOthers) {
  Create({.type_pattern = "ma*", .max_concurrency = 1});
  h_.Submit("a");
  h_.Submit("b", {.type = "mail"});
  EXPECT_EQ(Usage(), ":1");
  Ask(UpdateLimitCommand{.name = "l", .type_pattern = "j?b"});
  EXPECT_EQ(Usage(), ":1");
  h_.Submit("c");
  h_.Submit("d", {.type = "mail"});
  EXPECT_EQ(h_.Delivered("w1"), "a#1 b#1 d#1");
  h_.Succeed("w1", "b");
  EXPECT_EQ(h_.Delivered("w1"), "");
  h_.Succeed("w1", "a");
  EXPECT_EQ(h_.Delivered("w1"), "c#1");
  Ask(UpdateLimitCommand{.name = "l", .type_pattern = ""});
  EXPECT_EQ(Usage(), ":2");
}

TEST_F(LimitTest, ChangesLetMoreOrFewerThrough) {
  Create({.max_concurrency = 1});
  for (const char* id : {"a", "b", "c", "d", "e"}) h_.Submit(id);
  EXPECT_EQ(h_.Delivered("w1"), "a#1");
  Ask(UpdateLimitCommand{.name = "l", .max_concurrency = 3});
  EXPECT_EQ(h_.Delivered("w1"), "b#1 c#1");
  Ask(UpdateLimitCommand{.name = "l", .max_concurrency = 2});
  h_.Succeed("w1", "a");
  EXPECT_EQ(h_.Delivered("w1"), "");
  h_.Succeed("w1", "b");
  EXPECT_EQ(h_.Delivered("w1"), "d#1");
  Ask(UpdateLimitCommand{.name = "l", .disabled = true});
  EXPECT_EQ(h_.Delivered("w1"), "e#1");
  EXPECT_EQ(Usage(), ":3");
  Ask(UpdateLimitCommand{.name = "l", .disabled = false});
  h_.Submit("f");
  EXPECT_EQ(h_.Delivered("w1"), "");
  Ask(DeleteLimitCommand{.name = "l"});
  EXPECT_EQ(h_.Delivered("w1"), "f#1");
}

TEST_F(LimitTest, SeveralLimitsHoldTogether) {
  Create({.max_concurrency = 2}, LimitPartition::kFairnessKey, "tenant");
  Create({.max_concurrency = 3}, LimitPartition::kNone, "all");
  for (const char* id : {"a1", "a2", "a3"}) SubmitFor(id, "a");
  for (const char* id : {"b1", "b2"}) SubmitFor(id, "b");
  EXPECT_EQ(h_.Delivered("w1"), "a1#1 a2#1 b1#1");
  h_.Succeed("w1", "a1");
  EXPECT_EQ(Usage("all"), ":3 waiting=1");
  EXPECT_EQ(Usage("tenant").substr(0, 3), "a:2");
  h_.Succeed("w1", "b1");
  EXPECT_EQ(h_.Delivered("w1"), "a3#1 b2#1");
}

// The limit lets one through; the first that waits for it is held up by
// another limit, so that it is the turn of the next.
TEST_F(LimitTest, AFreePlaceGoesToTheNextIfTheFirstIsHeldUpElsewhere) {
  Create({.max_concurrency = 1}, LimitPartition::kNone, "all");
  Create({.max_concurrency = 9}, LimitPartition::kFairnessKey, "tenant");
  SubmitFor("running", "c");
  SubmitFor("a", "a");
  SubmitFor("b", "b");
  EXPECT_EQ(h_.Delivered("w1"), "running#1");
  PauseKey(absl::Hours(1), "a", "tenant");
  PauseKey(absl::Hours(1), "b", "tenant");
  PauseKey(absl::ZeroDuration(), "b", "tenant");
  h_.Succeed("w1", "running");
  EXPECT_EQ(h_.Delivered("w1"), "b#1");
}

// The first that waits is told, and cancelled before a worker takes it.
TEST_F(LimitTest, AFreePlaceGoesToTheNextIfTheFirstIsCancelled) {
  EngineHarness h;
  h.Connect("w1", {.slots = 100});
  h.Credit("w1", 1);
  h.Send(CreateLimitCommand{
      .namespace_name = "default",
      .limit = {.name = "l", .settings = {.max_concurrency = 1}}});
  h.Submit("running");
  h.Submit("first", {.placement = Placement{.fairness_key = "a"}});
  h.Submit("second", {.placement = Placement{.fairness_key = "b"}});
  h.Credit("w1", 1);
  EXPECT_EQ(h.Delivered("w1"), "running#1");
  h.Pause("default");
  h.Succeed("w1", "running");
  h.Cancel("first");
  h.Resume("default");
  EXPECT_EQ(h.Delivered("w1"), "second#1");
}

// Held up, it is in nobody's way.
TEST_F(LimitTest, OthersGoAheadOfWhatIsHeldUp) {
  Create({.type_pattern = "mail", .max_concurrency = 1});
  h_.Submit("m1", {.type = "mail", .priority = 200});
  h_.Submit("m2", {.type = "mail", .priority = 200});
  h_.Submit("a", {.priority = 1});
  EXPECT_EQ(h_.Delivered("w1"), "m1#1 a#1");
}

TEST_F(LimitTest, ASuspectIsLimitedAsWell) {
  Create({.max_concurrency = 1});
  h_.Submit("a");
  h_.Crash("w1", "a");
  h_.Credit("w1", 1);
  EXPECT_EQ(h_.Delivered("w1"), "a#1 a#2");
  EXPECT_EQ(Usage(), ":1");
  h_.Submit("b");
  Connect("w2");
  EXPECT_EQ(h_.Delivered("w2"), "");
  h_.Succeed("w1", "a");
  EXPECT_EQ(Usage(), ":1");
}

// --- Restart ---

TEST_F(LimitTest, WhatRanBeforeARestartCountsAfterIt) {
  Create(Two());
  for (const char* id : {"a", "b", "c"}) h_.Submit(id);
  EXPECT_EQ(h_.Delivered("w1"), "a#1 b#1");
  h_.Crash();
  EXPECT_EQ(Usage().substr(0, 2), ":2");
  h_.Reconnect("w1");
  h_.Credit("w1", 10);
  EXPECT_EQ(h_.Delivered("w1"), "");
  h_.Succeed("w1", "a");
  EXPECT_EQ(h_.Delivered("w1"), "c#1");
  h_.Succeed("w1", "b");
  h_.Succeed("w1", "c");
  EXPECT_EQ(Usage(), "");
}

TEST_F(LimitTest, AWorkerThatDoesNotComeBackHoldsNoPlace) {
  Create({.max_concurrency = 1});
  h_.Submit("a");
  h_.Submit("b");
  EXPECT_EQ(h_.Delivered("w1"), "a#1");
  h_.Crash();
  h_.Connect("w2", {.slots = 10});
  h_.Credit("w2", 5);
  EXPECT_EQ(h_.Delivered("w2"), "");
  h_.Advance(absl::Seconds(15));
  // A crash is redelivered alone, before b.
  EXPECT_EQ(h_.Delivered("w2"), "a#2");
  h_.Succeed("w2", "a");
  EXPECT_EQ(h_.Delivered("w2"), "b#1");
}

// --- Rates ---

TEST_F(LimitTest, NoMoreStartThanMay) {
  Create(OneASecond(2));
  for (const char* id : {"a", "b", "c", "d"}) h_.Submit(id);
  EXPECT_EQ(h_.Delivered("w1"), "a#1 b#1");
  h_.Succeed("w1", "a");
  h_.Succeed("w1", "b");
  EXPECT_EQ(h_.Delivered("w1"), "");
  h_.Advance(absl::Milliseconds(999));
  EXPECT_EQ(h_.Delivered("w1"), "");
  h_.Advance(absl::Milliseconds(1));
  EXPECT_EQ(h_.Delivered("w1"), "c#1");
  h_.Advance(absl::Seconds(1));
  EXPECT_EQ(h_.Delivered("w1"), "d#1");
}

// Each lane has one task, and none of them ends: the next starts all the same.
TEST_F(LimitTest, LanesStartOneAfterTheOtherWhileTheOthersRun) {
  Create(OneASecond());
  for (const char* id : {"a", "b", "c"}) SubmitFor(id, id);
  EXPECT_EQ(h_.Delivered("w1"), "a#1");
  h_.Advance(absl::Seconds(1));
  EXPECT_EQ(h_.Delivered("w1"), "b#1");
  h_.Advance(absl::Seconds(1));
  EXPECT_EQ(h_.Delivered("w1"), "c#1");
}

TEST_F(LimitTest, ARestartGivesNoPointsBack) {
  Create(OneASecond());
  h_.Submit("a");
  h_.Submit("b");
  EXPECT_EQ(h_.Delivered("w1"), "a#1");
  h_.Succeed("w1", "a");
  h_.Crash();
  Connect("w1");
  EXPECT_EQ(h_.Delivered("w1"), "");
  h_.Advance(absl::Milliseconds(999));
  EXPECT_EQ(h_.Delivered("w1"), "");
  h_.Advance(absl::Milliseconds(1));
  EXPECT_EQ(h_.Delivered("w1"), "b#1");
}

TEST_F(LimitTest, ChargesCountFromThenOn) {
  Create(OneASecond(3));
  h_.Submit("a");
  EXPECT_EQ(Usage(), ":1 points=2");
  EXPECT_EQ(Charge("a", 4), "");
  EXPECT_EQ(Usage(), ":1 points=-2");
  h_.Submit("b");
  EXPECT_EQ(h_.Delivered("w1"), "a#1");
  h_.Crash();
  h_.Reconnect("w1");
  h_.Credit("w1", 10);
  EXPECT_EQ(Usage().substr(0, 12), ":1 points=-2");
  h_.Advance(absl::Seconds(3) - absl::Nanoseconds(1));
  EXPECT_EQ(h_.Delivered("w1"), "");
  h_.Advance(absl::Nanoseconds(1));
  EXPECT_EQ(h_.Delivered("w1"), "b#1");
}

TEST_F(LimitTest, PointsThatAreGivenBackLetTheNextThroughAtOnce) {
  Create(OneASecond());
  h_.Submit("a");
  h_.Submit("b");
  EXPECT_EQ(h_.Delivered("w1"), "a#1");
  EXPECT_EQ(Charge("a", -1), "");
  EXPECT_EQ(h_.Delivered("w1"), "b#1");
}

TEST_F(LimitTest, AChargeOfALostLeaseIsRefusedAndChangesNothing) {
  Create(OneASecond(3));
  h_.Submit("a");
  const LeaseName lease = h_.Lease("w1", "a");
  h_.Succeed("w1", "a");
  EXPECT_EQ(
      h_.Report("w1",
                {.charges = {{.lease = lease, .limit = "l", .points = 2}}}),
      "refused a#1 FAILED_PRECONDITION/LEASE_LOST");
  EXPECT_EQ(Usage(), ":0 points=2");
}

TEST_F(LimitTest, AChargeOfALimitThatDoesNotCountTheTaskIsIgnored) {
  Create(OneASecond(3));
  LimitSettings elsewhere = OneASecond(3);
  elsewhere.type_pattern = "mail";
  Create(elsewhere, LimitPartition::kNone, "elsewhere");
  h_.Submit("a");
  EXPECT_EQ(Charge("a", 2, "unknown"), "");
  EXPECT_EQ(Charge("a", 2, "elsewhere"), "");
  EXPECT_EQ(Usage(), ":1 points=2");
  EXPECT_EQ(Usage("elsewhere"), "");
}

// A charge that comes with the outcome is of the lease that it ends.
TEST_F(LimitTest, AChargeIsTakenBeforeTheOutcomeOfTheSameReport) {
  Create(OneASecond(3));
  h_.Submit("a");
  const LeaseName lease = h_.Lease("w1", "a");
  EXPECT_EQ(
      h_.Report("w1",
                {.outcomes = {{.lease = lease}},
                 .charges = {{.lease = lease, .limit = "l", .points = 1}}}),
      "ack a#1");
  EXPECT_EQ(Usage(), ":0 points=1");
}

// --- Pauses of keys ---

TEST_F(LimitTest, APauseHoldsAKeyUpForItsTime) {
  Create({.max_concurrency = 9}, LimitPartition::kFairnessKey);
  EXPECT_EQ(PauseKey(absl::Seconds(20), "a"), "a:0 paused");
  SubmitFor("a1", "a");
  SubmitFor("b1", "b");
  EXPECT_EQ(h_.Delivered("w1"), "b1#1");
  EXPECT_EQ(Usage(), "a:0 waiting=1 paused; b:1");
  h_.Advance(absl::Seconds(20) - absl::Nanoseconds(1));
  EXPECT_EQ(h_.Delivered("w1"), "");
  h_.Advance(absl::Nanoseconds(1));
  EXPECT_EQ(h_.Delivered("w1"), "a1#1");
}

TEST_F(LimitTest, APauseSurvivesARestartAndIsEndedEarly) {
  Create({.max_concurrency = 9}, LimitPartition::kFairnessKey);
  PauseKey(absl::Hours(1), "a");
  SubmitFor("a1", "a");
  h_.Crash();
  Connect("w1");
  EXPECT_EQ(Usage(), "a:0 waiting=1 paused");
  EXPECT_EQ(PauseKey(absl::ZeroDuration(), "a"), "a:0 waiting=1");
  EXPECT_EQ(h_.Delivered("w1"), "a1#1");
  h_.Crash();
  EXPECT_EQ(Usage(), "a:1");
}

TEST_F(LimitTest, AKeyThatThereCannotBeIsRefused) {
  Create(Two());
  EXPECT_EQ(PauseKey(absl::Seconds(1), "a"), "INVALID_ARGUMENT/INVALID_FIELD");
  EXPECT_EQ(PauseKey(absl::Seconds(1)), ":0 paused");
  Create(Two(), LimitPartition::kType, "type");
  EXPECT_EQ(PauseKey(absl::Seconds(1), "", "type"),
            "INVALID_ARGUMENT/INVALID_FIELD");
  Create(Two(), LimitPartition::kFairnessKey, "tenant");
  EXPECT_EQ(PauseKey(absl::Seconds(1), "", "tenant"), ":0 paused");
}

TEST_F(LimitTest, UsageComesInPages) {
  Create({.max_concurrency = 9}, LimitPartition::kFairnessKey);
  for (const char* key : {"", "a", "b"}) PauseKey(absl::Hours(1), key);
  EXPECT_EQ(Usage("l", 1), ":0 paused ...");
  EXPECT_EQ(Usage("l", 1, "="), "a:0 paused ...");
  EXPECT_EQ(Usage("l", 1, "=a"), "b:0 paused");
  EXPECT_EQ(Usage("l", 2, "=a"), "b:0 paused");
}

// --- Throttling ---

TEST_F(LimitTest, AThrottledTaskWaitsInItsPlaceWithItsKey) {
  Create({.max_concurrency = 9}, LimitPartition::kFairnessKey);
  SubmitFor("a1", "a");
  EXPECT_EQ(h_.Delivered("w1"), "a1#1");
  EXPECT_EQ(Throttle("a1", absl::Seconds(20)), "ack a1#1");
  SubmitFor("a2", "a");
  SubmitFor("b1", "b");
  EXPECT_EQ(h_.Delivered("w1"), "b1#1");
  EXPECT_EQ(h_.State("a1"), "QUEUED");
  EXPECT_EQ(h_.Task("a1").returns, 0u);
  h_.Advance(absl::Seconds(20));
  EXPECT_EQ(h_.Delivered("w1"), "a1#2 a2#1");
}

TEST_F(LimitTest, ThrottlingIsNotCountedTowardsTheReturns) {
  Create(Two());
  h_.Submit("a", {.retry = {.jitter = 0, .max_returns = 1}});
  for (int i = 1; i <= 5; ++i) {
    EXPECT_EQ(h_.Delivered("w1"), absl::StrCat("a#", i));
    Throttle("a", absl::Seconds(10));
    Pass(absl::Seconds(10));
  }
  EXPECT_EQ(h_.Delivered("w1"), "a#6");
  h_.Succeed("w1", "a");
  EXPECT_EQ(h_.OutcomeOf("a").returns, 0u);
  EXPECT_EQ(h_.OutcomeOf("a").failures, 0u);
}

TEST_F(LimitTest, AThrottleDoesNotShortenALongerPause) {
  Create(Two());
  h_.Submit("a");
  PauseKey(absl::Seconds(25));
  Throttle("a", absl::Seconds(5));
  h_.Delivered("w1");
  Pass(absl::Seconds(24));
  EXPECT_EQ(h_.Delivered("w1"), "");
  Pass(absl::Seconds(1));
  EXPECT_EQ(h_.Delivered("w1"), "a#2");
}

// An ordinary return, which is counted: else it could go on without end.
TEST_F(LimitTest, AThrottleOfWhatDoesNotCountTheTaskIsAnOrdinaryReturn) {
  LimitSettings elsewhere = Two();
  elsewhere.type_pattern = "mail";
  Create(elsewhere, LimitPartition::kNone, "elsewhere");
  Create(Two(), LimitPartition::kNone, "disabled");
  Ask(UpdateLimitCommand{.name = "disabled", .disabled = true});
  Create(Two());
  int returns = 0;
  h_.Submit("a");
  for (const char* limit : {"unknown", "elsewhere", "disabled"}) {
    h_.Delivered("w1");
    Throttle("a", absl::Seconds(5), limit);
    EXPECT_EQ(h_.State("a"), "SCHEDULED") << limit;
    EXPECT_EQ(h_.Task("a").returns, static_cast<uint32_t>(++returns));
    Pass(absl::Seconds(5));
    EXPECT_NE(h_.Delivered("w1"), "") << limit;
  }
  // Nothing would be held up.
  Throttle("a", std::nullopt);
  EXPECT_EQ(h_.Task("a").returns, 4u);
  EXPECT_EQ(Usage("elsewhere"), "");
}

TEST_F(LimitTest, AThrottledTaskSurvivesARestartInItsPlace) {
  Create(Two());
  h_.Submit("a");
  h_.Submit("b");
  Throttle("a", absl::Seconds(20));
  h_.Succeed("w1", "b");
  h_.Delivered("w1");
  h_.Crash();
  Connect("w1");
  EXPECT_EQ(h_.Delivered("w1"), "");
  EXPECT_EQ(Usage(), ":0 waiting=1 paused");
  h_.Advance(absl::Seconds(20));
  EXPECT_EQ(h_.Delivered("w1"), "a#2");
}

// The handler says that it did nothing, but at most once is at most once.
TEST_F(LimitTest, ATaskThatRunsAtMostOnceEndsWhenItIsThrottled) {
  Create(Two());
  h_.Submit("a", {.delivery_mode = DeliveryMode::kAtMostOnce});
  Throttle("a", absl::Seconds(5));
  EXPECT_EQ(h_.State("a"), "FAILED");
  EXPECT_EQ(Usage(), ":0 paused");
}

TEST_F(LimitTest, ACancelledTaskEndsWhenItIsThrottled) {
  Create(Two());
  h_.Submit("a");
  h_.Cancel("a");
  Throttle("a", absl::Seconds(5));
  EXPECT_EQ(h_.State("a"), "CANCELLED");
}

}  // namespace
}  // namespace apium::broker
