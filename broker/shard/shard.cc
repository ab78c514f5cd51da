#include "broker/shard/shard.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "broker/engine/engine.h"
#include "common/error_reason.h"
#include "common/log.h"
#include "common/status_macros.h"

namespace apium::broker {
namespace {

// The wall clock may be set while the shard sleeps, so it is looked at this
// often even when nothing is due.
constexpr absl::Duration kSleepMax = absl::Seconds(1);

// Memory for this many commands is kept between turns; after a burst the rest
// is given back.
constexpr size_t kTakenCapacityMax = 16'384;

}  // namespace

Shard::Shard(TurnLimits limits, std::unique_ptr<Engine> engine,
             Mailbox* mailbox, GroupCommit* commit, const Clock* clock,
             std::atomic<uint64_t>* confirmed_position)
    : limits_(limits),
      engine_(std::move(engine)),
      mailbox_(mailbox),
      commit_(commit),
      confirmed_position_(confirmed_position),
      clock_(clock),
      outbox_applied_(engine_->outbox_confirmed_position()),
      thread_([this] { Run(); }) {}

Shard::~Shard() { Stop(absl::UnavailableError("the broker stops")); }

void Shard::Stop(absl::Status status) {
  mailbox_->Close(std::move(status));
  if (thread_.joinable()) thread_.join();
}

void Shard::ConfirmOutbox(uint64_t position) {
  uint64_t known = outbox_confirmed_.load(std::memory_order_relaxed);
  while (position > known &&
         !outbox_confirmed_.compare_exchange_weak(known, position)) {
  }
  if (position > known) mailbox_->Wake();
}

bool Shard::HasMore() const {
  return next_taken_ < taken_.size() || mailbox_->HasWork();
}

absl::Duration Shard::SleepTime() {
  const absl::Duration until_due = engine_->NextTurnTime() - clock_.Now();
  return std::clamp(until_due, absl::ZeroDuration(), kSleepMax);
}

void Shard::Run() {
  pthread_setname_np(pthread_self(), "shard");
  while (true) {
    if (next_taken_ == taken_.size()) {
      taken_.clear();
      if (taken_.capacity() > kTakenCapacityMax) taken_.shrink_to_fit();
      next_taken_ = 0;
      mailbox_->Take(&taken_, SleepTime());
      if (taken_.empty() && mailbox_->closed()) break;
    }
    if (!DoTurn()) break;
  }
  // After a failure nothing is answered any more: those who wait learn it from
  // the end of their calls, and nobody else shall join them.
  mailbox_->Close(
      WithReason(absl::UnavailableError("the broker's store has failed"),
                 reason::kStoreFailed));
  taken_.clear();
  mailbox_->Take(&taken_, absl::ZeroDuration());
  taken_.clear();
  commit_->Drain();
}

bool Shard::DoTurn() {
  std::unique_ptr<Turn> turn = commit_->NewTurn();
  if (turn == nullptr) return false;
  const size_t first = next_taken_;
  const absl::Status applied = ApplyTaken(turn.get());
  if (!applied.ok()) {
    commit_->Fail(applied);
    return false;
  }
  size_t bytes = 0;
  for (size_t i = first; i < next_taken_; ++i) bytes += taken_[i].bytes;
  if (next_taken_ > first) mailbox_->Retire(next_taken_ - first, bytes);
  commit_->Submit(std::move(turn),
                  HasMore() ? ShardLoad::kBusy : ShardLoad::kIdle);
  if (confirmed_position_ != nullptr) {
    confirmed_position_->store(engine_->outbox_confirmed_position(),
                               std::memory_order_relaxed);
  }
  return true;
}

absl::Status Shard::ApplyTaken(Turn* turn) {
  APIUM_RETURN_IF_ERROR(engine_->BeginTurn(clock_.BeginTurn()));
  const uint64_t confirmed = outbox_confirmed_.load();
  if (confirmed > outbox_applied_) {
    APIUM_RETURN_IF_ERROR(engine_->Apply(OutboxConfirmedCommand{confirmed}));
    outbox_applied_ = confirmed;
  }
  size_t items = 0;
  size_t bytes = 0;
  while (next_taken_ < taken_.size()) {
    QueuedCommand& queued = taken_[next_taken_];
    const bool first = items == 0;
    if (!first && (items + queued.items > limits_.items_max ||
                   bytes + queued.bytes > limits_.bytes_max)) {
      break;
    }
    items += queued.items;
    bytes += queued.bytes;
    ++next_taken_;
    APIUM_RETURN_IF_ERROR(engine_->Apply(std::move(queued.command)));
  }
  turn->items = items;
  return engine_->EndTurn(&turn->effects);
}

}  // namespace apium::broker
