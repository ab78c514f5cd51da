#include "tests/crash/final_reads.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "client/connection.h"
#include "client/queue_client.h"
#include "client/result_client.h"
#include "client/task_client.h"
#include "common/check.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "tests/crash/client_options_for.h"

namespace apium::crash {
namespace {

constexpr char kLastTask[] = "last-task";
// One read; the servers are up, or will not be.
constexpr absl::Duration kCallDeadlineMax = absl::Seconds(10);
// For the outcome of a task that has ended to come to the result service, whose
// many deaths have taught the broker to dial it again only after seconds.
constexpr absl::Duration kForwardTimeout = absl::Minutes(1);
constexpr size_t kReaders = 8;

std::shared_ptr<Connection> Connect(const std::string& address,
                                    absl::Duration deadline) {
  auto connection = Connection::Open(
      ClientOptionsFor(address, std::min(deadline, kCallDeadlineMax)));
  APIUM_CHECK(connection.ok()) << connection.status();
  return *std::move(connection);
}

// Calls `visit` with each id, on several threads.
void ForEach(const std::set<std::string>& ids,
             const std::function<void(const std::string&)>& visit) {
  const std::vector<std::string> all(ids.begin(), ids.end());
  std::atomic<size_t> next{0};
  std::vector<std::thread> readers;
  for (size_t i = 0; i < kReaders; ++i) {
    readers.emplace_back([&] {
      for (size_t at = next++; at < all.size(); at = next++) visit(all[at]);
    });
  }
  for (std::thread& reader : readers) reader.join();
}

std::set<std::string> SubmittedIds(const History& history) {
  std::set<std::string> ids;
  for (const SubmitRecord& submit : history.submits) {
    ids.insert(submit.spec.task_id());
  }
  return ids;
}

}  // namespace

FinalReads::FinalReads(const std::string& broker_address,
                       const std::string& results_address,
                       absl::Duration timeout)
    : broker_address_(broker_address),
      results_address_(results_address),
      timeout_(timeout),
      deadline_(absl::Now() + timeout),
      tasks_(std::make_unique<TaskClient>(Connect(broker_address, timeout))),
      results_(
          std::make_unique<ResultClient>(Connect(results_address, timeout))) {}

FinalReads::~FinalReads() = default;

absl::Duration FinalReads::Remaining() const {
  return std::max(absl::ZeroDuration(), deadline_ - absl::Now());
}

void FinalReads::Read(LogWatch* live, History* history) {
  const auto note = [&](absl::Status status) {
    if (!status.ok()) history->mishaps.push_back(status.ToString());
  };
  std::set<std::string> unfinished = SubmittedIds(*history);
  for (const v1::TaskOutcome& outcome : live->outcomes()) {
    unfinished.erase(outcome.task_id());
  }
  AwaitEnds(unfinished);
  deadline_ = absl::Now() + timeout_;
  const absl::Status ended = EndLog(live, history);
  note(ended);
  history->live_log = live->outcomes();
  if (ended.ok()) note(ReadLog(history));
  ReadTasks(SubmittedIds(*history), history);
  note(ReadQueues(history));
}

void FinalReads::AwaitEnds(const std::set<std::string>& ids) {
  // Once an outcome does not come, the others are not waited for, either: what
  // is missing is found out by the reads that follow.
  std::atomic<bool> comes{true};
  ForEach(ids, [&](const std::string& id) {
    const absl::Duration timeout = Remaining();
    if (timeout == absl::ZeroDuration() || !tasks_->Wait(id, timeout).ok()) {
      return;
    }
    if (comes &&
        !results_->Wait(id, std::min(Remaining(), kForwardTimeout)).ok()) {
      comes = false;
    }
  });
}

absl::Status FinalReads::EndLog(LogWatch* live, History* history) {
  SubmitRecord submit;
  submit.spec.set_task_id(kLastTask);
  submit.spec.set_type("apium.noop");
  submit.spec.set_queue("default");
  // Nobody serves it: it ends at once, and at the broker.
  submit.spec.mutable_expire_after()->set_nanos(1);
  submit.invoked = MonotonicNow();
  submit.status = tasks_->Submit(submit.spec).status();
  submit.returned = MonotonicNow();
  if (submit.status.ok()) submit.verdict = SubmitRecord::Verdict::kAccepted;
  const absl::Status status = submit.status;
  history->submits.push_back(std::move(submit));
  APIUM_RETURN_IF_ERROR(status);
  return live->AwaitTask(kLastTask, std::min(Remaining(), kForwardTimeout));
}

absl::Status FinalReads::ReadLog(History* history) {
  LogWatch log(results_address_, nullptr);
  APIUM_RETURN_IF_ERROR(log.AwaitTask(kLastTask, Remaining()));
  history->log = log.outcomes();
  return absl::OkStatus();
}

void FinalReads::ReadTasks(const std::set<std::string>& ids, History* history) {
  absl::Mutex mu;
  ForEach(ids, [&](const std::string& id) {
    ReadRecord at_broker;
    ReadRecord at_results;
    at_broker.status = absl::DeadlineExceededError("there was no time left");
    at_results.status = at_broker.status;
    if (Remaining() > absl::ZeroDuration()) {
      absl::StatusOr<v1::Task> task = tasks_->Get(id);
      at_broker.status = task.status();
      if (task.ok()) {
        at_broker.state = task->state();
        at_broker.outcome.Swap(task->mutable_outcome());
      }
      absl::StatusOr<v1::TaskOutcome> outcome = results_->Get(id);
      at_results.status = outcome.status();
      if (outcome.ok()) {
        at_results.state = outcome->state();
        at_results.outcome.Swap(&*outcome);
      }
    }
    absl::MutexLock lock(&mu);
    history->at_broker[id] = std::move(at_broker);
    history->at_results[id] = std::move(at_results);
  });
}

absl::Status FinalReads::ReadQueues(History* history) {
  QueueClient queues(Connect(broker_address_, timeout_));
  APIUM_ASSIGN_OR_RETURN(const v1::ListQueuesResponse response, queues.List());
  for (const v1::Queue& queue : response.queues()) {
    history->queues.push_back({.name = queue.name(),
                               .ready = queue.counts().ready(),
                               .scheduled = queue.counts().scheduled(),
                               .leased = queue.counts().leased()});
  }
  return absl::OkStatus();
}

}  // namespace apium::crash
