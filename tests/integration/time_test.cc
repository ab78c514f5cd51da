// Tasks that wait for their time, and tasks whose time is over, while the
// broker is killed.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "client/json_payload.h"
#include "common/rpc/proto_time.h"
#include "tests/integration/platform_fixture.h"
#include "tests/support/status_matchers.h"

namespace apium {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class DelayTest : public PlatformFixture {
 protected:
  struct Delayed {
    std::vector<SubmitOptions> options;
    std::vector<std::string> ids;
  };
  // One after another from `first` on, by eta and by delay in turn.
  Delayed SubmitDelayed(int count, absl::Duration first, absl::Duration step) {
    Delayed delayed;
    const absl::Time start = absl::Now();
    for (int i = 0; i < count; ++i) {
      SubmitOptions options = {.type = "apium.noop"};
      if (i % 2 == 0) {
        options.eta = start + first + i * step;
      } else {
        options.delay = first + i * step;
      }
      delayed.options.push_back(std::move(options));
    }
    delayed.ids = SubmitMany(delayed.options);
    return delayed;
  }
  // Waits for all of them, and looks at the times at which they started.
  void ExpectStartedInTime(const Delayed& delayed, absl::Time not_before) {
    for (size_t i = 0; i < delayed.ids.size(); ++i) {
      const auto task = tasks().Wait(delayed.ids[i], kLongTime);
      APIUM_ASSERT_OK(task);
      EXPECT_EQ(task->state(), v1::TASK_STATE_SUCCEEDED) << Describe(task);
      const SubmitOptions& options = delayed.options[i];
      const absl::Time due = options.eta.has_value()
                                 ? *options.eta
                                 : TimeOf(task->create_time()) + *options.delay;
      EXPECT_GE(TimeOf(task->outcome().start_time()), due) << i;
      EXPECT_GE(TimeOf(task->outcome().start_time()), not_before) << i;
    }
  }
};

TEST_F(DelayTest, DelayedTasksStartInTheirTimeOverKills) {
  const Delayed delayed =
      SubmitDelayed(300, absl::Seconds(3), absl::Milliseconds(10));
  KillBroker();
  // Some have run, some run, some wait.
  APIUM_EXPECT_OK(tasks().Wait(delayed.ids[0], kLongTime));
  KillBroker();
  APIUM_EXPECT_OK(tasks().Wait(delayed.ids[150], kLongTime));
  KillBroker();
  ExpectStartedInTime(delayed, absl::InfinitePast());
  const v1::TaskCounts counts = CountsOf("default");
  EXPECT_EQ(counts.succeeded(), 300u);
  EXPECT_EQ(counts.scheduled() + counts.queued(), 0u);
}

TEST_F(DelayTest, WhatFallsDueWhileTheBrokerIsDeadIsCaughtUp) {
  constexpr absl::Duration kAhead = absl::Seconds(5);
  const Delayed delayed = SubmitDelayed(100, kAhead / 2, kAhead / 2 / 100);
  platform_.broker().Kill();
  AwaitTime(absl::Now() + kAhead);
  const absl::Time restart = absl::Now();
  platform_.StartBroker();
  ExpectStartedInTime(delayed, restart);
}

TEST_F(DelayTest, DelayedTasksAreCountedExactly) {
  CreateQueue("later");
  std::vector<SubmitOptions> all;
  for (int i = 0; i < 2000; ++i) {
    all.push_back({.type = "apium.noop",
                   .queue = "later",
                   .delay = absl::Hours(1) + absl::Milliseconds(i),
                   .headers = {{"customer", std::to_string(i % 4)}}});
  }
  const std::vector<std::string> ids = SubmitMany(all);
  EXPECT_EQ(CountsOf("later").scheduled(), 2000u);
  KillBroker();
  EXPECT_EQ(CountsOf("later").scheduled(), 2000u);

  v1::TaskFilter filter;
  (*filter.mutable_headers())["customer"] = "3";
  const auto matching = control().CancelMatching(filter);
  APIUM_ASSERT_OK(matching);
  EXPECT_EQ(matching->cancelled(), 500u);
  const auto some = control().CancelMany({ids[0], ids[4], ids[3]});
  APIUM_ASSERT_OK(some);
  EXPECT_EQ(some->cancelled(), 2u);
  EXPECT_EQ(Describe(control().RunNow(ids[1])), "QUEUED");
  for (const char* when : {"before", "after"}) {
    const v1::TaskCounts counts = CountsOf("later");
    EXPECT_EQ(counts.scheduled(), 1497u) << when;
    EXPECT_EQ(counts.queued(), 1u) << when;
    EXPECT_EQ(counts.cancelled(), 502u) << when;
    KillBroker();
  }
  EXPECT_EQ(control().CountMatching(filter)->cancelled(), 0u);
  for (const std::string& id : {ids[0], ids[3], ids[4], ids[1999]}) {
    const auto task = tasks().Get(id);
    EXPECT_EQ(Describe(task), "CANCELLED");
    EXPECT_EQ(HistoryOf(task), "SUBMITTED ENDED");
  }

  // What was not cancelled, and is not due, stays when a worker comes.
  const auto worker = platform_.StartWorker("later", {"--queues=later"});
  const auto task = tasks().Wait(ids[1], kLongTime);
  APIUM_ASSERT_OK(task);
  EXPECT_EQ(task->state(), v1::TASK_STATE_SUCCEEDED);
  KillBroker();
  const v1::TaskCounts counts = CountsOf("later");
  EXPECT_EQ(counts.scheduled(), 1497u);
  EXPECT_EQ(counts.succeeded(), 1u);
  EXPECT_EQ(counts.queued() + counts.leased() + counts.started(), 0u);
}

TEST_F(DelayTest, ChangesOfTheTimeSurviveAKill) {
  constexpr absl::Duration kSoon = absl::Seconds(6);
  const std::string later = Submit({.type = "apium.noop", .delay = kSoon});
  const std::string sooner =
      Submit({.type = "apium.noop", .delay = absl::Hours(1)});
  v1::UpdateTaskRequest changes;
  changes.set_task_id(later);
  changes.mutable_delay()->set_seconds(3600);
  APIUM_ASSERT_OK(control().Update(changes));
  const absl::Time soon = absl::Now() + kSoon;
  changes.Clear();
  changes.set_task_id(sooner);
  *changes.mutable_eta() = TimeToProto(soon);
  APIUM_ASSERT_OK(control().Update(changes));
  KillBroker();
  EXPECT_EQ(HistoryOf(tasks().Get(later)), "SUBMITTED UPDATED");

  // Past the time that the one had before, and the other has since.
  const auto run = tasks().Wait(sooner, kLongTime);
  APIUM_ASSERT_OK(run);
  EXPECT_EQ(run->state(), v1::TASK_STATE_SUCCEEDED) << Describe(run);
  EXPECT_GE(TimeOf(run->outcome().start_time()), soon);
  EXPECT_THAT(HistoryOf(run), HasSubstr("UPDATED"));
  EXPECT_EQ(Describe(tasks().Get(later)), "SCHEDULED");

  EXPECT_EQ(Describe(control().RunNow(later)), "QUEUED");
  KillBroker();
  const auto at_once = tasks().Wait(later, kLongTime);
  APIUM_ASSERT_OK(at_once);
  EXPECT_EQ(at_once->state(), v1::TASK_STATE_SUCCEEDED) << Describe(at_once);
  EXPECT_THAT(HistoryOf(at_once), HasSubstr("SUBMITTED UPDATED UPDATED"));
}

TEST_F(DelayTest, ChangesOfTheExpirySurviveAKill) {
  CreateQueue("idle");
  const std::string kept = Submit(
      {.type = "apium.noop", .queue = "idle", .expires = absl::Seconds(5)});
  const std::string ended = Submit({.type = "apium.noop", .queue = "idle"});
  v1::UpdateTaskRequest changes;
  changes.set_task_id(kept);
  changes.set_clear_expiry(true);
  APIUM_ASSERT_OK(control().Update(changes));
  changes.Clear();
  changes.set_task_id(ended);
  changes.mutable_expire_after()->set_seconds(5);
  APIUM_ASSERT_OK(control().Update(changes));
  KillBroker();
  EXPECT_EQ(Describe(tasks().Wait(ended, kLongTime)), "EXPIRED");
  EXPECT_EQ(Describe(tasks().Get(kept)), "QUEUED");
  const auto worker = platform_.StartWorker("idle", {"--queues=idle"});
  EXPECT_EQ(tasks().Wait(kept, kLongTime)->state(), v1::TASK_STATE_SUCCEEDED);
}

// Tasks of all kinds that can expire.
class ExpiryTest : public PlatformFixture {
 protected:
  // Long enough to submit them all, and to see them wait.
  static constexpr absl::Duration kAhead = absl::Seconds(6);

