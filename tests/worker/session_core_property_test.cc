// Seeded histories of a session against a model of a broker: whatever happens,
// credit is never exceeded, no outcome is invented, none is lost while its
// lease is held, and after the storm everything settles.

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tests/worker/session_harness.h"

namespace apium {
namespace {

constexpr int kHistories = 3000;
constexpr int kSteps = 300;

class History {
 public:
  explicit History(uint32_t seed)
      : random_(seed), capacity_(1 + random_() % 6), worker_(capacity_) {}

  void Run() {
    for (int step = 0; step < kSteps && !failed_; ++step) {
      Step();
      Check();
    }
    Settle();
  }

  const std::vector<std::string>& trace() const { return trace_; }

 private:
  bool Chance(int percent) {
    return static_cast<int>(random_() % 100) < percent;
  }

  template <typename Set>
  auto Pick(const Set& set) {
    return *std::next(set.begin(), random_() % set.size());
  }

  void Step() {
    switch (random_() % 12) {
      case 0:
      case 1:
        return connected_ ? DeliverSome() : Connect();
      case 2:
      case 3:
        if (!worker_.pool().empty()) FinishSome();
        return;
      case 4:
      case 5:
      case 6:
        return WriteReport();
      case 7:
      case 8:
        if (connected_ && !unacknowledged_.empty()) Settle1();
        return;
      case 9:
        if (connected_ && !leases_.empty() && Chance(50)) {
          Expect(worker_.Cancel(Pick(leases_), "user"), "cancel");
        }
        return;
      case 10:
        if (Chance(15)) Disconnect();
        return;
      default:
        Trace("advance");
        worker_.Advance(absl::Milliseconds(random_() % 30));
        for (const auto& [epoch, attempt] : worker_.pool()) {
          if (!attempt->started() && Chance(50)) worker_.Start(epoch);
        }
    }
  }

  void Connect() {
    ++streams_;
    v1::Hello hello;
    worker_.core().FillHello(&hello);
    std::set<uint64_t> claimed;
    for (const v1::Lease& lease : hello.held_leases()) {
      claimed.insert(lease.epoch());
    }
    const bool resumed =
        !session_.empty() && hello.session_id() == session_ && !Chance(20);
    std::vector<uint64_t> lost;
    if (!resumed) {
      leases_.clear();
      unacknowledged_.clear();
      session_ = absl::StrCat("s", ++sessions_);
    } else {
      // A lease that the worker never received, or one that expired meanwhile.
      std::set<uint64_t> kept;
      for (uint64_t epoch : leases_) {
        if (claimed.contains(epoch) && !Chance(10)) kept.insert(epoch);
      }
      leases_ = kept;
      for (uint64_t epoch : claimed) {
        if (!leases_.contains(epoch)) lost.push_back(epoch);
      }
      std::erase_if(unacknowledged_,
                    [&](uint64_t epoch) { return !leases_.contains(epoch); });
    }
    Trace(absl::StrCat("connect resumed=", resumed, " lost=", lost.size()));
    credit_ = 0;
    connected_ = true;
    Expect(worker_.Welcome(session_, resumed, lost,
                           [&](v1::Welcome* welcome) {
                             welcome->set_max_credit(max_credit_);
                           }),
           "welcome");
    for (uint64_t epoch : lost) held_outcomes_.erase(epoch);
    if (!resumed) held_outcomes_.clear();
  }

  void Disconnect() {
    if (!connected_) return;
    Trace("disconnect");
    connected_ = false;
    // What is being written may or may not have arrived.
    if (writing_ && Chance(50)) Arrive();
    if (writing_) EndWrite();
    worker_.CloseStream(absl::UnavailableError("gone"));
  }

  void DeliverSome() {
    if (credit_ == 0) return;
    std::vector<uint64_t> epochs;
    const uint32_t count = 1 + random_() % credit_;
    for (uint32_t i = 0; i < count; ++i) {
      epochs.push_back(++last_epoch_);
      leases_.insert(last_epoch_);
      delivered_.insert(last_epoch_);
    }
    credit_ -= count;
    Trace(absl::StrCat("deliver ", count));
    Expect(worker_.Deliver(epochs, Chance(20) ? absl::Milliseconds(15)
                                              : absl::ZeroDuration()),
           "deliver");
    if (worker_.pool().size() > capacity_) Fail("more runs than the capacity");
  }

  void FinishSome() {
    std::vector<uint64_t> epochs;
    for (const auto& [epoch, attempt] : worker_.pool()) {
      if (epochs.empty() || Chance(40)) epochs.push_back(epoch);
    }
    Trace(absl::StrCat("finish ", epochs.size(), " from ", epochs.front()));
    worker_.FinishTogether(epochs);
    // Only an outcome whose lease the worker was not told it lost is kept.
    for (uint64_t epoch : epochs) {
      if (Claims(epoch)) held_outcomes_.insert(epoch);
    }
  }

  bool Claims(uint64_t epoch) {
    v1::Hello hello;
    worker_.core().FillHello(&hello);
    for (const v1::Lease& lease : hello.held_leases()) {
      if (lease.epoch() == epoch) return true;
    }
    return false;
  }

  void WriteReport() {
    if (writing_) {
      Arrive();
      EndWrite();
      return;
    }
    if (!worker_.BeginReport()) return;
    if (!connected_) Fail("a report without a stream");
    writing_ = true;
    Trace("report " + SessionHarness::Describe(worker_.report()));
    if (Chance(50)) {
      Arrive();
      EndWrite();
    }
  }

