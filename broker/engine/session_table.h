#ifndef APIUM_BROKER_ENGINE_SESSION_TABLE_H_
#define APIUM_BROKER_ENGINE_SESSION_TABLE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/time/time.h"
#include "broker/engine/command.h"
#include "broker/engine/effects.h"
#include "broker/engine/live_task.h"
#include "broker/engine/sinks.h"

namespace apium::broker {

struct Queue;

// A queue that a session takes tasks from.
struct Subscription {
  Queue* queue = nullptr;
  uint32_t weight = 1;
  double share = 1;  // of turns, where the least of the session has 1
  double owed = 0;   // tasks of this turn that are left
};

// A worker's session: its stream, its credit, its leases. It outlives a broken
// stream by the grace period.
struct Session {
  uint64_t number = 0;
  std::string namespace_name;
  std::string worker_id;
  std::string session_id;
  std::shared_ptr<WorkerSink> sink;  // null while detached
  bool draining = false;
  std::vector<std::string> queue_names;
  std::vector<uint32_t> queue_weights;  // one for each of queue_names
  std::vector<Subscription>
      queues;  // those of queue_names that exist; empty while detached
  size_t next_queue = 0;  // where the next dispatch looks first
  std::vector<std::string> task_types;
  absl::flat_hash_set<uint32_t> type_ids;
  std::vector<std::pair<std::string, std::string>> labels;
  uint32_t slots = 0;
  std::string version;
  std::string hostname;
  uint32_t credit = 0;
  absl::btree_map<uint64_t, LiveTask*> leases;  // by epoch
  bool runs_alone = false;  // its one lease is a suspect's: it gets no other
  absl::Time connect_time;
  absl::Time last_seen;
  absl::Time deadline;  // when it is lost unless it gives a sign of life; as
                        // checked, see SessionTable

  bool connected() const { return sink != nullptr; }
  bool TakesFrom(const Queue* queue) const {
    return std::any_of(
        queues.begin(), queues.end(),
        [queue](const Subscription& at) { return at.queue == queue; });
  }
  bool takes_tasks() const {
    return connected() && !draining && credit > 0 && !runs_alone;
  }
};

// All sessions of the shard, and when each is lost. Decides nothing about
// tasks.
class SessionTable {
 public:
  SessionTable(absl::Duration lease_duration, absl::Duration reattach_grace)
      : lease_duration_(lease_duration), reattach_grace_(reattach_grace) {}

  // A detached session that is known by its id: new, or restored from the
  // journal.
  Session* Add(std::string session_id, std::string worker_id, absl::Time now);
  void Attach(Session* session, std::shared_ptr<WorkerSink> sink,
              absl::Time now);
  // The stream is gone: no credit, and the grace period begins.
  void Detach(Session* session, absl::Time now);
  // The session must have no leases.
  void Remove(Session* session);

  Session* FindById(const std::string& session_id) const;
  Session* FindBySink(const WorkerSink* sink) const;
  // Detached sessions of a worker.
  std::vector<Session*> DetachedOf(const std::string& namespace_name,
                                   const std::string& worker_id) const;

  void Seen(Session* session, absl::Time now) { session->last_seen = now; }
  // The time jumped by `leap`, in which nobody could give a sign of life.
  void Excuse(absl::Duration leap);
  // Sessions whose time is over at `now`, in order.
  std::vector<Session*> TakeLost(absl::Time now);
  absl::Time NextTime() const;

  // In the order in which they were added.
  const std::map<uint64_t, std::unique_ptr<Session>>& all() const {
    return sessions_;
  }

 private:
  absl::Time LostTime(const Session& session) const;
  void SetDeadline(Session* session, absl::Time deadline);

  const absl::Duration lease_duration_;
  const absl::Duration reattach_grace_;
  uint64_t last_number_ = 0;
  std::map<uint64_t, std::unique_ptr<Session>> sessions_;
  absl::flat_hash_map<std::string, Session*> by_id_;
  absl::flat_hash_map<const WorkerSink*, Session*> by_sink_;
  // Signs of life do not touch it: a deadline that has passed is looked at
  // again.
  std::set<std::pair<absl::Time, uint64_t>> deadlines_;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_SESSION_TABLE_H_