  ExpiryTest() {
    CreateQueue("idle");
    CreateQueue("busy");
    StartBusyWorker();
  }
  void StartBusyWorker() {
    worker_ = platform_.StartWorker(
        "busy", {"--queues=busy", "--concurrency=1", "--prefetch=2"});
  }
  // Fills the worker's slot, then submits tasks that expire at `expiry_`.
  void SubmitExpiring() {
    running_ = Submit({.type = "apium.sleep",
                       .payload = JsonArguments(3600.0),
                       .queue = "busy"});
    ASSERT_TRUE(AwaitDescription(&tasks(), running_, "STARTED"));
    expiry_ = absl::Now() + kAhead;
    leased_ =
        Submit({.type = "apium.noop", .queue = "busy", .expire_time = expiry_});
    ASSERT_TRUE(AwaitDescription(&tasks(), leased_, "LEASED"));
    waiting_ = Submit({.type = "apium.noop",
                       .queue = "idle",
                       .expires = expiry_ - absl::Now()});
    // A worker would take it at its ETA.
    delayed_ = Submit({.type = "apium.noop",
                       .eta = expiry_ + absl::Milliseconds(100),
                       .expire_time = expiry_});
    EXPECT_EQ(Describe(tasks().Get(waiting_)), "QUEUED");
    EXPECT_EQ(Describe(tasks().Get(delayed_)), "SCHEDULED");
  }
  // Waits for its end.
  void ExpectExpired(const std::string& id) {
    const auto task = tasks().Wait(id, kLongTime);
    APIUM_ASSERT_OK(task);
    EXPECT_EQ(task->state(), v1::TASK_STATE_EXPIRED) << Describe(task);
    EXPECT_FALSE(task->outcome().has_start_time());
    EXPECT_THAT(HistoryOf(task), Not(HasSubstr("STARTED")));
    EXPECT_GE(TimeOf(task->outcome().finish_time()), expiry_);
  }
  void ExpectAllExpired() {
    for (const std::string& id : {waiting_, delayed_, leased_})
      ExpectExpired(id);
    // Nothing of that comes back, nor does it run where a worker is free.
    KillBroker();
    const auto worker = platform_.StartWorker("idle", {"--queues=idle"});
    const std::string last = Submit({.type = "apium.noop", .queue = "idle"});
    APIUM_EXPECT_OK(tasks().Wait(last, kLongTime));
    for (const char* queue : {"idle", "busy", "default"})
      EXPECT_EQ(CountsOf(queue).expired(), 1u) << queue;
    for (const std::string& id : {waiting_, delayed_, leased_})
      ExpectExpired(id);
  }

