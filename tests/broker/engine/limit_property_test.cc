// Random starts, ends, charges, pauses and restarts against limits, judged from
// the log of what was let through alone.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "broker/engine/limit_table.h"
#include "storage/memory_store.h"
#include "tests/support/status_matchers.h"

namespace apium::broker {
namespace {

constexpr int kSeeds = 300;
constexpr int kSteps = 400;
// A start may be held up for a little longer than the rate says, because times
// are whole nanoseconds; it is never let through sooner, but for the last
// digits of this test's own sums.
constexpr double kLatePoints = 2e-2;
constexpr double kEarlyPoints = 1e-6;

// What was taken of one limit under one key.
struct Taken {
  absl::Time time;
  double points = 0;
  bool start = false;  // else a charge, which is taken whatever is there
};

// What one limit counted under one key.
struct Log {
  std::vector<Taken> taken;
  uint32_t running = 0;
  absl::Time pause_until = absl::InfinitePast();
};

class History {
 public:
  explicit History(int seed) : random_(seed) {
    Open();
    const int count = Pick(1, 3);
    for (int i = 0; i < count; ++i) {
      limits_->Create("default",
                      {.limit = RandomLimit(absl::StrCat("limit", i)),
                       .generation = static_cast<uint64_t>(i + 1)});
    }
  }

  void Run() {
    for (int step = 0; step < kSteps; ++step) {
      switch (Pick(0, 11)) {
        case 0:
          Restart();
          break;
        case 1:
        case 2:
          End();
          break;
        case 3:
          Charge();
          break;
        case 4:
          Pause();
          break;
        case 5:
        case 6:
          NextTurn(RandomStep());
          break;
        default:
          Start();
      }
      if (::testing::Test::HasFatalFailure()) return;
    }
    CheckWindows();
    while (!leases_.empty()) End();
    limits_->BeginTurn(now_);
    for (const auto& [name, limit] : limits_->LimitsOf("default")) {
      for (const auto& [key, instance] : limit->instances) {
        EXPECT_EQ(instance->running, 0u);
        EXPECT_EQ(instance->users, 0u);
      }
    }
  }

  int refused() const { return refused_; }
  int started() const { return started_; }

 private:
  struct Lease {
    std::string tenant;
    LimitShare share;
  };

  int Pick(int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random_);
  }

  Limit RandomLimit(std::string name) {
    Limit limit{.name = std::move(name)};
    if (Pick(0, 1) == 0) limit.partition = LimitPartition::kFairnessKey;
    const bool with_rate = Pick(0, 3) > 0;
    if (with_rate) {
      Rate rate{.points = Pick(1, 50) / 3.0,
                .period = absl::Milliseconds(Pick(1, 3000)),
                .cost = Pick(1, 4) / 2.0};
      rate.burst = rate.cost + Pick(0, 20) / 7.0;
      limit.settings.rate = rate;
    }
    if (!with_rate || Pick(0, 1) == 0)
      limit.settings.max_concurrency = static_cast<uint32_t>(Pick(1, 4));
    return limit;
  }

  absl::Duration RandomStep() {
    switch (Pick(0, 3)) {
      case 0:
        return absl::Nanoseconds(Pick(0, 1000));
      case 1:
        return absl::Microseconds(Pick(0, 5000));
      case 2:
        return absl::Milliseconds(Pick(0, 500));
    }
    // Exactly when something is let through again.
    const absl::Time next = soonest_;
    soonest_ = absl::InfiniteFuture();
    return next > now_ && next < now_ + absl::Hours(1) ? next - now_
                                                       : absl::Seconds(1);
  }

  std::string RandomTenant() { return absl::StrCat("t", Pick(0, 2)); }

  LimitShare ShareOf(const std::string& tenant) {
    return limits_->ShareOf({.namespace_name = "default",
                             .queue = "q",
                             .type = "t",
                             .fairness_key = tenant});
  }

  Log& LogOf(const LimitInstance& instance) {
    return logs_[instance.limit->limit().name + "/" + instance.key];
  }

  // Points that are there, from nothing but the log.
  double PointsFromLog(const Log& log, const Rate& rate, absl::Time at) const {
    double points = rate.burst;
    absl::Time last = absl::InfinitePast();
    for (const Taken& taken : log.taken) {
      if (last != absl::InfinitePast())
        points = Refilled(points, rate, taken.time - last);
      points = std::min(rate.burst, points - taken.points);
      last = taken.time;
    }
    return last == absl::InfinitePast() ? points
                                        : Refilled(points, rate, at - last);
  }
  static double Refilled(double points, const Rate& rate,
                         absl::Duration passed) {
    return std::min(
        rate.burst,
        points + rate.points * absl::FDivDuration(passed, rate.period));
  }

  // By the log: whether the limit must admit a start, and whether it may.
  struct Verdict {
    bool must = true;
    bool may = true;
  };
  Verdict Judge(const LimitInstance& instance) {
    const Log& log = LogOf(instance);
    const LimitSettings& settings = instance.limit->settings();
    if (log.pause_until > now_ || (settings.max_concurrency > 0 &&
                                   log.running >= settings.max_concurrency))
      return {.must = false, .may = false};
    if (!settings.rate.has_value()) return {};
    const double points = PointsFromLog(log, *settings.rate, now_);
    const double cost = settings.rate->cost;
    return {.must = points >= cost + kLatePoints,
            .may = points >= cost - kEarlyPoints};
  }

