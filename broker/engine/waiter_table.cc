#include "broker/engine/waiter_table.h"

#include <algorithm>
#include <utility>

namespace apium::broker {

void WaiterTable::Add(const std::string& task_key, Waiter waiter) {
  const uint64_t number = ++last_number_;
  by_task_[task_key].push_back(number);
  by_sink_[waiter.to.sink.get()].insert(number);
  if (waiter.deadline != absl::InfiniteFuture())
    deadlines_.emplace(waiter.deadline, number);
  waiters_[number] = {.task_key = task_key, .waiter = std::move(waiter)};
}

std::vector<ReplyAddress> WaiterTable::WatchersOf(
    const std::string& task_key) const {
  std::vector<ReplyAddress> watchers;
  if (by_task_.empty()) return watchers;
  auto it = by_task_.find(task_key);
  if (it == by_task_.end()) return watchers;
  for (uint64_t number : it->second) {
    const Waiter& waiter = waiters_.at(number).waiter;
    if (waiter.kind == Waiter::Kind::kWatch) watchers.push_back(waiter.to);
  }
  return watchers;
}

std::vector<Waiter> WaiterTable::TakeFollowers(const std::string& task_key) {
  std::vector<Waiter> taken;
  if (by_task_.empty()) return taken;
  auto it = by_task_.find(task_key);
  if (it == by_task_.end()) return taken;
  const std::vector<uint64_t> numbers = it->second;
  for (uint64_t number : numbers) {
    if (waiters_.at(number).waiter.kind == Waiter::Kind::kFollow)
      taken.push_back(Remove(number));
  }
  return taken;
}

std::vector<Waiter> WaiterTable::TakeAll(const std::string& task_key) {
  std::vector<Waiter> taken;
  if (by_task_.empty()) return taken;
  auto it = by_task_.find(task_key);
  if (it == by_task_.end()) return taken;
  const std::vector<uint64_t> numbers = it->second;
  for (uint64_t number : numbers) taken.push_back(Remove(number));
  return taken;
}

std::vector<Waiter> WaiterTable::TakeExpired(absl::Time now) {
  std::vector<Waiter> taken;
  while (!deadlines_.empty() && deadlines_.begin()->first <= now)
    taken.push_back(Remove(deadlines_.begin()->second));
  return taken;
}

absl::Time WaiterTable::NextTime() const {
  return deadlines_.empty() ? absl::InfiniteFuture()
                            : deadlines_.begin()->first;
}

void WaiterTable::Forget(const ReplySink* sink) {
  auto it = by_sink_.find(sink);
  if (it == by_sink_.end()) return;
  const std::set<uint64_t> numbers = it->second;
  for (uint64_t number : numbers) Remove(number);
}

Waiter WaiterTable::Remove(uint64_t number) {
  auto it = waiters_.find(number);
  Entry entry = std::move(it->second);
  waiters_.erase(it);
  auto by_task = by_task_.find(entry.task_key);
  std::vector<uint64_t>& numbers = by_task->second;
  numbers.erase(std::find(numbers.begin(), numbers.end(), number));
  if (numbers.empty()) by_task_.erase(by_task);
  auto by_sink = by_sink_.find(entry.waiter.to.sink.get());
  by_sink->second.erase(number);
  if (by_sink->second.empty()) by_sink_.erase(by_sink);
  if (entry.waiter.deadline != absl::InfiniteFuture())
    deadlines_.erase({entry.waiter.deadline, number});
  return std::move(entry.waiter);
}

}  // namespace apium::broker
