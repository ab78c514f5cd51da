// What goes over many dead letters, and so over many turns: redrives, dry runs
// of them, purges.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/engine/engine_impl.h"
#include "common/error_reason.h"
#include "common/status_macros.h"

namespace apium::broker {
namespace {

// Dead letters that a turn looks at, and their bytes: short enough not to be
// felt by others.
constexpr size_t kLettersPerTurn = 1000;
constexpr size_t kLetterBytesPerTurn = 8 * 1024 * 1024;
// Purges and dry runs that wait for their turn, each with a caller.
constexpr size_t kLetterScansMax = 1000;
// What a redrive with a rate was late for, it catches up on at once; no more.
constexpr absl::Duration kRedriveBurst = absl::Milliseconds(100);
// A redrive waits this long where nobody can submit (disk low, shutting down).
constexpr absl::Duration kRedriveWait = absl::Seconds(1);
constexpr absl::Duration kRedriveStepMax = absl::Hours(24 * 3660);

absl::Duration StepOf(const Redrive& redrive) {
  if (redrive.max_per_second == 0) return absl::ZeroDuration();
  return std::min(absl::Seconds(1 / redrive.max_per_second), kRedriveStepMax);
}

absl::Status RedriveNotFound(const std::string& queue) {
  return WithReason(absl::NotFoundError(
                        absl::StrCat("queue ", queue, " never had a redrive")),
                    reason::kRedriveNotFound, {{"queue", queue}});
}

std::string KeyOf(const DeadLetter& letter) {
  return MakeTaskKey(letter.content->namespace_name, letter.content->task_id);
}

}  // namespace

// --- Redrives ---

absl::Status Engine::Impl::RunRedrives() {
  if (redrives_.running().empty()) return absl::OkStatus();
  // Each turn begins with another queue, so that all get on.
  const std::set<uint32_t>& running = redrives_.running();
  std::vector<uint32_t> order(running.upper_bound(last_redrive_queue_),
                              running.end());
  order.insert(order.end(), running.begin(),
               running.upper_bound(last_redrive_queue_));
  size_t budget = kLettersPerTurn;
  for (const uint32_t queue_id : order) {
    StoredRedrive* redrive = redrives_.Find(queue_id);
    if (redrive->next_time > now_) continue;
    if (budget == 0) {
      more_to_do_ = true;
      break;
    }
    if (!admission_.ok()) {
      redrive->next_time = now_ + kRedriveWait;
      continue;
    }
    last_redrive_queue_ = queue_id;
    APIUM_RETURN_IF_ERROR(
        RunRedrive(queues_.FindById(queue_id), redrive, &budget));
  }
  return absl::OkStatus();
}

absl::Status Engine::Impl::RunRedrive(Queue* queue, StoredRedrive* redrive,
                                      size_t* budget) {
  const uint32_t queue_id = queue->stored.queue_id;
  Redrive& shown = redrive->shown;
  const absl::Duration step = StepOf(shown);
  redrive->next_time = std::max(redrive->next_time, now_ - kRedriveBurst);
  APIUM_ASSIGN_OR_RETURN(
      const DeadLetterTable::Slice slice,
      dead_letters_.Read(queue_id, redrive->cursor,
                         {.letters = LettersToRead(*redrive, step, *budget),
                          .bytes = kLetterBytesPerTurn}));
  bool more = slice.more;
  for (const auto& letter : slice.letters) {
    if (redrive->next_time > now_) {
      more = true;
      break;
    }
    --*budget;
    redrive->cursor = KeyOf(*letter);
    const bool meant =
        letter->number < redrive->number_limit && shown.filter.Matches(*letter);
    if (!meant) continue;
    ++shown.matched;
    std::shared_ptr<TaskContent> content = ContentToRedrive(*letter);
    if (!shown.target_queue.empty()) content->queue = shown.target_queue;
    absl::Status refusal;
    APIUM_RETURN_IF_ERROR(
        RedriveLetter(queue, *letter, std::move(content), &refusal));
    if (refusal.ok()) {
      ++shown.redriven;
    } else {
      ++shown.refused;
      shown.last_refusal = std::string(refusal.message());
    }
    redrive->next_time += step;
  }
  if (!more) {
    shown.state = RedriveState::kDone;
    shown.end_time = now_;
  }
  redrives_.MarkDirty(queue_id);
  return absl::OkStatus();
}

size_t Engine::Impl::LettersToRead(const StoredRedrive& redrive,
                                   absl::Duration step, size_t budget) const {
  if (step == absl::ZeroDuration()) return budget;
  // Not many more than may be submitted now: the rest would be read again.
  constexpr int64_t kAhead = 16;
  const int64_t due = (now_ - redrive.next_time) / step + 1;
  return std::min(budget, static_cast<size_t>(due + kAhead));
}

absl::Status Engine::Impl::Apply(StartRedriveCommand&& command) {
  RedriveReply reply;
  const absl::StatusOr<Queue*> queue =
      ExistingQueue(command.namespace_name, command.queue);
  reply.status = queue.status();
  if (queue.ok() && !command.target_queue.empty() &&
      !options_.create_queues_on_use) {
    reply.status = WithFieldViolation(
        ExistingQueue(command.namespace_name, command.target_queue).status(),
        "target_queue", "does not exist");
  }
  StoredRedrive redrive;
  redrive.shown = {.queue = command.queue,
                   .filter = std::move(command.filter),
                   .max_per_second = command.max_per_second,
                   .target_queue = std::move(command.target_queue),
                   .dry_run = command.dry_run,
                   .start_time = now_};
  redrive.next_time = now_;
  if (reply.status.ok() && command.dry_run) {
    reply.status = AddLetterScan({.reply = command.reply,
                                  .kind = LetterScan::Kind::kDryRun,
                                  .queue_id = (*queue)->stored.queue_id,
                                  .redrive = std::move(redrive.shown)});
    if (reply.status.ok()) return absl::OkStatus();
  } else if (reply.status.ok()) {
    const uint32_t queue_id = (*queue)->stored.queue_id;
    if (redrives_.running().count(queue_id) > 0) {
      reply.status = WithReason(
          absl::AlreadyExistsError(absl::StrCat(
              "queue ", command.queue,
              " has a redrive that is running; wait for it or cancel it")),
          "REDRIVE_EXISTS", {{"queue", command.queue}});
    } else {
      redrive.number_limit = tickets_.Next();
      reply.redrive = redrive.shown;
      redrives_.Start(queue_id, std::move(redrive));
    }
  }
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

absl::StatusOr<StoredRedrive*> Engine::Impl::ExistingRedrive(
    const std::string& namespace_name, const std::string& queue_name) {
  APIUM_ASSIGN_OR_RETURN(const Queue* queue,
                         ExistingQueue(namespace_name, queue_name));
  StoredRedrive* redrive = redrives_.Find(queue->stored.queue_id);
  if (redrive == nullptr) return RedriveNotFound(queue_name);
  redrive->shown.queue = queue_name;
  return redrive;
}

absl::Status Engine::Impl::Apply(GetRedriveCommand&& command) {
  RedriveReply reply;
  const absl::StatusOr<StoredRedrive*> redrive =
      ExistingRedrive(command.namespace_name, command.queue);
  reply.status = redrive.status();
  if (redrive.ok()) reply.redrive = (*redrive)->shown;
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(CancelRedriveCommand&& command) {
  RedriveReply reply;
  const absl::StatusOr<StoredRedrive*> redrive =
      ExistingRedrive(command.namespace_name, command.queue);
  reply.status = redrive.status();
  if (redrive.ok()) {
    Redrive& shown = (*redrive)->shown;
    if (shown.state == RedriveState::kRunning) {
      shown.state = RedriveState::kCancelled;
      shown.end_time = now_;
      redrives_.MarkDirty(
          queues_.Find(command.namespace_name, command.queue)->stored.queue_id);
    }
    reply.redrive = shown;
  }
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

// --- Purges and dry runs ---

absl::Status Engine::Impl::AddLetterScan(LetterScan scan) {
  if (letter_scans_.size() >= kLetterScansMax) {
    return WithRetryDelay(
        WithReason(absl::ResourceExhaustedError(absl::StrCat(
                       "the broker already has ", kLetterScansMax,
                       " purges and dry runs of dead letters to do")),
                   "TOO_MANY_DEAD_LETTER_SCANS"),
        absl::Seconds(1));
  }
  scan.number_limit = tickets_.Next();
  letter_scans_.push_back(std::move(scan));
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(PurgeDeadLettersCommand&& command) {
  const absl::StatusOr<Queue*> queue =
      ExistingQueue(command.namespace_name, command.queue);
  absl::Status status = queue.status();
  if (status.ok()) {
    status = AddLetterScan({.reply = command.reply,
                            .kind = LetterScan::Kind::kPurge,
                            .queue_id = (*queue)->stored.queue_id});
  }
  if (!status.ok())
    AddReply(command.reply, PurgeReply{.status = std::move(status)});
  return absl::OkStatus();
}

absl::Status Engine::Impl::RunLetterScans() {
  if (letter_scans_.empty()) return absl::OkStatus();
  LetterScan& scan = letter_scans_.front();
  // Null: it was deleted, and was empty then.
  Queue* queue = queues_.FindById(scan.queue_id);
  DeadLetterTable::Slice slice;
  if (queue != nullptr) {
    APIUM_ASSIGN_OR_RETURN(
        slice, dead_letters_.Read(
                   scan.queue_id, scan.cursor,
                   {.letters = kLettersPerTurn, .bytes = kLetterBytesPerTurn}));
  }
  for (const auto& letter : slice.letters) {
    scan.cursor = KeyOf(*letter);
    if (letter->number >= scan.number_limit) continue;
    if (scan.kind == LetterScan::Kind::kPurge) {
      DropDeadLetter(queue, *letter);
      ++scan.purged;
    } else if (scan.redrive.filter.Matches(*letter)) {
      ++scan.redrive.matched;
    }
  }
  if (slice.more) return absl::OkStatus();
  if (scan.kind == LetterScan::Kind::kPurge) {
    AddReply(scan.reply, PurgeReply{.purged = scan.purged});
  } else {
    scan.redrive.state = RedriveState::kDone;
    scan.redrive.end_time = now_;
    AddReply(scan.reply, RedriveReply{.redrive = std::move(scan.redrive)});
  }
  letter_scans_.pop_front();
  return absl::OkStatus();
}

}  // namespace apium::broker
