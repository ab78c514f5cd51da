#include "worker/task_registry.h"

#include <algorithm>
#include <utility>

#include "common/limits.h"
#include "common/names.h"
#include "common/status_macros.h"
#include "common/strings.h"

namespace apium {

absl::Status TaskRegistry::Add(std::string type, TaskHandler handler) {
  APIUM_RETURN_IF_ERROR(ValidateTaskType("task type", type));
  if (handlers_.contains(type)) {
    return absl::AlreadyExistsError(
        StrCat("task type ", QuoteForMessage(type), " has a handler already"));
  }
  if (handlers_.size() >= kWorkerTaskTypesMax) {
    return absl::ResourceExhaustedError(
        StrCat("a worker serves at most ", kWorkerTaskTypesMax, " task types; ",
               QuoteForMessage(type), " is one too many"));
  }
  handlers_.emplace(std::move(type), std::move(handler));
  return absl::OkStatus();
}

const TaskHandler* TaskRegistry::Find(const std::string& type) const {
  auto it = handlers_.find(type);
  return it == handlers_.end() ? nullptr : &it->second;
}

std::vector<std::string> TaskRegistry::types() const {
  std::vector<std::string> types;
  types.reserve(handlers_.size());
  for (const auto& [type, handler] : handlers_) types.push_back(type);
  std::sort(types.begin(), types.end());
  return types;
}

}  // namespace apium