  std::unique_ptr<ChildProcess> worker_;
  absl::Time expiry_;
  std::string running_;
  std::string leased_;
  std::string waiting_;
  std::string delayed_;
};

TEST_F(ExpiryTest, WhatExpiresAfterAKillNeverStarts) {
  ASSERT_NO_FATAL_FAILURE(SubmitExpiring());
  KillBroker();
  ExpectExpired(waiting_);
  ExpectExpired(delayed_);
  // The worker has it still, and the expiry is over when its slot is free.
  EXPECT_EQ(tasks().Get(running_)->state(), v1::TASK_STATE_STARTED);
  APIUM_EXPECT_OK(tasks().Cancel(running_));
  ExpectAllExpired();
}

TEST_F(ExpiryTest, WhatExpiresWhileTheBrokerIsDeadNeverStarts) {
  ASSERT_NO_FATAL_FAILURE(SubmitExpiring());
  platform_.broker().Kill();
  AwaitTime(expiry_ + absl::Milliseconds(100));
  platform_.StartBroker();
  APIUM_EXPECT_OK(tasks().Cancel(running_));
  ExpectAllExpired();
}

TEST_F(ExpiryTest, WhatExpiresWhileBrokerAndWorkerAreDeadNeverStarts) {
  ASSERT_NO_FATAL_FAILURE(SubmitExpiring());
  platform_.broker().Kill();
  worker_->Kill();
  AwaitTime(expiry_ + absl::Milliseconds(100));
  platform_.StartBroker();
  StartBusyWorker();
  ExpectAllExpired();
  // The one that was running does not expire.
  ASSERT_TRUE(Eventually([this] {
    return tasks().Get(running_)->state() == v1::TASK_STATE_STARTED;
  }));
  APIUM_EXPECT_OK(tasks().Cancel(running_));
  EXPECT_EQ(tasks().Wait(running_, kLongTime)->state(),
            v1::TASK_STATE_CANCELLED);
}

}  // namespace
}  // namespace apium
