#include "broker/engine/limit_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "storage/memory_store.h"
#include "tests/support/status_matchers.h"

namespace apium::broker {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const absl::Time kStart = absl::FromUnixSeconds(1'700'000'000);

constexpr Rate kTenPerSecond = {
    .points = 10, .period = absl::Seconds(1), .burst = 2, .cost = 1};

class LimitTableTest : public ::testing::Test {
 protected:
  LimitTableTest() { Open(); }

  // As a start of the broker does.
  void Open(size_t idle_max = 1000) {
    limits_ = std::make_unique<LimitTable>(&store_, idle_max);
    APIUM_ASSERT_OK(limits_->Recover(now_));
  }
  // Writes what the turn has to say and begins the next.
  void NextTurn(absl::Duration step = absl::ZeroDuration()) {
    StoreBatch batch;
    limits_->Flush(&batch);
    APIUM_ASSERT_OK(limits_->failed_read());
    APIUM_ASSERT_OK(store_.Write(batch));
    now_ += step;
    limits_->BeginTurn(now_);
  }
  void Restart(absl::Duration step = absl::ZeroDuration()) {
    NextTurn();
    now_ += step;
    Open();
  }

  LiveLimit* Create(Limit limit) {
    return limits_->Create(
        "default", {.limit = std::move(limit), .generation = ++generation_});
  }
  LiveLimit* CreateRate(const Rate& rate,
                        LimitPartition partition = LimitPartition::kNone) {
    return Create(
        {.name = "r", .partition = partition, .settings = {.rate = rate}});
  }
  LimitShare ShareOf(const std::string& tenant = "") {
    return limits_->ShareOf({.namespace_name = "default",
                             .queue = "q",
                             .type = "t",
                             .fairness_key = tenant});
  }
  bool TryStart(const LimitShare& share) {
    if (limits_->Blocking(share, now_) != nullptr) return false;
    limits_->Admit(share, now_);
    return true;
  }
  // How many start at once.
  int Starts(const LimitShare& share) {
    int started = 0;
    while (started < 1000 && TryStart(share)) ++started;
    return started;
  }
  // As a lane does that waits for what holds the share up.
  LimitInstance* Park(const LimitShare& share) {
    LimitInstance* blocking = limits_->Blocking(share, now_);
    EXPECT_NE(blocking, nullptr);
    ++blocking->parked_lanes;
    limits_->NoteParked(blocking, now_);
    return blocking;
  }
  double Points(const LimitShare& share) {
    return LimitTable::PointsOf(*share.at(0), now_);
  }
  void Update(LiveLimit* limit, const LimitSettings& settings) {
    limits_->Update(limit, settings);
  }
  // Keys of states in the store.
  std::vector<std::string> StateRows() {
    std::vector<std::string> keys;
    EXPECT_TRUE(store_
                    .Scan("Z", "[",
                          [&](std::string_view key, std::string_view) {
                            keys.emplace_back(key.substr(key.rfind('\0') + 1));
                            return true;
                          })
                    .ok());
    return keys;
  }

  MemoryStore store_;
  absl::Time now_ = kStart;
  uint64_t generation_ = 0;
  std::unique_ptr<LimitTable> limits_;
};

// Names of the limits that count such a task, and their keys.
std::string Names(const LimitShare& share) {
  std::string text;
  for (const LimitInstance* instance : share) {
    absl::StrAppend(&text, text.empty() ? "" : " ",
                    instance->limit->limit().name, "[", instance->key, "]");
  }
  return text;
}

TEST_F(LimitTableTest, WithoutLimitsNothingIsCounted) {
  EXPECT_TRUE(limits_->empty());
  EXPECT_THAT(ShareOf(), IsEmpty());
  EXPECT_EQ(limits_->Blocking({}, now_), nullptr);
  EXPECT_EQ(limits_->NextTime(), absl::InfiniteFuture());
}

TEST_F(LimitTableTest, PatternsAndPartitionsSayWhatIsCountedWhere) {
  const auto make = [this](const std::string& name, LimitPartition partition,
                           const std::string& type, const std::string& queue) {
    Create({.name = name,
            .partition = partition,
            .key = partition == LimitPartition::kKey ? "account" : "",
            .settings = {.type_pattern = type,
                         .queue_pattern = queue,
                         .max_concurrency = 1}});
  };
  make("all", LimitPartition::kNone, "", "");
  make("queue", LimitPartition::kQueue, "mail.*", "");
  make("type", LimitPartition::kType, "", "bulk-?");
  make("tenant", LimitPartition::kFairnessKey, "mail.*", "bulk*");
  make("account", LimitPartition::kKey, "", "");
  const Placement::Labels keys = {{"account", "7"}, {"other", "8"}};
  const auto names = [&](const std::string& queue, const std::string& type,
                         const Placement::Labels* limit_keys) {
    return Names(limits_->ShareOf({.namespace_name = "default",
                                   .queue = queue,
                                   .type = type,
                                   .fairness_key = "acme",
                                   .limit_keys = limit_keys}));
  };
  EXPECT_EQ(names("q", "t", nullptr), "all[]");
  EXPECT_EQ(names("q", "mail.send", nullptr), "all[] queue[q]");
  EXPECT_EQ(names("bulk-1", "t", nullptr), "all[] type[t]");
  EXPECT_EQ(names("bulk-1", "mail.send", &keys),
            "account[7] all[] queue[bulk-1] tenant[acme] type[mail.send]");
  EXPECT_THAT(
      limits_->ShareOf({.namespace_name = "other", .queue = "q", .type = "t"}),
      IsEmpty());
}

TEST_F(LimitTableTest, AsManyRunAsMayAndNoMore) {
  Create({.name = "c", .settings = {.max_concurrency = 2}});
  LimitShare share = ShareOf();
  EXPECT_EQ(Starts(share), 2);
  limits_->Release(share);
  EXPECT_EQ(Starts(share), 1);
  EXPECT_EQ(LimitTable::HoldOf(*share[0], now_),
            LimitTable::Hold::kConcurrency);
}

TEST_F(LimitTableTest, KeysAreCountedApart) {
  Create({.name = "c",
          .partition = LimitPartition::kFairnessKey,
          .settings = {.max_concurrency = 1}});
  EXPECT_EQ(Starts(ShareOf("a")), 1);
  EXPECT_EQ(Starts(ShareOf("b")), 1);
  EXPECT_EQ(Starts(ShareOf("")), 1);
  EXPECT_EQ(Starts(ShareOf("a")), 0);
}

TEST_F(LimitTableTest, EveryLimitMustAdmit) {
  Create({.name = "a", .settings = {.max_concurrency = 5}});
  Create({.name = "b", .settings = {.max_concurrency = 3}});
  LimitShare share = ShareOf();
  EXPECT_EQ(Starts(share), 3);
  EXPECT_EQ(limits_->Blocking(share, now_)->limit->limit().name, "b");
}

TEST_F(LimitTableTest, PointsComeBackOneByOne) {
  CreateRate(kTenPerSecond);
  LimitShare share = ShareOf();
  EXPECT_EQ(Starts(share), 2);
  NextTurn(absl::Milliseconds(100) - absl::Nanoseconds(1));
  EXPECT_EQ(Starts(share), 0);
  EXPECT_EQ(LimitTable::AdmitTime(*share[0]), now_ + absl::Nanoseconds(1));
  NextTurn(absl::Nanoseconds(1));
  EXPECT_EQ(Starts(share), 1);
  NextTurn(absl::Seconds(100));
  EXPECT_EQ(Points(share), 2);
  EXPECT_EQ(Starts(share), 2);
}

TEST_F(LimitTableTest, ACostlyTaskTakesItsCost) {
  CreateRate(
      {.points = 60, .period = absl::Minutes(1), .burst = 5, .cost = 2.5});
  LimitShare share = ShareOf();
  EXPECT_EQ(Starts(share), 2);
  EXPECT_EQ(Points(share), 0);
  NextTurn(absl::Milliseconds(2499));
  EXPECT_EQ(Starts(share), 0);
  NextTurn(absl::Milliseconds(1));
  EXPECT_EQ(Starts(share), 1);
}

// The cost is a third of the burst, and neither is a whole number of
// nanoseconds.
TEST_F(LimitTableTest, RoundingNeverLetsMoreThroughNorHoldsAFullBucketUp) {
  CreateRate({.points = 7, .period = absl::Seconds(1), .burst = 1, .cost = 1});
  LimitShare share = ShareOf();
  int started = 0;
  for (int i = 0; i < 8000; ++i) {
    started += Starts(share);
    NextTurn(absl::Milliseconds(1));
  }
  // Times are whole milliseconds: 143 between two starts.
  EXPECT_EQ(started, 1 + 7999 / 143);
}

TEST_F(LimitTableTest, ChargesTakePointsBelowZeroAndGiveBack) {
  CreateRate(kTenPerSecond);
  LimitShare share = ShareOf();
  EXPECT_TRUE(TryStart(share));
  limits_->Charge(share[0], 5, now_);
  EXPECT_EQ(Points(share), -4);
  NextTurn(absl::Milliseconds(499));
  EXPECT_EQ(Starts(share), 0);
  NextTurn(absl::Milliseconds(1));
  EXPECT_EQ(Starts(share), 1);
  limits_->Charge(share[0], -1, now_);
  EXPECT_EQ(Starts(share), 1);
  limits_->Charge(share[0], -100, now_);
  EXPECT_EQ(Points(share), 2);
  limits_->Charge(share[0], 1e300, now_);
  EXPECT_EQ(Starts(share), 0);
  EXPECT_LT(LimitTable::AdmitTime(*share[0]), absl::InfiniteFuture());
  limits_->Charge(share[0], -1e300, now_);
  EXPECT_EQ(Points(share), 2);
}

TEST_F(LimitTableTest, APauseHoldsItsKeyUp) {
  LiveLimit* limit = Create({.name = "c",
                             .partition = LimitPartition::kFairnessKey,
                             .settings = {.max_concurrency = 9}});
  LimitShare a = ShareOf("a");
  LimitShare b = ShareOf("b");
  limits_->Pause(limits_->InstanceOf(limit, "a"), now_ + absl::Seconds(30));
  EXPECT_EQ(LimitTable::HoldOf(*a[0], now_), LimitTable::Hold::kPause);
  EXPECT_TRUE(TryStart(b));
  EXPECT_FALSE(TryStart(a));
  NextTurn(absl::Seconds(30));
  EXPECT_TRUE(TryStart(a));
  limits_->Pause(a[0], now_ + absl::Seconds(30));
  limits_->Pause(a[0], absl::InfinitePast());
  EXPECT_TRUE(TryStart(a));
}

TEST_F(LimitTableTest, ADisabledLimitCountsAndHoldsNothingUp) {
  LiveLimit* limit = CreateRate(kTenPerSecond);
  LimitSettings settings = limit->settings();
  settings.max_concurrency = 3;
  settings.disabled = true;
  Update(limit, settings);
  LimitShare share = ShareOf();
  limits_->Pause(share[0], now_ + absl::Seconds(1));
  EXPECT_EQ(Starts(share), 1000);
  EXPECT_EQ(share[0]->running, 1000u);
  EXPECT_EQ(Points(share), 2);
  settings.disabled = false;
  Update(limit, settings);
  EXPECT_FALSE(TryStart(share));
  NextTurn(absl::Seconds(2));
  for (int i = 0; i < 998; ++i) limits_->Release(share);
  EXPECT_EQ(Starts(share), 1);
}

TEST_F(LimitTableTest, ADeletedLimitHoldsNothingUpAndIsForgottenWithItsUsers) {
  LiveLimit* limit = Create({.name = "c", .settings = {.max_concurrency = 1}});
  LimitShare share = ShareOf();
  EXPECT_EQ(Starts(share), 1);
  const uint64_t revision = limits_->revision();
  limits_->Delete(limit);
  EXPECT_GT(limits_->revision(), revision);
  EXPECT_EQ(limits_->Find("default", "c"), nullptr);
  EXPECT_FALSE(limits_->empty());
  EXPECT_TRUE(TryStart(share));
  limits_->Charge(share[0], 1, now_);
  limits_->Pause(share[0], now_ + absl::Seconds(1));
  EXPECT_TRUE(TryStart(share));
  for (int i = 0; i < 3; ++i) limits_->Release(share);
  limits_->Drop(&share);
  NextTurn();
  EXPECT_TRUE(limits_->empty());
  Restart();
  EXPECT_TRUE(limits_->empty());
}

TEST_F(LimitTableTest, ALimitOfAnOldNameHasNothingOfTheOldOne) {
  LiveLimit* limit = CreateRate(kTenPerSecond);
  LimitShare old = ShareOf();
  EXPECT_EQ(Starts(old), 2);
  NextTurn();
  limits_->Delete(limit);
  CreateRate(kTenPerSecond);
  LimitShare share = ShareOf();
  EXPECT_EQ(Starts(share), 2);
  NextTurn();
  for (int i = 0; i < 2; ++i) limits_->Release(old);
  limits_->Drop(&old);
  // The old one's end leaves the row of the new one alone.
  NextTurn();
  Restart();
  EXPECT_EQ(Starts(ShareOf()), 0);
}

TEST_F(LimitTableTest, ANewRateTakesWhatWasTakenOver) {
  LiveLimit* limit = CreateRate(kTenPerSecond);
  LimitShare share = ShareOf();
  EXPECT_EQ(Starts(share), 2);
  Update(limit,
         {.rate = Rate{
              .points = 1, .period = absl::Seconds(1), .burst = 3, .cost = 1}});
  EXPECT_EQ(Points(share), 1);
  EXPECT_EQ(Starts(share), 1);
  NextTurn(absl::Milliseconds(999));
  EXPECT_EQ(Starts(share), 0);
  NextTurn(absl::Milliseconds(1));
  EXPECT_EQ(Starts(share), 1);
}

TEST_F(LimitTableTest, WhoWaitsForAReleaseIsToldOnce) {
  Create({.name = "c", .settings = {.max_concurrency = 1}});
  LimitShare share = ShareOf();
  Starts(share);
  EXPECT_THAT(limits_->TakeFreed(now_), IsEmpty());
  LimitInstance* parked = Park(share);
  EXPECT_THAT(limits_->TakeFreed(now_), IsEmpty());
  EXPECT_EQ(limits_->NextTime(), absl::InfiniteFuture());
  limits_->Release(share);
  EXPECT_THAT(limits_->TakeFreed(now_), ElementsAre(parked));
  EXPECT_THAT(limits_->TakeFreed(now_), IsEmpty());
}

TEST_F(LimitTableTest, NobodyIsToldWhereNobodyWaits) {
  Create({.name = "c", .settings = {.max_concurrency = 1}});
  LimitShare share = ShareOf();
  Starts(share);
  LimitInstance* parked = Park(share);
  --parked->parked_lanes;
  limits_->Release(share);
  EXPECT_THAT(limits_->TakeFreed(now_), IsEmpty());
}

TEST_F(LimitTableTest, TheClockTellsOfPointsAndPauses) {
  CreateRate(kTenPerSecond, LimitPartition::kFairnessKey);
  LimitShare a = ShareOf("a");
  LimitShare b = ShareOf("b");
  Starts(a);
  Starts(b);
  LimitInstance* second = Park(b);
  LimitInstance* first = Park(a);
  limits_->Pause(second, now_ + absl::Seconds(1));
  EXPECT_THAT(limits_->TakeFreed(now_), IsEmpty());
  EXPECT_EQ(limits_->NextTime(), now_ + absl::Milliseconds(100));
  NextTurn(absl::Milliseconds(99));
  EXPECT_THAT(limits_->TakeFreed(now_), IsEmpty());
  NextTurn(absl::Milliseconds(1));
  EXPECT_THAT(limits_->TakeFreed(now_), ElementsAre(first));
  EXPECT_EQ(limits_->NextTime(), kStart + absl::Seconds(1));
  NextTurn(absl::Milliseconds(900));
  EXPECT_THAT(limits_->TakeFreed(now_), ElementsAre(second));
  EXPECT_EQ(limits_->NextTime(), absl::InfiniteFuture());
}

// One that was not parked came first: the clock is set anew.
TEST_F(LimitTableTest, TheClockIsSetAnewWhereAnotherTookThePoints) {
  CreateRate(kTenPerSecond);
  LimitShare share = ShareOf();
  Starts(share);
  LimitInstance* parked = Park(share);
  NextTurn(absl::Milliseconds(100));
  EXPECT_TRUE(TryStart(share));
  EXPECT_THAT(limits_->TakeFreed(now_), IsEmpty());
  EXPECT_EQ(limits_->NextTime(), now_ + absl::Milliseconds(100));
  NextTurn(absl::Milliseconds(100));
  EXPECT_THAT(limits_->TakeFreed(now_), ElementsAre(parked));
  // It is told again only if it parks again.
  limits_->NoteParked(parked, now_);
  EXPECT_THAT(limits_->TakeFreed(now_), ElementsAre(parked));
}

// One of two is told, starts, and does not come back; the other still waits.
TEST_F(LimitTableTest, TheClockIsSetAnewForThoseWhoWereNotTold) {
  CreateRate(kTenPerSecond);
  LimitShare share = ShareOf();
  Starts(share);
  LimitInstance* parked = Park(share);
  Park(share);
  NextTurn(absl::Milliseconds(100));
  EXPECT_THAT(limits_->TakeFreed(now_), ElementsAre(parked));
  --parked->parked_lanes;
  EXPECT_TRUE(TryStart(share));
  EXPECT_THAT(limits_->TakeFreed(now_), IsEmpty());
  EXPECT_EQ(limits_->NextTime(), now_ + absl::Milliseconds(100));
}

TEST_F(LimitTableTest, WhereNobodyStartsTheOthersAreTold) {
  Create({.name = "c", .settings = {.max_concurrency = 1}});
  LimitShare share = ShareOf();
  Starts(share);
  LimitInstance* parked = Park(share);
  Park(share);
  limits_->LookAgain(share);
  EXPECT_THAT(limits_->TakeFreed(now_), IsEmpty());
  limits_->Release(share);
  EXPECT_THAT(limits_->TakeFreed(now_), ElementsAre(parked));
  --parked->parked_lanes;
  limits_->LookAgain(share);
  EXPECT_THAT(limits_->TakeFreed(now_), ElementsAre(parked));
  --parked->parked_lanes;
  limits_->LookAgain(share);
  EXPECT_THAT(limits_->TakeFreed(now_), IsEmpty());
}

// Points are there, but too many run: the clock does not help.
TEST_F(LimitTableTest, WhoWaitsForBothIsToldWhenBothAreThere) {
  LiveLimit* limit = CreateRate(kTenPerSecond);
  LimitSettings settings = limit->settings();
  settings.max_concurrency = 2;
  Update(limit, settings);
  LimitShare share = ShareOf();
  Starts(share);
  LimitInstance* parked = Park(share);
  EXPECT_EQ(limits_->NextTime(), absl::InfiniteFuture());
  limits_->Release(share);
  EXPECT_THAT(limits_->TakeFreed(now_), IsEmpty());
  EXPECT_EQ(limits_->NextTime(), now_ + absl::Milliseconds(100));
  NextTurn(absl::Milliseconds(100));
  EXPECT_THAT(limits_->TakeFreed(now_), ElementsAre(parked));
}

TEST_F(LimitTableTest, AChangeOfTheRuleIsToldToAllWhoWait) {
  LiveLimit* limit = Create({.name = "c",
                             .partition = LimitPartition::kFairnessKey,
                             .settings = {.max_concurrency = 1}});
  LimitShare a = ShareOf("a");
  LimitShare b = ShareOf("b");
  Starts(a);
  Starts(b);
  LimitInstance* first = Park(a);
  LimitInstance* second = Park(b);
  Update(limit, {.queue_pattern = "elsewhere", .max_concurrency = 1});
  EXPECT_EQ(limits_->NextTime(), absl::InfinitePast());
  EXPECT_THAT(limits_->TakeFreed(now_), ElementsAre(first, second));
  EXPECT_THAT(ShareOf("a"), IsEmpty());
  limits_->NoteParked(first, now_);
  EXPECT_THAT(limits_->TakeFreed(now_), IsEmpty());
  limits_->Delete(limit);
  EXPECT_THAT(limits_->TakeFreed(now_), ElementsAre(first, second));
}

TEST_F(LimitTableTest, RulesAndWhatWasTakenSurviveARestart) {
  CreateRate(kTenPerSecond, LimitPartition::kFairnessKey);
  Starts(ShareOf("a"));
  LimitShare b = ShareOf("b");
  TryStart(b);
  limits_->Pause(b[0], now_ + absl::Seconds(5));
  Restart(absl::Milliseconds(150));
  LiveLimit* limit = limits_->Find("default", "r");
  ASSERT_NE(limit, nullptr);
  EXPECT_EQ(limit->limit().partition, LimitPartition::kFairnessKey);
  EXPECT_EQ(limit->settings().rate, kTenPerSecond);
  LimitShare a = ShareOf("a");
  EXPECT_EQ(a[0]->running, 0u);
  EXPECT_EQ(Points(a), 1.5);
  EXPECT_EQ(Starts(a), 1);
  b = ShareOf("b");
  EXPECT_EQ(Starts(b), 0);
  NextTurn(absl::Milliseconds(4849));
  EXPECT_EQ(Starts(b), 0);
  NextTurn(absl::Milliseconds(1));
  EXPECT_EQ(Starts(b), 2);
}

TEST_F(LimitTableTest, WhatRunsIsRestoredWithoutItsCost) {
  CreateRate(kTenPerSecond);
  Starts(ShareOf());
  Restart();
  LimitShare share = ShareOf();
  limits_->Restore(share);
  limits_->Restore(share);
  EXPECT_EQ(share[0]->running, 2u);
  EXPECT_EQ(Points(share), 0);
}

TEST_F(LimitTableTest, WhatIsOverIsForgotten) {
  LiveLimit* limit = CreateRate(kTenPerSecond, LimitPartition::kFairnessKey);
  LimitShare share = ShareOf("a");
  TryStart(share);
  limits_->Release(share);
  limits_->Drop(&share);
  NextTurn(absl::Milliseconds(99));
  EXPECT_EQ(limit->instances.size(), 1u);
  EXPECT_THAT(StateRows(), ElementsAre("a"));
  NextTurn(absl::Milliseconds(1));
  EXPECT_THAT(limit->instances, IsEmpty());
}

TEST_F(LimitTableTest, ARowThatSaysTooMuchIsDeletedAtOnce) {
  CreateRate(kTenPerSecond);
  LimitShare share = ShareOf();
  TryStart(share);
  NextTurn();
  EXPECT_THAT(StateRows(), ElementsAre(""));
  limits_->Charge(share[0], -1, now_);
  NextTurn();
  EXPECT_THAT(StateRows(), IsEmpty());
}

TEST_F(LimitTableTest, ConcurrencyAloneWritesNoRows) {
  Create({.name = "c", .settings = {.max_concurrency = 5}});
  LimitShare share = ShareOf();
  Starts(share);
  NextTurn();
  EXPECT_THAT(StateRows(), IsEmpty());
}

TEST_F(LimitTableTest, WithinATurnAKeyIsWrittenOnce) {
  CreateRate({.points = 1, .period = absl::Hours(1), .burst = 100, .cost = 1});
  EXPECT_EQ(Starts(ShareOf()), 100);
  StoreBatch batch;
  limits_->Flush(&batch);
  EXPECT_EQ(batch.count(), 2u);  // the rule, and the state
}

// More keys than memory is for: the rest is read again when it is used.
TEST_F(LimitTableTest, IdleKeysBeyondTheWindowAreOnDiskAlone) {
  Open(/*idle_max=*/3);
  CreateRate({.points = 1, .period = absl::Hours(1), .burst = 2, .cost = 1},
             LimitPartition::kFairnessKey);
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 10; ++i) {
      LimitShare share = ShareOf(absl::StrCat("k", i));
      EXPECT_TRUE(TryStart(share)) << i;
      limits_->Release(share);
      limits_->Drop(&share);
      NextTurn();
    }
    EXPECT_EQ(limits_->Find("default", "r")->instances.size(), 3u);
    // Also of those that are read at a start.
    NextTurn();
    Open(/*idle_max=*/3);
    EXPECT_EQ(limits_->Find("default", "r")->instances.size(), 3u);
  }
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(Starts(ShareOf(absl::StrCat("k", i))), 0) << i;
}

TEST_F(LimitTableTest, UsageTellsWhatThereIsToTell) {
  CreateRate(kTenPerSecond, LimitPartition::kFairnessKey);
  LimitShare share = ShareOf("a");
  EXPECT_FALSE(LimitTable::IsInUse(*share[0], now_));
  Starts(share);
  Park(share);
  EXPECT_TRUE(LimitTable::IsInUse(*share[0], now_));
  const LimitUsage usage = LimitTable::UsageOf(*share[0], now_);
  EXPECT_EQ(usage.key, "a");
  EXPECT_EQ(usage.running, 2u);
  EXPECT_EQ(usage.points, 0);
  EXPECT_EQ(usage.waiting_lanes, 1u);
  EXPECT_EQ(usage.pause_until, absl::InfinitePast());
}

}  // namespace
}  // namespace apium::broker
