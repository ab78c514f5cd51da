#include "tests/crash/recorder.h"

#include <utility>

namespace apium::crash {

void Recorder::AddSubmit(SubmitRecord submit, bool first) {
  absl::MutexLock lock(&mu_);
  if (first && submit.verdict == SubmitRecord::Verdict::kAccepted)
    ++progress_.acks;
  history_.submits.push_back(std::move(submit));
}

void Recorder::AddCancel(CancelRecord cancel) {
  absl::MutexLock lock(&mu_);
  history_.cancels.push_back(std::move(cancel));
}

void Recorder::AddObservation(ObservationRecord observation) {
  absl::MutexLock lock(&mu_);
  history_.observations.push_back(std::move(observation));
}

void Recorder::CountOutcome() {
  absl::MutexLock lock(&mu_);
  ++progress_.outcomes;
}

void Recorder::AddMishap(std::string mishap) {
  absl::MutexLock lock(&mu_);
  history_.mishaps.push_back(std::move(mishap));
}

bool Recorder::AwaitRoom(int64_t backlog_max) {
  absl::MutexLock lock(&mu_);
  const auto room = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return stopped_ || progress_.acks - progress_.outcomes < backlog_max;
  };
  mu_.Await(absl::Condition(&room));
  return !stopped_;
}

bool Recorder::AwaitProgress(const Progress& wanted, absl::Duration timeout) {
  absl::MutexLock lock(&mu_);
  const auto enough = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return progress_.acks >= wanted.acks &&
           progress_.outcomes >= wanted.outcomes;
  };
  return mu_.AwaitWithTimeout(absl::Condition(&enough), timeout);
}

bool Recorder::AwaitAnything(absl::Duration timeout) {
  absl::MutexLock lock(&mu_);
  const int64_t seen = progress_.acks + progress_.outcomes;
  const auto happened = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return stopped_ || progress_.acks + progress_.outcomes > seen;
  };
  mu_.AwaitWithTimeout(absl::Condition(&happened), timeout);
  return !stopped_;
}

void Recorder::Stop() {
  absl::MutexLock lock(&mu_);
  stopped_ = true;
}

bool Recorder::stopped() const {
  absl::MutexLock lock(&mu_);
  return stopped_;
}

Progress Recorder::progress() const {
  absl::MutexLock lock(&mu_);
  return progress_;
}

History Recorder::history() const {
  absl::MutexLock lock(&mu_);
  return history_;
}

}  // namespace apium::crash
