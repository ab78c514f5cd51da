#include "tests/crash/history_checker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ostream>
#include <set>
#include <string>
#include <utility>

#include "common/strings.h"

namespace apium::crash {

// For messages of the tests.
void PrintTo(Rule rule, std::ostream* out) { *out << RuleName(rule); }

namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using SubmitVerdict = SubmitRecord::Verdict;
using End = ExecutionRecord::End;

constexpr int64_t kDay = 1'700'000'000;

// A moment of the handmade runs, on both clocks.
Moment At(int second) { return absl::Seconds(second); }
absl::Time WallAt(int second) { return absl::FromUnixSeconds(kDay + second); }

// Tasks whose life was in order; each test then spoils one thing.
class HistoryCheckerTest : public ::testing::Test {
 protected:
  SubmitRecord& Submit(const std::string& id, int second = 1) {
    SubmitRecord& submit = history_.submits.emplace_back();
    submit.spec.set_task_id(id);
    submit.spec.set_type("crash.work");
    submit.spec.mutable_payload()->set_data("run");
    submit.verdict = SubmitVerdict::kAccepted;
    submit.invoked = At(second);
    submit.returned = At(second) + absl::Milliseconds(1);
    return submit;
  }

  ExecutionRecord& Execute(const std::string& id, uint32_t attempt,
                           uint64_t epoch, int begin, int end,
                           End how = End::kSucceeded) {
    ExecutionRecord& execution = history_.executions.emplace_back();
    execution.task_id = id;
    execution.attempt = attempt;
    execution.epoch = epoch;
    execution.worker = "w.1";
    execution.token = StrCat("100/", epoch, "/1");
    execution.start = At(begin);
    execution.start_time = WallAt(begin);
    execution.end = how;
    execution.end_moment = how == End::kNone ? Moment() : At(end);
    return execution;
  }

  void Kill(ProcessKind kind, const std::string& process, int second,
            size_t round = 0) {
    history_.kills.push_back({.kind = kind,
                              .process = process,
                              .round = round,
                              .sent = At(second),
                              .dead = At(second),
                              .dead_time = WallAt(second)});
  }

  static v1::TaskOutcome Succeeded(const std::string& id, uint32_t attempt,
                                   uint64_t epoch, int second) {
    v1::TaskOutcome outcome;
    outcome.set_task_id(id);
    outcome.set_state(v1::TASK_STATE_SUCCEEDED);
    outcome.set_attempt(attempt);
    outcome.set_epoch(epoch);
    outcome.mutable_result()->set_data(StrCat("100/", epoch, "/1"));
    outcome.mutable_create_time()->set_seconds(kDay + 1);
    outcome.mutable_finish_time()->set_seconds(kDay + second);
    return outcome;
  }

  static v1::TaskOutcome Failed(const std::string& id, uint32_t attempt,
                                uint64_t epoch, int second) {
    v1::TaskOutcome outcome = Succeeded(id, attempt, epoch, second);
    outcome.set_state(v1::TASK_STATE_FAILED);
    outcome.clear_result();
    outcome.mutable_failure()->set_type("crash.Failure");
    outcome.mutable_failure()->set_message(StrCat("100/", epoch, "/1"));
    outcome.set_failures(1);
    return outcome;
  }

  static v1::TaskOutcome Ended(const std::string& id, v1::TaskState state,
                               int second) {
    v1::TaskOutcome outcome = Succeeded(id, 0, 0, second);
    outcome.set_state(state);
    outcome.clear_result();
    return outcome;
  }

  // All readers see it.
  void Publish(const v1::TaskOutcome& outcome) {
    const ReadRecord read{.status = absl::OkStatus(),
                          .state = outcome.state(),
                          .outcome = outcome};
    history_.at_broker[outcome.task_id()] = read;
    history_.at_results[outcome.task_id()] = read;
    history_.log.push_back(outcome);
    history_.live_log.push_back(outcome);
  }

  // The usual life of a task.
  void RunOne(const std::string& id, uint64_t epoch) {
    Submit(id);
    Execute(id, 1, epoch, 2, 3);
    Publish(Succeeded(id, 1, epoch, 4));
  }

  std::set<Rule> BrokenRules() const {
    std::set<Rule> rules;
    for (const Violation& violation : Check(options_, history_).violations) {
      rules.insert(violation.rule);
    }
    return rules;
  }

