#include "results/commit_line.h"

#include <pthread.h>

#include <utility>

#include "absl/time/time.h"
#include "common/clock.h"
#include "common/log.h"
#include "results/result_metrics.h"
#include "storage/store.h"

namespace apium::results {
namespace {

// Groups that wait for a sync while another sync runs. More would be small
// ones, each with a log row and a write of its own.
constexpr size_t kWaitingMax = 1;
// Effects that wrote more than this do not keep their memory.
constexpr size_t kRecycledBytesMax = 8 * 1024 * 1024;

}  // namespace

CommitLine::CommitLine(Store* store, EffectSink* sink, const Clock* clock,
                       ResultMetrics* metrics,
                       std::function<void(const absl::Status&)> on_failure)
    : store_(store),
      sink_(sink),
      clock_(clock),
      metrics_(metrics),
      on_failure_(std::move(on_failure)),
      thread_([this] { Run(); }) {}

CommitLine::~CommitLine() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
    work_.SignalAll();
  }
  thread_.join();
}

std::unique_ptr<ResultEffects> CommitLine::NewEffects() {
  absl::MutexLock lock(&mu_);
  while (failure_.ok() && waiting_.size() >= kWaitingMax) {
    space_.Wait(&mu_);
  }
  if (!failure_.ok()) {
    return nullptr;
  }
  if (free_.empty()) {
    return std::make_unique<ResultEffects>();
  }
  std::unique_ptr<ResultEffects> effects = std::move(free_.back());
  free_.pop_back();
  return effects;
}

void CommitLine::Submit(std::unique_ptr<ResultEffects> effects,
                        bool more_waits) {
  const bool wrote = !effects->writes.empty();
  if (wrote) {
    const absl::Status written = store_->Write(effects->writes);
    if (!written.ok()) {
      Fail(written);
      return;
    }
  }
  std::vector<Group> here;
  {
    absl::MutexLock lock(&mu_);
    if (!failure_.ok()) {
      return;
    }
    if (!more_waits && !busy_ && waiting_.empty()) {
      busy_ = true;
      here.push_back({std::move(effects), wrote});
    } else {
      waiting_.push_back({std::move(effects), wrote});
      work_.Signal();
    }
  }
  if (!here.empty()) {
    Commit(&here);
  }
}

void CommitLine::Run() {
  pthread_setname_np(pthread_self(), "result-commit");
  std::vector<Group> groups;
  while (true) {
    {
      absl::MutexLock lock(&mu_);
      while ((waiting_.empty() || busy_) && !(stopping_ && waiting_.empty())) {
        work_.Wait(&mu_);
      }
      if (waiting_.empty()) {
        return;
      }
      groups.swap(waiting_);
      busy_ = true;
      space_.Signal();
    }
    Commit(&groups);
  }
}

void CommitLine::Commit(std::vector<Group>* groups) {
  const absl::Status committed = SyncAndRelease(*groups);
  for (Group& group : *groups) {
    if (group.effects->writes.byte_size() > kRecycledBytesMax) {
      group.effects.reset();
      continue;
    }
    group.effects->writes.Clear();
    group.effects->outcomes_recorded = 0;
  }
  {
    absl::MutexLock lock(&mu_);
    busy_ = false;
    for (Group& group : *groups) {
      if (group.effects != nullptr && free_.size() <= kWaitingMax) {
        free_.push_back(std::move(group.effects));
      }
    }
    work_.Signal();
  }
  groups->clear();
  if (!committed.ok()) {
    Fail(committed);
  }
}

absl::Status CommitLine::SyncAndRelease(const std::vector<Group>& groups) {
  bool wrote = false;
  size_t outcomes = 0;
  for (const Group& group : groups) {
    wrote = wrote || group.wrote;
    outcomes += group.effects->outcomes_recorded;
  }
  if (wrote) {
    const absl::Duration before = clock_->Monotonic();
    const absl::Status synced = store_->Sync();
    if (!synced.ok()) {
      return synced;
    }
    if (metrics_ != nullptr) {
      metrics_->ObserveCommit(clock_->Monotonic() - before, outcomes);
    }
  }
  {
    // The core's thread may have failed while this one synced.
    absl::MutexLock lock(&mu_);
    if (!failure_.ok()) {
      return failure_;
    }
  }
  for (const Group& group : groups) {
    sink_->Release(group.effects.get());
  }
  return absl::OkStatus();
}

void CommitLine::Fail(const absl::Status& status) {
  std::vector<Group> dropped;
  {
    absl::MutexLock lock(&mu_);
    if (!failure_.ok()) {
      return;
    }
    failure_ = status;
    dropped.swap(waiting_);
    space_.SignalAll();
  }
  LogError("the store failed; the result service stops", {{"error", status}});
  if (on_failure_) {
    on_failure_(status);
  }
}

absl::Status CommitLine::failure() const {
  absl::MutexLock lock(&mu_);
  return failure_;
}

}  // namespace apium::results