  // The broker reads the report.
  void Arrive() {
    const v1::WorkerReport& report = worker_.report();
    for (const v1::ExecutionOutcome& outcome : report.outcomes()) {
      const uint64_t epoch = outcome.lease().epoch();
      if (!delivered_.contains(epoch)) Fail("an outcome was invented");
      if (outcome.lease().task_id() != absl::StrCat("t", epoch)) {
        Fail("an outcome of another task");
      }
      if (outcome.outcome_case() ==
          v1::ExecutionOutcome::OutcomeCase::OUTCOME_NOT_SET) {
        Fail("an outcome without content");
      }
      if (said_on_.count(epoch) > 0 && said_on_[epoch] == streams_) {
        Fail("an outcome was said twice on a stream");
      }
      said_on_[epoch] = streams_;
      if (leases_.contains(epoch)) unacknowledged_.insert(epoch);
    }
    credit_ += report.credit();
    // As the broker counts: leases end when their outcome is handled.
    const size_t outstanding =
        credit_ + leases_.size() - unacknowledged_.size();
    if (outstanding > max_credit_) Fail("the broker's bound is exceeded");
    if (outstanding > capacity_) Fail("more than the capacity is promised");
  }

  void EndWrite() {
    worker_.ReportWritten();
    writing_ = false;
  }

  // Acknowledges or refuses one outcome.
  void Settle1() {
    const uint64_t epoch = Pick(unacknowledged_);
    unacknowledged_.erase(epoch);
    leases_.erase(epoch);
    held_outcomes_.erase(epoch);
    if (Chance(80)) {
      Trace(absl::StrCat("acknowledge ", epoch));
      accepted_.insert(epoch);
      Expect(worker_.Acknowledge({epoch}), "acknowledge");
    } else {
      Trace(absl::StrCat("refuse ", epoch));
      Expect(worker_.Refuse(epoch, absl::StatusCode::kFailedPrecondition),
             "refuse");
    }
  }

  void Check() {
    if (worker_.core().held() > 2 * capacity_) Fail("too much is kept");
    for (uint64_t epoch : held_outcomes_) {
      if (!Claims(epoch)) Fail(absl::StrCat("outcome ", epoch, " was dropped"));
    }
    if (worker_.ledger().held(0) > capacity_) Fail("the ledger is overdrawn");
  }

  // The network calms down: everything must come to its end.
  void Settle() {
    for (int round = 0; round < 100 && !failed_; ++round) {
      if (!connected_) Connect();
      while (!worker_.pool().empty()) FinishSome();
      if (writing_) WriteReport();
      while (worker_.BeginReport()) {
        writing_ = true;
        Arrive();
        EndWrite();
      }
      while (!unacknowledged_.empty()) Settle1();
    }
    if (worker_.core().held() != 0) Fail("leases are left");
    if (!leases_.empty()) Fail("the broker waits for an outcome");
    if (credit_ != capacity_) {
      Fail(absl::StrCat("credit is ", credit_, " of ", capacity_));
    }
  }

  void Expect(const absl::Status& status, const char* what) {
    if (!status.ok()) Fail(absl::StrCat(what, ": ", status.ToString()));
  }
  void Fail(const std::string& what) {
    if (!failed_) ADD_FAILURE() << what << "\n" << Tail();
    failed_ = true;
  }
  void Trace(std::string what) { trace_.push_back(std::move(what)); }
  std::string Tail() const {
    std::string text;
    for (size_t i = trace_.size() > 40 ? trace_.size() - 40 : 0;
         i < trace_.size(); ++i) {
      absl::StrAppend(&text, trace_[i], "\n");
    }
    return text;
  }

  std::mt19937 random_;
  const uint32_t capacity_;
  const uint32_t max_credit_ = 1 + random_() % 4 + capacity_;
  SessionHarness worker_;
  std::vector<std::string> trace_;
  bool failed_ = false;

  // The broker.
  bool connected_ = false;
  std::string session_;
  int sessions_ = 0;
  int streams_ = 0;
  uint64_t last_epoch_ = 0;
  uint32_t credit_ = 0;
  std::set<uint64_t> delivered_;
  std::set<uint64_t> leases_;
  std::set<uint64_t> unacknowledged_;  // outcome arrived, not yet durable
  std::set<uint64_t> accepted_;
  std::map<uint64_t, int> said_on_;  // epoch -> stream

  // The worker's side.
  bool writing_ = false;
  std::set<uint64_t> held_outcomes_;
};

TEST(SessionCorePropertyTest, HoldsItsPromisesInRandomHistories) {
  uint32_t first = 1;
  int count = kHistories;
  if (const char* seed = std::getenv("APIUM_TEST_SEED")) {
    ASSERT_TRUE(absl::SimpleAtoi(seed, &first));
    count = 1;
  }
  for (int i = 0; i < count; ++i) {
    const uint32_t seed = first + i;
    SCOPED_TRACE(absl::StrCat("APIUM_TEST_SEED=", seed));
    History history(seed);
    history.Run();
    if (::testing::Test::HasFailure()) return;
  }
}

TEST(SessionCorePropertyTest, TheSameSeedGivesTheSameHistory) {
  History first(42);
  History second(42);
  first.Run();
  second.Run();
  EXPECT_GT(first.trace().size(), 50u);
  EXPECT_EQ(first.trace(), second.trace());
}

}  // namespace
}  // namespace apium