  History history_;
  CheckerOptions options_;
};

// --- Runs in order ---

TEST_F(HistoryCheckerTest, ARunInOrderHasNoViolation) {
  RunOne("a", 1);
  RunOne("b", 2);
  history_.queues.push_back({.name = "default"});
  EXPECT_THAT(BrokenRules(), IsEmpty()) << Describe(Check({}, history_));
}

TEST_F(HistoryCheckerTest, ATaskMayRunAgainAfterItsWorkerWasKilled) {
  Submit("a");
  Execute("a", 1, 1, 2, 0, End::kNone).worker = "w.0";
  Kill(ProcessKind::kWorker, "w.0", 5);
  Execute("a", 2, 2, 6, 7);
  v1::TaskOutcome outcome = Succeeded("a", 2, 2, 8);
  outcome.set_crashes(1);
  Publish(outcome);
  EXPECT_THAT(BrokenRules(), IsEmpty());
  EXPECT_EQ(Check({}, history_).activity.redeliveries, 1u);
}

TEST_F(HistoryCheckerTest, AFailureMayBeRetried) {
  Submit("a");
  Execute("a", 1, 1, 2, 3, End::kFailed);
  Execute("a", 2, 2, 4, 5);
  v1::TaskOutcome outcome = Succeeded("a", 2, 2, 6);
  outcome.set_failures(1);
  Publish(outcome);
  EXPECT_THAT(BrokenRules(), IsEmpty());
}

TEST_F(HistoryCheckerTest, ASubmitWithoutAnAnswerMayHaveWorkedOrNot) {
  RunOne("a", 1);
  history_.submits[0].verdict = SubmitVerdict::kUnknown;
  Submit("b").verdict = SubmitVerdict::kUnknown;
  history_.at_broker["b"].status = absl::NotFoundError("never heard of it");
  EXPECT_THAT(BrokenRules(), IsEmpty());
  EXPECT_EQ(Check({}, history_).activity.unknown, 2u);
}

TEST_F(HistoryCheckerTest, TheSameSubmitTwiceIsOneTask) {
  RunOne("a", 1);
  Submit("a", 9);
  EXPECT_THAT(BrokenRules(), IsEmpty());
  EXPECT_EQ(Check({}, history_).activity.accepted, 1u);
  EXPECT_EQ(Check({}, history_).activity.repeated, 1u);
}

TEST_F(HistoryCheckerTest, AnOutcomeThatOutlivedAKillOfTheBrokerIsCounted) {
  RunOne("a", 1);
  Kill(ProcessKind::kBroker, "p.7", 3);
  EXPECT_EQ(Check({}, history_).activity.resumed, 1u);
}

TEST_F(HistoryCheckerTest, TasksOfOtherWorkersAnswerWithTheirPayload) {
  SubmitRecord& submit = Submit("a");
  submit.spec.set_type("apium.echo");
  v1::TaskOutcome outcome = Succeeded("a", 1, 1, 4);
  outcome.mutable_result()->set_data("run");
  Publish(outcome);
  EXPECT_THAT(BrokenRules(), IsEmpty());
}

// --- Loss ---

TEST_F(HistoryCheckerTest, AnAcknowledgedTaskThatNobodyKnowsIsLost) {
  Submit("a");
  history_.at_broker["a"].status = absl::NotFoundError("");
  EXPECT_THAT(BrokenRules(), ElementsAre(Rule::kLost));
}

TEST_F(HistoryCheckerTest, AnAcknowledgedTaskThatNeverEndsIsLost) {
  Submit("a");
  history_.at_broker["a"] = {.status = absl::OkStatus(),
                             .state = v1::TASK_STATE_QUEUED,
                             .outcome = {}};
  EXPECT_THAT(BrokenRules(), ElementsAre(Rule::kLost));
}

TEST_F(HistoryCheckerTest, ATaskWithoutAnAnswerThatRanIsLostIfNobodyKnowsIt) {
  Submit("a").verdict = SubmitVerdict::kUnknown;
  Execute("a", 1, 1, 2, 3);
  history_.at_broker["a"].status = absl::NotFoundError("");
  EXPECT_THAT(BrokenRules(), ElementsAre(Rule::kLost));
}

TEST_F(HistoryCheckerTest, ATaskThatTheBrokerCannotReadIsUnreadable) {
  Submit("a");
  history_.at_broker["a"].status = absl::UnavailableError("down");
  EXPECT_THAT(BrokenRules(), ElementsAre(Rule::kUnreadable));
}

TEST_F(HistoryCheckerTest, AnOutcomeThatTheResultServiceLacksIsUnreadable) {
  RunOne("a", 1);
  history_.at_results["a"].status = absl::NotFoundError("");
  EXPECT_THAT(BrokenRules(), ElementsAre(Rule::kUnreadable));
}

TEST_F(HistoryCheckerTest, AnOutcomeThatAWatcherMissedIsUnreadable) {
  RunOne("a", 1);
  history_.live_log.clear();
  EXPECT_THAT(BrokenRules(), ElementsAre(Rule::kUnreadable));
}

// --- Outcomes ---

TEST_F(HistoryCheckerTest, BrokerAndResultServiceMustSayTheSame) {
  RunOne("a", 1);
  history_.at_results["a"].outcome.set_attempt(9);
  EXPECT_THAT(BrokenRules(), ElementsAre(Rule::kOutcomeChanged));
}

TEST_F(HistoryCheckerTest, WhatAClientWasToldStaysTrue) {
  RunOne("a", 1);
  history_.observations.push_back({Succeeded("a", 1, 9, 4), "wait"});
  EXPECT_THAT(BrokenRules(), ElementsAre(Rule::kOutcomeChanged));
}

TEST_F(HistoryCheckerTest, AWatcherSeesTheRecordedOrder) {
  RunOne("a", 1);
  RunOne("b", 2);
  std::swap(history_.live_log[0], history_.live_log[1]);
  EXPECT_THAT(BrokenRules(), ElementsAre(Rule::kOutcomeChanged));
}

TEST_F(HistoryCheckerTest, AnOutcomeIsRecordedOnce) {
  RunOne("a", 1);
  history_.log.push_back(history_.log[0]);
  EXPECT_THAT(BrokenRules(), ElementsAre(Rule::kRecordedTwice));
}

TEST_F(HistoryCheckerTest, AWatcherIsToldOnce) {
  RunOne("a", 1);
  history_.live_log.push_back(history_.live_log[0]);
  EXPECT_THAT(BrokenRules(), ElementsAre(Rule::kRecordedTwice));
}

TEST_F(HistoryCheckerTest, OnlyWhatWasSubmittedRuns) {
  Execute("ghost", 1, 1, 2, 3);
  EXPECT_THAT(BrokenRules(), ElementsAre(Rule::kPhantom));
}

TEST_F(HistoryCheckerTest, TheOutcomeHasTheTokenOfItsEpoch) {
  RunOne("a", 1);
  history_.executions[0].token = "100/1/2";
  EXPECT_THAT(BrokenRules(), ElementsAre(Rule::kForeignOutcome));
}

TEST_F(HistoryCheckerTest, TheTokenOfAFailureCountsToo) {
  Submit("a").spec.mutable_retry_policy()->set_max_attempts(1);
  Execute("a", 1, 1, 2, 3, End::kFailed);
  Publish(Failed("a", 1, 1, 4));
  EXPECT_THAT(BrokenRules(), IsEmpty());
  history_.executions[0].token = "100/1/2";
  EXPECT_THAT(BrokenRules(), ElementsAre(Rule::kForeignOutcome));
}

TEST_F(HistoryCheckerTest, AnOutcomeComesFromAnExecution) {
  RunOne("a", 1);
  history_.executions.clear();
  EXPECT_THAT(BrokenRules(), ElementsAre(Rule::kForeignOutcome));
}

TEST_F(HistoryCheckerTest, AnEchoIsWhatWasSent) {
  RunOne("a", 1);
  history_.submits[0].spec.set_type("apium.echo");
  history_.executions.clear();
  EXPECT_THAT(BrokenRules(), ElementsAre(Rule::kForeignOutcome));
}

// The stale outcome of a worker that was given up: a newer one has run.
TEST_F(HistoryCheckerTest, AnOutcomeOfAnOlderExecutionIsStale) {
  Submit("a");
  Execute("a", 1, 1, 2, 3);
  Execute("a", 2, 2, 4, 5, End::kFailed);
  v1::TaskOutcome outcome = Succeeded("a", 2, 1, 6);
  outcome.set_failures(1);
  Publish(outcome);
  EXPECT_THAT(BrokenRules(), ElementsAre(Rule::kStaleOutcome));
}

TEST_F(HistoryCheckerTest, NothingRunsAfterTheEnd) {
  Submit("a");
  history_.cancels.push_back({"a", At(1)});
  Publish(Ended("a", v1::TASK_STATE_CANCELLED, 4));
  EXPECT_THAT(BrokenRules(), IsEmpty());
  Execute("a", 1, 1, 5, 6, End::kCancelled);
  EXPECT_THAT(BrokenRules(),
              ElementsAre(Rule::kStaleOutcome, Rule::kMiscounted));
}

// --- Leases ---

TEST_F(HistoryCheckerTest, TwoExecutionsOfATaskDoNotOverlap) {
  Submit("a");
  Execute("a", 1, 1, 2, 5, End::kFailed);
  Execute("a", 2, 2, 4, 6);
  v1::TaskOutcome outcome = Succeeded("a", 2, 2, 7);
  outcome.set_failures(1);
  Publish(outcome);
  EXPECT_THAT(BrokenRules(), ElementsAre(Rule::kOverlap));
}

TEST_F(HistoryCheckerTest, AnExecutionLastsUntilItsWorkerIsKilled) {
  Submit("a");
  Execute("a", 1, 1, 2, 0, End::kNone).worker = "w.0";
  Kill(ProcessKind::kWorker, "w.0", 5);
  Execute("a", 2, 2, 4, 6);
  v1::TaskOutcome outcome = Succeeded("a", 2, 2, 7);
  outcome.set_crashes(1);
  Publish(outcome);
  EXPECT_THAT(BrokenRules(), ElementsAre(Rule::kOverlap));
}

TEST_F(HistoryCheckerTest, AnExecutionThatNothingEndedLastsForEver) {
  Submit("a");
  Execute("a", 1, 1, 2, 0, End::kNone);
  Execute("a", 2, 2, 4, 6);
  v1::TaskOutcome outcome = Succeeded("a", 2, 2, 7);
  outcome.set_crashes(1);
  Publish(outcome);
  EXPECT_THAT(BrokenRules(), ElementsAre(Rule::kOverlap));
}

TEST_F(HistoryCheckerTest, EpochsGrow) {
  Submit("a");
  Execute("a", 1, 2, 2, 3, End::kFailed);
  Execute("a", 2, 2, 4, 5);
  v1::TaskOutcome outcome = Succeeded("a", 2, 2, 6);
  outcome.set_failures(1);
  Publish(outcome);
  EXPECT_THAT(BrokenRules(), ElementsAre(Rule::kEpochOrder));
}

TEST_F(HistoryCheckerTest, AttemptsGrow) {
  Submit("a");
  Execute("a", 2, 1, 2, 3, End::kFailed);
  Execute("a", 2, 2, 4, 5);
  v1::TaskOutcome outcome = Succeeded("a", 2, 2, 6);
  outcome.set_failures(1);
  Publish(outcome);
  EXPECT_THAT(BrokenRules(), ElementsAre(Rule::kEpochOrder));
}

// --- States and counts ---

TEST_F(HistoryCheckerTest, NobodyCancelsATaskUnasked) {
  Submit("a");
  Publish(Ended("a", v1::TASK_STATE_CANCELLED, 4));
  EXPECT_THAT(BrokenRules(), ElementsAre(Rule::kUnexplainedState));
}

TEST_F(HistoryCheckerTest, ATaskExpiresOnlyAfterItsExpiry) {
  Submit("a").spec.mutable_expire_after()->set_seconds(3);
  Publish(Ended("a", v1::TASK_STATE_EXPIRED, 4));
  EXPECT_THAT(BrokenRules(), IsEmpty());
  history_.submits[0].spec.mutable_expire_after()->set_seconds(4);
  EXPECT_THAT(BrokenRules(), ElementsAre(Rule::kUnexplainedState));
}

TEST_F(HistoryCheckerTest, ATaskFailsForGoodOnlyAtItsLimit) {
  Submit("a").spec.mutable_retry_policy()->set_max_attempts(2);
  Execute("a", 1, 1, 2, 3, End::kFailed);
  Publish(Failed("a", 1, 1, 4));
  EXPECT_THAT(BrokenRules(), ElementsAre(Rule::kUnexplainedState));
}

TEST_F(HistoryCheckerTest, LostLeasesEndATaskOnlyAtTheirLimit) {
  Submit("a").spec.mutable_retry_policy()->set_max_crashes(2);
  v1::TaskOutcome outcome = Failed("a", 1, 1, 4);
  outcome.set_failures(0);
  outcome.set_crashes(1);
  outcome.mutable_failure()->set_type("apium.WorkerLost");
  Publish(outcome);
  EXPECT_THAT(BrokenRules(), ElementsAre(Rule::kUnexplainedState));
}

TEST_F(HistoryCheckerTest, AFailureThatNoHandlerGaveIsUnexplained) {
  Submit("a");
  Execute("a", 1, 1, 2, 3, End::kFailed);
  v1::TaskOutcome outcome = Failed("a", 1, 1, 4);
  outcome.mutable_failure()->set_type("apium.BadResult");
  Publish(outcome);
  EXPECT_THAT(BrokenRules(), ElementsAre(Rule::kUnexplainedState));
}

TEST_F(HistoryCheckerTest, FailuresDoNotExceedTheLimit) {
  Submit("a").spec.mutable_retry_policy()->set_max_attempts(1);
  Execute("a", 1, 1, 2, 3, End::kFailed);
  Execute("a", 2, 2, 4, 5, End::kFailed);
  v1::TaskOutcome outcome = Failed("a", 2, 2, 6);
  outcome.set_failures(2);
  outcome.mutable_failure()->set_non_retryable(true);
  Publish(outcome);
  EXPECT_THAT(BrokenRules(), ElementsAre(Rule::kMiscounted));
}

TEST_F(HistoryCheckerTest, AFailureIsCountedOnce) {
  Submit("a");
  Execute("a", 1, 1, 2, 3, End::kFailed);
  Execute("a", 2, 2, 4, 5);
  v1::TaskOutcome outcome = Succeeded("a", 2, 2, 6);
  outcome.set_failures(2);
  Publish(outcome);
  EXPECT_THAT(BrokenRules(), ElementsAre(Rule::kMiscounted));
}

TEST_F(HistoryCheckerTest, ALostExecutionIsCounted) {
  Submit("a");
  Execute("a", 1, 1, 2, 0, End::kNone).worker = "w.0";
  Kill(ProcessKind::kWorker, "w.0", 3);
  Execute("a", 2, 2, 4, 5);
  Publish(Succeeded("a", 2, 2, 6));
  EXPECT_THAT(BrokenRules(), ElementsAre(Rule::kMiscounted));
}

TEST_F(HistoryCheckerTest, ASucceededTaskDoesNotRunTwice) {
  Submit("a");
  Execute("a", 1, 1, 2, 3);
  Execute("a", 2, 2, 4, 5);
  Publish(Succeeded("a", 2, 2, 6));
  EXPECT_THAT(BrokenRules(), ElementsAre(Rule::kMiscounted));
}

// --- Times ---

TEST_F(HistoryCheckerTest, NothingStartsBeforeItsEta) {
  RunOne("a", 1);
  history_.submits[0].spec.mutable_delay()->set_nanos(999'999'999);
  EXPECT_THAT(BrokenRules(), IsEmpty());
  history_.submits[0].spec.mutable_delay()->set_seconds(1);
  EXPECT_THAT(BrokenRules(), ElementsAre(Rule::kEarly));
}

TEST_F(HistoryCheckerTest, NothingStartsAfterItsExpiry) {
  RunOne("a", 1);
  history_.submits[0].spec.mutable_expire_after()->set_nanos(500'000'000);
  EXPECT_THAT(BrokenRules(), IsEmpty()) << "within the slack of a handler";
  options_.start_slack = absl::Milliseconds(499);
  EXPECT_THAT(BrokenRules(), ElementsAre(Rule::kLate));
}

TEST_F(HistoryCheckerTest, TheRecordedStartIsJudgedWithoutSlack) {
  Submit("a").spec.mutable_expire_after()->set_seconds(1);
  Execute("a", 1, 1, 2, 3);
  v1::TaskOutcome outcome = Succeeded("a", 1, 1, 4);
  outcome.mutable_start_time()->set_seconds(kDay + 2);
  Publish(outcome);
  EXPECT_THAT(BrokenRules(), ElementsAre(Rule::kLate));
}

// --- Submits ---

TEST_F(HistoryCheckerTest, ARepeatedSubmitIsNotRefused) {
  RunOne("a", 1);
  SubmitRecord& repeated = Submit("a", 9);
  repeated.verdict = SubmitVerdict::kRefused;
  repeated.status = absl::AlreadyExistsError("other content");
  EXPECT_THAT(BrokenRules(), ElementsAre(Rule::kNotIdempotent));
}

TEST_F(HistoryCheckerTest, OtherContentUnderTheSameIdIsRefused) {
  RunOne("a", 1);
  SubmitRecord& other = Submit("a", 9);
  other.spec.mutable_payload()->set_data("other");
  EXPECT_THAT(BrokenRules(), ElementsAre(Rule::kNotIdempotent));
  other.verdict = SubmitVerdict::kRefused;
  other.status = absl::AlreadyExistsError("other content");
  EXPECT_THAT(BrokenRules(), IsEmpty());
}

// --- The run as a whole ---

TEST_F(HistoryCheckerTest, QueuesAreEmptyInTheEnd) {
  for (QueueRecord queue : {QueueRecord{.name = "q", .ready = 1},
                            QueueRecord{.name = "q", .scheduled = 1},
                            QueueRecord{.name = "q", .leased = 1}}) {
    history_.queues = {queue};
    EXPECT_THAT(BrokenRules(), ElementsAre(Rule::kQueueNotEmpty));
  }
}

TEST_F(HistoryCheckerTest, AMishapIsAViolation) {
  history_.mishaps.push_back("the broker ended by itself");
  EXPECT_THAT(BrokenRules(), ElementsAre(Rule::kMishap));
}

TEST_F(HistoryCheckerTest, TooLittleActivityIsAViolation) {
  RunOne("a", 1);
  Kill(ProcessKind::kBroker, "p.1", 9, 1);
  Kill(ProcessKind::kResults, "p.2", 9, 1);
  Kill(ProcessKind::kWorker, "p.3", 9, 1);
  options_.required = {.accepted = 1,
                       .kill_rounds = 1,
                       .rounds_of_all = 1,
                       .kills_of_each_kind = 1};
  EXPECT_THAT(BrokenRules(), IsEmpty());
  const RequiredActivity enough = options_.required;
  const auto expect_vacuous = [&](size_t RequiredActivity::*minimum) {
    options_.required = enough;
    ++(options_.required.*minimum);
    EXPECT_THAT(BrokenRules(), ElementsAre(Rule::kVacuous));
  };
  expect_vacuous(&RequiredActivity::accepted);
  expect_vacuous(&RequiredActivity::redeliveries);
  expect_vacuous(&RequiredActivity::resumed);
  expect_vacuous(&RequiredActivity::kill_rounds);
  expect_vacuous(&RequiredActivity::rounds_of_all);
  expect_vacuous(&RequiredActivity::kills_of_each_kind);
}

TEST_F(HistoryCheckerTest, TheDescriptionNamesTheTaskAndTheRule) {
  Submit("a");
  history_.at_broker["a"].status = absl::NotFoundError("");
  const std::string text = Describe(Check({}, history_));
  EXPECT_THAT(text, HasSubstr("tasks acknowledged 1"));
  EXPECT_THAT(text, HasSubstr("LOST a: it was acknowledged"));
}

TEST_F(HistoryCheckerTest, TheDescriptionIsCutPerRule) {
  for (const char* id : {"a", "b", "c"}) {
    Submit(id);
    history_.at_broker[id].status = absl::NotFoundError("");
  }
  const std::string text = Describe(Check({}, history_), 2);
  EXPECT_THAT(text, HasSubstr("LOST b:"));
  EXPECT_THAT(text, ::testing::Not(HasSubstr("LOST c:")));
  EXPECT_THAT(text, HasSubstr("LOST: 1 more"));
}

}  // namespace
}  // namespace apium::crash
