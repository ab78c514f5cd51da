#ifndef APIUM_BROKER_ENGINE_WAITER_TABLE_H_
#define APIUM_BROKER_ENGINE_WAITER_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "broker/engine/effects.h"
#include "broker/engine/sinks.h"

namespace apium::broker {

// Who is to be told what becomes of a task.
struct Waiter {
  enum class Kind : uint8_t {
    kWait,     // one TaskReply at the end
    kWatch,    // a TaskReply at each change
    kOutcome,  // one OutcomeReply at the end
    kFollow,   // one FollowReply at the next chunk, or at the end
  };
  Kind kind = Kind::kWait;
  ReplyAddress to;
  absl::Time deadline = absl::InfiniteFuture();
};

// The callers that wait for tasks, by task. Bounded; memory only: a caller
// whose broker restarts asks again.
class WaiterTable {
 public:
  explicit WaiterTable(size_t limit) : limit_(limit) {}

  bool full() const { return waiters_.size() >= limit_; }
  size_t size() const { return waiters_.size(); }
  void Add(const std::string& task_key, Waiter waiter);

  // The task changed: those who watch it.
  std::vector<ReplyAddress> WatchersOf(const std::string& task_key) const;
  // The task has more chunks: those who follow it, who are then forgotten.
  std::vector<Waiter> TakeFollowers(const std::string& task_key);
  // The task ended: all who wait, who are then forgotten.
  std::vector<Waiter> TakeAll(const std::string& task_key);
  // Those whose deadline has come, who are then forgotten.
  std::vector<Waiter> TakeExpired(absl::Time now);
  absl::Time NextTime() const;
  void Forget(const ReplySink* sink);

 private:
  struct Entry {
    std::string task_key;
    Waiter waiter;
  };
  Waiter Remove(uint64_t number);

  const size_t limit_;
  uint64_t last_number_ = 0;
  absl::flat_hash_map<uint64_t, Entry> waiters_;
  absl::flat_hash_map<std::string, std::vector<uint64_t>> by_task_;
  absl::flat_hash_map<const ReplySink*, std::set<uint64_t>> by_sink_;
  std::set<std::pair<absl::Time, uint64_t>> deadlines_;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_WAITER_TABLE_H_
