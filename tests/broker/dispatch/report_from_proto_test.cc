#include "broker/dispatch/report_from_proto.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "apium/v1/worker_service.pb.h"
#include "common/error_reason.h"
#include "tests/support/status_matchers.h"

namespace apium::broker {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr uint32_t kMaxCredit = 1000;

v1::Hello MinimalHello() {
  v1::Hello hello;
  hello.set_worker_id("host-7/1234");
  hello.add_task_types()->set_type("mail.send");
  hello.set_slots(4);
  return hello;
}

void SetLease(v1::Lease* lease, uint64_t epoch) {
  lease->set_task_id("t" + std::to_string(epoch));
  lease->set_attempt(1);
  lease->set_epoch(epoch);
}

struct Converted {
  std::vector<QueuedCommand> commands;
  std::vector<uint64_t> oversized;

  const WorkerReportCommand& at(size_t index) const {
    return std::get<WorkerReportCommand>(commands.at(index).command);
  }
};

absl::StatusOr<Converted> Convert(v1::WorkerReport report,
                                  TaskLimits limits = {}) {
  Converted converted;
  const absl::Status status =
      ReportFromProto(limits, kMaxCredit, nullptr, &report, &converted.commands,
                      &converted.oversized);
  if (!status.ok()) return status;
  return converted;
}

TEST(OpenSessionFromProtoTest, FillsInTheDefaults) {
  v1::Hello hello = MinimalHello();
  OpenSessionCommand command;
  APIUM_ASSERT_OK(OpenSessionFromProto(kMaxCredit, &hello, &command));
  EXPECT_EQ(command.namespace_name, "default");
  EXPECT_EQ(command.worker_id, "host-7/1234");
  EXPECT_THAT(command.queues, ElementsAre("default"));
  EXPECT_THAT(command.task_types, ElementsAre("mail.send"));
  EXPECT_EQ(command.slots, 4u);
}

TEST(OpenSessionFromProtoTest, TakesEveryFieldOver) {
  v1::Hello hello = MinimalHello();
  hello.set_namespace_("team-a");
  hello.set_session_id("s1");
  SetLease(hello.add_held_leases(), 7);
  hello.add_queues()->set_queue("b");
  hello.add_queues()->set_queue("a");
  hello.add_queues()->set_queue("b");
  (*hello.mutable_labels())["zone"] = "eu";
  hello.set_version("1.2");
  hello.set_hostname("host-7");
  OpenSessionCommand command;
  APIUM_ASSERT_OK(OpenSessionFromProto(kMaxCredit, &hello, &command));
  EXPECT_EQ(command.namespace_name, "team-a");
  EXPECT_EQ(command.session_id, "s1");
  ASSERT_EQ(command.held_leases.size(), 1u);
  EXPECT_EQ(command.held_leases[0].task_id, "t7");
  EXPECT_EQ(command.held_leases[0].epoch, 7u);
  EXPECT_THAT(command.queues, ElementsAre("a", "b"));
  EXPECT_THAT(command.labels, ElementsAre(testing::Pair("zone", "eu")));
  EXPECT_EQ(command.version, "1.2");
  EXPECT_EQ(command.hostname, "host-7");
}

struct BadHello {
  const char* name;
  std::function<void(v1::Hello*)> spoil;
  const char* field;
};

class BadHelloTest : public testing::TestWithParam<BadHello> {};

TEST_P(BadHelloTest, IsRefusedByField) {
  v1::Hello hello = MinimalHello();
  GetParam().spoil(&hello);
  OpenSessionCommand command;
  const absl::Status status =
      OpenSessionFromProto(kMaxCredit, &hello, &command);
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument));
  ASSERT_EQ(FieldViolationsOf(status).size(), 1u) << status;
  EXPECT_EQ(FieldViolationsOf(status)[0].first, GetParam().field);
}

