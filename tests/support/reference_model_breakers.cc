// Circuit breakers in the reference model: types whose attempts fail too often
// are held back for a while.

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/support/engine_text.h"
#include "tests/support/reference_model.h"

namespace apium::broker {
namespace {

const char kBreakerNotFound[] = "NOT_FOUND/BREAKER_NOT_FOUND";

// The window forgets a tenth of itself at a time.
int64_t TenthOf(absl::Duration window, absl::Time time) {
  return (time - absl::UnixEpoch()) / (window / 10);
}

}  // namespace

std::string ModelBreakerText(const BreakerInfo& breaker) {
  const BreakerSettings& settings = breaker.settings;
  return absl::StrCat(
      breaker.type, " ", ReplyText({.body = BreakerReply{.breaker = breaker}}),
      " share=", settings.failure_share, " min=", settings.min_attempts,
      " window=", absl::FormatDuration(settings.window),
      " open=", absl::FormatDuration(settings.open_duration),
      " opened=", absl::FormatTime(breaker.open_time));
}

BreakerInfo ReferenceModel::InfoOf(const std::string& type,
                                   const Breaker& breaker) const {
  BreakerInfo info = {.type = type,
                      .settings = breaker.settings,
                      .state = breaker.state,
                      .open_time = breaker.open_time};
  const absl::Duration window = breaker.settings.window;
  for (const Breaker::Attempt& attempt : breaker.attempts) {
    if (TenthOf(window, attempt.end) + 10 <= TenthOf(window, now_)) continue;
    ++info.attempts;
    info.failures += attempt.failed;
  }
  return info;
}

void ReferenceModel::Open(Breaker* breaker) {
  breaker->state = BreakerState::kOpen;
  breaker->open_time = now_;
  breaker->trial = 0;
  ++counts_.opened;
}

void ReferenceModel::Close(Breaker* breaker) {
  breaker->state = BreakerState::kClosed;
  breaker->trial = 0;
  breaker->attempts.clear();
}

void ReferenceModel::HalfOpenBreakers() {
  for (auto& [type, breaker] : breakers_) {
    const bool due = breaker.state == BreakerState::kOpen &&
                     breaker.open_time + breaker.settings.open_duration <= now_;
    if (due) breaker.state = BreakerState::kHalfOpen;
  }
}

void ReferenceModel::NoteAttemptEnd(const Task& task, bool failed) {
  const auto it = breakers_.find(task.content->type);
  // One that was asked to stop says nothing of its type.
  if (it == breakers_.end() || task.cancel_requested) return;
  Breaker& breaker = it->second;
  breaker.attempts.push_back({.end = now_, .failed = failed});
  if (breaker.state == BreakerState::kHalfOpen) {
    // What ran before it opened is no trial.
    if (breaker.trial != task.epoch) return;
    ++(failed ? counts_.trials_failed : counts_.trials_succeeded);
    if (failed) {
      Open(&breaker);
    } else {
      Close(&breaker);
    }
  } else if (breaker.state == BreakerState::kClosed && failed) {
    const BreakerInfo info = InfoOf(it->first, breaker);
    const double share =
        static_cast<double>(info.failures) / static_cast<double>(info.attempts);
    if (info.attempts >= breaker.settings.min_attempts &&
        share >= breaker.settings.failure_share)
      Open(&breaker);
  }
}

bool ReferenceModel::IsHeldBack(const std::string& type) const {
  const auto it = breakers_.find(type);
  if (it == breakers_.end()) return false;
  const Breaker& breaker = it->second;
  if (breaker.state != BreakerState::kHalfOpen)
    return breaker.state == BreakerState::kOpen;
  // While one is tried.
  return breaker.trial != 0 &&
         std::any_of(sessions_.begin(), sessions_.end(),
                     [&](const auto& session) {
                       return session.second.leases.count(breaker.trial) > 0;
                     });
}

void ReferenceModel::NoteDelivery(const Task& task) {
  const auto it = breakers_.find(task.content->type);
  if (it != breakers_.end() && it->second.state == BreakerState::kHalfOpen)
    it->second.trial = task.epoch;
}

void ReferenceModel::CheckBreakers() {
  for (const auto& [type, breaker] : breakers_) {
    const bool late =
        breaker.state == BreakerState::kOpen &&
        breaker.open_time + breaker.settings.open_duration <= now_;
    if (late)
      AddViolation(absl::StrCat("the breaker of ", type, " stays open"));
  }
}

void ReferenceModel::ExpectBreaker(uint64_t tag, const std::string& type) {
  const auto it = breakers_.find(type);
  ExpectReply(tag, it == breakers_.end()
                       ? kBreakerNotFound
                       : ModelBreakerText(InfoOf(type, it->second)));
}

void ReferenceModel::Apply(const SetBreakerCommand& command) {
  if (!command.settings.has_value()) {
    breakers_.erase(command.type);
    return ExpectReply(command.reply.tag, "removed");
  }
  // A new one is closed; the state of another stays.
  Breaker& breaker = breakers_[command.type];
  if (breaker.settings.window != command.settings->window)
    breaker.attempts.clear();
  breaker.settings = *command.settings;
  ExpectBreaker(command.reply.tag, command.type);
}

void ReferenceModel::Apply(const GetBreakerCommand& command) {
  ExpectBreaker(command.reply.tag, command.type);
}

void ReferenceModel::Apply(const ListBreakersCommand& command) {
  std::vector<std::string> texts;
  for (const auto& [type, breaker] : breakers_)
    texts.push_back(ModelBreakerText(InfoOf(type, breaker)));
  ExpectReply(command.reply.tag, absl::StrJoin(texts, "; "));
}

void ReferenceModel::Apply(const ResetBreakerCommand& command) {
  const auto it = breakers_.find(command.type);
  if (it != breakers_.end()) Close(&it->second);
  ExpectBreaker(command.reply.tag, command.type);
}

}  // namespace apium::broker
