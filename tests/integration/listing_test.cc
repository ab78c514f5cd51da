// Lists, counts and histories of tasks, while the broker is killed.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/time/clock.h"
#include "client/json_payload.h"
#include "common/rpc/proto_time.h"
#include "common/strings.h"
#include "tests/integration/platform_fixture.h"
#include "tests/support/status_matchers.h"

namespace apium {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using Ids = std::set<std::string>;

class ListingTest : public PlatformFixture {
 protected:
  // All pages; `between` runs before each but the first. Expects that no task
  // is listed twice.
  Ids List(
      v1::ListTasksRequest request,
      absl::FunctionRef<void(int page)> between = [](int) {}) {
    Ids ids;
    int number = 0;
    do {
      const auto page = tasks().List(request);
      APIUM_EXPECT_OK(page);
      if (!page.ok()) break;
      for (const v1::Task& task : page->tasks()) {
        EXPECT_TRUE(ids.insert(task.spec().task_id()).second)
            << task.spec().task_id();
      }
      request.set_page_token(page->next_page_token());
      if (!request.page_token().empty()) between(++number);
    } while (!request.page_token().empty());
    return ids;
  }

  // Names of tasks: "<prefix>0", "<prefix>1", ...
  static Ids Named(const std::string& prefix, int count) {
    Ids ids;
    for (int i = 0; i < count; ++i) ids.insert(StrCat(prefix, i));
    return ids;
  }
  void SubmitNamed(const std::string& prefix, int count,
                   const SubmitOptions& options) {
    std::vector<SubmitOptions> all(count, options);
    for (int i = 0; i < count; ++i) all[i].task_id = StrCat(prefix, i);
    SubmitMany(all);
  }
  void AwaitEnds(const Ids& ids) {
    for (const std::string& id : ids)
      APIUM_EXPECT_OK(tasks().Wait(id, kLongTime));
  }
};

Ids operator+(Ids a, const Ids& b) {
  a.insert(b.begin(), b.end());
  return a;
}

// Tasks of three kinds that wait, and of two that have ended, in two queues.
class FilterTest : public ListingTest {
 protected:
  FilterTest() {
    CreateQueue("other");
    SubmitNamed("ok", 5,
                {.type = "apium.echo", .headers = {{"customer", "7"}}});
    SubmitNamed("bad", 4,
                {.type = "apium.fail",
                 .payload = JsonArguments("no luck", "Luck", true),
                 .headers = {{"customer", "8"}}});
    AwaitEnds(Named("ok", 5) + Named("bad", 4));
    // The clock has moved on between what came before, and what comes.
    middle_ = absl::Now() + absl::Milliseconds(10);
    AwaitTime(middle_ + absl::Milliseconds(10));
    SubmitNamed("waits", 6,
                {.type = "nobody.runs.it",
                 .headers = {{"customer", "7"}, {"region", "eu"}}});
    SubmitNamed("other", 3, {.type = "nobody.runs.it", .queue = "other"});
    SubmitNamed("later", 2,
                {.type = "apium.echo",
                 .queue = "other",
                 .delay = absl::Hours(1),
                 .headers = {{"customer", "8"}}});
  }

  Ids ByState(std::vector<v1::TaskState> states) {
    v1::ListTasksRequest request;
    for (const v1::TaskState state : states) request.add_states(state);
    return List(request);
  }
  Ids ByHeader(const std::string& name, const std::string& value) {
    v1::ListTasksRequest request;
    (*request.mutable_headers())[name] = value;
    return List(request);
  }
  void ExpectByStateQueueAndType() {
    EXPECT_EQ(ByState({v1::TASK_STATE_QUEUED}), waits_ + other_);
    EXPECT_EQ(ByState({v1::TASK_STATE_SCHEDULED}), later_);
    EXPECT_EQ(ByState({v1::TASK_STATE_FAILED}), bad_);
    EXPECT_EQ(ByState({v1::TASK_STATE_SCHEDULED, v1::TASK_STATE_SUCCEEDED}),
              later_ + ok_);
    EXPECT_EQ(ByState({v1::TASK_STATE_STARTED, v1::TASK_STATE_CANCELLED}),
              Ids());
    v1::ListTasksRequest request;
    EXPECT_EQ(List(request), ok_ + bad_ + waits_ + other_ + later_);
    request.set_queue("other");
    EXPECT_EQ(List(request), other_ + later_);
    request.set_type("apium.echo");
    EXPECT_EQ(List(request), later_);
    request.set_queue("");
    EXPECT_EQ(List(request), ok_ + later_);
  }
  void ExpectByHeader() {
    EXPECT_EQ(ByHeader("customer", "7"), ok_ + waits_);
    EXPECT_EQ(ByHeader("customer", "8"), bad_ + later_);
    EXPECT_EQ(ByHeader("region", "eu"), waits_);
    EXPECT_EQ(ByHeader("customer", "9"), Ids());
  }
  void ExpectByTime() {
    v1::ListTasksRequest request;
    *request.mutable_created_before() = TimeToProto(middle_);
    EXPECT_EQ(List(request), ok_ + bad_);
    request.Clear();
    *request.mutable_created_after() = TimeToProto(middle_);
    EXPECT_EQ(List(request), waits_ + other_ + later_);
    request.Clear();
    *request.mutable_finished_before() = TimeToProto(middle_);
    request.set_type("apium.fail");
    EXPECT_EQ(List(request), bad_);
    request.Clear();
    *request.mutable_finished_after() = TimeToProto(middle_);
    EXPECT_EQ(List(request), Ids());
  }

