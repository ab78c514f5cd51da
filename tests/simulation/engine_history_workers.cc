// What workers do in random histories.

#include <memory>
#include <utility>

#include "tests/simulation/engine_history_actors.h"

namespace apium::broker {

void EngineHistory::AddWorkerCommand() {
  Worker* worker = workers_[Below(workers_.size())].get();
  if (worker->stream == nullptr) {
    Connect(worker);
    return;
  }
  const uint64_t kind = Below(100);
  if (kind < 6) {
    Disconnect(worker);
  } else if (kind < 9) {
    Connect(worker);  // a second stream, while the first is half open
  } else if (kind < 40) {
    Add(WorkerReportCommand{.sink = worker->stream,
                            .credit = static_cast<uint32_t>(Below(4)),
                            .draining = Chance(3)});
  } else if (kind < 92) {
    AddReport(worker);
  } else {
    AddForgedReport(worker);
  }
}

void EngineHistory::Connect(Worker* worker) {
  // It may have been restarted, and may have missed what was sent to it.
  if (Chance(15)) {
    worker->session_id.clear();
    if (Chance(50)) worker->held.clear();
  }
  if (Chance(30) && !worker->held.empty()) {
    worker->held.erase(worker->held.begin());
  }
  worker->stream = std::make_shared<Stream>(this, worker);
  OpenSessionCommand open = {.sink = worker->stream,
                             .namespace_name = "default",
                             .worker_id = worker->name,
                             .session_id = worker->session_id,
                             .queues = {"default"},
                             .labels = RandomLabels(),
                             .slots = 4};
  for (const auto& [epoch, lease] : worker->held) {
    open.held_leases.push_back(lease);
  }
  open.task_types.push_back(RandomType());
  if (Chance(70)) open.task_types = {"job", "mail"};
  if (Chance(30)) open.queues.push_back("extra");
  Add(std::move(open));
}

void EngineHistory::Disconnect(Worker* worker) {
  const std::shared_ptr<Stream> stream = std::exchange(worker->stream, nullptr);
  Add(SessionDisconnectedCommand{.sink = stream});
}

ExecutionReport EngineHistory::RandomOutcome(Worker* worker,
                                             const LeaseName& lease) {
  using Kind = ExecutionReport::Kind;
  constexpr Kind kKinds[] = {
      Kind::kSucceeded, Kind::kSucceeded, Kind::kFailed,
      Kind::kFailed,    Kind::kReturned,  Kind::kReturned,
      Kind::kRetry,     Kind::kCrashed,   Kind::kCancelled};
  ExecutionReport report = {.lease = lease, .kind = kKinds[Below(9)]};
  if (Chance(30)) report.start_time = driver_.now();
  if (Chance(20)) report.return_delay = absl::Milliseconds(Below(3000));
  report.failure = {.type = Chance(10) ? "Final" : "Boom",
                    .non_retryable = Chance(10)};
  report.retry_delay = absl::Milliseconds(Below(3000));
  if (Chance(20)) report.throttled_limit = Chance(50) ? "customer" : "rate";
  for (const LeaseName& cancelled : worker->to_cancel) {
    if (cancelled.epoch == lease.epoch && Chance(60)) {
      report.kind = Kind::kCancelled;
    }
  }
  return report;
}

void EngineHistory::AddReport(Worker* worker) {
  WorkerReportCommand report = {.sink = worker->stream};
  if (Chance(30)) report.credit = static_cast<uint32_t>(1 + Below(2));
  for (const auto& [epoch, lease] : worker->held) {
    if (Chance(30)) report.started.push_back({lease, driver_.now()});
    AddStream(lease, worker->appended[epoch], &report);
    AddCharges(lease, &report);
    if (Chance(50)) report.outcomes.push_back(RandomOutcome(worker, lease));
    if (Chance(5)) report.outcomes.push_back(RandomOutcome(worker, lease));
  }
  Add(std::move(report));
}

// Of an old lease, or of one that never was.
void EngineHistory::AddForgedReport(Worker* worker) {
  if (worker->past.empty()) return;
  LeaseName lease = worker->past[Below(worker->past.size())];
  if (options_.epochs_are_not_checked && !worker->held.empty()) {
    const LeaseName held = worker->held.begin()->second;
    lease = held;
    // The model believes what the engine does not: the difference is the same,
    // and the refusal of an epoch that is far from every other tells that the
    // report was seen.
    lease.epoch += 1'000'000;
    WorkerReportCommand forged = {.sink = worker->stream,
                                  .outcomes = {{.lease = lease}}};
    WorkerReportCommand believed = {.sink = worker->stream,
                                    .outcomes = {{.lease = held}}};
    believed_epochs_.insert(lease.epoch);
    Add(std::move(forged), std::move(believed));
    return;
  }
  switch (Below(4)) {
    case 0:
      lease.epoch += 1 + Below(3);
      break;
    case 1:
      lease.attempt += 1;
      break;
    case 2:
      lease.task_id = RandomTaskId();
      break;
    default:
      // Somebody else's, or its own of long ago.
      const Worker& other = *workers_[Below(workers_.size())];
      if (!other.past.empty()) lease = other.past[Below(other.past.size())];
  }
  Add(WorkerReportCommand{.sink = worker->stream,
                          .outcomes = {RandomOutcome(worker, lease)}});
}

}  // namespace apium::broker
