#ifndef APIUM_BROKER_ENGINE_QUEUE_TABLE_H_
#define APIUM_BROKER_ENGINE_QUEUE_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "broker/engine/engine_stats.h"
#include "broker/engine/fair_shares.h"
#include "broker/engine/lane_order.h"
#include "broker/engine/placement.h"
#include "broker/engine/wait_reason.h"
#include "broker/storage/queue_codec.h"
#include "storage/store.h"
#include "storage/store_batch.h"

namespace apium::broker {

struct Lane;

// Orders the lanes of a queue: priority first, then type, then class.
struct LaneRank {
  uint8_t inverted_priority = 0;
  uint32_t type_id = 0;
  uint64_t class_high = 0;
  uint64_t class_low = 0;
  uint8_t priority() const {
    return static_cast<uint8_t>(255 - inverted_priority);
  }
  friend auto operator<=>(const LaneRank&, const LaneRank&) = default;
};

// For how long tasks of a queue have been waiting for what, summed over the
// tasks. Looked at now and then.
struct BlockedTimes {
  absl::Time sampled = absl::InfiniteFuture();  // the last look
  std::map<WaitReasonKind, int64_t> tasks;      // at the last look
  std::map<WaitReasonKind, absl::Duration> total;
};

// The lanes of a queue whose tasks the same workers can run.
struct LaneGroup {
  uint32_t type_id = 0;
  Placement::Labels required_labels;
  uint64_t lanes = 0;
  LaneOrder ready;  // those that have tasks, and that no limit is known to hold
};

struct Queue {
  std::string namespace_name;
  std::string name;
  StoredQueue stored;
  std::map<LaneRank, std::unique_ptr<Lane>> lanes;
  // By type and required labels.
  std::map<std::pair<uint32_t, Placement::Labels>, LaneGroup> groups;
  FairShares shares;
  BlockedTimes blocked_times;
  // Those that have tasks in memory that are to run alone.
  std::map<LaneRank, Lane*> suspect_lanes;
  uint64_t ready = 0;  // waiting, in memory or not
  uint64_t scheduled = 0;
  uint64_t leased = 0;
  uint64_t dead_letters = 0;
  uint64_t blocked = 0;
  uint64_t bytes = 0;     // of the payloads of live tasks
  uint64_t started = 0;   // of those that are leased
  EndCounts ends;         // since it was made
  uint32_t sessions = 0;  // connected ones that subscribe to it
  QueueStats
      stats;  // counters and histograms; the rest is filled in on request
  // Whether it can be full.
  bool bounded() const {
    return stored.settings.max_length != 0 || stored.settings.max_bytes != 0;
  }
  bool settings_dirty = false;
  bool scheduled_dirty = false;
  bool dead_letters_dirty = false;
  bool blocked_dirty = false;
  bool bytes_dirty = false;
  bool ends_dirty = false;
};

// The queues of all namespaces and the numbers of task types. Writes queue,
// count, ends and type rows.
class QueueTable {
 public:
  explicit QueueTable(const std::vector<std::string>& namespaces);
  ~QueueTable();

  absl::Status Recover(const StoreReader& reader);

  bool HasNamespace(const std::string& namespace_name) const {
    return namespaces_.contains(namespace_name);
  }
  // Null if there is none.
  Queue* Find(const std::string& namespace_name, const std::string& name);
  Queue* FindById(uint32_t queue_id);
  // Of a live task. DATA_LOSS: there is none.
  absl::StatusOr<Queue*> QueueOf(const TaskContent& content);
  Queue* Create(const std::string& namespace_name, const std::string& name,
                absl::Time now);
  // The queue must be empty. Removes every row of it.
  void Delete(Queue* queue);

  // Number of a task type, given on first use. RESOURCE_EXHAUSTED /
  // TOO_MANY_TASK_TYPES.
  absl::StatusOr<uint32_t> InternType(const std::string& type);
  // None: no task had it so far.
  std::optional<uint32_t> FindType(const std::string& type) const;
  const std::string& TypeName(uint32_t type_id) const {
    return *type_names_[type_id];
  }

  void MarkSettingsDirty(Queue* queue);
  void AddScheduled(Queue* queue, int64_t difference);
  void AddDeadLetters(Queue* queue, int64_t difference);
  void AddBlocked(Queue* queue, int64_t difference);
  void AddBytes(Queue* queue, int64_t difference);
  // A task of the queue ended in this state.
  void CountEnd(Queue* queue, TaskState state);

  void Flush(StoreBatch* batch);

  using Names = std::map<std::string, std::unique_ptr<Queue>>;
  // Queues of one namespace by name; empty if there is no such namespace.
  const Names& QueuesOf(const std::string& namespace_name) const;
  template <typename Visitor>
  void ForEach(Visitor&& visit) const {
    for (const auto& [namespace_name, names] : queues_) {
      for (const auto& [name, queue] : names) visit(queue.get());
    }
  }

 private:
  absl::Status RecoverTypes(const StoreReader& reader);
  static absl::Status RecoverCounts(const StoreReader& reader, Queue* queue);
  // Notes that a row of the queue is to be written: once.
  void MarkDirty(Queue* queue, bool* flag);

  absl::flat_hash_set<std::string> namespaces_;
  std::map<std::string, Names>
      queues_;  // ordered: listing, and the same effects for the same history
  absl::flat_hash_map<std::string, absl::flat_hash_map<std::string, Queue*>>
      by_name_;  // for submits
  absl::flat_hash_map<uint32_t, Queue*> by_id_;
  uint32_t last_queue_id_ = 0;
  absl::flat_hash_map<std::string, uint32_t> type_ids_;
  std::vector<std::unique_ptr<std::string>>
      type_names_;  // by id; [0] is unused
  std::vector<uint32_t> new_types_;
  std::vector<Queue*> dirty_;
  StoreBatch deletes_;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_QUEUE_TABLE_H_
