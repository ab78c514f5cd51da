#include "tests/support/engine_driver.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/status/statusor.h"
#include "broker/storage/outbox_reader.h"
#include "common/check.h"
#include "common/status_macros.h"

namespace apium::broker {

EngineDriver::EngineDriver(const EngineOptions& options, absl::Time now)
    : options_(options), now_(now) {}

absl::Status EngineDriver::Recover() {
  engine_.reset();
  APIUM_ASSIGN_OR_RETURN(engine_,
                         Engine::Recover(options_, store_.get(), now_));
  // Rows that survived a crash and were not released before it leave now, as
  // the publisher would read them.
  const uint64_t released =
      released_outbox_.empty() ? 0 : released_outbox_.back().position;
  if (engine_->outbox_last_position() <= released) return absl::OkStatus();
  return ReadOutbox(*store_, released + 1, engine_->outbox_last_position(),
                    std::numeric_limits<size_t>::max(), &released_outbox_);
}

absl::Status EngineDriver::Turn(std::vector<Command> commands) {
  Effects effects;
  APIUM_RETURN_IF_ERROR(engine_->BeginTurn({.now = now_, .lead = lead_}));
  for (Command& command : commands) {
    APIUM_RETURN_IF_ERROR(engine_->Apply(std::move(command)));
  }
  APIUM_RETURN_IF_ERROR(engine_->EndTurn(&effects));
  // A turn that changes nothing is stored, too, so that held turns and unsynced
  // writes have the same numbers.
  if (effects.writes.empty()) {
    effects.writes.Delete("test: a row that is never there");
  }
  APIUM_RETURN_IF_ERROR(store_->Write(effects.writes));
  if (observer_) observer_(effects);
  held_.push_back(std::move(effects));
  return absl::OkStatus();
}

absl::Status EngineDriver::Release() {
  APIUM_RETURN_IF_ERROR(store_->Sync());
  ReleaseHeld();
  return absl::OkStatus();
}

void EngineDriver::ReleaseWithoutSync() { ReleaseHeld(); }

void EngineDriver::ReleaseHeld() {
  while (!held_.empty()) {
    Effects effects = std::move(held_.front());
    held_.pop_front();
    for (OutboxEntry& entry : effects.outbox) {
      released_outbox_.push_back(std::move(entry));
    }
    for (AddressedReply& reply : effects.replies) {
      reply.to.sink->Take(reply.to.tag, std::move(reply.reply));
    }
    for (AddressedPush& push : effects.pushes) {
      push.to->Take(std::move(push.push));
    }
  }
}

absl::Status EngineDriver::Restart() {
  APIUM_RETURN_IF_ERROR(Release());
  return Recover();
}

absl::Status EngineDriver::Crash(size_t surviving_turns) {
  APIUM_CHECK(surviving_turns <= held_.size());
  engine_.reset();
  // Each held turn is one write that is not synced. What a lying sync has
  // released is lost, too.
  store_ = store_->CrashCopy(surviving_turns);
  held_.clear();
  return Recover();
}

void EngineDriver::set_now(absl::Time now) { now_ = std::max(now_, now); }

}  // namespace apium::broker
