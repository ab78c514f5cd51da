// Workers in the reference model: their sessions and what they report.

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/support/engine_text.h"
#include "tests/support/reference_model.h"

namespace apium::broker {
namespace {

const char kLeaseLost[] = "FAILED_PRECONDITION/LEASE_LOST";
const char kQueueNotFound[] = "NOT_FOUND/QUEUE_NOT_FOUND";

}  // namespace

uint64_t ReferenceModel::SessionOf(const WorkerSink* sink) const {
  for (const auto& [number, session] : sessions_) {
    if (session.sink == sink) return number;
  }
  return 0;
}

void ReferenceModel::Apply(const OpenSessionCommand& command) {
  const WorkerSink* sink = command.sink.get();
  for (const std::string& queue : command.queues) {
    if (options_.create_queues_on_use) queues_[queue];
    if (queues_.count(queue) > 0) continue;
    ExpectPush(sink, absl::StrCat("closed ", kQueueNotFound));
    return;
  }
  uint64_t resumed = 0;
  std::vector<uint64_t> restarted;
  for (const auto& [number, session] : sessions_) {
    if (session.worker_id != command.worker_id) continue;
    if (!command.session_id.empty() &&
        session.session_id == command.session_id) {
      resumed = number;
    } else if (session.sink == nullptr) {
      restarted.push_back(number);
    }
  }
  for (const uint64_t number : restarted) CloseSession(number, "");
  std::vector<uint64_t> lost_epochs;
  std::set<uint64_t> held;
  for (const LeaseName& lease : command.held_leases) {
    const bool still_held =
        resumed != 0 && sessions_[resumed].leases.count(lease.epoch) > 0 &&
        sessions_[resumed].leases[lease.epoch] == lease.task_id &&
        tasks_[lease.task_id].attempt == lease.attempt;
    if (still_held) {
      held.insert(lease.epoch);
    } else {
      lost_epochs.push_back(lease.epoch);
    }
  }
  if (resumed != 0) {
    Session& session = sessions_[resumed];
    if (session.sink != nullptr) {
      ExpectPush(session.sink, "closed FAILED_PRECONDITION/SESSION_REPLACED");
    }
    const std::map<uint64_t, std::string> leases = session.leases;
    for (const auto& [epoch, id] : leases) {
      if (held.count(epoch) > 0) continue;
      ReturnTask(id, std::nullopt, tasks_[id].state == TaskState::kStarted);
    }
  }
  const uint64_t number = resumed != 0 ? resumed : ++last_session_;
  Session& session = sessions_[number];
  session.worker_id = command.worker_id;
  session.sink = sink;
  session.credit = 0;
  session.draining = false;
  session.types.clear();
  session.types.insert(command.task_types.begin(), command.task_types.end());
  session.queues = command.queues;
  session.labels = command.labels;
  session.last_seen = now_;
  ExpectPush(sink, absl::StrCat(resumed != 0 ? "resumed" : "opened",
                                " lost=", absl::StrJoin(lost_epochs, ",")));
  for (const auto& [epoch, id] : session.leases) {
    if (tasks_[id].cancel_requested) {
      ExpectPush(sink, absl::StrCat("cancel ", epoch));
    }
  }
}

void ReferenceModel::CloseSession(uint64_t number, const std::string& reason) {
  Session& session = sessions_[number];
  if (session.sink != nullptr) {
    ExpectPush(session.sink, absl::StrCat("closed ", reason));
  }
  const std::map<uint64_t, std::string> leases = session.leases;
  for (const auto& [epoch, id] : leases) CrashAttempt(id);
  sessions_.erase(number);
}

void ReferenceModel::Apply(const SessionDisconnectedCommand& command) {
  const uint64_t number = SessionOf(command.sink.get());
  if (number == 0) return;
  Session& session = sessions_[number];
  session.sink = nullptr;
  session.credit = 0;
  session.last_seen = now_;
}

ReferenceModel::Task* ReferenceModel::LeasedTask(uint64_t session_number,
                                                 const LeaseName& lease) {
  const Session& session = sessions_[session_number];
  const auto held = session.leases.find(lease.epoch);
  if (held != session.leases.end() && held->second == lease.task_id) {
    Task& task = tasks_[lease.task_id];
    if (task.attempt == lease.attempt) return &task;
  }
  ExpectPush(session.sink,
             absl::StrCat("refused ", lease.epoch, " ", kLeaseLost));
  return nullptr;
}

void ReferenceModel::Apply(const WorkerReportCommand& command) {
  const uint64_t number = SessionOf(command.sink.get());
  if (number == 0) return;
  Session& session = sessions_[number];
  session.last_seen = now_;
  for (const StartedReport& report : command.started) {
    if (Task* task = LeasedTask(number, report.lease)) {
      task->state = TaskState::kStarted;
    }
  }
  for (const ProgressReport& report : command.progress) {
    if (Task* task = LeasedTask(number, report.lease))
      ApplyProgress(task, report);
  }
  session.draining = session.draining || command.draining;
  ApplyChunks(number, command.chunks);
  for (const ChargeReport& report : command.charges)
    ApplyCharge(number, report);
  for (const ExecutionReport& report : command.outcomes) {
    ApplyOutcome(number, report);
  }
  if (session.draining) {
    session.credit = 0;
  } else if (session.credit + session.leases.size() + command.credit >
             options_.max_credit) {
    const std::map<uint64_t, std::string> leases = session.leases;
    for (const auto& [epoch, id] : leases) ReturnTask(id, std::nullopt, true);
    CloseSession(number, "INVALID_ARGUMENT/CREDIT_EXCEEDED");
  } else {
    session.credit += command.credit;
  }
}

std::string ReferenceModel::WorkersText() const {
  std::vector<std::string> workers;
  for (const auto& [number, session] : sessions_) {
    workers.push_back(absl::StrCat(
        session.worker_id, session.sink != nullptr ? " connected" : " detached",
        session.draining ? " draining" : "", " credit=", session.credit,
        " leases=", session.leases.size()));
  }
  std::sort(workers.begin(), workers.end());
  return absl::StrJoin(workers, "; ");
}

void ReferenceModel::Apply(const ListWorkersCommand& command) {
  ExpectReply(command.reply.tag, WorkersText());
}

}  // namespace apium::broker
