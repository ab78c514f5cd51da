#ifndef APIUM_WORKER_TASK_REGISTRY_H_
#define APIUM_WORKER_TASK_REGISTRY_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "worker/task_handler.h"

namespace apium {

// Task types and their handlers. Filled before the worker starts, read by many
// threads after.
class TaskRegistry {
 public:
  // INVALID_ARGUMENT for a malformed type; ALREADY_EXISTS for a second handler
  // of one type; RESOURCE_EXHAUSTED beyond kWorkerTaskTypesMax types.
  absl::Status Add(std::string type, TaskHandler handler);

  // Null if there is none.
  const TaskHandler* Find(const std::string& type) const;

  // Sorted.
  std::vector<std::string> types() const;

 private:
  absl::flat_hash_map<std::string, TaskHandler> handlers_;
};

}  // namespace apium

#endif  // APIUM_WORKER_TASK_REGISTRY_H_
