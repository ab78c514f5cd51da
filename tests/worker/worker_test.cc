// A whole worker against a broker that the test plays, over a real stream.

#include "worker/worker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/collectable.h>
#include <prometheus/text_serializer.h>

#include <atomic>
#include <cmath>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "tests/support/status_matchers.h"
#include "tests/worker/fake_broker.h"
#include "worker/builtin_tasks.h"
#include "worker/task_error.h"

namespace apium {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

const grpc::Status kGone(grpc::StatusCode::UNAVAILABLE, "going down");

auto HasOutcome(uint64_t epoch) {
  return [epoch](const StreamLog& log) { return log.outcomes.contains(epoch); };
}
auto HasCredit(uint64_t credit) {
  return [credit](const StreamLog& log) { return log.credit >= credit; };
}

class WorkerTest : public ::testing::Test {
 protected:
  // Starts a worker with the built-in tasks and those of `add`.
  void StartWorker(WorkerOptions options,
                   const std::function<void(Worker&)>& add = nullptr) {
    if (options.brokers.empty()) options.brokers = {broker_.target()};
    if (options.worker_id.empty()) options.worker_id = "w1";
    if (options.slots == 0) options.slots = 2;
    worker_ = std::make_unique<Worker>(std::move(options));
    APIUM_ASSERT_OK(RegisterBuiltinTasks(worker_.get()));
    if (add) add(*worker_);
    APIUM_ASSERT_OK(worker_->Start());
  }

  // Waits for the worker's next stream and welcomes it.
  std::shared_ptr<FakeStream> Welcomed(
      const std::string& session_id = "s1",
      std::function<void(v1::Welcome*)> change = nullptr) {
    std::shared_ptr<FakeStream> stream = broker_.NextStream();
    if (stream == nullptr) {
      ADD_FAILURE() << "the worker opened no stream";
      std::abort();
    }
    stream->Welcome(session_id, std::move(change));
    return stream;
  }

