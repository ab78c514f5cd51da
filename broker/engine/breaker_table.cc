#include "broker/engine/breaker_table.h"

#include <algorithm>
#include <iterator>
#include <string_view>

#include "broker/storage/key_format.h"
#include "common/status_macros.h"

namespace apium::broker {

void AttemptWindow::Add(absl::Time now, bool failed) {
  const int64_t number = NumberAt(now);
  Bucket& bucket = buckets_[static_cast<size_t>(number) % kBuckets];
  if (bucket.number != number) {
    bucket = Bucket();
    bucket.number = number;
  }
  ++bucket.attempts;
  if (failed) ++bucket.failures;
}

AttemptWindow::Counts AttemptWindow::In(absl::Time now) const {
  const int64_t oldest = NumberAt(now) - static_cast<int64_t>(kBuckets) + 1;
  Counts counts;
  for (const Bucket& bucket : buckets_) {
    if (bucket.number < oldest) continue;
    counts.attempts += bucket.attempts;
    counts.failures += bucket.failures;
  }
  return counts;
}

absl::Status BreakerTable::Recover(const StoreReader& reader, TypeId type_id) {
  absl::Status visited = absl::OkStatus();
  APIUM_RETURN_IF_ERROR(reader.Scan(
      std::string(1, kBreakerRow), RowsEnd(kBreakerRow),
      [&](std::string_view key, std::string_view value) {
        key.remove_prefix(1);
        const size_t zero = key.find('\0');
        auto stored = DecodeBreaker(value);
        visited = stored.status();
        if (zero == std::string_view::npos)
          visited =
              absl::DataLossError("the store holds a damaged breaker row");
        if (!visited.ok()) return false;
        const std::string type(key.substr(zero + 1));
        const absl::StatusOr<uint32_t> id = type_id(type);
        visited = id.status();
        if (visited.ok())
          Add(std::string(key.substr(0, zero)), type, *id, *std::move(stored));
        return visited.ok();
      }));
  return visited;
}

size_t BreakerTable::CountOf(const std::string& namespace_name) const {
  const auto begin = breakers_.lower_bound(MakeTaskKey(namespace_name, ""));
  const auto end = breakers_.lower_bound(namespace_name + '\1');
  return static_cast<size_t>(std::distance(begin, end));
}

LiveBreaker* BreakerTable::Find(const std::string& namespace_name,
                                const std::string& type) {
  if (breakers_.empty()) return nullptr;
  const auto it = breakers_.find(MakeTaskKey(namespace_name, type));
  return it == breakers_.end() ? nullptr : it->second.get();
}

LiveBreaker* BreakerTable::Add(const std::string& namespace_name,
                               const std::string& type, uint32_t type_id,
                               StoredBreaker stored) {
  const std::string key = MakeTaskKey(namespace_name, type);
  const absl::Duration window = stored.settings.window;
  auto owned = std::make_unique<LiveBreaker>(
      LiveBreaker{.namespace_name = namespace_name,
                  .type = type,
                  .stored = std::move(stored),
                  .window = AttemptWindow(window)});
  LiveBreaker* breaker = owned.get();
  breakers_[key] = std::move(owned);
  ByType& by_type = by_type_[namespace_name];
  if (by_type.size() <= type_id) by_type.resize(type_id + 1);
  by_type[type_id] = breaker;
  if (breaker->stored.state == BreakerState::kOpen) open_.insert(key);
  return breaker;
}

LiveBreaker* BreakerTable::Set(const std::string& namespace_name,
                               const std::string& type, uint32_t type_id,
                               const BreakerSettings& settings) {
  LiveBreaker* breaker = Find(namespace_name, type);
  if (breaker == nullptr) {
    breaker = Add(namespace_name, type, type_id, {.settings = settings});
  } else {
    if (breaker->stored.settings.window != settings.window)
      breaker->window = AttemptWindow(settings.window);
    breaker->stored.settings = settings;
  }
  MarkDirty(breaker);
  return breaker;
}

void BreakerTable::Remove(const std::string& namespace_name,
                          const std::string& type, uint32_t type_id) {
  const std::string key = MakeTaskKey(namespace_name, type);
  if (breakers_.erase(key) == 0) return;
  by_type_[namespace_name][type_id] = nullptr;
  if (CountOf(namespace_name) == 0) by_type_.erase(namespace_name);
  open_.erase(key);
  dirty_.insert(key);
}

void BreakerTable::MarkDirty(LiveBreaker* breaker) {
  dirty_.insert(MakeTaskKey(breaker->namespace_name, breaker->type));
}

void BreakerTable::Enter(LiveBreaker* breaker, BreakerState state) {
  const std::string key = MakeTaskKey(breaker->namespace_name, breaker->type);
  breaker->stored.state = state;
  breaker->stored.trial_epoch = 0;
  if (state == BreakerState::kOpen) {
    open_.insert(key);
  } else {
    open_.erase(key);
  }
  dirty_.insert(key);
}

bool BreakerTable::Count(LiveBreaker* breaker, absl::Time now, bool failed) {
  breaker->window.Add(now, failed);
  if (!failed || breaker->stored.state != BreakerState::kClosed) return false;
  const AttemptWindow::Counts counts = breaker->window.In(now);
  const BreakerSettings& settings = breaker->stored.settings;
  const bool too_many =
      counts.attempts >= settings.min_attempts &&
      static_cast<double>(counts.failures) >=
          settings.failure_share * static_cast<double>(counts.attempts);
  if (too_many) Open(breaker, now);
  return too_many;
}

void BreakerTable::Open(LiveBreaker* breaker, absl::Time now) {
  ++breaker->opened;
  breaker->stored.open_time = now;
  Enter(breaker, BreakerState::kOpen);
}

void BreakerTable::Close(LiveBreaker* breaker) {
  breaker->window.Clear();
  Enter(breaker, BreakerState::kClosed);
}

void BreakerTable::SetTrial(LiveBreaker* breaker, uint64_t epoch) {
  breaker->stored.trial_epoch = epoch;
  MarkDirty(breaker);
}

void BreakerTable::HalfOpenDue(absl::Time now) {
  if (open_.empty()) return;
  const std::set<std::string> open = open_;
  for (const std::string& key : open) {
    LiveBreaker* breaker = breakers_.at(key).get();
    if (breaker->open_until() <= now) Enter(breaker, BreakerState::kHalfOpen);
  }
}

absl::Time BreakerTable::NextTime() const {
  absl::Time next = absl::InfiniteFuture();
  for (const std::string& key : open_)
    next = std::min(next, breakers_.at(key)->open_until());
  return next;
}

void BreakerTable::Flush(StoreBatch* batch) {
  for (const std::string& key : dirty_) {
    const auto it = breakers_.find(key);
    if (it == breakers_.end()) {
      batch->Delete(BreakerRowKey(key));
    } else {
      batch->Put(BreakerRowKey(key), EncodeBreaker(it->second->stored));
    }
  }
  dirty_.clear();
}

}  // namespace apium::broker
