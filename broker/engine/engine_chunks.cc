// What running tasks say of themselves: how far they are, and what they append.

#include <algorithm>
#include <cstdint>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/engine/engine_impl.h"
#include "common/error_reason.h"
#include "common/status_macros.h"

namespace apium::broker {
namespace {

// One answer to who follows a task: a message of its own to the client.
constexpr size_t kFollowPageBytes = 256 * 1024;

absl::Status ChunkLimit(const std::string& what) {
  return WithReason(
      absl::ResourceExhaustedError(absl::StrCat(
          what, "; this attempt appends no more: keep larger data elsewhere")),
      reason::kChunkLimit);
}

}  // namespace

// --- Progress ---

absl::Status Engine::Impl::ApplyProgress(const Session& session,
                                         ProgressReport report) {
  LiveTask* task = LeasedTask(session, report.lease);
  if (task == nullptr) return absl::OkStatus();
  if (report.progress.details != nullptr) {
    // Kept as a row, not in memory.
    details_.Put(task->key, std::exchange(report.progress.details, nullptr));
    task->stored.has_details = true;
  }
  task->lease.progress = std::move(report.progress);
  NotifyWatchers(*task);
  return absl::OkStatus();
}

absl::Status Engine::Impl::AddDetails(const LiveTask& task,
                                      TaskSnapshot* snapshot) {
  if (task.finished() || !task.stored.has_details) return absl::OkStatus();
  APIUM_ASSIGN_OR_RETURN(snapshot->progress.details, details_.Find(task.key));
  return absl::OkStatus();
}

absl::Status Engine::Impl::AddHandover(const LiveTask& task,
                                       Delivery* delivery) {
  delivery->chunks = task.stored.chunks;
  if (!task.stored.has_details) return absl::OkStatus();
  APIUM_ASSIGN_OR_RETURN(delivery->details, details_.Find(task.key));
  return absl::OkStatus();
}

absl::Status Engine::Impl::RecoverStream(LiveTask* task) {
  // The attempt that is under way has not written the task's row.
  APIUM_ASSIGN_OR_RETURN(const std::shared_ptr<const Payload> details,
                         details_.Find(task->key));
  task->stored.has_details = details != nullptr;
  APIUM_ASSIGN_OR_RETURN(const std::optional<StoredChunkHead> head,
                         chunks_.ReadHead(task->key));
  if (head.has_value() && head->create_time == task->content().create_time)
    task->stored.chunks = head->count;
  return absl::OkStatus();
}

// --- Chunks ---

absl::Status Engine::Impl::ApplyChunks(const Session& session,
                                       std::vector<ChunkReport> reports) {
  struct Answer {
    uint64_t appended = 0;  // number of the last one
    uint64_t refused = 0;
    absl::Status refusal;
  };
  std::map<uint64_t, Answer> answers;  // by epoch
  LiveTask* task = nullptr;
  uint64_t epoch = 0;
  for (ChunkReport& report : reports) {
    // A lease that is lost is refused once, not for each chunk.
    if (report.lease.epoch != epoch) task = LeasedTask(session, report.lease);
    epoch = report.lease.epoch;
    if (task == nullptr) continue;
    const uint64_t number = report.number;
    APIUM_ASSIGN_OR_RETURN(absl::Status refusal,
                           ApplyChunk(task, std::move(report)));
    Answer& answer = answers[epoch];
    uint64_t& last = refusal.ok() ? answer.appended : answer.refused;
    last = std::max(last, number);
    answer.refusal.Update(refusal);
  }
  for (auto& [answered, answer] : answers) {
    if (answer.appended > 0) {
      Push(session,
           ChunksAcknowledged{.epoch = answered, .number = answer.appended});
    }
    if (answer.refused > 0) {
      Push(session, ChunksAcknowledged{.epoch = answered,
                                       .number = answer.refused,
                                       .status = std::move(answer.refusal)});
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<absl::Status> Engine::Impl::ApplyChunk(LiveTask* task,
                                                      ChunkReport report) {
  APIUM_ASSIGN_OR_RETURN(LiveChunkHead * live, chunks_.HeadOf(task));
  StoredChunkHead& head = live->stored;
  const uint32_t attempt = task->stored.attempt;
  const uint64_t last = head.attempt == attempt ? head.number : 0;
  // Sent again after a reconnect.
  if (report.number <= last) return absl::OkStatus();
  absl::Status refusal = absl::OkStatus();
  const size_t bytes = report.payload.data.size();
  if (live->refused_attempt == attempt) {
    refusal = ChunkLimit("an earlier chunk was refused");
  } else if (bytes > options_.chunk_bytes_max) {
    refusal = ChunkLimit(absl::StrCat("a chunk of ", bytes,
                                      " bytes is above the limit of ",
                                      options_.chunk_bytes_max));
  } else if (head.count >= options_.task_chunks_max) {
    refusal = ChunkLimit(absl::StrCat("the task has ", head.count,
                                      " chunks, as many as it may have"));
  } else if (head.bytes + bytes > options_.task_chunk_bytes_max) {
    refusal = ChunkLimit(absl::StrCat("the chunks of the task would exceed ",
                                      options_.task_chunk_bytes_max, " bytes"));
  } else if (report.number != last + 1) {
    refusal = WithReason(
        absl::InvalidArgumentError(absl::StrCat(
            "chunk ", report.number, " is not the next; ", last + 1, " is")),
        reason::kProtocolViolation);
  }
  if (!refusal.ok()) {
    // So that no later one takes the place of this one.
    live->refused_attempt = attempt;
    return refusal;
  }
  head.attempt = attempt;
  head.number = report.number;
  chunks_.Append(
      task,
      {.attempt = attempt, .time = now_, .payload = std::move(report.payload)});
  for (const Waiter& waiter : waiters_.TakeFollowers(task->key))
    AddReply(waiter.to, FollowReply());
  return absl::OkStatus();
}

absl::Status Engine::Impl::EndStream(LiveTask* task, Outcome* outcome) {
  outcome->chunks = task->stored.chunks;
  if (task->stored.has_details) {
    APIUM_ASSIGN_OR_RETURN(outcome->details, details_.Find(task->key));
    details_.Erase(task->key);
  }
  if (task->stored.chunks == 0) return absl::OkStatus();
  APIUM_ASSIGN_OR_RETURN(LiveChunkHead * head, chunks_.HeadOf(task));
  const absl::Duration kept =
      std::max(options_.chunk_retention, task->content().result_ttl);
  head->stored.delete_millis = CeilToMillis(now_ + kept);
  chunks_.MarkDirty(task);
  timers_.Add({.due_millis = head->stored.delete_millis,
               .kind = TimerKind::kChunks,
               .task_key = task->key});
  return absl::OkStatus();
}

absl::Status Engine::Impl::DeleteChunks(const std::string& task_key) {
  APIUM_ASSIGN_OR_RETURN(
      const bool more,
      chunks_.DeleteSome(task_key, now_, &chunk_deletes_left_));
  if (!more) return absl::OkStatus();
  // Behind the timers that are due now.
  timers_.Add({.due_millis = CeilToMillis(now_) + 1,
               .kind = TimerKind::kChunks,
               .task_key = task_key});
  return absl::OkStatus();
}

absl::Status Engine::Impl::ForgetChunks(const std::string& task_key) {
  APIUM_ASSIGN_OR_RETURN(const bool begun, chunks_.BeginDelete(task_key, now_));
  if (!begun) return absl::OkStatus();
  timers_.Add({.due_millis = CeilToMillis(now_),
               .kind = TimerKind::kChunks,
               .task_key = task_key});
  return absl::OkStatus();
}

// --- Follow ---

absl::Status Engine::Impl::Apply(FollowTaskCommand&& command) {
  const std::string key = MakeTaskKey(command.namespace_name, command.task_id);
  APIUM_ASSIGN_OR_RETURN(const TaskTable::Found found, FindTask(key));
  APIUM_ASSIGN_OR_RETURN(FollowReply reply, FollowFrom(command, found, key));
  const bool waits = reply.status.ok() && reply.chunks.empty() &&
                     !reply.ended && found.live != nullptr &&
                     found.live->stored.chunks < command.from;
  if (!waits) {
    AddReply(command.reply, std::move(reply));
  } else if (waiters_.full()) {
    AddReply(command.reply,
             FollowReply{.status = TooManyWaiters(options_.max_waiters)});
  } else {
    waiters_.Add(key, {.kind = Waiter::Kind::kFollow, .to = command.reply});
  }
  return absl::OkStatus();
}

absl::StatusOr<FollowReply> Engine::Impl::FollowFrom(
    const FollowTaskCommand& command, const TaskTable::Found& found,
    const std::string& key) {
  FollowReply reply;
  uint64_t last = 0;
  if (found.live != nullptr) {
    last = found.live->stored.chunks;
  } else if (found.outcome != nullptr) {
    last = found.outcome->chunks;
  } else {
    // The chunks of a task whose id the engine has forgotten may still be
    // there.
    APIUM_ASSIGN_OR_RETURN(const std::optional<StoredChunkHead> head,
                           chunks_.ReadHead(key));
    const bool of_this_task =
        head.has_value() && head->delete_millis != 0 &&
        (!found.finished.has_value() ||
         head->create_time == found.finished->create_time);
    if (of_this_task) last = head->count;
  }
  if (command.from <= last) {
    // Empty: they are of this turn, and readable in the next.
    APIUM_ASSIGN_OR_RETURN(reply.chunks,
                           chunks_.Read(key, command.from, kFollowPageBytes));
    return reply;
  }
  if (found.live != nullptr) return reply;
  reply.ended = true;
  APIUM_ASSIGN_OR_RETURN(
      reply.task, ReplyFor(command.namespace_name, command.task_id, found));
  return reply;
}

}  // namespace apium::broker