  void Start() {
    const std::string tenant = RandomTenant();
    LimitShare share = ShareOf(tenant);
    const LimitInstance* blocking = limits_->Blocking(share, now_);
    bool may = true;
    for (const LimitInstance* instance : share) {
      const Verdict verdict = Judge(*instance);
      may = may && verdict.may;
      if (instance == blocking) {
        ASSERT_FALSE(verdict.must) << "held up without need";
        soonest_ = std::min(soonest_, LimitTable::AdmitTime(*instance));
      }
    }
    if (blocking != nullptr) {
      ++refused_;
      limits_->Drop(&share);
      return;
    }
    ASSERT_TRUE(may) << "let through against the limit";
    ++started_;
    limits_->Admit(share, now_);
    for (const LimitInstance* instance : share) {
      Log& log = LogOf(*instance);
      ++log.running;
      ASSERT_EQ(instance->running, log.running);
      const auto& rate = instance->limit->settings().rate;
      if (rate.has_value())
        log.taken.push_back(
            {.time = now_, .points = rate->cost, .start = true});
    }
    leases_.push_back({.tenant = tenant, .share = std::move(share)});
  }

  void End() {
    if (leases_.empty()) return;
    const size_t chosen =
        static_cast<size_t>(Pick(0, static_cast<int>(leases_.size()) - 1));
    Lease lease = std::move(leases_[chosen]);
    leases_.erase(leases_.begin() + static_cast<ptrdiff_t>(chosen));
    for (const LimitInstance* instance : lease.share)
      --LogOf(*instance).running;
    limits_->Release(lease.share);
    limits_->Drop(&lease.share);
  }

  void Charge() {
    if (leases_.empty()) return;
    LimitShare& share = leases_.front().share;
    if (share.empty()) return;
    LimitInstance* instance = share.front();
    const double points = Pick(-4, 8) / 4.0;
    limits_->Charge(instance, points, now_);
    if (instance->limit->has_rate())
      LogOf(*instance).taken.push_back({.time = now_, .points = points});
  }

  void Pause() {
    LimitShare share = ShareOf(RandomTenant());
    if (!share.empty()) {
      const absl::Time until = Pick(0, 2) == 0
                                   ? absl::InfinitePast()
                                   : now_ + absl::Milliseconds(Pick(1, 300));
      limits_->Pause(share.front(), until);
      LogOf(*share.front()).pause_until = until;
    }
    limits_->Drop(&share);
  }

  void NextTurn(absl::Duration step) {
    StoreBatch batch;
    limits_->Flush(&batch);
    ASSERT_THAT(limits_->failed_read(), IsOk());
    ASSERT_THAT(store_.Write(batch), IsOk());
    now_ += step;
    limits_->BeginTurn(now_);
  }

  void Open() {
    // So small that states are read back from the store all the time.
    limits_ = std::make_unique<LimitTable>(&store_, 2);
    ASSERT_THAT(limits_->Recover(now_), IsOk());
  }

  void Restart() {
    NextTurn(absl::Milliseconds(Pick(0, 100)));
    Open();
    for (Lease& lease : leases_) {
      lease.share = ShareOf(lease.tenant);
      limits_->Restore(lease.share);
    }
  }

  // In no window, whatever its ends, was more taken than a whole burst and what
  // came back in it. Where points were given back, the bound is no bound.
  void CheckWindows() {
    for (const auto& [name, limit] : limits_->LimitsOf("default")) {
      const auto& rate = limit->settings().rate;
      if (!rate.has_value()) continue;
      for (const auto& [log_name, log] : logs_) {
        if (log_name.substr(0, name.size()) != name) continue;
        CheckWindows(*rate, log.taken);
      }
    }
  }
  static void CheckWindows(const Rate& rate, const std::vector<Taken>& taken) {
    for (size_t first = 0; first < taken.size(); ++first) {
      double total = 0;
      for (size_t last = first; last < taken.size(); ++last) {
        total += taken[last].points;
        if (!taken[last].start) continue;
        const absl::Duration window = taken[last].time - taken[first].time;
        const double bound =
            rate.burst + GivenBack(taken, first, last) +
            rate.points * absl::FDivDuration(window, rate.period);
        ASSERT_LE(total, bound + kEarlyPoints);
      }
    }
  }
  static double GivenBack(const std::vector<Taken>& taken, size_t first,
                          size_t last) {
    double total = 0;
    for (size_t i = first; i <= last; ++i)
      total += std::max(0.0, -taken[i].points);
    return total;
  }

  std::mt19937 random_;
  MemoryStore store_;
  absl::Time now_ = absl::FromUnixSeconds(1'700'000'000);
  absl::Time soonest_ = absl::InfiniteFuture();
  std::unique_ptr<LimitTable> limits_;
  std::vector<Lease> leases_;
  std::map<std::string, Log> logs_;  // by limit/key
  int started_ = 0;
  int refused_ = 0;
};

TEST(LimitPropertyTest, NoWindowHasMoreStartsThanTheLimitsAllow) {
  int started = 0;
  int refused = 0;
  for (int seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    History history(seed);
    history.Run();
    if (HasFatalFailure()) return;
    started += history.started();
    refused += history.refused();
  }
  // Both happen, or the test says nothing.
  EXPECT_GT(started, 10 * kSeeds);
  EXPECT_GT(refused, 10 * kSeeds);
}

}  // namespace
}  // namespace apium::broker