  absl::Time middle_;
  const Ids ok_ = Named("ok", 5);
  const Ids bad_ = Named("bad", 4);
  const Ids waits_ = Named("waits", 6);
  const Ids other_ = Named("other", 3);
  const Ids later_ = Named("later", 2);
};

TEST_F(FilterTest, ListsAreTheSameAfterAKill) {
  for (const std::string& id : ok_ + bad_)
    APIUM_ASSERT_OK(results().Wait(id, kLongTime));
  for (const char* when : {"before", "after"}) {
    SCOPED_TRACE(when);
    ExpectByStateQueueAndType();
    ExpectByHeader();
    ExpectByTime();
    KillBroker();
  }
}

TEST_F(ListingTest, APageGoesOnAfterAKill) {
  SubmitNamed("done", 60, {.type = "apium.noop"});
  SubmitNamed("waits", 150, {.type = "nobody.runs.it"});
  SubmitNamed("later", 90, {.type = "apium.noop", .delay = absl::Hours(1)});
  const Ids done = Named("done", 60);
  for (const std::string& id : done)
    APIUM_ASSERT_OK(results().Wait(id, kLongTime));

  // It has pages of tasks that are ready, that are delayed, and that have
  // ended; the broker is killed between any two.
  v1::ListTasksRequest request;
  request.set_page_size(50);
  int kills = 0;
  const Ids all = List(request, [&](int) {
    KillBroker();
    ++kills;
  });
  EXPECT_EQ(all, done + Named("waits", 150) + Named("later", 90));
  EXPECT_GE(kills, 5);

  // What is submitted, or ends, between two pages does not disturb the rest.
  request.add_states(v1::TASK_STATE_QUEUED);
  request.set_page_size(20);
  const Ids meanwhile = List(request, [&](int page) {
    if (page > 3) return;
    Submit({.type = "nobody.runs.it", .task_id = StrCat("new", page)});
    APIUM_EXPECT_OK(tasks().Cancel(StrCat("waits", page)));
    KillBroker();
  });
  for (int i = 4; i < 150; ++i)
    EXPECT_TRUE(meanwhile.contains(StrCat("waits", i))) << i;
}

TEST_F(ListingTest, APageTokenIsOfItsFilterAlone) {
  SubmitNamed("waits", 5, {.type = "nobody.runs.it"});
  v1::ListTasksRequest request;
  request.set_page_size(2);
  const auto page = tasks().List(request);
  APIUM_ASSERT_OK(page);
  request.set_page_token(page->next_page_token());
  ASSERT_FALSE(request.page_token().empty());
  KillBroker();
  EXPECT_THAT(tasks().List(request)->tasks(), SizeIs(2));
  request.set_queue("default");
  const auto wrong =
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("page_token"));
  EXPECT_THAT(tasks().List(request), wrong);
  request.clear_queue();
  request.set_page_token("x" + request.page_token());
  EXPECT_THAT(tasks().List(request), wrong);
}

