#include "broker/engine/engine.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "broker/engine/engine_impl.h"
#include "broker/storage/batch_codec.h"
#include "broker/storage/identity_codec.h"
#include "broker/storage/key_format.h"
#include "broker/storage/record_value.h"
#include "common/error_reason.h"
#include "common/names.h"
#include "common/status_macros.h"
#include "common/uuid.h"

namespace apium::broker {
namespace {

// Timers carried out in one turn: each may read a task.
constexpr size_t kTimersPerTurn = 2048;

// Chunks of ended tasks that are deleted in one turn.
constexpr size_t kChunkDeletesPerTurn = 4096;

std::string MintShardId(const EngineOptions& options, absl::Time now) {
  std::mt19937_64 random(options.random_seed);
  return MintTaskId(now, options.partition, random);
}

// Empty: there is no such row.
absl::StatusOr<std::string> ReadMeta(const StoreReader& reader,
                                     std::string_view name) {
  std::string value;
  absl::Status read = reader.Get(MetaRowKey(name), &value);
  if (!read.ok() && !absl::IsNotFound(read)) return read;
  return value;
}

}  // namespace

absl::Status Engine::Impl::Recover(absl::Time now) {
  now_ = now;
  APIUM_RETURN_IF_ERROR(queues_.Recover(*reader_));
  APIUM_RETURN_IF_ERROR(outbox_.Recover());
  APIUM_RETURN_IF_ERROR(lanes_.Recover());
  APIUM_RETURN_IF_ERROR(limits_.Recover(now));
  APIUM_RETURN_IF_ERROR(RecoverLeases(now));
  APIUM_RETURN_IF_ERROR(redrives_.Recover(*reader_));
  APIUM_RETURN_IF_ERROR(breakers_.Recover(
      *reader_,
      [this](const std::string& type) { return queues_.InternType(type); }));
  APIUM_RETURN_IF_ERROR(ordering_.Recover());
  APIUM_RETURN_IF_ERROR(exchanges_.Recover(*reader_));
  // Workers come back within the grace period, or are gone.
  WantSweep(now + options_.reattach_grace);
  // Reserves a block of its own for each start: marks the store as not new, and
  // gives the next start other random numbers (which make ids) than this one.
  tickets_.Next();
  if (new_store_) turn_.writes.Put(MetaRowKey(kMetaShardId), shard_id_);
  for (const std::string& namespace_name : options_.namespaces) {
    const std::string name(kDefaultQueue);
    if (queues_.Find(namespace_name, name) == nullptr)
      queues_.Create(namespace_name, name, now);
  }
  more_to_do_ = true;
  return absl::OkStatus();
}

absl::Status Engine::Impl::RecoverLeases(absl::Time now) {
  APIUM_ASSIGN_OR_RETURN(std::vector<LeaseTable::JournalRow> journal,
                         LeaseTable::ReadJournal(*reader_));
  for (const LeaseTable::JournalRow& row : journal) {
    for (const StoredLease& stored : row.stored.leases) {
      APIUM_ASSIGN_OR_RETURN(TaskTable::Found found, FindTask(stored.task_key));
      LiveTask* task = found.live;
      const bool valid =
          task != nullptr && task->stored.state == TaskState::kQueued &&
          stored.epoch > task->stored.last_epoch && !task->leased();
      if (!valid)
        continue;  // it ended in the same turn in which the row would have
                   // gone, or later
      Session* session = sessions_.FindById(stored.session_id);
      if (session == nullptr) {
        session = sessions_.Add(stored.session_id, stored.worker_id, now);
        session->namespace_name = task->content().namespace_name;
      }
      leases_.Restore(task, session, stored, row.number, row.stored.grant_time);
      CountLease(task);
      APIUM_RETURN_IF_ERROR(RecoverStream(task));
      APIUM_ASSIGN_OR_RETURN(Lane * lane, lanes_.LaneOf(*task));
      lanes_.RestoreLease(lane);
      sticky_workers_.Note(task->content(), session->worker_id);
    }
  }
  leases_.FinishRestore(journal);
  return absl::OkStatus();
}

absl::Status Engine::Impl::BeginTurn(const TurnTime& time) {
  now_ = std::max(now_, time.now);
  lead_ = time.lead;
  if (time.leap > absl::ZeroDuration()) sessions_.Excuse(time.leap);
  more_to_do_ = false;
  limits_.BeginTurn(now_);
  copy_bytes_of_turn_ = 0;
  APIUM_RETURN_IF_ERROR(lanes_.Refill(now_));
  APIUM_RETURN_IF_ERROR(RunUnsettledLines());
  APIUM_RETURN_IF_ERROR(RunDueTimers());
  for (Session* session : sessions_.TakeLost(now_)) {
    APIUM_RETURN_IF_ERROR(CloseSession(
        session,
        WithReason(
            absl::FailedPreconditionError(absl::StrCat(
                "no sign of life for ",
                absl::FormatDuration(options_.lease_duration),
                ": the session and its leases are lost; open a new one")),
            "SESSION_EXPIRED")));
  }
  AnswerExpiredWaiters();
  breakers_.HalfOpenDue(now_);
  AnswerConfirmWaiters();
  APIUM_RETURN_IF_ERROR(RunPurges());
  APIUM_RETURN_IF_ERROR(RunCancelJobs());
  // Behind them: what this turn has moved is in the store when they walk.
  APIUM_RETURN_IF_ERROR(StartSweeps());
  APIUM_RETURN_IF_ERROR(RunLetterScans());
  return RunRedrives();
}

absl::Status Engine::Impl::RunDueTimers() {
  chunk_deletes_left_ = kChunkDeletesPerTurn;
  std::vector<TimerId> due;
  size_t taken = 0;
  do {
    APIUM_RETURN_IF_ERROR(timers_.TakeDue(now_, TaskTable::kTasksAtOnce, &due));
    APIUM_RETURN_IF_ERROR(RunTimers(due));
    taken += due.size();
    if (due.size() < TaskTable::kTasksAtOnce) return absl::OkStatus();
  } while (taken < kTimersPerTurn && tasks_.may_read_more());
  more_to_do_ = true;
  return absl::OkStatus();
}

absl::Status Engine::Impl::RunTimers(const std::vector<TimerId>& due) {
  std::vector<std::string> keys;
  keys.reserve(due.size());
  for (const TimerId& timer : due) keys.push_back(timer.task_key);
  std::vector<LiveTask*> tasks;
  APIUM_RETURN_IF_ERROR(tasks_.LoadAll(keys, &tasks));
  for (size_t i = 0; i < due.size(); ++i) {
    if (due[i].kind == TimerKind::kChunks) {
      APIUM_RETURN_IF_ERROR(DeleteChunks(due[i].task_key));
      continue;
    }
    LiveTask* task = tasks[i];
    if (task == nullptr || task->finished()) continue;
    if (due[i].kind == TimerKind::kReady) {
      if (task->stored.state != TaskState::kScheduled) continue;
      APIUM_ASSIGN_OR_RETURN(const bool ended, EndOnTheMove(task));
      if (ended) continue;
      APIUM_ASSIGN_OR_RETURN(Queue * queue, queues_.QueueOf(task->content()));
      queues_.AddScheduled(queue, -1);
      APIUM_RETURN_IF_ERROR(AwaitEta(task));
      NotifyWatchers(*task);
    } else if (!task->leased()) {
      // One that is leased may run already: the worker checks before it starts,
      // and here it is checked when it returns.
      if (IsLate(*task)) APIUM_RETURN_IF_ERROR(EndLateTask(task));
    }
  }
  return absl::OkStatus();
}

void Engine::Impl::AnswerExpiredWaiters() {
  for (const Waiter& waiter : waiters_.TakeExpired(WallNow())) {
    TaskReply reply;
    reply.status =
        WithReason(absl::DeadlineExceededError(
                       "the task has not ended within the timeout of the wait"),
                   "WAIT_TIMEOUT");
    AddReply(waiter.to, std::move(reply));
  }
}

absl::Status Engine::Impl::EndTurn(Effects* effects) {
  APIUM_RETURN_IF_ERROR(SettleBatches());
  APIUM_RETURN_IF_ERROR(Dispatch());
  // Members that expired when they would have been dispatched.
  if (batches_.has_unsettled()) {
    APIUM_RETURN_IF_ERROR(SettleBatches());
    more_to_do_ = true;
  }
  APIUM_RETURN_IF_ERROR(failed_read_);
  APIUM_RETURN_IF_ERROR(limits_.failed_read());
  effects->writes.Append(turn_.writes);
  // Chunks before tasks: what a chunk lists behind the window leaves memory
  // with the tasks.
  StoreBatch ready_rows;
  lanes_.Flush(&ready_rows);
  chunks_.Flush(&effects->writes);
  tasks_.Flush(&effects->writes);
  effects->writes.Append(ready_rows);
  timers_.Flush(&effects->writes);
  leases_.Flush(&effects->writes);
  outbox_.Flush(&effects->writes, &effects->outbox);
  // In front of the queues: one that is deleted takes its lines along.
  ordering_.Flush(&effects->writes);
  queues_.Flush(&effects->writes);
  dead_letters_.Flush(&effects->writes);
  redrives_.Flush(&effects->writes);
  breakers_.Flush(&effects->writes);
  limits_.Flush(&effects->writes);
  exchanges_.Flush(&effects->writes);
  batches_.Flush(&effects->writes);
  details_.Flush(&effects->writes);
  unique_keys_.Flush(&effects->writes);
  requests_.Flush(&effects->writes);
  tickets_.Flush(&effects->writes);
  std::move(turn_.replies.begin(), turn_.replies.end(),
            std::back_inserter(effects->replies));
  std::move(turn_.pushes.begin(), turn_.pushes.end(),
            std::back_inserter(effects->pushes));
  std::move(turn_.unpublished.begin(), turn_.unpublished.end(),
            std::back_inserter(effects->unpublished));
  turn_.Clear();
  return absl::OkStatus();
}

absl::Time Engine::Impl::NextTurnTime() const {
  if (more_to_do_ || lanes_.WantsRefill() || !purges_.empty() ||
      !letter_scans_.empty() || !cancel_jobs_.empty())
    return absl::InfinitePast();
  // Whoever waits gave a time of the wall clock.
  const absl::Time wait_over =
      std::min(waiters_.NextTime(), confirm_waiters_.NextTime()) + lead_;
  return std::min({timers_.NextTime(), sessions_.NextTime(), wait_over,
                   redrives_.NextTime(), breakers_.NextTime(),
                   limits_.NextTime(), suspects_time_, sweep_time_});
}

absl::Status Engine::Impl::Apply(OutboxConfirmedCommand&& command) {
  outbox_.Confirm(command.position);
  AnswerConfirmWaiters();
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(SetAdmissionCommand&& command) {
  admission_ = std::move(command.refusal);
  return absl::OkStatus();
}

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() = default;

absl::StatusOr<std::unique_ptr<Engine>> Engine::Recover(
    const EngineOptions& options, const StoreReader* reader, absl::Time now) {
  Impl::Meta meta;
  APIUM_ASSIGN_OR_RETURN(meta.shard_id, ReadMeta(*reader, kMetaShardId));
  if (meta.shard_id.empty()) meta.shard_id = MintShardId(options, now);
  APIUM_ASSIGN_OR_RETURN(std::string number, ReadMeta(*reader, kMetaTicket));
  meta.reserved_tickets = DecodeNumber(number).value_or(0);
  APIUM_ASSIGN_OR_RETURN(number, ReadMeta(*reader, kMetaIdsUntil));
  // A store that has no bound yet may have any id.
  meta.ids_until = static_cast<int64_t>(DecodeNumber(number).value_or(
      meta.reserved_tickets == 0 ? 0 : std::numeric_limits<int64_t>::max()));
  auto impl = std::make_unique<Impl>(options, reader, std::move(meta));
  APIUM_RETURN_IF_ERROR(impl->Recover(now));
  return std::unique_ptr<Engine>(new Engine(std::move(impl)));
}

absl::Status Engine::BeginTurn(const TurnTime& time) {
  return impl_->BeginTurn(time);
}

absl::Status Engine::Apply(Command command) {
  return std::visit(
      [this](auto&& body) { return impl_->Apply(std::move(body)); },
      std::move(command));
}

absl::Status Engine::EndTurn(Effects* effects) {
  return impl_->EndTurn(effects);
}

absl::Time Engine::NextTurnTime() const { return impl_->NextTurnTime(); }

const std::string& Engine::shard_id() const { return impl_->shard_id(); }

uint64_t Engine::outbox_confirmed_position() const {
  return impl_->outbox().confirmed_position();
}

uint64_t Engine::outbox_last_position() const {
  return impl_->outbox().last_position();
}

bool IsDroppableRow(std::string_view key, std::string_view value,
                    absl::Time now, uint64_t confirmed_position) {
  if (key.empty()) return false;
  const char kind = key.front();
  if (kind == kBatchRow || kind == kUniqueRow || kind == kRequestRow ||
      kind == kLimitStateRow) {
    const auto keep_until = KeepUntilOf(value);
    return keep_until.has_value() && *keep_until <= absl::ToUnixMillis(now);
  }
  if (kind != kTaskRow || !IsFinishedTaskRow(value)) return false;
  const auto finished = DecodeFinishedTaskRow(value);
  return finished.ok() && finished->outbox_position <= confirmed_position &&
         finished->keep_until_millis <= absl::ToUnixMillis(now);
}

}  // namespace apium::broker
