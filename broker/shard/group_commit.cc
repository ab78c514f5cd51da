#include "broker/shard/group_commit.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "broker/shard/commit_metrics.h"
#include "common/clock.h"
#include "common/log.h"
#include "storage/store.h"

namespace apium::broker {
namespace {

// Turns that wrote more than this do not keep their memory.
constexpr size_t kRecycledBytesMax = 4 * 1024 * 1024;

// Adds the sink of an answer to `touched`; answers of one stream come in runs.
template <typename Sink>
void Touch(std::shared_ptr<Sink>&& sink,
           std::vector<std::shared_ptr<Sink>>* touched) {
  if (touched->empty() || touched->back() != sink) {
    touched->push_back(std::move(sink));
  }
}

template <typename Sink>
void FlushEach(std::vector<std::shared_ptr<Sink>>* touched) {
  if (touched->size() > 1) {
    std::sort(touched->begin(), touched->end());
    touched->erase(std::unique(touched->begin(), touched->end()),
                   touched->end());
  }
  for (const std::shared_ptr<Sink>& sink : *touched) sink->Flush();
  touched->clear();
}

}  // namespace

GroupCommit::GroupCommit(GroupCommitOptions options, Store* store,
                         OutboxSink* outbox, CommitMetrics* metrics,
                         const Clock* clock,
                         std::function<void(const absl::Status&)> on_fatal)
    : options_(options),
      store_(store),
      outbox_(outbox),
      metrics_(metrics),
      clock_(clock),
      on_fatal_(std::move(on_fatal)),
      thread_([this] { Run(); }) {}

GroupCommit::~GroupCommit() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
    work_.SignalAll();
  }
  thread_.join();
}

std::unique_ptr<Turn> GroupCommit::NewTurn() {
  absl::MutexLock lock(&mu_);
  while (failure_.ok() &&
         (turns_in_flight_ >= options_.turns_max ||
          (turns_in_flight_ > 0 && bytes_in_flight_ >= options_.bytes_max))) {
    space_.Wait(&mu_);
  }
  if (!failure_.ok()) return nullptr;
  if (free_.empty()) return std::make_unique<Turn>();
  std::unique_ptr<Turn> turn = std::move(free_.back());
  free_.pop_back();
  return turn;
}

void GroupCommit::Submit(std::unique_ptr<Turn> turn, ShardLoad load) {
  turn->write_bytes = turn->effects.writes.byte_size();
  const absl::Status written = store_->Write(turn->effects.writes);
  if (!written.ok()) {
    Fail(written);
    return;
  }
  std::vector<std::unique_ptr<Turn>> here;
  {
    absl::MutexLock lock(&mu_);
    if (!failure_.ok()) return;
    ++turns_in_flight_;
    bytes_in_flight_ += turn->write_bytes;
    if (load == ShardLoad::kIdle && !busy_ && waiting_.empty()) {
      busy_ = true;
      here.push_back(std::move(turn));
    } else {
      waiting_.push_back(std::move(turn));
      if (metrics_ != nullptr) metrics_->SetQueueDepth(waiting_.size());
      work_.Signal();
    }
  }
  if (here.empty()) return;
  const absl::Status committed = CommitTurns(here);
  {
    absl::MutexLock lock(&mu_);
    busy_ = false;
    Recycle(&here);
  }
  if (!committed.ok()) Fail(committed);
}

void GroupCommit::Run() {
  pthread_setname_np(pthread_self(), "commit");
  std::vector<std::unique_ptr<Turn>> turns;
  while (true) {
    {
      absl::MutexLock lock(&mu_);
      while ((waiting_.empty() || busy_) && !(stopping_ && waiting_.empty())) {
        work_.Wait(&mu_);
      }
      if (waiting_.empty()) return;
      turns.swap(waiting_);
      busy_ = true;
      if (metrics_ != nullptr) metrics_->SetQueueDepth(0);
    }
    const absl::Status committed = CommitTurns(turns);
    {
      absl::MutexLock lock(&mu_);
      busy_ = false;
      Recycle(&turns);
    }
    if (!committed.ok()) Fail(committed);
  }
}

absl::Status GroupCommit::CommitTurns(
    const std::vector<std::unique_ptr<Turn>>& turns) {
  const absl::Status committed = SyncAndRelease(turns);
  // Here, not under the lock: it may free much.
  for (const std::unique_ptr<Turn>& turn : turns) turn->effects.Clear();
  return committed;
}

absl::Status GroupCommit::SyncAndRelease(
    const std::vector<std::unique_ptr<Turn>>& turns) {
  bool wrote = false;
  size_t items = 0;
  for (const std::unique_ptr<Turn>& turn : turns) {
    wrote = wrote || !turn->effects.writes.empty();
    items += turn->items;
  }
  if (wrote) {
    const absl::Duration before = clock_->Monotonic();
    const absl::Status synced = store_->Sync();
    if (!synced.ok()) return synced;
    if (metrics_ != nullptr) {
      metrics_->ObserveCommit(clock_->Monotonic() - before, items);
    }
  }
  {
    // The shard's thread may have failed to write while this one synced.
    absl::MutexLock lock(&mu_);
    if (!failure_.ok()) return failure_;
  }
  for (const std::unique_ptr<Turn>& turn : turns) Release(&turn->effects);
  FlushTouched();
  return absl::OkStatus();
}

void GroupCommit::Release(Effects* effects) {
  for (AddressedReply& reply : effects->replies) {
    reply.to.sink->Take(reply.to.tag, std::move(reply.reply));
    Touch(std::move(reply.to.sink), &touched_replies_);
  }
  for (AddressedPush& push : effects->pushes) {
    push.to->Take(std::move(push.push));
    Touch(std::move(push.to), &touched_workers_);
  }
  if (outbox_ == nullptr) return;
  for (OutboxEntry& entry : effects->outbox) {
    outbox_->Take(std::move(entry));
    outbox_touched_ = true;
  }
}

void GroupCommit::FlushTouched() {
  FlushEach(&touched_replies_);
  FlushEach(&touched_workers_);
  if (outbox_touched_) outbox_->Flush();
  outbox_touched_ = false;
}

void GroupCommit::Recycle(std::vector<std::unique_ptr<Turn>>* turns) {
  for (std::unique_ptr<Turn>& turn : *turns) {
    --turns_in_flight_;
    bytes_in_flight_ -= turn->write_bytes;
    if (turn->write_bytes > kRecycledBytesMax ||
        free_.size() >= options_.turns_max) {
      continue;
    }
    turn->items = 0;
    free_.push_back(std::move(turn));
  }
  turns->clear();
  space_.SignalAll();
}

void GroupCommit::Fail(const absl::Status& status) {
  std::vector<std::unique_ptr<Turn>> dropped;
  {
    absl::MutexLock lock(&mu_);
    if (!failure_.ok()) return;
    failure_ = status;
    dropped.swap(waiting_);
    turns_in_flight_ -= dropped.size();
    space_.SignalAll();
  }
  LogError("the store failed; the shard stops", {{"error", status}});
  if (on_fatal_) on_fatal_(status);
}

void GroupCommit::Drain() {
  absl::MutexLock lock(&mu_);
  while (failure_.ok() && turns_in_flight_ > 0) space_.Wait(&mu_);
}

absl::Status GroupCommit::failure() const {
  absl::MutexLock lock(&mu_);
  return failure_;
}

}  // namespace apium::broker
