#ifndef APIUM_BROKER_ENGINE_STICKY_WORKERS_H_
#define APIUM_BROKER_ENGINE_STICKY_WORKERS_H_

#include <cstddef>
#include <list>
#include <string>
#include <string_view>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "broker/engine/task.h"

namespace apium::broker {

// Which worker got the last task of a sticky key: the keys that were used last.
// In memory only: it is a preference, and leases bring back the latest after a
// restart.
class StickyWorkers {
 public:
  // A worker got a task.
  void Note(const TaskContent& content, const std::string& worker_id);
  // Empty: not known, or the task has no sticky key.
  std::string_view WorkerOf(const TaskContent& content) const;

 private:
  static constexpr size_t kKeysMax = 100'000;

  struct Entry {
    std::string key;  // namespace 0x00 sticky_key
    std::string worker_id;
  };
  std::list<Entry> entries_;  // used last first
  absl::flat_hash_map<std::string, std::list<Entry>::iterator> by_key_;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_STICKY_WORKERS_H_
