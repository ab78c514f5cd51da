// The crash test finds what it is there to find: each promise is broken on
// purpose, once. A store that lies and a worker that lies do it; the product
// has no switch for it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iostream>
#include <memory>
#include <ostream>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "client/task_client.h"
#include "common/strings.h"
#include "tests/crash/client_options_for.h"
#include "tests/crash/crash_run.h"
#include "tests/crash/final_reads.h"
#include "tests/crash/history_checker.h"
#include "tests/crash/log_watch.h"
#include "tests/crash/platform.h"
#include "tests/crash/raw_worker.h"
#include "tests/support/status_matchers.h"

namespace apium::crash {

// For messages of the tests.
void PrintTo(Rule rule, std::ostream* out) { *out << RuleName(rule); }

namespace {

using ::testing::Contains;
using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::set<Rule> RulesOf(const Verdict& verdict) {
  std::set<Rule> rules;
  for (const Violation& violation : verdict.violations) {
    rules.insert(violation.rule);
  }
  return rules;
}

std::string Folder(const std::string& name) {
  return StrCat(::testing::TempDir(), "/", name);
}

// --- A store that lies ---

// The run of crash_test in small, with a broker on a store that lies. Only the
// broker is killed: what is lost then is its fault.
CrashRunOptions FaultyBrokerRun(const std::string& name) {
  CrashRunOptions run;
  run.kills = 3;
  run.only_broker = true;
  run.platform.folder = Folder(name);
  run.platform.broker_binary = "tests/crash/faulty_broker";
  run.platform.builtin_worker = false;
  return run;
}

Verdict CrashLyingStore(const std::string& name, const std::string& fault) {
  CrashRunOptions run = FaultyBrokerRun(name);
  run.platform.broker_flags = {fault};
  // It does not recover, and need not be waited for.
  run.patience = absl::Seconds(5);
  run.drain_timeout = absl::Seconds(15);
  run.workload.call_deadline = absl::Seconds(5);
  const Verdict verdict = Check({}, RunAndCrash(run));
  std::cout << Describe(verdict, 3);
  return verdict;
}

TEST(CheckerBitesTest, ABrokerWhoseStoreIsHonestPasses) {
  const Verdict verdict = Check({}, RunAndCrash(FaultyBrokerRun("honest")));
  EXPECT_THAT(RulesOf(verdict), IsEmpty()) << Describe(verdict);
}

TEST(CheckerBitesTest, FindsThatSyncedWritesAreLost) {
  const Verdict verdict =
      CrashLyingStore("lost-fsync", "--delay-synced-writes=20");
  EXPECT_THAT(RulesOf(verdict), Contains(Rule::kLost)) << Describe(verdict);
}

TEST(CheckerBitesTest, FindsThatTheOutboxIsLost) {
  const Verdict verdict = CrashLyingStore("lost-outbox", "--drop-rows=O");
  EXPECT_THAT(RulesOf(verdict), Contains(Rule::kUnreadable))
      << Describe(verdict);
  // The broker has noticed, too, and stopped.
  std::ifstream log(StrCat(Folder("lost-outbox"), "/broker.log"));
  std::stringstream lines;
  lines << log.rdbuf();
  EXPECT_THAT(lines.str(), ContainsRegex("DATA_LOSS: .*outbox"));
}

// --- A worker that lies ---

class LyingWorkerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    PlatformOptions options;
    options.folder =
        Folder(::testing::UnitTest::GetInstance()->current_test_info()->name());
    options.workers = 0;
    options.builtin_worker = false;
    auto platform = Platform::Start(options);
    APIUM_ASSERT_OK(platform);
    platform_ = *std::move(platform);
    live_ = std::make_unique<LogWatch>(platform_->results_address(), nullptr);
    worker_ = std::make_unique<RawWorker>(
        RawWorker::Options{.broker_address = platform_->broker_address(),
                           .worker_id = "liar",
                           .queue = Platform::kQueue,
                           .type = "crash.work"});
  }

  void Submit() {
    auto client = TaskClient::Connect(
        ClientOptionsFor(platform_->broker_address(), absl::Minutes(1)));
    APIUM_ASSERT_OK(client);
    SubmitRecord submit;
    submit.spec.set_task_id("task");
    submit.spec.set_type("crash.work");
    submit.spec.set_queue(Platform::kQueue);
    submit.invoked = MonotonicNow();
    APIUM_ASSERT_OK((*client)->Submit(submit.spec));
    submit.returned = MonotonicNow();
    submit.verdict = SubmitRecord::Verdict::kAccepted;
    history_.submits.push_back(std::move(submit));
  }

  // Takes the task and executes it; does not report. Returns its lease; the
  // token is that of the last execution in the history.
  v1::Lease Execute() {
    const absl::StatusOr<v1::Delivery> delivery = worker_->Take();
    EXPECT_THAT(delivery, IsOk());
    if (!delivery.ok()) return {};
    const v1::Lease& lease = delivery->lease();
    ExecutionRecord& execution = history_.executions.emplace_back();
    execution.task_id = lease.task_id();
    execution.attempt = lease.attempt();
    execution.epoch = lease.epoch();
    execution.token = StrCat("token-", lease.epoch());
    execution.start = MonotonicNow();
    execution.start_time = absl::Now();
    execution.end = ExecutionRecord::End::kSucceeded;
    execution.end_moment = MonotonicNow();
    return lease;
  }

  // Two executions by two sessions: the first one's lease is lost.
  void ExecuteTwice(v1::Lease* first, v1::Lease* second) {
    APIUM_ASSERT_OK(worker_->Open());
    *first = Execute();
    APIUM_ASSERT_OK(worker_->Break());
    APIUM_ASSERT_OK(worker_->Open());
    *second = Execute();
    ASSERT_GT(second->epoch(), first->epoch());
  }

  Verdict ReadAndCheck() {
    FinalReads(platform_->broker_address(), platform_->results_address(),
               absl::Minutes(1))
        .Read(live_.get(), &history_);
    return Check({}, history_);
  }

  std::string Token(size_t execution) const {
    return history_.executions[execution].token;
  }

  std::unique_ptr<Platform> platform_;
  std::unique_ptr<LogWatch> live_;
  std::unique_ptr<RawWorker> worker_;
  History history_;
};

TEST_F(LyingWorkerTest, AReportUnderAnOldEpochIsRefusedAndTheRunPasses) {
  Submit();
  v1::Lease first;
  v1::Lease second;
  ExecuteTwice(&first, &second);
  EXPECT_THAT(worker_->Succeed(first, Token(0)),
              StatusIs(absl::StatusCode::kFailedPrecondition, "LEASE_LOST"));
  APIUM_EXPECT_OK(worker_->Succeed(second, Token(1)));
  const Verdict verdict = ReadAndCheck();
  EXPECT_THAT(RulesOf(verdict), IsEmpty()) << Describe(verdict);
}

// What a broker would accept that did not compare epochs.
TEST_F(LyingWorkerTest, FindsThatTheOutcomeOfAnOlderExecutionWasAccepted) {
  Submit();
  v1::Lease first;
  v1::Lease second;
  ExecuteTwice(&first, &second);
  APIUM_EXPECT_OK(worker_->Succeed(second, Token(0)));
  const Verdict verdict = ReadAndCheck();
  EXPECT_THAT(RulesOf(verdict), ElementsAre(Rule::kForeignOutcome))
      << Describe(verdict);
}

}  // namespace
}  // namespace apium::crash
