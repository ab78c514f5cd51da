#include "broker/engine/task_copies.h"

#include <algorithm>
#include <utility>

#include "broker/engine/worker_labels.h"
#include "common/strings.h"

namespace apium::broker {
namespace {

bool IsWorkerId(const std::pair<std::string, std::string>& label) {
  return label.first == kWorkerIdLabel;
}

}  // namespace

std::string CopyTaskId(std::string_view task_id, size_t number) {
  return StrCat(task_id, ".", number);
}

std::vector<std::string> CopyTaskIds(std::string_view task_id,
                                     uint32_t copies) {
  std::vector<std::string> ids;
  ids.reserve(copies);
  for (uint32_t i = 0; i < copies; ++i)
    ids.push_back(CopyTaskId(task_id, size_t{i} + 2));
  return ids;
}

std::shared_ptr<const Placement> PinnedTo(const Placement* placement,
                                          const std::string& worker_id) {
  auto pinned = placement == nullptr ? std::make_shared<Placement>()
                                     : std::make_shared<Placement>(*placement);
  Placement::Labels& labels = pinned->required_labels;
  std::erase_if(labels, IsWorkerId);
  labels.emplace_back(kWorkerIdLabel, worker_id);
  std::sort(labels.begin(), labels.end());
  return pinned;
}

std::shared_ptr<const Placement> Unpinned(
    const std::shared_ptr<const Placement>& placement) {
  if (PinnedWorker(placement.get()).empty()) return placement;
  auto unpinned = std::make_shared<Placement>(*placement);
  std::erase_if(unpinned->required_labels, IsWorkerId);
  return unpinned;
}

std::string_view PinnedWorker(const Placement* placement) {
  if (placement == nullptr) return "";
  const Placement::Labels& labels = placement->required_labels;
  const auto it = std::find_if(labels.begin(), labels.end(), IsWorkerId);
  return it == labels.end() ? std::string_view() : it->second;
}

}  // namespace apium::broker
