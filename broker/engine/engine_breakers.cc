// Circuit breakers: types whose attempts fail too often are not dispatched for
// a while.

#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/engine/engine_impl.h"
#include "common/error_reason.h"
#include "common/status_macros.h"

namespace apium::broker {
namespace {

// Of one namespace. A breaker costs memory, and a look in each turn while it is
// open.
constexpr size_t kBreakersMax = 1000;

absl::Status BreakerNotFound(const std::string& type) {
  return WithReason(
      absl::NotFoundError(absl::StrCat("type ", type, " has no breaker")),
      reason::kBreakerNotFound, {{"type", type}});
}

}  // namespace

bool Engine::Impl::IsHeldByBreaker(const LiveBreaker& breaker) const {
  switch (breaker.stored.state) {
    case BreakerState::kClosed:
      return false;
    case BreakerState::kOpen:
      return true;
    case BreakerState::kHalfOpen:
      break;
  }
  // One that was handed back proves nothing: another one is tried.
  const uint64_t trial = breaker.stored.trial_epoch;
  return trial != 0 && leases_.Find(trial) != nullptr;
}

std::string Engine::Impl::BreakerReason(const std::string& namespace_name,
                                        const std::string& type) {
  const LiveBreaker* breaker = breakers_.Find(namespace_name, type);
  if (breaker == nullptr || !IsHeldByBreaker(*breaker)) return "";
  if (breaker->stored.state == BreakerState::kOpen) {
    return absl::StrCat(
        "the breaker of type ", type, " is open until ",
        absl::FormatTime(absl::RFC3339_sec, breaker->open_until(),
                         absl::UTCTimeZone()));
  }
  return absl::StrCat("the breaker of type ", type,
                      " is half open: one task at a time");
}

void Engine::Impl::NoteDispatch(const LiveTask& task) {
  LiveBreaker* breaker =
      breakers_.Find(task.content().namespace_name, task.content().type);
  if (breaker != nullptr && breaker->stored.state == BreakerState::kHalfOpen)
    breakers_.SetTrial(breaker, task.lease.epoch);
}

void Engine::Impl::NoteAttemptEnd(const LiveTask& task, bool failed) {
  LiveBreaker* breaker =
      breakers_.Find(task.content().namespace_name, task.content().type);
  // What was asked to stop says nothing of its type.
  if (breaker == nullptr || task.stored.cancel_requested) return;
  const StoredBreaker& stored = breaker->stored;
  const bool tried = stored.state == BreakerState::kHalfOpen &&
                     stored.trial_epoch == task.lease.epoch;
  breakers_.Count(breaker, now_, failed);
  if (!tried) return;
  if (failed) {
    breakers_.Open(breaker, now_);
  } else {
    breakers_.Close(breaker);
  }
}

BreakerInfo Engine::Impl::InfoOf(const LiveBreaker& breaker) const {
  const AttemptWindow::Counts counts = breaker.window.In(now_);
  return {.type = breaker.type,
          .settings = breaker.stored.settings,
          .state = breaker.stored.state,
          .attempts = counts.attempts,
          .failures = counts.failures,
          .open_time = breaker.stored.open_time};
}

absl::Status Engine::Impl::Apply(SetBreakerCommand&& command) {
  BreakerReply reply;
  const std::string& namespace_name = command.namespace_name;
  if (!queues_.HasNamespace(namespace_name))
    reply.status = ExistingQueue(namespace_name, "").status();
  const bool is_new = breakers_.Find(namespace_name, command.type) == nullptr;
  if (reply.status.ok() && is_new && command.settings.has_value() &&
      breakers_.CountOf(namespace_name) >= kBreakersMax) {
    reply.status = WithReason(
        absl::ResourceExhaustedError(absl::StrCat(
            "namespace ", namespace_name, " already has ", kBreakersMax,
            " breakers, which is the limit; remove one")),
        "TOO_MANY_BREAKERS");
  }
  reply.removed = !command.settings.has_value();
  if (reply.status.ok() && !(reply.removed && is_new)) {
    const absl::StatusOr<uint32_t> type_id = queues_.InternType(command.type);
    reply.status = type_id.status();
    if (reply.status.ok() && reply.removed) {
      breakers_.Remove(namespace_name, command.type, *type_id);
    } else if (reply.status.ok()) {
      reply.breaker = InfoOf(*breakers_.Set(namespace_name, command.type,
                                            *type_id, *command.settings));
    }
  }
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

absl::StatusOr<LiveBreaker*> Engine::Impl::ExistingBreaker(
    const std::string& namespace_name, const std::string& type) {
  if (!queues_.HasNamespace(namespace_name))
    return ExistingQueue(namespace_name, "").status();
  LiveBreaker* breaker = breakers_.Find(namespace_name, type);
  if (breaker == nullptr) return BreakerNotFound(type);
  return breaker;
}

absl::Status Engine::Impl::Apply(GetBreakerCommand&& command) {
  BreakerReply reply;
  const absl::StatusOr<LiveBreaker*> breaker =
      ExistingBreaker(command.namespace_name, command.type);
  reply.status = breaker.status();
  if (breaker.ok()) reply.breaker = InfoOf(**breaker);
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(ListBreakersCommand&& command) {
  BreakersReply reply;
  if (!queues_.HasNamespace(command.namespace_name))
    reply.status = ExistingQueue(command.namespace_name, "").status();
  breakers_.ForEach([&](const LiveBreaker& breaker) {
    if (breaker.namespace_name == command.namespace_name)
      reply.breakers.push_back(InfoOf(breaker));
  });
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(ResetBreakerCommand&& command) {
  BreakerReply reply;
  const absl::StatusOr<LiveBreaker*> breaker =
      ExistingBreaker(command.namespace_name, command.type);
  reply.status = breaker.status();
  if (breaker.ok()) {
    breakers_.Close(*breaker);
    reply.breaker = InfoOf(**breaker);
  }
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

}  // namespace apium::broker
