#include "broker/engine/timer_index.h"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

#include "common/status_macros.h"

namespace apium::broker {

int64_t CeilToMillis(absl::Time time) {
  const int64_t floor = absl::ToUnixMillis(time);
  return std::max<int64_t>(
      0, absl::FromUnixMillis(floor) < time ? floor + 1 : floor);
}

void TimerIndex::Add(TimerId timer) {
  changes_.Put(TimerRowKey(timer), "");
  if (horizon_.has_value() && *horizon_ <= timer) return;
  window_.insert(std::move(timer));
  if (window_.size() <= window_max_) return;
  // The later half goes back to disk, so that the next one does not do it
  // again.
  auto middle =
      std::next(window_.begin(), static_cast<std::ptrdiff_t>(window_max_ / 2));
  horizon_ = *middle;
  window_.erase(middle, window_.end());
}

void TimerIndex::Remove(const TimerId& timer) {
  changes_.Delete(TimerRowKey(timer));
  window_.erase(timer);
}

absl::Status TimerIndex::TakeDue(absl::Time now, size_t limit,
                                 std::vector<TimerId>* due) {
  due->clear();
  const int64_t now_millis = absl::ToUnixMillis(now);
  while (due->size() < limit) {
    if (window_.empty()) {
      const bool more_on_disk =
          horizon_.has_value() && horizon_->due_millis <= now_millis;
      if (!more_on_disk) break;
      APIUM_RETURN_IF_ERROR(Load());
      continue;
    }
    if (window_.begin()->due_millis > now_millis) break;
    due->push_back(*window_.begin());
    Remove(due->back());
  }
  return absl::OkStatus();
}

absl::Status TimerIndex::Load() {
  std::optional<TimerId> next;
  absl::Status decoded = absl::OkStatus();
  APIUM_RETURN_IF_ERROR(reader_->Scan(
      TimerRowKey(*horizon_), RowsEnd(kTimerRow),
      [&](std::string_view key, std::string_view) {
        std::optional<TimerId> timer = TimerOfRow(key);
        if (!timer.has_value()) {
          decoded = absl::DataLossError("the store holds a damaged timer row");
          return false;
        }
        if (window_.size() >= std::max<size_t>(1, window_max_ / 2)) {
          next = std::move(timer);
          return false;
        }
        window_.insert(*std::move(timer));
        return true;
      }));
  horizon_ = std::move(next);
  return decoded;
}

absl::Time TimerIndex::NextTime() const {
  if (!window_.empty())
    return absl::FromUnixMillis(window_.begin()->due_millis);
  if (horizon_.has_value()) return absl::FromUnixMillis(horizon_->due_millis);
  return absl::InfiniteFuture();
}

void TimerIndex::Flush(StoreBatch* batch) {
  batch->Append(changes_);
  changes_.Clear();
}

}  // namespace apium::broker
