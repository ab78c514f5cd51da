// What a session says, and when: the reports and timers of SessionCore.

#include <algorithm>
#include <utility>

#include "common/check.h"
#include "common/rpc/proto_time.h"
#include "worker/session_core.h"

namespace apium {
namespace {

// Bytes of a lease, times and tags around the payload of an outcome,
// generously.
constexpr size_t kOutcomeEnvelopeBytes = 256;
constexpr size_t kStartedBytes = 224;
constexpr size_t kProgressBytes = 256;

size_t EstimateBytes(const v1::ExecutionOutcome& outcome) {
  size_t bytes = kOutcomeEnvelopeBytes;
  if (outcome.has_result()) {
    bytes +=
        outcome.result().data().size() + outcome.result().content_type().size();
  }
  for (const v1::Failure* failure :
       {&outcome.failure(), &outcome.retry().failure(),
        &outcome.crashed().failure()}) {
    bytes += failure->message().size() + failure->stack().size();
  }
  return bytes;
}

}  // namespace

// --- Reports ---

bool SessionCore::NextReport(absl::Duration now, v1::WorkerReport* report) {
  report->Clear();
  if (!open_) return false;
  APIUM_CHECK(lent_.empty()) << "the last report was not written yet";
  size_t bytes = AddStarted(report);
  bytes = AddProgress(bytes, report);
  bytes = AddChunks(bytes, report);
  AddOutcomes(bytes, report);
  const uint32_t granted = draining_ ? 0 : GrantCredit();
  report->set_credit(granted);
  if (draining_ && !draining_told_) {
    report->set_draining(true);
    draining_told_ = true;
  }
  for (v1::ControlReply& reply : control_replies_) {
    *report->add_control_replies() = std::move(reply);
  }
  control_replies_.clear();

  const bool has_content =
      report->started_size() > 0 || report->progress_size() > 0 ||
      report->charges_size() > 0 || report->chunks_size() > 0 ||
      report->outcomes_size() > 0 || granted > 0 || report->draining() ||
      report->control_replies_size() > 0;
  if (!has_content && now < heartbeat_due_) return false;
  report->mutable_heartbeat()->set_busy_slots(running_);
  heartbeat_due_ = now + heartbeat_interval_;
  return true;
}

size_t SessionCore::AddStarted(v1::WorkerReport* report) {
  size_t bytes = 0;
  while (!start_ready_.empty() && bytes < kReportBytesMax / 4) {
    auto it = entries_.find(start_ready_.front());
    start_ready_.pop_front();
    if (it == entries_.end() || it->second.finished) continue;
    v1::TaskStarted* started = report->add_started();
    *started->mutable_lease() = it->second.attempt->lease();
    TimeToProto(it->second.attempt->start_time(),
                started->mutable_start_time());
    bytes += kStartedBytes;
  }
  return bytes;
}

size_t SessionCore::AddProgress(size_t bytes, v1::WorkerReport* report) {
  while (!progress_ready_.empty() && bytes < kReportBytesMax / 2) {
    auto it = entries_.find(progress_ready_.front());
    progress_ready_.pop_front();
    if (it == entries_.end() || it->second.finished) continue;
    bytes += it->second.attempt->TakeCharges(report);
    AddOneProgress(it->second.attempt.get(), &bytes, report);
  }
  return bytes;
}

void SessionCore::AddOneProgress(Attempt* attempt, size_t* bytes,
                                 v1::WorkerReport* report) {
  std::optional<v1::Progress> progress = attempt->TakeProgress();
  if (!progress.has_value()) return;
  v1::TaskProgress* task = report->add_progress();
  *task->mutable_lease() = attempt->lease();
  *task->mutable_progress() = *std::move(progress);
  *bytes += kProgressBytes + task->progress().message().size() +
            task->progress().details().data().size();
}

size_t SessionCore::AddChunks(size_t bytes, v1::WorkerReport* report) {
  while (!chunks_ready_.empty() && bytes < kReportBytesMax / 2) {
    const uint64_t epoch = chunks_ready_.front();
    chunks_ready_.pop_front();
    auto it = entries_.find(epoch);
    if (it == entries_.end()) continue;
    Attempt& attempt = *it->second.attempt;
    bytes += attempt.TakeChunks(kReportBytesMax / 2 - bytes, report);
    if (attempt.HasUnsentChunks()) chunks_ready_.push_back(epoch);
  }
  return bytes;
}

void SessionCore::AddOutcomes(size_t bytes, v1::WorkerReport* report) {
  std::vector<uint64_t> held_back;
  while (!unsent_.empty()) {
    auto it = entries_.find(unsent_.front());
    if (it == entries_.end()) {
      unsent_.pop_front();
      continue;
    }
    const std::shared_ptr<Attempt>& attempt = it->second.attempt;
    if (attempt->has_stream()) {
      // An outcome is the last that is said of an attempt.
      if (attempt->HasUnsentChunks()) {
        held_back.push_back(unsent_.front());
        unsent_.pop_front();
        continue;
      }
      bytes += attempt->TakeCharges(report);
      if (attempt->HasUnsentDetails())
        AddOneProgress(attempt.get(), &bytes, report);
    }
    bytes += EstimateBytes(attempt->outcome());
    if (bytes > kReportBytesMax && report->outcomes_size() > 0) break;
    unsent_.pop_front();
    report->mutable_outcomes()->UnsafeArenaAddAllocated(
        attempt->mutable_outcome());
    lent_.push_back(attempt);
  }
  unsent_.insert(unsent_.begin(), held_back.begin(), held_back.end());
}

// Three bounds: the places of this worker, what it may hold at all, and what
// the broker allows.
uint32_t SessionCore::GrantCredit() {
  const uint64_t held = entries_.size() + credit_;
  const uint64_t outstanding = running_ + unsent_.size() + credit_;
  uint64_t want =
      options_.slots->share() > credit_ ? options_.slots->share() - credit_ : 0;
  want = std::min(want, held < held_max_ ? held_max_ - held : 0);
  want =
      std::min(want, outstanding < max_credit_ ? max_credit_ - outstanding : 0);
  if (want == 0) return 0;
  const uint32_t granted = options_.slots->Take(options_.broker, want);
  credit_ += granted;
  return granted;
}

void SessionCore::OnReportWritten(v1::WorkerReport* report) {
  auto* outcomes = report->mutable_outcomes();
  while (!outcomes->empty()) outcomes->UnsafeArenaReleaseLast();
  lent_.clear();
}

// --- Time ---

absl::Duration SessionCore::NextTimer() const {
  absl::Duration next = std::min(heartbeat_due_, collect_at_);
  if (!deadlines_.empty()) next = std::min(next, deadlines_.begin()->first);
  return next;
}

void SessionCore::OnTimer(absl::Duration now, SessionEffects* effects) {
  if (now >= collect_at_) {
    collect_at_ = absl::InfiniteDuration();
    std::vector<uint64_t> waiting;
    for (uint64_t epoch : start_unsaid_) {
      auto it = entries_.find(epoch);
      if (it == entries_.end() || it->second.finished) continue;
      Entry& entry = it->second;
      if (!entry.attempt->started()) {
        waiting.push_back(epoch);
        continue;
      }
      start_ready_.push_back(epoch);
      if (entry.soft_time_limit != absl::InfiniteDuration()) {
        entry.deadline =
            entry.attempt->start_monotonic() + entry.soft_time_limit;
        deadlines_.insert({entry.deadline, epoch});
      }
    }
    start_unsaid_ = std::move(waiting);
    progress_ready_.insert(progress_ready_.end(), progress_unsaid_.begin(),
                           progress_unsaid_.end());
    progress_unsaid_.clear();
    if (!start_unsaid_.empty()) collect_at_ = now + kReportDelay;
  }
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    Entry& entry = entries_.find(deadlines_.begin()->second)->second;
    ForgetDeadline(&entry);
    entry.soft_time_limit = absl::InfiniteDuration();
    effects->cancels.push_back({entry.attempt, CancelCause::kTimeLimit,
                                "the soft time limit has passed"});
  }
}

}  // namespace apium
