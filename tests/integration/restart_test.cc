// Programs that stop, are killed, and come back.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "client/json_payload.h"
#include "tests/integration/test_platform.h"
#include "tests/support/status_matchers.h"

namespace apium {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::SizeIs;

class RestartTest : public ::testing::Test {
 protected:
  TaskClient& tasks() { return platform_.tasks(); }

  std::string Submit(SubmitOptions options) {
    absl::StatusOr<TaskHandle> handle = tasks().Submit(std::move(options));
    APIUM_EXPECT_OK(handle);
    return handle.ok() ? handle->id() : "";
  }
  std::string SubmitSleep(double seconds) {
    return Submit({.type = "apium.sleep", .payload = JsonArguments(seconds)});
  }
  std::vector<std::string> SubmitEchoes(int count) {
    std::vector<std::string> ids;
    for (int i = 0; i < count; ++i) {
      ids.push_back(
          Submit({.type = "apium.echo", .payload = JsonArguments(i)}));
    }
    return ids;
  }
  void ExpectEchoed(const std::vector<std::string>& ids) {
    for (size_t i = 0; i < ids.size(); ++i) {
      const auto task = tasks().Wait(ids[i], kLongTime);
      EXPECT_EQ(Describe(task), "SUCCEEDED") << ids[i];
      if (!task.ok()) continue;
      const auto arguments = DecodeJson(task->outcome().result());
      APIUM_ASSERT_OK(arguments);
      EXPECT_EQ((*arguments)["args"][0], i);
    }
  }

  // How often each result comes to a watcher that begins at `cursor`, up to
  // and with that of `last`. Sets `cursor` to where it stopped.
  std::map<std::string, int> WatchUntil(const std::string& last,
                                        std::string* cursor) {
    std::map<std::string, int> seen;
    APIUM_EXPECT_OK(platform_.results().Watch(
        {.after_cursor = *cursor}, [&](const v1::WatchResultsResponse& news) {
          for (const v1::TaskOutcome& outcome : news.outcomes()) {
            ++seen[outcome.task_id()];
          }
          *cursor = news.cursor();
          return !seen.contains(last);
        }));
    return seen;
  }
  std::string EchoAndWait() {
    const std::vector<std::string> ids = SubmitEchoes(1);
    ExpectEchoed(ids);
    return ids.front();
  }

