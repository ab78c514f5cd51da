#include "results/mailbox.h"

#include <utility>

#include "absl/time/clock.h"
#include "common/error_reason.h"
#include "common/strings.h"
#include "results/result_reasons.h"

namespace apium::results {
namespace {

size_t BytesOf(const ResultCommand& command) {
  const auto* batch = std::get_if<PublishBatch>(&command);
  return batch == nullptr ? 0 : batch->bytes;
}

}  // namespace

absl::Status Mailbox::PushCall(ResultCommand command) {
  absl::MutexLock lock(&mu_);
  if (!closed_.ok()) {
    return closed_;
  }
  if (Waiting() >= options_.calls_max) {
    return WithRetryDelay(WithReason(absl::ResourceExhaustedError(StrCat(
                                         Waiting(),
                                         " calls wait to be looked at; the "
                                         "limit is ",
                                         options_.calls_max)),
                                     reason::kResultsBusy),
                          absl::Milliseconds(100));
  }
  Append(std::move(command));
  return absl::OkStatus();
}

absl::Status Mailbox::Push(ResultCommand command) {
  absl::MutexLock lock(&mu_);
  if (!closed_.ok()) {
    return closed_;
  }
  Append(std::move(command));
  return absl::OkStatus();
}

bool Mailbox::Take(absl::Duration timeout,
                   std::vector<ResultCommand>* commands) {
  absl::MutexLock lock(&mu_);
  const absl::Time until = absl::Now() + timeout;
  while (Waiting() == 0 && closed_.ok()) {
    asleep_ = true;
    const bool timed_out = wake_.WaitWithDeadline(&mu_, until);
    asleep_ = false;
    if (timed_out) {
      break;
    }
  }
  if (next_ == 0 && pending_.size() <= options_.group_commands_max &&
      pending_bytes_ <= options_.group_bytes_max) {
    commands->swap(pending_);
    pending_bytes_ = 0;
    return !commands->empty() || closed_.ok();
  }
  size_t bytes = 0;
  while (Waiting() > 0 && commands->size() < options_.group_commands_max &&
         bytes < options_.group_bytes_max) {
    bytes += BytesOf(pending_[next_]);
    commands->push_back(std::move(pending_[next_]));
    ++next_;
  }
  pending_bytes_ -= bytes;
  if (Waiting() == 0) {
    pending_.clear();
    next_ = 0;
  }
  return true;
}

bool Mailbox::HasWork() const {
  absl::MutexLock lock(&mu_);
  return Waiting() > 0;
}

void Mailbox::Close(const absl::Status& status) {
  absl::MutexLock lock(&mu_);
  if (closed_.ok()) {
    closed_ = status;
  }
  wake_.SignalAll();
}

void Mailbox::Append(ResultCommand command) {
  // What was taken is dropped once it is the larger part, so that a mailbox
  // that is never empty does not grow.
  if (next_ > options_.group_commands_max && next_ > pending_.size() / 2) {
    pending_.erase(pending_.begin(),
                   pending_.begin() + static_cast<ptrdiff_t>(next_));
    next_ = 0;
  }
  pending_bytes_ += BytesOf(command);
  pending_.push_back(std::move(command));
  if (asleep_) {
    wake_.Signal();
  }
}

}  // namespace apium::results