  // Lets handlers go on; outlives the worker.
  absl::Notification end_;
  std::unique_ptr<Worker> worker_;
  // Destroyed first, or the worker would wait for acknowledgements.
  FakeBroker broker_;
};

TEST_F(WorkerTest, IntroducesItself) {
  StartWorker({.namespace_name = "team",
               .queues = {"mail", "slow"},
               .queue_weights = {{"slow", 3}},
               .labels = {{"zone", "eu"}},
               .slots = 3});
  const v1::Hello hello = broker_.NextStream()->hello();
  EXPECT_EQ(hello.namespace_(), "team");
  EXPECT_EQ(hello.worker_id(), "w1");
  EXPECT_EQ(hello.session_id(), "");
  EXPECT_EQ(hello.slots(), 3u);
  EXPECT_EQ(hello.labels().at("zone"), "eu");
  std::vector<std::string> types;
  for (const auto& offer : hello.task_types()) types.push_back(offer.type());
  EXPECT_THAT(types, ElementsAre("apium.count", "apium.echo", "apium.fail",
                                 "apium.noop", "apium.sleep"));
  ASSERT_EQ(hello.queues_size(), 2);
  EXPECT_EQ(hello.queues(0).weight(), 0u);
  EXPECT_EQ(hello.queues(1).queue(), "slow");
  EXPECT_EQ(hello.queues(1).weight(), 3u);
  EXPECT_NE(hello.hostname(), "");
  EXPECT_NE(hello.version(), "");
}

TEST_F(WorkerTest, RunsATypedTaskAndReturnsItsResult) {
  StartWorker({}, [](Worker& worker) {
    APIUM_ASSERT_OK(worker.Register(
        "math.add", [](int64_t a, int64_t b) { return a + b; }));
  });
  auto stream = Welcomed();
  ASSERT_TRUE(stream->Await(HasCredit(2)));
  stream->Deliver({1}, "math.add", R"({"args":[2,3]})");
  ASSERT_TRUE(stream->Await(HasOutcome(1)));
  const v1::ExecutionOutcome outcome = stream->log().outcomes[1];
  EXPECT_EQ(outcome.result().data(), "5");
  EXPECT_EQ(outcome.result().content_type(), "application/json");
  EXPECT_EQ(outcome.lease().task_id(), "task-1");
  EXPECT_EQ(outcome.lease().attempt(), 1u);
  EXPECT_TRUE(outcome.has_start_time());
}

TEST_F(WorkerTest, GrantsSlotsAndPrefetchAndRefillsThem) {
  StartWorker({.slots = 3, .prefetch = 2});
  auto stream = Welcomed();
  ASSERT_TRUE(stream->Await(HasCredit(5)));
  stream->Deliver({1, 2, 3, 4, 5}, "apium.noop");
  ASSERT_TRUE(stream->Await(HasCredit(10)));
  EXPECT_EQ(stream->log().credit, 10u);
  EXPECT_EQ(stream->log().outcomes.size(), 5u);
}

TEST_F(WorkerTest, RunsALargeBatchInFewReports) {
  StartWorker({.slots = 2000});
  auto stream = Welcomed();
  ASSERT_TRUE(stream->Await(HasCredit(2000)));
  std::vector<uint64_t> epochs;
  for (uint64_t epoch = 1; epoch <= 2000; ++epoch) epochs.push_back(epoch);
  stream->Deliver(epochs, "apium.noop");
  ASSERT_TRUE(stream->Await(
      [](const StreamLog& log) { return log.outcomes.size() == 2000; }));
  EXPECT_LT(stream->log().reports, 1000);
  EXPECT_EQ(stream->log().credit, 4000u);
}

TEST_F(WorkerTest, ReportsStartAndProgressOfATaskThatTakesTime) {
  StartWorker({}, [&](Worker& worker) {
    APIUM_ASSERT_OK(worker.Register("test.slow", [&](TaskContext& context) {
      context.SetProgress(1, 4, "a quarter");
      end_.WaitForNotification();
    }));
  });
  auto stream = Welcomed();
  stream->Await(HasCredit(2));
  stream->Deliver({1}, "test.slow");
  ASSERT_TRUE(stream->Await([](const StreamLog& log) {
    return log.started.contains(1) && log.progress.contains(1);
  }));
  EXPECT_EQ(stream->log().progress[1].total(), 4);
  EXPECT_EQ(stream->log().progress[1].message(), "a quarter");
  EXPECT_FALSE(stream->log().outcomes.contains(1));
  end_.Notify();
  EXPECT_TRUE(stream->Await(HasOutcome(1)));
}

TEST_F(WorkerTest, ChargesReachTheBrokerBeforeTheOutcome) {
  absl::Status no_name;
  absl::Status not_finite;
  StartWorker({}, [&](Worker& worker) {
    APIUM_ASSERT_OK(worker.Register("test.charge", [&](TaskContext& context) {
      APIUM_EXPECT_OK(context.Charge("tokens", 1200));
      APIUM_EXPECT_OK(context.Charge("tokens", -200));
      APIUM_EXPECT_OK(context.Charge("calls", 0));
      no_name = context.Charge("no name", 1);
      not_finite = context.Charge("tokens", std::nan(""));
    }));
  });
  auto stream = Welcomed();
  stream->Await(HasCredit(2));
  stream->Deliver({1}, "test.charge");
  ASSERT_TRUE(stream->Await(HasOutcome(1)));
  EXPECT_THAT(stream->log().charges,
              ElementsAre(Pair(Pair(1u, "tokens"), 1000)));
  EXPECT_THAT(no_name, StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(not_finite, StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(WorkerTest, AThrottledTaskIsHandedBackWithTheLimit) {
  StartWorker({}, [&](Worker& worker) {
    APIUM_ASSERT_OK(worker.Register("test.throttled", [] {
      return Throttled("smtp", absl::Seconds(30), "the server says 429");
    }));
  });
  auto stream = Welcomed();
  stream->Await(HasCredit(2));
  stream->Deliver({1}, "test.throttled");
  ASSERT_TRUE(stream->Await(HasOutcome(1)));
  const v1::ExecutionReturned returned = stream->log().outcomes[1].returned();
  EXPECT_EQ(returned.throttled_limit(), "smtp");
  EXPECT_EQ(returned.delay().seconds(), 30);
  EXPECT_EQ(returned.reason(), "the server says 429");
}

TEST_F(WorkerTest, SendsHeartbeatsAsOftenAsTheBrokerWants) {
  StartWorker({});
  auto stream = Welcomed("s1", [](v1::Welcome* welcome) {
    welcome->mutable_heartbeat_interval()->Clear();
    welcome->mutable_heartbeat_interval()->set_nanos(20'000'000);
  });
  EXPECT_TRUE(
      stream->Await([](const StreamLog& log) { return log.heartbeats >= 5; }));
}

TEST_F(WorkerTest, CancelsARunningTask) {
  StartWorker({});
  auto stream = Welcomed();
  stream->Await(HasCredit(2));
  stream->Deliver({1}, "apium.sleep", R"({"args":[3600]})");
  ASSERT_TRUE(stream->Await(
      [](const StreamLog& log) { return log.started.contains(1); }));
  stream->Cancel(1, "no longer needed");
  ASSERT_TRUE(stream->Await(HasOutcome(1)));
  EXPECT_EQ(stream->log().outcomes[1].cancelled().reason(), "no longer needed");
}

TEST_F(WorkerTest, CancelsAtTheSoftTimeLimit) {
  StartWorker({});
  auto stream = Welcomed();
  stream->Await(HasCredit(2));
  stream->Deliver({1}, "apium.sleep", R"({"args":[3600]})",
                  [](v1::TaskSpec* spec) {
                    spec->mutable_soft_time_limit()->set_nanos(10'000'000);
                  });
  ASSERT_TRUE(stream->Await(HasOutcome(1)));
  EXPECT_EQ(stream->log().outcomes[1].failure().type(),
            failure_type::kTimeLimit);
}

TEST_F(WorkerTest, BuiltInTasksDoWhatTheySay) {
  StartWorker({.slots = 8});
  auto stream = Welcomed();
  stream->Await(HasCredit(8));
  stream->Deliver({1}, "apium.echo", R"({"args":["x"]})");
  stream->Deliver(
      {2}, "apium.fail",
      R"({"args":["boom","my.Type"],"kwargs":{"non_retryable":true}})");
  stream->Deliver({3}, "apium.fail", R"({"kwargs":{"succeed_at_attempt":1}})");
  stream->Deliver({4}, "apium.fail", R"({"kwargs":{"succeed_at_attempt":2}})");
  stream->Deliver({5}, "apium.sleep", R"({"args":[0.01]})");
  stream->Deliver({6}, "apium.sleep", R"({"args":[-1]})");
  stream->Deliver({7}, "nobody.knows");
  stream->Deliver({8}, "apium.noop");
  ASSERT_TRUE(stream->Await(
      [](const StreamLog& log) { return log.outcomes.size() == 8; }));
  auto outcomes = stream->log().outcomes;
  EXPECT_EQ(outcomes[1].result().data(), R"({"args":["x"]})");
  EXPECT_EQ(outcomes[1].result().content_type(), "application/json");
  EXPECT_EQ(outcomes[2].failure().type(), "my.Type");
  EXPECT_EQ(outcomes[2].failure().message(), "boom");
  EXPECT_TRUE(outcomes[2].failure().non_retryable());
  EXPECT_EQ(outcomes[3].result().data(), "1");
  EXPECT_EQ(outcomes[4].failure().type(), "apium.Fail");
  EXPECT_EQ(outcomes[5].result().data(), "0.01");
  EXPECT_EQ(outcomes[6].failure().type(), failure_type::kBadArguments);
  EXPECT_EQ(outcomes[7].failure().type(), failure_type::kUnknownTaskType);
  EXPECT_TRUE(outcomes[8].has_result());
}

TEST_F(WorkerTest, ResumesItsSessionAndSaysAgainWhatWasNotAcknowledged) {
  StartWorker({.slots = 3}, [&](Worker& worker) {
    APIUM_ASSERT_OK(
        worker.Register("test.wait", [&] { end_.WaitForNotification(); }));
  });
  auto stream = Welcomed();
  stream->Await(HasCredit(3));
  stream->Deliver({1}, "test.wait");
  stream->Deliver({2, 3}, "apium.noop");
  ASSERT_TRUE(stream->Await([](const StreamLog& log) {
    return log.outcomes.contains(2) && log.outcomes.contains(3);
  }));
  stream->Acknowledge({2});
  stream->End(kGone);

  auto next = broker_.NextStream();
  ASSERT_NE(next, nullptr);
  const v1::Hello hello = next->hello();
  EXPECT_EQ(hello.session_id(), "s1");
  std::vector<uint64_t> held;
  for (const auto& lease : hello.held_leases()) {
    held.push_back(lease.epoch());
  }
  EXPECT_THAT(held, ElementsAre(1, 3));
  next->Welcome("s1", [](v1::Welcome* welcome) { welcome->set_resumed(true); });
  ASSERT_TRUE(next->Await(HasOutcome(3)));
  end_.Notify();
  ASSERT_TRUE(next->Await(HasOutcome(1)));
  EXPECT_FALSE(next->log().outcomes.contains(2));
}

TEST_F(WorkerTest, StopsLostTasksAndDropsTheirOutcomes) {
  StartWorker({.slots = 3});
  auto stream = Welcomed();
  stream->Await(HasCredit(3));
  stream->Deliver({1}, "apium.sleep", R"({"args":[3600]})");
  stream->Deliver({2}, "apium.noop");
  ASSERT_TRUE(stream->Await([](const StreamLog& log) {
    return log.outcomes.contains(2) && log.started.contains(1);
  }));
  stream->End(kGone);
  auto next = Welcomed("s1", [](v1::Welcome* welcome) {
    welcome->set_resumed(true);
    welcome->add_lost_epochs(1);
    welcome->add_lost_epochs(2);
  });
  // The slot of the task that was stopped is granted again.
  ASSERT_TRUE(next->Await(HasCredit(3)));
  EXPECT_TRUE(next->log().outcomes.empty());
}

TEST_F(WorkerTest, ForgetsRefusedOutcomes) {
  StartWorker({});
  auto stream = Welcomed();
  stream->Await(HasCredit(2));
  stream->Deliver({1}, "apium.noop");
  ASSERT_TRUE(stream->Await(HasOutcome(1)));
  stream->Push([](v1::BrokerPush* push) {
    v1::RefusedReport* refused = push->add_refused();
    refused->set_epoch(1);
    refused->mutable_error()->set_code(
        static_cast<int>(absl::StatusCode::kFailedPrecondition));
    refused->mutable_error()->set_reason("LEASE_LOST");
  });
  stream->End(kGone);
  auto next = broker_.NextStream();
  ASSERT_NE(next, nullptr);
  EXPECT_EQ(next->hello().held_leases_size(), 0);
}

TEST_F(WorkerTest, ReconnectsUntilTheBrokerTakesIt) {
  StartWorker({});
  for (int i = 0; i < 3; ++i) {
    auto stream = broker_.NextStream();
    ASSERT_NE(stream, nullptr);
    stream->End(
        grpc::Status(grpc::StatusCode::NOT_FOUND, "no queue \"default\""));
  }
  auto stream = Welcomed();
  EXPECT_TRUE(stream->Await(HasCredit(2)));
  EXPECT_TRUE(worker_->WaitUntilConnected(kTestPatience));
  APIUM_EXPECT_OK(worker_->ConnectionStatus());
}

TEST_F(WorkerTest, GarbageFromTheBrokerEndsTheStreamAndTheWorkerComesBack) {
  StartWorker({});
  auto stream = Welcomed();
  ASSERT_TRUE(stream->Await(HasCredit(2)));
  stream->Push([](v1::BrokerPush* push) { push->add_deliveries(); });
  EXPECT_TRUE(stream->Await([](const StreamLog& log) { return log.over; }));
  auto next = Welcomed();
  next->Await(HasCredit(2));
  next->Deliver({1}, "apium.noop");
  EXPECT_TRUE(next->Await(HasOutcome(1)));
}

TEST_F(WorkerTest, SaysWhyItIsNotConnected) {
  StartWorker({});
  auto stream = broker_.NextStream();
  ASSERT_NE(stream, nullptr);
  stream->End(grpc::Status(grpc::StatusCode::NOT_FOUND, "no such queue"));
  ASSERT_NE(broker_.NextStream(), nullptr) << "so the first stream is over";
  EXPECT_FALSE(worker_->connected());
  EXPECT_THAT(
      worker_->ConnectionStatus(),
      StatusIs(absl::StatusCode::kUnavailable, HasSubstr("no such queue")));
}

TEST_F(WorkerTest, TakesTasksFromSeveralBrokers) {
  FakeBroker other;
  StartWorker({.brokers = {broker_.target(), other.target()}, .slots = 8});
  auto first = Welcomed("a");
  auto second = other.NextStream();
  ASSERT_NE(second, nullptr);
  second->Welcome("b");
  ASSERT_TRUE(first->Await(HasCredit(2)));
  ASSERT_TRUE(second->Await(HasCredit(2)));
  first->Deliver({1, 2}, "apium.noop");
  second->Deliver({1}, "apium.noop");
  EXPECT_TRUE(first->Await(HasOutcome(2)));
  EXPECT_TRUE(second->Await(HasOutcome(1)));
}

TEST_F(WorkerTest, APlaceThatOneBrokerFreesGoesToTheOtherThatWaits) {
  FakeBroker other;
  StartWorker({.brokers = {broker_.target(), other.target()}, .slots = 4});
  auto idle = Welcomed("a");
  auto busy = other.NextStream();
  ASSERT_NE(busy, nullptr);
  busy->Welcome("b");
  ASSERT_TRUE(idle->Await(HasCredit(1)));
  const std::string sleep = R"({"args":[3600]})";
  // Each uses its share, then both want the two places that are left; the
  // first takes them.
  for (uint64_t epoch = 1; epoch <= 3; ++epoch) {
    ASSERT_TRUE(idle->Await(HasCredit(epoch)));
    idle->Deliver({epoch}, "apium.sleep", sleep);
  }
  ASSERT_TRUE(busy->Await(HasCredit(1)));
  busy->Deliver({1}, "apium.sleep", sleep);
  ASSERT_TRUE(busy->Await(
      [](const StreamLog& log) { return log.started.contains(1); }));
  EXPECT_EQ(busy->log().credit, 1u);
  idle->Cancel(1, "make room");
  idle->Cancel(2, "make room");
  EXPECT_TRUE(busy->Await(HasCredit(2)));
}

TEST_F(WorkerTest, DrainFinishesWhatRunsAndTakesNoMore) {
  StartWorker({}, [&](Worker& worker) {
    APIUM_ASSERT_OK(
        worker.Register("test.wait", [&] { end_.WaitForNotification(); }));
  });
  auto stream = Welcomed();
  stream->Await(HasCredit(2));
  stream->Deliver({1}, "test.wait");
  ASSERT_TRUE(stream->Await(
      [](const StreamLog& log) { return log.started.contains(1); }));
  absl::Status drained;
  std::thread drain([&] { drained = worker_->Drain(absl::Hours(1)); });
  ASSERT_TRUE(stream->Await([](const StreamLog& log) { return log.draining; }));
  end_.Notify();
  ASSERT_TRUE(stream->Await(HasOutcome(1)));
  EXPECT_TRUE(stream->log().outcomes[1].has_result());
  EXPECT_EQ(stream->log().credit, 2u) << "nothing granted since";
  stream->Acknowledge({1});
  drain.join();
  APIUM_EXPECT_OK(drained);
}

TEST_F(WorkerTest, DrainCancelsAndHandsBackAfterTheGrace) {
  StartWorker({});
  auto stream = Welcomed();
  stream->Await(HasCredit(2));
  stream->Deliver({1}, "apium.sleep", R"({"args":[3600]})");
  ASSERT_TRUE(stream->Await(
      [](const StreamLog& log) { return log.started.contains(1); }));
  absl::Status drained;
  std::thread drain([&] { drained = worker_->Drain(absl::ZeroDuration()); });
  ASSERT_TRUE(stream->Await(HasOutcome(1)));
  EXPECT_EQ(stream->log().outcomes[1].returned().reason(), "draining");
  stream->Acknowledge({1});
  drain.join();
  APIUM_EXPECT_OK(drained);
}

TEST_F(WorkerTest, DrainHandsBackATaskThatIgnoresItsCancellation) {
  StartWorker({}, [&](Worker& worker) {
    APIUM_ASSERT_OK(
        worker.Register("test.stubborn", [&] { end_.WaitForNotification(); }));
  });
  auto stream = Welcomed();
  stream->Await(HasCredit(2));
  stream->Deliver({1}, "test.stubborn");
  ASSERT_TRUE(stream->Await(
      [](const StreamLog& log) { return log.started.contains(1); }));
  absl::Status drained;
  std::thread drain([&] { drained = worker_->Drain(absl::ZeroDuration()); });
  ASSERT_TRUE(stream->Await(HasOutcome(1)));
  EXPECT_EQ(stream->log().outcomes[1].returned().reason(), "draining");
  stream->Acknowledge({1});
  drain.join();
  APIUM_EXPECT_OK(drained);
  EXPECT_EQ(worker_->busy_slots(), 1u);
  end_.Notify();
}

TEST_F(WorkerTest, AShorterDrainCutsTheGraceOfALongerOne) {
  StartWorker({});
  auto stream = Welcomed();
  stream->Await(HasCredit(2));
  stream->Deliver({1}, "apium.sleep", R"({"args":[3600]})");
  ASSERT_TRUE(stream->Await(
      [](const StreamLog& log) { return log.started.contains(1); }));
  std::thread drain([&] { APIUM_EXPECT_OK(worker_->Drain(absl::Hours(1))); });
  ASSERT_TRUE(stream->Await([](const StreamLog& log) { return log.draining; }));
  std::thread hurry(
      [&] { APIUM_EXPECT_OK(worker_->Drain(absl::ZeroDuration())); });
  ASSERT_TRUE(stream->Await(HasOutcome(1)));
  stream->Acknowledge({1});
  drain.join();
  hurry.join();
}

TEST_F(WorkerTest, DrainsWhenAnOperatorAsks) {
  absl::Notification asked;
  StartWorker({.on_drain_requested = [&] { asked.Notify(); }});
  auto stream = Welcomed();
  stream->Await(HasCredit(2));
  stream->Push([](v1::BrokerPush* push) {
    v1::ControlCommand* control = push->add_controls();
    control->set_control_id(9);
    control->mutable_drain();
  });
  EXPECT_TRUE(stream->Await([](const StreamLog& log) {
    return log.draining && log.control_replies.contains(9);
  }));
  EXPECT_TRUE(asked.WaitForNotificationWithTimeout(kTestPatience));
}

TEST_F(WorkerTest, StopSaysGoodbye) {
  StartWorker({});
  auto stream = Welcomed();
  ASSERT_TRUE(stream->Await(HasCredit(2)));
  worker_->Stop();
  EXPECT_TRUE(stream->log().half_closed);
  worker_->Stop();
}

TEST_F(WorkerTest, StopReturnsWhenNoBrokerIsThere) {
  auto gone = std::make_unique<FakeBroker>();
  const std::string target = gone->target();
  gone.reset();
  StartWorker({.brokers = {target}});
  worker_->Stop();
  EXPECT_FALSE(worker_->connected());
}

TEST_F(WorkerTest, ALargeResultArrivesAndATooLargeOneFails) {
  StartWorker({.slots = 2, .result_bytes_max = 5'000'000}, [](Worker& worker) {
    APIUM_ASSERT_OK(worker.Register("test.large", [](int bytes) {
      v1::Payload payload;
      payload.set_data(std::string(bytes, 'x'));
      return payload;
    }));
  });
  auto stream = Welcomed();
  stream->Await(HasCredit(2));
  stream->Deliver({1}, "test.large", R"({"args":[5000000]})");
  stream->Deliver({2}, "test.large", R"({"args":[5000001]})");
  ASSERT_TRUE(stream->Await(
      [](const StreamLog& log) { return log.outcomes.size() == 2; }));
  EXPECT_EQ(stream->log().outcomes[1].result().data().size(), 5'000'000u);
  EXPECT_EQ(stream->log().outcomes[2].failure().type(),
            failure_type::kBadResult);
}

TEST_F(WorkerTest, CountsWhatItDoes) {
  StartWorker({.slots = 2});
  auto stream = Welcomed();
  stream->Await(HasCredit(2));
  stream->Deliver({1}, "apium.noop");
  stream->Deliver({2}, "apium.fail");
  ASSERT_TRUE(stream->Await(
      [](const StreamLog& log) { return log.outcomes.size() == 2; }));
  const std::string text =
      prometheus::TextSerializer().Serialize(worker_->metrics()->Collect());
  EXPECT_THAT(text, HasSubstr("apium_worker_slots 2"));
  EXPECT_THAT(text, HasSubstr("apium_worker_slots_busy 0"));
  EXPECT_THAT(text, HasSubstr("apium_worker_streams_open 1"));
  EXPECT_THAT(text, HasSubstr("apium_worker_tasks_started_total{task_type="
                              "\"apium.noop\"} 1"));
  EXPECT_THAT(text,
              HasSubstr("apium_worker_tasks_completed_total{outcome=\"failed\","
                        "task_type=\"apium.fail\"} 1"));
  EXPECT_THAT(text, HasSubstr("apium_task_run_seconds_count{task_type="
                              "\"apium.noop\"} 1"));
}

TEST(WorkerOptionsTest, StartNamesWhatIsWrong) {
  const auto start = [](WorkerOptions options) {
    Worker worker(std::move(options));
    APIUM_EXPECT_OK(RegisterBuiltinTasks(&worker));
    return worker.Start();
  };
  const auto wrong = [](const std::string& text) {
    return StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(text));
  };
  const std::vector<std::string> brokers = {"127.0.0.1:1"};
  EXPECT_THAT(start({}), wrong("brokers"));
  EXPECT_THAT(start({.brokers = {"nonsense"}}), wrong("\"nonsense\""));
  EXPECT_THAT(start({.brokers = {":80"}}), wrong("both parts"));
  EXPECT_THAT(start({.brokers = brokers, .namespace_name = "A!"}),
              wrong("namespace"));
  EXPECT_THAT(start({.brokers = brokers, .worker_id = "a b"}),
              wrong("worker_id"));
  EXPECT_THAT(start({.brokers = brokers, .queues = {"a b"}}), wrong("queues"));
  EXPECT_THAT(start({.brokers = brokers, .labels = {{"a b", "c"}}}),
              wrong("labels"));
  EXPECT_THAT(start({.brokers = brokers, .labels = {{"apium.worker_id", "w"}}}),
              wrong("by itself"));
  EXPECT_THAT(start({.brokers = brokers,
                     .queues = {"mail"},
                     .queue_weights = {{"default", 2}}}),
              wrong("not among"));
  EXPECT_THAT(start({.brokers = brokers, .queue_weights = {{"default", 1001}}}),
              wrong("in [1, 1000]"));
  EXPECT_THAT(start({.brokers = brokers, .slots = 60'000}),
              wrong("60000 slots"));
}

TEST(WorkerOptionsTest, NeedsATaskOfEachTypeOnce) {
  Worker worker({.brokers = {"127.0.0.1:1"}});
  EXPECT_THAT(worker.Start(), StatusIs(absl::StatusCode::kFailedPrecondition,
                                       HasSubstr("register a function")));
  APIUM_EXPECT_OK(worker.Register("a.b", [] {}));
  EXPECT_THAT(worker.Register("a.b", [] {}),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("a.b")));
  EXPECT_THAT(worker.Register("a b", [] {}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("a b")));
}

}  // namespace
}  // namespace apium