// Tasks in every state that there is.
class CountTest : public ListingTest {
 protected:
  void SubmitAll() {
    CreateQueue("held");
    CreateQueue("dead", /*dead_letter=*/true);
    worker_ = platform_.StartWorker(
        "held", {"--queues=held,dead", "--concurrency=1", "--prefetch=2"});
    SubmitNamed("ok", 7, {.type = "apium.noop", .queue = "held"});
    const SubmitOptions fail = {
        .type = "apium.fail",
        .payload = JsonArguments("no luck", "Luck", true)};
    SubmitOptions failing = fail;
    failing.queue = "held";
    SubmitNamed("bad", 3, failing);
    failing.queue = "dead";
    SubmitNamed("dead", 4, failing);
    AwaitEnds(Named("ok", 7) + Named("bad", 3) + Named("dead", 4));
    SubmitHeld();
  }
  // With its worker, which has one slot and takes two more, or behind those.
  void SubmitHeld() {
    Submit({.type = "apium.sleep",
            .payload = JsonArguments(3600.0),
            .task_id = "runs",
            .queue = "held",
            .unique = {.key = "key",
                       .on_conflict = v1::UNIQUE_CONFLICT_KEEP_LATEST}});
    ASSERT_TRUE(AwaitDescription(&tasks(), "runs", "STARTED"));
    SubmitNamed("held", 2, {.type = "apium.noop", .queue = "held"});
    ASSERT_TRUE(AwaitDescription(&tasks(), "held0", "LEASED"));
    ASSERT_TRUE(AwaitDescription(&tasks(), "held1", "LEASED"));
    SubmitNamed("waits", 11, {.type = "apium.noop", .queue = "held"});
    SubmitNamed(
        "later", 13,
        {.type = "apium.noop", .queue = "held", .delay = absl::Hours(1)});
    Submit({.type = "apium.noop",
            .task_id = "blocked",
            .queue = "held",
            .unique = {.key = "key",
                       .on_conflict = v1::UNIQUE_CONFLICT_KEEP_LATEST}});
    SubmitNamed("gone", 5, {.type = "apium.noop", .queue = "held"});
    for (const std::string& id : Named("gone", 5))
      APIUM_EXPECT_OK(tasks().Cancel(id));
    SubmitNamed("expired", 2,
                {.type = "apium.noop",
                 .queue = "held",
                 .expires = absl::Milliseconds(1)});
    AwaitEnds(Named("expired", 2));
  }
  void ExpectCounts() {
    const v1::TaskCounts held = CountsOf("held");
    EXPECT_EQ(held.blocked(), 1u);
    EXPECT_EQ(held.scheduled(), 13u);
    EXPECT_EQ(held.queued(), 11u);
    EXPECT_EQ(held.leased(), 2u);
    EXPECT_EQ(held.started(), 1u);
    EXPECT_EQ(held.succeeded(), 7u);
    EXPECT_EQ(held.failed(), 3u);
    EXPECT_EQ(held.cancelled(), 5u);
    EXPECT_EQ(held.expired(), 2u);
    EXPECT_EQ(held.dead_lettered(), 0u);
    const v1::TaskCounts dead = CountsOf("dead");
    EXPECT_EQ(dead.dead_lettered(), 4u);
    EXPECT_EQ(dead.dead_letters(), 4u);
    EXPECT_EQ(dead.succeeded() + dead.failed() + dead.queued(), 0u);
  }

  std::unique_ptr<ChildProcess> worker_;
};

TEST_F(CountTest, CountsAreExactAfterAKill) {
  ASSERT_NO_FATAL_FAILURE(SubmitAll());
  ExpectCounts();
  KillBroker();
  // The worker comes back with what it has, and tells what of that runs.
  EXPECT_TRUE(Eventually([this] {
    const v1::TaskCounts counts = CountsOf("held");
    return counts.started() == 1 && counts.leased() == 2;
  }));
  ExpectCounts();
  EXPECT_THAT(control().Count("")->queues(), SizeIs(3));

  // All that can run does, and each end is counted once.
  APIUM_EXPECT_OK(tasks().Cancel("runs"));
  EXPECT_TRUE(Eventually([this] {
    const v1::TaskCounts counts = CountsOf("held");
    return counts.succeeded() == 7 + 2 + 11 + 1 && counts.cancelled() == 6;
  }));
  KillBroker();
  const v1::TaskCounts counts = CountsOf("held");
  EXPECT_EQ(counts.succeeded(), 21u);
  EXPECT_EQ(counts.cancelled(), 6u);
  EXPECT_EQ(counts.scheduled(), 13u);
  EXPECT_EQ(
      counts.blocked() + counts.queued() + counts.leased() + counts.started(),
      0u);
}

