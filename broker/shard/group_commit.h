#ifndef APIUM_BROKER_SHARD_GROUP_COMMIT_H_
#define APIUM_BROKER_SHARD_GROUP_COMMIT_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "broker/engine/effects.h"
#include "broker/outbox/outbox_sink.h"

namespace apium {
class Clock;
class Store;
}  // namespace apium

namespace apium::broker {

class CommitMetrics;

// One turn of the engine on its way to the disk and out.
struct Turn {
  Effects effects;
  size_t items = 0;        // tasks and reports that were applied
  size_t write_bytes = 0;  // set by Submit
};

struct GroupCommitOptions {
  // Turns that may wait for a sync, the ones in it included. Measured: beyond a
  // few, latency grows and throughput does not.
  size_t turns_max = 4;
  // Bytes of writes in them.
  size_t bytes_max = 32 * 1024 * 1024;
};

// Whether the shard has more to do after the turn that it hands over.
enum class ShardLoad {
  kBusy,  // more waits: sync on the commit thread, and go on meanwhile
  kIdle,  // nothing waits: sync right here if nothing else is being synced,
          // which saves two wake-ups of a thread
};

// Makes turns durable and then releases what they say to the world, in their
// order: all turns that wait share one sync. No timer: while one sync runs, the
// next batch fills.
//
// A failed Write or Sync is final: memory is ahead of the disk and must not be
// served. What was not released by then never is, and `on_fatal` is called
// once.
class GroupCommit {
 public:
  // All outlive this; `outbox` and `metrics` may be null. `on_fatal` is called
  // on the thread that failed, without a lock, and must not destroy this.
  GroupCommit(GroupCommitOptions options, Store* store, OutboxSink* outbox,
              CommitMetrics* metrics, const Clock* clock,
              std::function<void(const absl::Status&)> on_fatal);
  // Commits what was submitted, then stops the thread.
  ~GroupCommit();
  GroupCommit(const GroupCommit&) = delete;
  GroupCommit& operator=(const GroupCommit&) = delete;

  // Shard thread. An empty turn to fill; waits while too many are on their way.
  // Null after a failure.
  std::unique_ptr<Turn> NewTurn() ABSL_LOCKS_EXCLUDED(mu_);

  // Shard thread. Writes the turn to the store at once, so that the engine can
  // read its own writes, and has it synced and released.
  void Submit(std::unique_ptr<Turn> turn, ShardLoad load)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Any thread. Ends everything as a failed sync does.
  void Fail(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mu_);

  // Any thread. Waits until every submitted turn is released, or has failed.
  void Drain() ABSL_LOCKS_EXCLUDED(mu_);

  // Any thread. OK, or what ended it.
  absl::Status failure() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Run();
  // Syncs, releases and empties `turns`. One thread at a time: whoever has set
  // busy_.
  absl::Status CommitTurns(const std::vector<std::unique_ptr<Turn>>& turns);
  absl::Status SyncAndRelease(const std::vector<std::unique_ptr<Turn>>& turns);
  void Release(Effects* effects);
  void FlushTouched();
  void Recycle(std::vector<std::unique_ptr<Turn>>* turns)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const GroupCommitOptions options_;
  Store* const store_;
  OutboxSink* const outbox_;
  CommitMetrics* const metrics_;
  const Clock* const clock_;
  const std::function<void(const absl::Status&)> on_fatal_;

  // Of the thread that commits.
  std::vector<std::shared_ptr<ReplySink>> touched_replies_;
  std::vector<std::shared_ptr<WorkerSink>> touched_workers_;
  bool outbox_touched_ = false;

  mutable absl::Mutex mu_;
  absl::CondVar work_;   // for the commit thread
  absl::CondVar space_;  // for the shard thread, and for Drain
  std::vector<std::unique_ptr<Turn>> waiting_ ABSL_GUARDED_BY(mu_);
  std::vector<std::unique_ptr<Turn>> free_ ABSL_GUARDED_BY(mu_);
  size_t turns_in_flight_ ABSL_GUARDED_BY(mu_) = 0;
  size_t bytes_in_flight_ ABSL_GUARDED_BY(mu_) = 0;
  bool busy_ ABSL_GUARDED_BY(mu_) = false;  // somebody is in CommitTurns
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status failure_ ABSL_GUARDED_BY(mu_);
  std::thread thread_;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_SHARD_GROUP_COMMIT_H_