  // Before the platform, whose watch uses them.
  absl::Mutex mu_;
  std::map<std::string, int> seen_;
  size_t wanted_ = 0;
  TestPlatform platform_;
};

TEST_F(RestartTest,
       AWorkerThatIsTerminatedFinishesWhatRunsAndHandsBackTheRest) {
  v1::Queue queue;
  queue.set_name("drained");
  APIUM_ASSERT_OK(platform_.queues().Create(queue));
  auto worker =
      platform_.StartWorker("leaving", {"--queues=drained", "--concurrency=1",
                                        "--prefetch=2", "--shutdown-grace=1h"});
  std::vector<std::string> ids;
  for (int i = 0; i < 3; ++i) {
    ids.push_back(Submit({.type = "apium.sleep",
                          .payload = JsonArguments(i == 0 ? 0.5 : 3600.0),
                          .queue = "drained"}));
  }
  ASSERT_TRUE(AwaitDescription(&tasks(), ids[0], "STARTED"));
  ASSERT_TRUE(AwaitDescription(&tasks(), ids[2], "LEASED"));
  worker->Signal(SIGTERM);
  EXPECT_EQ(worker->Wait(kLongTime), 0) << platform_.LogOf("leaving");

  EXPECT_EQ(Describe(tasks().Wait(ids[0], kLongTime)), "SUCCEEDED");
  for (const std::string& id : {ids[1], ids[2]}) {
    ASSERT_TRUE(AwaitDescription(&tasks(), id, "QUEUED"));
    const auto task = tasks().Get(id);
    EXPECT_EQ(task->returns(), 1u);
    EXPECT_EQ(task->failures() + task->crashes(), 0u);
  }
}

TEST_F(RestartTest, AWorkerWithoutGraceHandsBackWhatRuns) {
  v1::Queue queue;
  queue.set_name("drained");
  APIUM_ASSERT_OK(platform_.queues().Create(queue));
  auto worker = platform_.StartWorker(
      "leaving",
      {"--queues=drained", "--concurrency=1", "--shutdown-grace=0s"});
  const std::string id = Submit({.type = "apium.sleep",
                                 .payload = JsonArguments(3600.0),
                                 .queue = "drained"});
  ASSERT_TRUE(AwaitDescription(&tasks(), id, "STARTED"));
  worker->Signal(SIGTERM);
  EXPECT_EQ(worker->Wait(kLongTime), 0) << platform_.LogOf("leaving");
  ASSERT_TRUE(AwaitDescription(&tasks(), id, "QUEUED"));
  EXPECT_EQ(tasks().Get(id)->returns(), 1u);
  // The next worker runs it again, until it is told to stop.
  const auto next = platform_.StartWorker("next", {"--queues=drained"});
  ASSERT_TRUE(AwaitDescription(&tasks(), id, "STARTED#2"));
  APIUM_EXPECT_OK(tasks().Cancel(id));
  EXPECT_EQ(Describe(tasks().Wait(id, kLongTime)), "CANCELLED#2");
}

TEST_F(RestartTest, ABrokerThatIsKilledGoesOnWhereItWas) {
  const std::string running = SubmitSleep(0.5);
  const std::string lasting = SubmitSleep(3600);
  const std::string delayed =
      Submit({.type = "apium.noop", .delay = absl::Seconds(1)});
  const std::string far =
      Submit({.type = "apium.noop", .delay = absl::Hours(1)});
  const std::string unknown = Submit({.type = "nobody.runs.it"});
  ASSERT_TRUE(AwaitDescription(&tasks(), running, "STARTED"));
  ASSERT_TRUE(AwaitDescription(&tasks(), lasting, "STARTED"));
  const uint64_t epoch = tasks().Get(lasting)->epoch();
  const std::vector<std::string> queued = SubmitEchoes(20);

  platform_.broker().Kill();
  platform_.StartBroker();
  // Its worker has kept it, finishes it, and delivers the outcome.
  const auto finished = tasks().Wait(running, kLongTime);
  EXPECT_EQ(Describe(finished), "SUCCEEDED");
  EXPECT_EQ(finished->outcome().crashes(), 0u);
  EXPECT_EQ(finished->outcome().worker_id(), "worker");
  ExpectEchoed(queued);
  EXPECT_EQ(Describe(tasks().Wait(delayed, kLongTime)), "SUCCEEDED");
  EXPECT_EQ(Describe(tasks().Get(far)), "SCHEDULED");
  EXPECT_EQ(Describe(tasks().Get(unknown)), "QUEUED");
  // The lease is the same, and a cancel reaches the worker.
  EXPECT_EQ(tasks().Get(lasting)->epoch(), epoch);
  APIUM_EXPECT_OK(tasks().Cancel(lasting));
  EXPECT_EQ(Describe(tasks().Wait(lasting, kLongTime)), "CANCELLED");
  const auto counts = platform_.queues().Get("default")->counts();
  EXPECT_EQ(counts.ready(), 1u);
  EXPECT_EQ(counts.scheduled(), 1u);
  EXPECT_EQ(counts.leased(), 0u);
}

TEST_F(RestartTest, ABrokerThatIsTerminatedGoesOnWhereItWas) {
  const std::string running = SubmitSleep(1);
  ASSERT_TRUE(AwaitDescription(&tasks(), running, "STARTED"));
  const std::string unknown = Submit({.type = "nobody.runs.it"});
  platform_.broker().Signal(SIGTERM);
  EXPECT_EQ(platform_.broker().Wait(kLongTime), 0);
  EXPECT_THAT(platform_.LogOf("broker"), HasSubstr("stopped"));
  platform_.StartBroker();
  const auto finished = tasks().Wait(running, kLongTime);
  EXPECT_EQ(Describe(finished), "SUCCEEDED");
  EXPECT_EQ(finished->outcome().crashes(), 0u);
  EXPECT_EQ(Describe(tasks().Get(unknown)), "QUEUED");
}

TEST_F(RestartTest, TheBrokerWorksOnWithoutTheResultService) {
  std::string cursor = "0";
  const std::vector<std::string> before = SubmitEchoes(10);
  ExpectEchoed(before);
  EXPECT_THAT(WatchUntil(EchoAndWait(), &cursor), SizeIs(11));

  platform_.result_service().Kill();
  const std::vector<std::string> meanwhile = SubmitEchoes(50);
  // A client reads its own writes.
  ExpectEchoed(meanwhile);
  for (const std::string& id : meanwhile) {
    EXPECT_EQ(Describe(tasks().Get(id)), "SUCCEEDED");
  }
  // The outbox outlives the broker, too.
  platform_.broker().Kill();
  platform_.StartBroker();
  ExpectEchoed(meanwhile);

  platform_.StartResults();
  for (const std::string& id : meanwhile) {
    APIUM_EXPECT_OK(platform_.results().Wait(id, kLongTime));
  }
  ExpectEchoed(before);
  ExpectEchoed(meanwhile);
  const std::string last = EchoAndWait();
  const auto seen = WatchUntil(last, &cursor);
  EXPECT_THAT(seen, SizeIs(51));
  EXPECT_THAT(seen, Each(Pair(testing::_, 1)));
  std::string start = "0";
  const auto all = WatchUntil(last, &start);
  EXPECT_THAT(all, SizeIs(62));
  EXPECT_THAT(all, Each(Pair(testing::_, 1)));
}

TEST_F(RestartTest, AWatcherSeesEachResultOnceOverRestartsOfTheResultService) {
  const auto seen_all = [this] { return seen_.size() >= wanted_; };
  platform_.results().WatchAsync(
      {.after_cursor = "0"},
      [&](const v1::WatchResultsResponse& news) {
        absl::MutexLock lock(&mu_);
        for (const v1::TaskOutcome& outcome : news.outcomes()) {
          ++seen_[outcome.task_id()];
        }
        return true;
      },
      [](const absl::Status&) {});
  for (int round = 0; round < 3; ++round) {
    const std::vector<std::string> ids = SubmitEchoes(30);
    platform_.result_service().Kill();
    const std::vector<std::string> more = SubmitEchoes(30);
    platform_.StartResults();
    ExpectEchoed(ids);
    ExpectEchoed(more);
    absl::MutexLock lock(&mu_);
    wanted_ = 60 * (round + 1);
    EXPECT_TRUE(mu_.AwaitWithTimeout(absl::Condition(&seen_all), kLongTime));
    EXPECT_THAT(seen_, SizeIs(wanted_));
    EXPECT_THAT(seen_, Each(Pair(testing::_, 1)));
  }
}

}  // namespace
}  // namespace apium
