#ifndef APIUM_BROKER_ENGINE_TASK_TABLE_H_
#define APIUM_BROKER_ENGINE_TASK_TABLE_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/hash/hash.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "broker/engine/live_task.h"
#include "common/recent_ids.h"
#include "storage/store.h"
#include "storage/store_batch.h"

namespace apium::broker {

// Finds tasks wherever they are: in memory, or in the store. Holds those that
// must stay in memory and those that the current turn has touched; the rest
// leaves at the end of the turn. Writes the task rows.
class TaskTable {
 public:
  // `reader` outlives the table.
  // `ids_until`: the value of the meta row of that name; 0 for a new store.
  TaskTable(const StoreReader* reader, int64_t ids_until)
      : reader_(reader), recent_ids_(ids_until) {}

  struct Found {
    LiveTask* live = nullptr;  // null: not live
    std::optional<FinishedTask>
        finished;  // the caller says if it is still remembered
    std::shared_ptr<const Outcome>
        outcome;  // with `finished`, if it finished in this turn

    bool known() const { return live != nullptr || finished.has_value(); }
    // Of a task that is known.
    const Fingerprint& fingerprint() const {
      return live != nullptr ? live->content().fingerprint
                             : finished->fingerprint;
    }
    absl::Time create_time() const {
      return live != nullptr ? live->content().create_time
                             : finished->create_time;
    }
    // Further tasks that routing made of the same submit.
    uint32_t copies() const {
      return live != nullptr ? live->stored.copies : finished->copies;
    }
  };
  // Looks in memory, then in the store. Pointers are valid until the end of the
  // turn, or for as long as the task waits in a window or is leased.
  absl::StatusOr<Found> Find(const std::string& key);
  // Whether it is certain, without a look at the store, that there is no such
  // task. `key` is of `task_id`.
  bool IsNew(const std::string& key, const std::string& task_id) const {
    return !recent_ids_.MayContain(key, task_id);
  }
  // Only in memory; null if it is not there or finished in this turn.
  LiveTask* FindInMemory(const std::string& key);
  // Brings live tasks into memory. `tasks` gets one entry for each key, null
  // where no live task is stored or the task finished in this turn.
  absl::Status LoadAll(absl::Span<const std::string> keys,
                       std::vector<LiveTask*>* tasks);

  // A task that is not stored yet.
  LiveTask* Add(std::string key, StoredTask stored);
  // The task changed: its row is written at the end of the turn.
  void MarkDirty(LiveTask* task);
  // The task ended. It stays until the end of the turn; then `row` takes its
  // place, or nothing does if that says neither where the outcome is nor until
  // when the id is known.
  void Finish(LiveTask* task, std::shared_ptr<const Outcome> outcome,
              const FinishedTask& row);

  // End of the turn: adds the task rows to `batch`, sorted, and lets go of what
  // need not stay.
  void Flush(StoreBatch* batch);

  size_t size() const { return tasks_.size(); }
  // Whoever reads as many tasks as there may be does it kTasksAtOnce by
  // kTasksAtOnce, and leaves the rest to another turn when this one has read
  // kReadBytesPerTurn.
  bool may_read_more() const { return bytes_read_ < kReadBytesPerTurn; }
  static constexpr size_t kTasksAtOnce = 64;
  static constexpr size_t kReadBytesPerTurn = 32 * 1024 * 1024;

 private:
  LiveTask* Insert(std::string key, StoredTask stored);
  LiveTask* InsertRead(const std::string& key, StoredTask stored);
  void Touch(LiveTask* task);
  void WriteRow(const LiveTask& task, StoreBatch* batch);

  const StoreReader* const reader_;
  // By the key that is in the task.
  struct KeyHash {
    using is_transparent = void;
    size_t operator()(std::string_view key) const {
      return absl::HashOf(absl::string_view(key.data(), key.size()));
    }
    size_t operator()(const std::unique_ptr<LiveTask>& task) const {
      return (*this)(task->key);
    }
  };
  struct KeyEqual {
    using is_transparent = void;
    static std::string_view KeyOf(std::string_view key) { return key; }
    static std::string_view KeyOf(const std::unique_ptr<LiveTask>& task) {
      return task->key;
    }
    template <typename A, typename B>
    bool operator()(const A& a, const B& b) const {
      return KeyOf(a) == KeyOf(b);
    }
  };
  absl::flat_hash_set<std::unique_ptr<LiveTask>, KeyHash, KeyEqual> tasks_;
  RecentIds recent_ids_;
  std::vector<LiveTask*> touched_;
  size_t bytes_read_ = 0;  // from the store in this turn, roughly
  std::string scratch_;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_TASK_TABLE_H_
