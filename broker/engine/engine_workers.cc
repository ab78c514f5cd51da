// Sessions of workers, and what they report.

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "broker/engine/engine_impl.h"
#include "common/error_reason.h"
#include "common/status_macros.h"
#include "common/uuid.h"

namespace apium::broker {
absl::Status Engine::Impl::CheckSubscription(
    const OpenSessionCommand& command) {
  for (const std::string& name : command.queues) {
    if (options_.create_queues_on_use &&
        queues_.HasNamespace(command.namespace_name) &&
        queues_.Find(command.namespace_name, name) == nullptr) {
      CreateQueue(command.namespace_name, name);
    }
    APIUM_RETURN_IF_ERROR(ExistingQueue(command.namespace_name, name).status());
  }
  for (const std::string& type : command.task_types)
    APIUM_RETURN_IF_ERROR(queues_.InternType(type).status());
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(OpenSessionCommand&& command) {
  if (absl::Status wrong = CheckSubscription(command); !wrong.ok()) {
    PushTo(command.sink, SessionClosed{.status = std::move(wrong)});
    return absl::OkStatus();
  }
  SessionOpened opened;
  APIUM_ASSIGN_OR_RETURN(Session * session, ResumeSession(command, &opened));
  sessions_.Attach(session, command.sink, now_);
  APIUM_RETURN_IF_ERROR(DescribeSession(command, session));
  opened.session_id = session->session_id;
  Push(*session, std::move(opened));
  // What was asked of the old stream may not have arrived.
  for (const auto& [epoch, task] : session->leases) {
    if (!task->stored.cancel_requested) continue;
    Push(*session, CancelDelivery{.lease = {.task_id = task->content().task_id,
                                            .attempt = task->stored.attempt,
                                            .epoch = epoch},
                                  .reason = task->stored.cancel_reason});
  }
  return absl::OkStatus();
}

absl::StatusOr<Session*> Engine::Impl::ResumeSession(
    const OpenSessionCommand& command, SessionOpened* opened) {
  // A worker that comes back without its session was restarted: what it held is
  // lost now, not after the grace period.
  for (Session* old :
       sessions_.DetachedOf(command.namespace_name, command.worker_id)) {
    if (old->session_id != command.session_id) {
      APIUM_RETURN_IF_ERROR(CloseSession(old, absl::OkStatus()));
    }
  }
  Session* session = command.session_id.empty()
                         ? nullptr
                         : sessions_.FindById(command.session_id);
  const bool same_worker = session != nullptr &&
                           session->worker_id == command.worker_id &&
                           session->namespace_name == command.namespace_name;
  if (!same_worker) {
    for (const LeaseName& lease : command.held_leases)
      opened->lost_epochs.push_back(lease.epoch);
    session = sessions_.Add(MintTaskId(now_, options_.partition, random_),
                            command.worker_id, now_);
    session->namespace_name = command.namespace_name;
    return session;
  }
  opened->resumed = true;
  if (session->connected()) {
    Push(*session,
         SessionClosed{
             .status = WithReason(
                 absl::FailedPreconditionError(
                     "the worker has opened a newer stream for this session"),
                 "SESSION_REPLACED")});
    Unsubscribe(session);
  }
  absl::flat_hash_map<uint64_t, const LeaseName*> held;
  for (const LeaseName& lease : command.held_leases) {
    LiveTask* task = leases_.Find(lease.epoch);
    const bool still_held = task != nullptr && task->lease.session == session &&
                            task->content().task_id == lease.task_id &&
                            task->stored.attempt == lease.attempt;
    if (still_held) {
      held[lease.epoch] = &lease;
    } else {
      opened->lost_epochs.push_back(lease.epoch);
    }
  }
  // Deliveries that never reached the worker.
  std::vector<LiveTask*> not_received;
  for (const auto& [epoch, task] : session->leases) {
    if (!held.contains(epoch)) not_received.push_back(task);
  }
  for (LiveTask* task : not_received) {
    APIUM_RETURN_IF_ERROR(
        ReturnTask(task, {.detail = "the delivery did not reach the worker",
                          .may_have_run = task->lease.started}));
  }
  return session;
}

absl::Status Engine::Impl::DescribeSession(const OpenSessionCommand& command,
                                           Session* session) {
  session->draining = false;
  session->queue_names = command.queues;
  session->queue_weights = command.queue_weights;
  session->queue_weights.resize(command.queues.size(), 1);
  session->task_types = command.task_types;
  session->type_ids.clear();
  for (const std::string& type : command.task_types) {
    APIUM_ASSIGN_OR_RETURN(uint32_t type_id, queues_.InternType(type));
    session->type_ids.insert(type_id);
  }
  session->labels = command.labels;
  session->slots = command.slots;
  session->version = command.version;
  session->hostname = command.hostname;
  Subscribe(session);
  return absl::OkStatus();
}

void Engine::Impl::Subscribe(Session* session) {
  session->queues.clear();
  for (size_t i = 0; i < session->queue_names.size(); ++i) {
    Queue* queue =
        queues_.Find(session->namespace_name, session->queue_names[i]);
    if (queue != nullptr) SubscribeTo(session, queue, i);
  }
}

void Engine::Impl::SubscribeTo(Session* session, Queue* queue, size_t name) {
  session->queues.push_back(
      {.queue = queue, .weight = session->queue_weights[name]});
  ++queue->sessions;
  ShareTurns(session);
}

void Engine::Impl::Unsubscribe(Session* session) {
  for (const Subscription& at : session->queues) --at.queue->sessions;
  session->queues.clear();
}

absl::Status Engine::Impl::CloseSession(Session* session, absl::Status reason) {
  if (session->connected()) {
    Push(*session, SessionClosed{.status = std::move(reason)});
    Unsubscribe(session);
  }
  while (!session->leases.empty()) {
    APIUM_RETURN_IF_ERROR(CrashAttempt(session->leases.begin()->second, nullptr,
                                       absl::InfinitePast()));
  }
  sessions_.Remove(session);
  WantSweep(now_);
  return absl::OkStatus();
}

absl::Status Engine::Impl::CloseOverdrawnSession(Session* session,
                                                 absl::Status reason) {
  // The worker lives: its tasks crash nobody, but may have run.
  const std::string detail =
      absl::StrCat("the session of its worker was closed: ", reason.message());
  while (!session->leases.empty()) {
    APIUM_RETURN_IF_ERROR(ReturnTask(session->leases.begin()->second,
                                     {.detail = detail, .may_have_run = true}));
  }
  return CloseSession(session, std::move(reason));
}

absl::Status Engine::Impl::Apply(SessionDisconnectedCommand&& command) {
  Session* session = sessions_.FindBySink(command.sink.get());
  if (session == nullptr) return absl::OkStatus();
  Unsubscribe(session);
  sessions_.Detach(session, now_);
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(WorkerReportCommand&& command) {
  Session* session = sessions_.FindBySink(command.sink.get());
  if (session == nullptr) return absl::OkStatus();
  sessions_.Seen(session, now_);
  for (const StartedReport& report : command.started) {
    LiveTask* task = LeasedTask(*session, report.lease);
    if (task == nullptr) continue;
    APIUM_ASSIGN_OR_RETURN(Lane * lane, lanes_.LaneOf(*task));
    leases_.Start(task, lane->queue, report.start_time);
    NotifyWatchers(*task);
  }
  for (ProgressReport& report : command.progress) {
    APIUM_RETURN_IF_ERROR(ApplyProgress(*session, std::move(report)));
  }
  if (!command.chunks.empty())
    APIUM_RETURN_IF_ERROR(ApplyChunks(*session, std::move(command.chunks)));
  // Before the outcomes, which end the leases that are charged.
  for (const ChargeReport& report : command.charges)
    ApplyCharge(*session, report);
  session->draining = session->draining || command.draining;
  for (ExecutionReport& report : command.outcomes) {
    APIUM_RETURN_IF_ERROR(ApplyOutcome(session, std::move(report)));
  }
  if (session->draining) {
    session->credit = 0;
    return absl::OkStatus();
  }
  if (uint64_t{session->credit} + session->leases.size() + command.credit >
      options_.max_credit) {
    return CloseOverdrawnSession(
        session,
        WithReason(absl::InvalidArgumentError(absl::StrCat(
                       "credit: ", command.credit, " more would make ",
                       session->credit, " plus ", session->leases.size(),
                       " leases exceed the limit of ", options_.max_credit)),
                   "CREDIT_EXCEEDED"));
  }
  session->credit += command.credit;
  return absl::OkStatus();
}

LiveTask* Engine::Impl::LeasedTask(const Session& session,
                                   const LeaseName& lease) {
  LiveTask* task = leases_.Find(lease.epoch);
  const bool is_holder = task != nullptr && task->lease.session == &session &&
                         task->stored.attempt == lease.attempt &&
                         task->content().task_id == lease.task_id;
  if (is_holder) return task;
  if (!session.queues.empty())
    ++session.queues.front().queue->stats.stale_reports;
  Push(session,
       ReportRefused{.epoch = lease.epoch,
                     .status = WithReason(
                         absl::FailedPreconditionError(absl::StrCat(
                             "the lease on task ", lease.task_id, ", attempt ",
                             lease.attempt, ", epoch ", lease.epoch,
                             " is not, or no longer, this session's")),
                         reason::kLeaseLost)});
  return nullptr;
}

absl::Status Engine::Impl::Apply(ListWorkersCommand&& command) {
  WorkersReply reply;
  if (!queues_.HasNamespace(command.namespace_name))
    reply.status = ExistingQueue(command.namespace_name, "").status();
  for (const auto& [number, session] : sessions_.all()) {
    if (session->namespace_name != command.namespace_name) continue;
    WorkerInfo info;
    info.worker_id = session->worker_id;
    info.session_id = session->session_id;
    info.connected = session->connected();
    info.draining = session->draining;
    info.slots = session->slots;
    info.credit = session->credit;
    info.leases = static_cast<uint32_t>(session->leases.size());
    info.task_types = session->task_types;
    info.queues = session->queue_names;
    info.labels = session->labels;
    info.version = session->version;
    info.hostname = session->hostname;
    info.connect_time = session->connect_time;
    info.last_seen_time = session->last_seen;
    reply.workers.push_back(std::move(info));
  }
  std::stable_sort(reply.workers.begin(), reply.workers.end(),
                   [](const WorkerInfo& a, const WorkerInfo& b) {
                     return a.worker_id < b.worker_id;
                   });
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(DrainWorkerCommand&& command) {
  StatusReply reply;
  if (!queues_.HasNamespace(command.namespace_name)) {
    reply.status = ExistingQueue(command.namespace_name, "").status();
    AddReply(command.reply, std::move(reply));
    return absl::OkStatus();
  }
  reply.status =
      WithReason(absl::NotFoundError(absl::StrCat(
                     "no worker ", command.worker_id,
                     " is connected in namespace ", command.namespace_name)),
                 "WORKER_NOT_FOUND");
  for (const auto& [number, session] : sessions_.all()) {
    const bool meant = session->connected() &&
                       session->worker_id == command.worker_id &&
                       session->namespace_name == command.namespace_name;
    if (!meant) continue;
    session->draining = true;
    session->credit = 0;
    Push(*session, DrainSession{.control_id = ++last_control_id_});
    reply.status = absl::OkStatus();
  }
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

}  // namespace apium::broker