INSTANTIATE_TEST_SUITE_P(
    All, BadHelloTest,
    testing::Values(
        BadHello{"Namespace", [](auto* h) { h->set_namespace_("A"); },
                 "hello.namespace"},
        BadHello{"NoWorkerId", [](auto* h) { h->clear_worker_id(); },
                 "hello.worker_id"},
        BadHello{"LongWorkerId",
                 [](auto* h) { h->set_worker_id(std::string(256, 'w')); },
                 "hello.worker_id"},
        BadHello{"ControlCharacter", [](auto* h) { h->set_worker_id("a\nb"); },
                 "hello.worker_id"},
        BadHello{"SessionId", [](auto* h) { h->set_session_id("a b"); },
                 "hello.session_id"},
        BadHello{"NoTypes", [](auto* h) { h->clear_task_types(); },
                 "hello.task_types"},
        BadHello{"EmptyType", [](auto* h) { h->add_task_types(); },
                 "hello.task_types.type"},
        BadHello{"EmptyQueue", [](auto* h) { h->add_queues(); },
                 "hello.queues.queue"},
        BadHello{"NoSlots", [](auto* h) { h->set_slots(0); }, "hello.slots"},
        BadHello{"ManySlots", [](auto* h) { h->set_slots(65'537); },
                 "hello.slots"},
        BadHello{"EmptyLease", [](auto* h) { h->add_held_leases(); },
                 "hello.held_leases.task_id"},
        BadHello{"ManyLeases",
                 [](auto* h) {
                   for (uint32_t i = 0; i <= kMaxCredit; ++i) {
                     SetLease(h->add_held_leases(), i + 1);
                   }
                 },
                 "hello.held_leases"},
        BadHello{"LongLabel",
                 [](auto* h) {
                   (*h->mutable_labels())["a"] = std::string(257, 'v');
                 },
                 "hello.labels"},
        BadHello{
            "LabelOfTheBroker",
            [](auto* h) { (*h->mutable_labels())["apium.worker_id"] = "w"; },
            "hello.labels"},
        BadHello{"HeavyQueue",
                 [](auto* h) {
                   h->add_queues()->set_queue("a");
                   h->mutable_queues(0)->set_weight(1001);
                 },
                 "hello.queues.weight"}),
    [](const auto& info) { return info.param.name; });

v1::Hello HelloWithQueues(
    const std::vector<std::pair<std::string, uint32_t>>& queues) {
  v1::Hello hello = MinimalHello();
  for (const auto& [queue, weight] : queues) {
    v1::QueueSubscription* subscription = hello.add_queues();
    subscription->set_queue(queue);
    subscription->set_weight(weight);
  }
  return hello;
}

TEST(OpenSessionFromProtoTest, WeightsGoWithTheirQueues) {
  v1::Hello hello =
      HelloWithQueues({{"c", 1000}, {"b", 2}, {"a", 0}, {"b", 3}});
  OpenSessionCommand command;
  APIUM_ASSERT_OK(OpenSessionFromProto(kMaxCredit, &hello, &command));
  EXPECT_THAT(command.queues, ElementsAre("a", "b", "c"));
  EXPECT_THAT(command.queue_weights, ElementsAre(1, 3, 1000));
}

TEST(OpenSessionFromProtoTest, QueuesOfOneWeightHaveNone) {
  v1::Hello hello = HelloWithQueues({{"b", 1}, {"a", 0}});
  OpenSessionCommand command;
  APIUM_ASSERT_OK(OpenSessionFromProto(kMaxCredit, &hello, &command));
  EXPECT_THAT(command.queues, ElementsAre("a", "b"));
  EXPECT_THAT(command.queue_weights, IsEmpty());
}

TEST(ReportFromProtoTest, TakesEveryKindOfReportOver) {
  v1::WorkerReport report;
  SetLease(report.add_started()->mutable_lease(), 1);
  report.mutable_started(0)->mutable_start_time()->set_seconds(100);
  v1::TaskProgress* progress = report.add_progress();
  SetLease(progress->mutable_lease(), 2);
  progress->mutable_progress()->set_completed(1);
  progress->mutable_progress()->set_total(4);
  progress->mutable_progress()->set_message("quarter");
  v1::ExecutionOutcome* outcome = report.add_outcomes();
  SetLease(outcome->mutable_lease(), 3);
  outcome->mutable_start_time()->set_seconds(99);
  outcome->mutable_result()->set_data("42");
  outcome = report.add_outcomes();
  SetLease(outcome->mutable_lease(), 4);
  outcome->mutable_failure()->set_type("ValueError");
  outcome = report.add_outcomes();
  SetLease(outcome->mutable_lease(), 5);
  outcome->mutable_cancelled()->set_reason("asked");
  outcome = report.add_outcomes();
  SetLease(outcome->mutable_lease(), 6);
  outcome->mutable_returned()->set_reason("draining");
  outcome = report.add_outcomes();
  SetLease(outcome->mutable_lease(), 7);
  outcome->mutable_retry()->mutable_delay()->set_seconds(8);
  outcome->mutable_retry()->mutable_failure()->set_type("Busy");
  report.set_credit(9);
  report.set_draining(true);
  const auto converted = Convert(report);
  APIUM_ASSERT_OK(converted);
  ASSERT_EQ(converted->commands.size(), 1u);
  EXPECT_EQ(converted->commands[0].items, 7u);
  const WorkerReportCommand& command = converted->at(0);
  EXPECT_EQ(command.started.at(0).start_time, absl::FromUnixSeconds(100));
  EXPECT_EQ(command.progress.at(0).progress.message, "quarter");
  ASSERT_EQ(command.outcomes.size(), 5u);
  using Kind = ExecutionReport::Kind;
  EXPECT_EQ(command.outcomes[0].kind, Kind::kSucceeded);
  EXPECT_EQ(command.outcomes[0].result.data, "42");
  EXPECT_EQ(command.outcomes[0].start_time, absl::FromUnixSeconds(99));
  EXPECT_EQ(command.outcomes[1].kind, Kind::kFailed);
  EXPECT_EQ(command.outcomes[1].failure.type, "ValueError");
  EXPECT_EQ(command.outcomes[1].start_time, absl::InfinitePast());
  EXPECT_EQ(command.outcomes[2].kind, Kind::kCancelled);
  EXPECT_EQ(command.outcomes[2].reason, "asked");
  EXPECT_EQ(command.outcomes[3].kind, Kind::kReturned);
  EXPECT_EQ(command.outcomes[3].reason, "draining");
  EXPECT_EQ(command.outcomes[4].kind, Kind::kRetry);
  EXPECT_EQ(command.outcomes[4].retry_delay, absl::Seconds(8));
  EXPECT_EQ(command.outcomes[4].failure.type, "Busy");
  EXPECT_EQ(command.credit, 9u);
  EXPECT_TRUE(command.draining);
}

TEST(ReportFromProtoTest, TakesOverReturnsWithADelayAndCrashes) {
  v1::WorkerReport report;
  v1::ExecutionOutcome* outcome = report.add_outcomes();
  SetLease(outcome->mutable_lease(), 1);
  outcome->mutable_returned()->mutable_delay();
  outcome = report.add_outcomes();
  SetLease(outcome->mutable_lease(), 2);
  outcome->mutable_returned();
  outcome = report.add_outcomes();
  SetLease(outcome->mutable_lease(), 3);
  outcome->mutable_crashed()->mutable_failure()->set_message("signal 11");
  const auto converted = Convert(report);
  APIUM_ASSERT_OK(converted);
  const auto& outcomes = converted->at(0).outcomes;
  ASSERT_EQ(outcomes.size(), 3u);
  EXPECT_EQ(outcomes[0].return_delay, absl::ZeroDuration());
  EXPECT_EQ(outcomes[1].return_delay, std::nullopt);
  EXPECT_EQ(outcomes[2].kind, ExecutionReport::Kind::kCrashed);
  EXPECT_EQ(outcomes[2].failure.message, "signal 11");
}

TEST(ReportFromProtoTest, TakesOverChargesAndThrottledLimits) {
  v1::WorkerReport report;
  v1::LimitCharge* charge = report.add_charges();
  SetLease(charge->mutable_lease(), 1);
  charge->set_limit("api");
  charge->set_points(-2.5);
  v1::ExecutionOutcome* outcome = report.add_outcomes();
  SetLease(outcome->mutable_lease(), 1);
  outcome->mutable_returned()->set_throttled_limit("api");
  outcome->mutable_returned()->mutable_delay()->set_seconds(30);
  const auto converted = Convert(report);
  APIUM_ASSERT_OK(converted);
  ASSERT_EQ(converted->at(0).charges.size(), 1u);
  EXPECT_EQ(converted->at(0).charges[0].lease.epoch, 1u);
  EXPECT_EQ(converted->at(0).charges[0].limit, "api");
  EXPECT_EQ(converted->at(0).charges[0].points, -2.5);
  ASSERT_EQ(converted->at(0).outcomes.size(), 1u);
  EXPECT_EQ(converted->at(0).outcomes[0].throttled_limit, "api");
  EXPECT_EQ(converted->at(0).outcomes[0].return_delay, absl::Seconds(30));
}

TEST(ReportFromProtoTest, EveryPieceOfADrainingWorkersReportSaysSo) {
  v1::WorkerReport report;
  for (uint64_t epoch = 1; epoch <= 1500; ++epoch) {
    v1::ExecutionOutcome* outcome = report.add_outcomes();
    SetLease(outcome->mutable_lease(), epoch);
    outcome->mutable_returned();
  }
  report.set_draining(true);
  const auto converted = Convert(report);
  APIUM_ASSERT_OK(converted);
  ASSERT_EQ(converted->commands.size(), 2u);
  EXPECT_TRUE(converted->at(0).draining);
  EXPECT_TRUE(converted->at(1).draining);
}

TEST(ReportFromProtoTest, AHeartbeatAloneIsOneCommand) {
  v1::WorkerReport report;
  report.mutable_heartbeat()->set_busy_slots(1);
  const auto converted = Convert(report);
  APIUM_ASSERT_OK(converted);
  ASSERT_EQ(converted->commands.size(), 1u);
  EXPECT_EQ(converted->commands[0].items, 1u);
}

TEST(ReportFromProtoTest, CutsALargeReportWithTheCreditLast) {
  v1::WorkerReport report;
  for (uint64_t epoch = 1; epoch <= 2500; ++epoch) {
    v1::ExecutionOutcome* outcome = report.add_outcomes();
    SetLease(outcome->mutable_lease(), epoch);
    outcome->mutable_result();
  }
  report.set_credit(1000);
  const auto converted = Convert(report);
  APIUM_ASSERT_OK(converted);
  ASSERT_EQ(converted->commands.size(), 3u);
  uint64_t epoch = 0;
  for (size_t i = 0; i < 3; ++i) {
    for (const ExecutionReport& outcome : converted->at(i).outcomes) {
      EXPECT_EQ(outcome.lease.epoch, ++epoch);
    }
    EXPECT_EQ(converted->at(i).credit, i == 2 ? 1000u : 0u);
    EXPECT_EQ(converted->commands[i].items, converted->at(i).outcomes.size());
  }
  EXPECT_EQ(epoch, 2500u);
}

TEST(ReportFromProtoTest, CutsAReportByItsBytes) {
  v1::WorkerReport report;
  for (uint64_t epoch = 1; epoch <= 3; ++epoch) {
    v1::ExecutionOutcome* outcome = report.add_outcomes();
    SetLease(outcome->mutable_lease(), epoch);
    outcome->mutable_result()->set_data(std::string(600 * 1024, 'x'));
  }
  const auto converted = Convert(report);
  APIUM_ASSERT_OK(converted);
  EXPECT_EQ(converted->commands.size(), 3u);
}

TEST(ReportFromProtoTest, MakesAFinalFailureOfAResultThatIsTooLarge) {
  v1::WorkerReport report;
  v1::ExecutionOutcome* outcome = report.add_outcomes();
  SetLease(outcome->mutable_lease(), 3);
  outcome->mutable_result()->set_data(std::string(11, 'x'));
  const auto converted = Convert(report, {.payload_bytes_max = 10});
  APIUM_ASSERT_OK(converted);
  const ExecutionReport& made = converted->at(0).outcomes.at(0);
  EXPECT_EQ(made.kind, ExecutionReport::Kind::kFailed);
  EXPECT_EQ(made.failure.type, "apium.ResultTooLarge");
  EXPECT_TRUE(made.failure.non_retryable);
  EXPECT_THAT(made.failure.message, HasSubstr("11 bytes; the limit is 10"));
  EXPECT_THAT(converted->oversized, ElementsAre(3));
}

struct BadReport {
  const char* name;
  std::function<void(v1::WorkerReport*)> spoil;
  const char* field;
};

class BadReportTest : public testing::TestWithParam<BadReport> {};

TEST_P(BadReportTest, IsRefusedByField) {
  v1::WorkerReport report;
  GetParam().spoil(&report);
  const auto converted = Convert(report);
  EXPECT_THAT(converted, StatusIs(absl::StatusCode::kInvalidArgument));
  ASSERT_EQ(FieldViolationsOf(converted.status()).size(), 1u);
  EXPECT_EQ(FieldViolationsOf(converted.status())[0].first, GetParam().field);
}

INSTANTIATE_TEST_SUITE_P(
    All, BadReportTest,
    testing::Values(
        BadReport{"Credit", [](auto* r) { r->set_credit(kMaxCredit + 1); },
                  "report.credit"},
        BadReport{"ReturnDelay",
                  [](auto* r) {
                    v1::ExecutionOutcome* outcome = r->add_outcomes();
                    SetLease(outcome->mutable_lease(), 1);
                    outcome->mutable_returned()->mutable_delay()->set_seconds(
                        -1);
                  },
                  "report.outcomes.returned.delay"},
        BadReport{"ThrottledLimit",
                  [](auto* r) {
                    v1::ExecutionOutcome* outcome = r->add_outcomes();
                    SetLease(outcome->mutable_lease(), 1);
                    outcome->mutable_returned()->set_throttled_limit("a b");
                  },
                  "report.outcomes.returned.throttled_limit"},
        BadReport{"ChargeWithoutLease", [](auto* r) { r->add_charges(); },
                  "report.charges.lease.task_id"},
        BadReport{
            "ChargeOfNoLimit",
            [](auto* r) { SetLease(r->add_charges()->mutable_lease(), 1); },
            "report.charges.limit"},
        BadReport{"ChargeThatIsNoNumber",
                  [](auto* r) {
                    v1::LimitCharge* charge = r->add_charges();
                    SetLease(charge->mutable_lease(), 1);
                    charge->set_limit("api");
                    charge->set_points(std::nan(""));
                  },
                  "report.charges.points"},
        BadReport{"StartedWithoutLease", [](auto* r) { r->add_started(); },
                  "report.started.lease.task_id"},
        BadReport{"StartTime",
                  [](auto* r) {
                    SetLease(r->add_started()->mutable_lease(), 1);
                    r->mutable_started(0)->mutable_start_time()->set_nanos(-1);
                  },
                  "report.started.start_time"},
        BadReport{"ProgressWithoutEpoch",
                  [](auto* r) {
                    SetLease(r->add_progress()->mutable_lease(), 1);
                    r->mutable_progress(0)->mutable_lease()->set_epoch(0);
                  },
                  "report.progress.lease.epoch"},
        BadReport{"OutcomeWithoutAttempt",
                  [](auto* r) {
                    SetLease(r->add_outcomes()->mutable_lease(), 1);
                    r->mutable_outcomes(0)->mutable_lease()->set_attempt(0);
                  },
                  "report.outcomes.lease.attempt"},
        BadReport{
            "OutcomeThatSaysNothing",
            [](auto* r) { SetLease(r->add_outcomes()->mutable_lease(), 1); },
            "report.outcomes"},
        BadReport{"RetryDelay",
                  [](auto* r) {
                    SetLease(r->add_outcomes()->mutable_lease(), 1);
                    r->mutable_outcomes(0)
                        ->mutable_retry()
                        ->mutable_delay()
                        ->set_seconds(-1);
                  },
                  "report.outcomes.retry.delay"},
        BadReport{"ContentType",
                  [](auto* r) {
                    SetLease(r->add_outcomes()->mutable_lease(), 1);
                    r->mutable_outcomes(0)->mutable_result()->set_content_type(
                        std::string(256, 'x'));
                  },
                  "report.outcomes.result.content_type"}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace apium::broker
