#include "broker/shard/mailbox.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/error_reasons.h"
#include "common/error_reason.h"

namespace apium::broker {
namespace {

// A full mailbox is some hundred milliseconds of work for the shard.
constexpr absl::Duration kRetryDelay = absl::Milliseconds(200);

size_t BytesOf(const std::vector<QueuedCommand>& commands) {
  size_t bytes = 0;
  for (const QueuedCommand& queued : commands) bytes += queued.bytes;
  return bytes;
}

}  // namespace

bool Mailbox::HasRoom(size_t commands, size_t bytes, MailboxShare share) const {
  if (share == MailboxShare::kUnbounded || commands_ == 0) return true;
  const bool reserve = share == MailboxShare::kReserved;
  const size_t commands_max =
      limits_.commands_max + (reserve ? limits_.reserved_commands : 0);
  const size_t bytes_max =
      limits_.bytes_max + (reserve ? limits_.reserved_bytes : 0);
  return commands_ + commands <= commands_max && bytes_ + bytes <= bytes_max;
}

void Mailbox::SignalIfAsleep() {
  if (!asleep_) return;
  asleep_ = false;
  wake_.Signal();
}

void Mailbox::Append(std::vector<QueuedCommand>* commands, size_t bytes) {
  commands_ += commands->size();
  bytes_ += bytes;
  pending_.insert(pending_.end(), std::make_move_iterator(commands->begin()),
                  std::make_move_iterator(commands->end()));
  commands->clear();
  SignalIfAsleep();
}

absl::Status Mailbox::Push(Command command, MailboxShare share, size_t bytes) {
  absl::MutexLock lock(&mu_);
  if (!closed_.ok()) return closed_;
  if (!HasRoom(1, bytes, share)) {
    return WithRetryDelay(
        WithReason(absl::ResourceExhaustedError(absl::StrCat(
                       "the broker has ", commands_, " commands (", bytes_,
                       " bytes) waiting; the limit is ", limits_.commands_max,
                       " (", limits_.bytes_max, " bytes)")),
                   reason::kMailboxFull),
        kRetryDelay);
  }
  ++commands_;
  bytes_ += bytes;
  pending_.push_back({std::move(command), 1, bytes});
  SignalIfAsleep();
  return absl::OkStatus();
}

absl::Status Mailbox::PushAll(std::vector<QueuedCommand>* commands,
                              MailboxShare share) {
  if (commands->empty()) return absl::OkStatus();
  const size_t bytes = BytesOf(*commands);
  absl::MutexLock lock(&mu_);
  if (!closed_.ok()) return closed_;
  if (!HasRoom(commands->size(), bytes, share)) {
    return WithRetryDelay(
        WithReason(absl::ResourceExhaustedError(absl::StrCat(
                       "no room for ", commands->size(), " commands (", bytes,
                       " bytes): the broker has ", commands_, " (", bytes_,
                       " bytes) waiting; the limit is ", limits_.commands_max,
                       " (", limits_.bytes_max, " bytes)")),
                   reason::kMailboxFull),
        kRetryDelay);
  }
  Append(commands, bytes);
  return absl::OkStatus();
}

absl::StatusOr<bool> Mailbox::PushAllOrWait(
    std::vector<QueuedCommand>* commands, MailboxShare share,
    std::weak_ptr<MailboxWaiter> waiter) {
  if (commands->empty()) return true;
  const size_t bytes = BytesOf(*commands);
  absl::MutexLock lock(&mu_);
  if (!closed_.ok()) return closed_;
  if (!HasRoom(commands->size(), bytes, share)) {
    // Full means that something waits to be retired, so the call will come.
    waiters_.push_back(std::move(waiter));
    return false;
  }
  Append(commands, bytes);
  return true;
}

void Mailbox::Take(std::vector<QueuedCommand>* taken, absl::Duration timeout) {
  absl::MutexLock lock(&mu_);
  const absl::Time deadline = absl::Now() + timeout;
  while (pending_.empty() && !woken_ && closed_.ok()) {
    asleep_ = true;
    const bool timed_out = wake_.WaitWithDeadline(&mu_, deadline);
    asleep_ = false;
    if (timed_out) break;
  }
  woken_ = false;
  if (taken->empty()) {
    // The two vectors change places and keep their memory.
    taken->swap(pending_);
    return;
  }
  taken->insert(taken->end(), std::make_move_iterator(pending_.begin()),
                std::make_move_iterator(pending_.end()));
  pending_.clear();
}

void Mailbox::Retire(size_t commands, size_t bytes) {
  std::vector<std::weak_ptr<MailboxWaiter>> waiters;
  {
    absl::MutexLock lock(&mu_);
    commands_ -= commands;
    bytes_ -= bytes;
    // Once for a turn, and a full mailbox makes full turns: enough room for all
    // to try again, and no threshold under which others could keep them out.
    waiters.swap(waiters_);
  }
  for (const std::weak_ptr<MailboxWaiter>& weak : waiters) {
    if (const std::shared_ptr<MailboxWaiter> waiter = weak.lock()) {
      waiter->OnMailboxRoom();
    }
  }
}

bool Mailbox::HasWork() const {
  absl::MutexLock lock(&mu_);
  return !pending_.empty() || woken_ || !closed_.ok();
}

void Mailbox::Wake() {
  absl::MutexLock lock(&mu_);
  woken_ = true;
  SignalIfAsleep();
}

void Mailbox::Close(absl::Status status) {
  absl::MutexLock lock(&mu_);
  if (closed_.ok()) closed_ = std::move(status);
  SignalIfAsleep();
}

bool Mailbox::closed() const {
  absl::MutexLock lock(&mu_);
  return !closed_.ok();
}

size_t Mailbox::commands() const {
  absl::MutexLock lock(&mu_);
  return commands_;
}

bool Mailbox::full() const {
  absl::MutexLock lock(&mu_);
  return !HasRoom(1, 0, MailboxShare::kOrdinary);
}

}  // namespace apium::broker
