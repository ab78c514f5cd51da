#include "broker/engine/sticky_workers.h"

namespace apium::broker {
namespace {

bool HasKey(const TaskContent& content) {
  return content.placement != nullptr && !content.placement->sticky_key.empty();
}

std::string KeyOf(const TaskContent& content) {
  std::string key = content.namespace_name;
  key.push_back('\0');
  return key.append(content.placement->sticky_key);
}

}  // namespace

void StickyWorkers::Note(const TaskContent& content,
                         const std::string& worker_id) {
  if (!HasKey(content)) return;
  const auto [it, is_new] = by_key_.try_emplace(KeyOf(content));
  if (is_new) {
    entries_.push_front({.key = it->first});
    it->second = entries_.begin();
  } else {
    entries_.splice(entries_.begin(), entries_, it->second);
  }
  it->second->worker_id = worker_id;
  if (entries_.size() <= kKeysMax) return;
  by_key_.erase(entries_.back().key);
  entries_.pop_back();
}

std::string_view StickyWorkers::WorkerOf(const TaskContent& content) const {
  if (!HasKey(content)) return {};
  const auto it = by_key_.find(KeyOf(content));
  if (it == by_key_.end()) return {};
  return it->second->worker_id;
}

}  // namespace apium::broker
