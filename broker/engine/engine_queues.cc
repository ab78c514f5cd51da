// Queues: settings, purge, counts.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/engine/engine_impl.h"
#include "common/error_reason.h"
#include "common/names.h"
#include "common/status_macros.h"

namespace apium::broker {
namespace {

// Tasks that a purge looks at in one turn: short enough not to be felt by
// others.
constexpr size_t kPurgePerTurn = 1000;

template <typename T>
void TakeIfSet(const std::optional<T>& value, T* setting) {
  if (value.has_value()) *setting = *value;
}

// Carries the update out. Whether it changed anything.
bool ChangeSettings(const UpdateQueueCommand& command, absl::Time now,
                    StoredQueue* stored) {
  const QueueSettings before = stored->settings;
  QueueSettings& settings = stored->settings;
  TakeIfSet(command.description, &settings.description);
  TakeIfSet(command.paused, &settings.paused);
  TakeIfSet(command.submit_paused, &settings.submit_paused);
  TakeIfSet(command.dead_letter, &settings.dead_letter);
  TakeIfSet(command.weight, &settings.weight);
  TakeIfSet(command.max_length, &settings.max_length);
  TakeIfSet(command.max_bytes, &settings.max_bytes);
  TakeIfSet(command.overflow_policy, &settings.overflow_policy);
  TakeIfSet(command.task_defaults, &settings.task_defaults);
  TakeIfSet(command.fairness_mode, &settings.fairness_mode);
  TakeIfSet(command.priority_aging, &settings.priority_aging);
  TakeIfSet(command.fairness_weights, &settings.fairness_weights);
  if (settings.paused == before.paused) return !(settings == before);
  stored->pause_time = settings.paused ? now : absl::InfinitePast();
  stored->paused_by = command.paused_by;
  stored->pause_reason = command.pause_reason;
  return true;
}

}  // namespace

absl::StatusOr<Queue*> Engine::Impl::ExistingQueue(
    const std::string& namespace_name, const std::string& name) {
  if (!queues_.HasNamespace(namespace_name)) {
    return WithReason(absl::NotFoundError(absl::StrCat(
                          "namespace ", namespace_name, " does not exist")),
                      reason::kNamespaceNotFound,
                      {{"namespace", namespace_name}});
  }
  Queue* queue = queues_.Find(namespace_name, name);
  if (queue == nullptr) {
    return WithReason(absl::NotFoundError(absl::StrCat(
                          "queue ", name, " does not exist in namespace ",
                          namespace_name, "; create it first")),
                      reason::kQueueNotFound, {{"queue", name}});
  }
  return queue;
}

Queue* Engine::Impl::CreateQueue(const std::string& namespace_name,
                                 const std::string& name) {
  Queue* queue = queues_.Create(namespace_name, name, now_);
  for (const auto& [number, session] : sessions_.all()) {
    const auto& names = session->queue_names;
    const auto at = std::find(names.begin(), names.end(), name);
    const bool subscribes = session->connected() &&
                            session->namespace_name == namespace_name &&
                            at != names.end();
    if (subscribes) SubscribeTo(session.get(), queue, at - names.begin());
  }
  return queue;
}

absl::Time Engine::Impl::OldestReady(const Queue& queue) const {
  absl::Time oldest = absl::InfiniteFuture();
  for (const auto& [rank, lane] : queue.lanes) {
    if (lane->window.empty()) continue;
    oldest = std::min(oldest, lane->window.front()->ready_time);
  }
  for (const auto& [rank, lane] : queue.suspect_lanes)
    oldest = std::min(oldest, lane->suspects.front()->ready_time);
  return oldest;
}

QueueInfo Engine::Impl::InfoOf(const Queue& queue) const {
  QueueInfo info;
  info.name = queue.name;
  info.settings = queue.stored.settings;
  info.paused_by = queue.stored.paused_by;
  info.pause_reason = queue.stored.pause_reason;
  info.pause_time = queue.stored.pause_time;
  info.etag = absl::StrCat(queue.stored.revision);
  info.create_time = queue.stored.create_time;
  info.ready = queue.ready;
  info.scheduled = queue.scheduled;
  info.leased = queue.leased;
  info.dead_letters = queue.dead_letters;
  info.blocked = queue.blocked;
  info.workers = queue.sessions;
  const absl::Time oldest = OldestReady(queue);
  if (oldest != absl::InfiniteFuture())
    info.oldest_ready_age = std::max(absl::ZeroDuration(), now_ - oldest);
  return info;
}

absl::Status Engine::Impl::Apply(CreateQueueCommand&& command) {
  QueueReply reply;
  if (queues_.Find(command.namespace_name, command.queue) != nullptr) {
    reply.status = WithReason(absl::AlreadyExistsError(absl::StrCat(
                                  "queue ", command.queue, " exists already")),
                              reason::kQueueExists, {{"queue", command.queue}});
  } else if (!queues_.HasNamespace(command.namespace_name)) {
    reply.status =
        ExistingQueue(command.namespace_name, command.queue).status();
  } else if (absl::Status usable = CheckOverflow(command.settings);
             !usable.ok()) {
    reply.status = std::move(usable);
  } else {
    Queue* queue = CreateQueue(command.namespace_name, command.queue);
    queue->stored.settings = std::move(command.settings);
    if (queue->stored.settings.paused) queue->stored.pause_time = now_;
    reply.queue = InfoOf(*queue);
  }
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(UpdateQueueCommand&& command) {
  QueueReply reply;
  absl::StatusOr<Queue*> queue =
      ExistingQueue(command.namespace_name, command.queue);
  reply.status = queue.status();
  if (queue.ok()) {
    StoredQueue& stored = (*queue)->stored;
    if (!command.etag.empty() &&
        command.etag != absl::StrCat(stored.revision)) {
      reply.status = WithReason(
          absl::AbortedError(absl::StrCat(
              "queue ", command.queue, " has changed since etag ", command.etag,
              " was read; it is now ", stored.revision)),
          "ETAG_MISMATCH");
    } else {
      StoredQueue wanted = stored;
      const bool changed = ChangeSettings(command, now_, &wanted);
      reply.status = CheckOverflow(wanted.settings);
      if (changed && reply.status.ok()) {
        stored = std::move(wanted);
        ++stored.revision;
        queues_.MarkSettingsDirty(*queue);
        lanes_.Reorder(*queue);
        for (const auto& [number, session] : sessions_.all())
          ShareTurns(session.get());
      }
      if (reply.status.ok()) reply.queue = InfoOf(**queue);
    }
  }
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(GetQueueCommand&& command) {
  QueueReply reply;
  absl::StatusOr<Queue*> queue =
      ExistingQueue(command.namespace_name, command.queue);
  reply.status = queue.status();
  if (queue.ok()) reply.queue = InfoOf(**queue);
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(ListQueuesCommand&& command) {
  QueuePageReply reply;
  if (!queues_.HasNamespace(command.namespace_name)) {
    reply.status = ExistingQueue(command.namespace_name, "").status();
  }
  const QueueTable::Names& names = queues_.QueuesOf(command.namespace_name);
  for (auto it = names.upper_bound(command.page_token);
       reply.status.ok() && it != names.end(); ++it) {
    if (reply.queues.size() == command.page_size) {
      reply.next_page_token = reply.queues.back().name;
      break;
    }
    reply.queues.push_back(InfoOf(*it->second));
  }
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(DeleteQueueCommand&& command) {
  StatusReply reply;
  absl::StatusOr<Queue*> found =
      ExistingQueue(command.namespace_name, command.queue);
  reply.status = found.status();
  if (found.ok()) {
    Queue* queue = *found;
    const uint64_t tasks =
        queue->ready + queue->scheduled + queue->leased + queue->blocked;
    if (command.queue == std::string(kDefaultQueue)) {
      reply.status = WithReason(
          absl::FailedPreconditionError(
              "the queue default always exists and cannot be deleted"),
          "DEFAULT_QUEUE");
    } else if (tasks > 0) {
      reply.status =
          WithReason(absl::FailedPreconditionError(absl::StrCat(
                         "queue ", command.queue, " still has ", tasks,
                         " tasks; purge it or let it drain first")),
                     reason::kQueueNotEmpty);
    } else if (queue->dead_letters > 0) {
      reply.status = WithReason(
          absl::FailedPreconditionError(absl::StrCat(
              "queue ", command.queue, " still has ", queue->dead_letters,
              " dead letters; redrive or purge them first")),
          reason::kQueueNotEmpty);
    } else if (reply.status = CheckUnused(*queue); reply.status.ok()) {
      for (const auto& [number, session] : sessions_.all()) {
        std::erase_if(session->queues, [queue](const Subscription& at) {
          return at.queue == queue;
        });
        ShareTurns(session.get());
      }
      exchanges_.RemoveBindingsTo(command.namespace_name, command.queue);
      lanes_.Forget(queue);
      redrives_.Forget(queue->stored.queue_id);
      queues_.Delete(queue);
    }
  }
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(PurgeQueueCommand&& command) {
  absl::StatusOr<Queue*> queue =
      ExistingQueue(command.namespace_name, command.queue);
  if (!queue.ok()) {
    AddReply(command.reply, PurgeReply{.status = queue.status()});
    return absl::OkStatus();
  }
  Purge purge;
  purge.reply = command.reply;
  purge.namespace_name = std::move(command.namespace_name);
  purge.queue = std::move(command.queue);
  purge.ticket_limit = tickets_.Next();
  lanes_.StartNewChunks();
  purges_.push_back(std::move(purge));
  return absl::OkStatus();
}

absl::Status Engine::Impl::RunPurges() {
  if (purges_.empty()) return absl::OkStatus();
  APIUM_ASSIGN_OR_RETURN(const bool done, PurgeSome(&purges_.front()));
  if (!done) return absl::OkStatus();
  AddReply(purges_.front().reply, PurgeReply{.purged = purges_.front().purged});
  purges_.pop_front();
  return absl::OkStatus();
}

Engine::Impl::Purge* Engine::Impl::PurgeOf(const LiveTask& task) {
  for (Purge& purge : purges_) {
    if (task.content().queue == purge.queue &&
        task.content().namespace_name == purge.namespace_name &&
        task.stored.ready_sequence < purge.ticket_limit)
      return &purge;
  }
  return nullptr;
}

absl::Status Engine::Impl::PurgeTask(LiveTask* task, Purge* purge) {
  ++purge->purged;
  Failure reason{
      .type = "apium.Purged",
      .message = absl::StrCat("queue ", purge->queue, " was purged")};
  return Finish(task,
                {.state = TaskState::kCancelled, .failure = std::move(reason)});
}

absl::StatusOr<bool> Engine::Impl::PurgeSome(Purge* purge) {
  Queue* queue = queues_.Find(purge->namespace_name, purge->queue);
  if (queue == nullptr) return true;
  size_t budget = kPurgePerTurn;
  if (!purge->lanes_done)
    APIUM_RETURN_IF_ERROR(PurgeLanes(queue, purge, &budget));
  if (!purge->lanes_done) return false;
  bool done = false;
  while (!done && budget > 0 && tasks_.may_read_more()) {
    size_t looks = std::min(budget, TaskTable::kTasksAtOnce);
    budget -= looks;
    if (!purge->timers_done) {
      APIUM_RETURN_IF_ERROR(
          PurgeScheduled(queue, purge, &looks, &purge->timers_done));
    } else {
      APIUM_RETURN_IF_ERROR(PurgeBlocked(queue, purge, &looks, &done));
    }
  }
  return done;
}

absl::Status Engine::Impl::PurgeLanes(Queue* queue, Purge* purge,
                                      size_t* budget) {
  for (const auto& [rank, lane] : queue->lanes) {
    for (std::deque<LiveTask*>* line : {&lane->window, &lane->suspects}) {
      while (!line->empty() &&
             line->front()->stored.ready_sequence < purge->ticket_limit) {
        if (*budget == 0) return absl::OkStatus();
        --*budget;
        APIUM_RETURN_IF_ERROR(PurgeTask(line->front(), purge));
      }
    }
    // What is on disk comes into the window with the next turn.
    const bool more_on_disk =
        lane->cold_from != 0 && lane->cold_from < purge->ticket_limit;
    if (lane->window.empty() && more_on_disk) return absl::OkStatus();
  }
  purge->lanes_done = true;
  return absl::OkStatus();
}

absl::Status Engine::Impl::PurgeScheduled(Queue* queue, Purge* purge,
                                          size_t* budget, bool* done) {
  *done = true;
  if (queue->scheduled == 0) return absl::OkStatus();
  std::vector<std::string> keys;
  absl::Status decoded = absl::OkStatus();
  const std::string begin = purge->timer_cursor.empty()
                                ? std::string(1, kTimerRow)
                                : purge->timer_cursor;
  APIUM_RETURN_IF_ERROR(reader_->Scan(
      begin, RowsEnd(kTimerRow), [&](std::string_view key, std::string_view) {
        if (*budget == 0) {
          purge->timer_cursor = std::string(key);
          *done = false;
          return false;
        }
        --*budget;
        std::optional<TimerId> timer = TimerOfRow(key);
        if (!timer.has_value()) {
          decoded = absl::DataLossError("the store holds a damaged timer row");
          return false;
        }
        if (timer->kind == TimerKind::kReady)
          keys.push_back(std::move(timer->task_key));
        return true;
      }));
  APIUM_RETURN_IF_ERROR(decoded);
  std::vector<LiveTask*> tasks;
  APIUM_RETURN_IF_ERROR(tasks_.LoadAll(keys, &tasks));
  for (LiveTask* task : tasks) {
    const bool meant =
        task != nullptr && !task->finished() &&
        task->state() == TaskState::kScheduled &&
        task->content().queue == queue->name &&
        task->content().namespace_name == queue->namespace_name &&
        task->stored.ready_sequence < purge->ticket_limit;
    if (meant) APIUM_RETURN_IF_ERROR(PurgeTask(task, purge));
  }
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(GetStatsCommand&& command) {
  EngineStats stats;
  queues_.ForEach([&](Queue* queue) {
    SampleBlocked(queue);
    QueueStats entry = queue->stats;
    for (const auto& [kind, time] : queue->blocked_times.total) {
      entry.blocked_seconds[static_cast<size_t>(kind)] =
          absl::ToDoubleSeconds(time);
    }
    entry.namespace_name = queue->namespace_name;
    entry.queue = queue->name;
    entry.paused = queue->stored.settings.paused;
    entry.ready = queue->ready;
    entry.scheduled = queue->scheduled;
    entry.leased = queue->leased;
    entry.dead_letters = queue->dead_letters;
    entry.workers = queue->sessions;
    const absl::Time oldest = OldestReady(*queue);
    if (oldest != absl::InfiniteFuture())
      entry.oldest_ready_age = std::max(absl::ZeroDuration(), now_ - oldest);
    stats.queues.push_back(std::move(entry));
  });
  breakers_.ForEach([&](const LiveBreaker& breaker) {
    stats.breakers.push_back({.namespace_name = breaker.namespace_name,
                              .type = breaker.type,
                              .state = breaker.stored.state,
                              .opened = breaker.opened});
  });
  for (const auto& [number, session] : sessions_.all()) {
    ++(session->connected() ? stats.sessions_connected
                            : stats.sessions_detached);
    if (session->connected()) stats.worker_slots += session->slots;
    stats.worker_credit += session->credit;
  }
  stats.submits_rejected = submits_rejected_;
  stats.leases_active = leases_.size();
  stats.waiters = waiters_.size();
  stats.hot_tasks = tasks_.size();
  stats.hot_bytes = lanes_.window_bytes();
  stats.lanes = lanes_.class_lanes();
  stats.timers_in_memory = timers_.in_memory();
  stats.outbox_last_position = outbox_.last_position();
  stats.outbox_confirmed_position = outbox_.confirmed_position();
  AddReply(command.reply, StatsReply{.stats = std::move(stats)});
  return absl::OkStatus();
}

}  // namespace apium::broker
