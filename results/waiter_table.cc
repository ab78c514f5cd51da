#include "results/waiter_table.h"

#include <algorithm>

namespace apium::results {

void WaiterTable::Add(CallId call, const std::string& outcome_key,
                      absl::Duration deadline) {
  waiters_.emplace(call, Waiter{outcome_key, deadline});
  by_key_[outcome_key].insert(call);
  if (deadline != absl::InfiniteDuration()) {
    by_deadline_.emplace(deadline, call);
  }
}

bool WaiterTable::Remove(CallId call) {
  auto found = waiters_.find(call);
  if (found == waiters_.end()) {
    return false;
  }
  by_deadline_.erase({found->second.deadline, call});
  auto key = by_key_.find(found->second.outcome_key);
  key->second.erase(call);
  if (key->second.empty()) {
    by_key_.erase(key);
  }
  waiters_.erase(found);
  return true;
}

std::vector<CallId> WaiterTable::TakeFor(const std::string& outcome_key) {
  auto found = by_key_.find(outcome_key);
  if (found == by_key_.end()) {
    return {};
  }
  std::vector<CallId> calls(found->second.begin(), found->second.end());
  by_key_.erase(found);
  for (const CallId call : calls) {
    auto waiter = waiters_.find(call);
    by_deadline_.erase({waiter->second.deadline, call});
    waiters_.erase(waiter);
  }
  return calls;
}

std::vector<CallId> WaiterTable::TakeExpired(absl::Duration now) {
  std::vector<CallId> calls;
  while (!by_deadline_.empty() && by_deadline_.begin()->first <= now) {
    const CallId call = by_deadline_.begin()->second;
    Remove(call);
    calls.push_back(call);
  }
  return calls;
}

std::vector<CallId> WaiterTable::TakeAll() {
  std::vector<CallId> calls;
  calls.reserve(waiters_.size());
  for (const auto& [call, waiter] : waiters_) {
    calls.push_back(call);
  }
  std::sort(calls.begin(), calls.end());
  waiters_.clear();
  by_key_.clear();
  by_deadline_.clear();
  return calls;
}

std::optional<absl::Duration> WaiterTable::NextDeadline() const {
  if (by_deadline_.empty()) {
    return std::nullopt;
  }
  return by_deadline_.begin()->first;
}

}  // namespace apium::results