class HistoryTest : public ListingTest {
 protected:
  static std::vector<std::string> Events(const v1::Task& task) {
    std::vector<std::string> events;
    for (const v1::TaskEvent& event : task.history())
      events.push_back(event.ShortDebugString());
    return events;
  }
  // The same history, to the last byte, before and after a kill.
  void ExpectSameAfterKill(const std::string& id) {
    const auto before = tasks().Get(id);
    APIUM_ASSERT_OK(before);
    KillBroker();
    // That it runs is told again by its worker.
    ASSERT_TRUE(AwaitDescription(&tasks(), id, Describe(before)));
    const auto after = tasks().Get(id);
    APIUM_ASSERT_OK(after);
    EXPECT_EQ(Events(*before), Events(*after));
  }
  static void ExpectInOrder(const v1::Task& task) {
    absl::Time last = absl::InfinitePast();
    for (const v1::TaskEvent& event : task.history()) {
      EXPECT_GE(TimeOf(event.time()), last) << event.ShortDebugString();
      last = TimeOf(event.time());
    }
  }
};

TEST_F(HistoryTest, EveryTransitionIsToldWithItsCause) {
  const std::string id =
      Submit({.type = "apium.fail",
              .payload = JsonArguments("no luck", "Luck"),
              .delay = absl::Hours(1),
              .retry = {.initial_delay = absl::Hours(1), .jitter = 0}});
  v1::UpdateTaskRequest changes;
  changes.set_task_id(id);
  changes.set_priority(7);
  APIUM_ASSERT_OK(control().Update(changes));
  ExpectSameAfterKill(id);
  APIUM_ASSERT_OK(control().RunNow(id));
  ASSERT_TRUE(Eventually([&] { return tasks().Get(id)->failures() == 1; }));
  ExpectSameAfterKill(id);
  EXPECT_EQ(Describe(tasks().Get(id)), "SCHEDULED");
  APIUM_ASSERT_OK(control().Cancel(id, "enough"));
  const auto task = tasks().Get(id);
  EXPECT_EQ(HistoryOf(task),
            "SUBMITTED UPDATED UPDATED LEASED#1 STARTED#1 RETRIED#1 ENDED#1");
  ExpectInOrder(*task);
  EXPECT_EQ(task->history(1).detail(), "priority 100 -> 7");
  EXPECT_EQ(task->history(1).state(), v1::TASK_STATE_SCHEDULED);
  EXPECT_EQ(task->history(2).detail(), "run now");
  EXPECT_EQ(task->history(2).state(), v1::TASK_STATE_QUEUED);
  EXPECT_EQ(task->history(5).failure().type(), "Luck");
  EXPECT_EQ(task->history(5).failure().message(), "no luck");
  EXPECT_EQ(task->history(5).worker_id(), "worker");
  EXPECT_EQ(task->history(6).state(), v1::TASK_STATE_CANCELLED);
  EXPECT_EQ(task->outcome().failure().message(), "enough");
  ExpectSameAfterKill(id);
}

TEST_F(HistoryTest, CrashesAndCancelsOfARunningTaskAreTold) {
  CreateQueue("own");
  const std::vector<std::string> flags = {"--queues=own"};
  auto worker = platform_.StartWorker("own", flags);
  const std::string id = Submit({.type = "apium.sleep",
                                 .payload = JsonArguments(3600.0),
                                 .queue = "own"});
  ASSERT_TRUE(AwaitDescription(&tasks(), id, "STARTED"));
  ExpectSameAfterKill(id);
  EXPECT_EQ(HistoryOf(tasks().Get(id)), "SUBMITTED LEASED#1 STARTED#1");
  worker->Kill();
  worker = platform_.StartWorker("own", flags);
  ASSERT_TRUE(AwaitDescription(&tasks(), id, "STARTED#2"));
  ExpectSameAfterKill(id);
  EXPECT_EQ(HistoryOf(tasks().Get(id)),
            "SUBMITTED LEASED#1 STARTED#1 CRASHED#1 LEASED#2 STARTED#2");
  EXPECT_EQ(control().Cancel(id, "enough")->result(),
            v1::CANCEL_RESULT_REQUESTED);
  const auto ended = tasks().Wait(id, kLongTime);
  EXPECT_EQ(HistoryOf(ended),
            "SUBMITTED LEASED#1 STARTED#1 CRASHED#1 LEASED#2 STARTED#2 "
            "CANCEL_REQUESTED#2 ENDED#2");
  EXPECT_EQ(ended->history(3).detail(), "the worker was lost");
  EXPECT_EQ(ended->history(3).worker_id(), "own");
  EXPECT_EQ(ended->history(6).detail(), "enough");
  ExpectSameAfterKill(id);
}

}  // namespace
}  // namespace apium
