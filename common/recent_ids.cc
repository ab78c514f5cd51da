#include "common/recent_ids.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/time/time.h"
#include "common/fingerprint.h"
#include "common/uuid.h"

namespace apium {
namespace {

// How far a raised bound lies ahead, so that it is seldom stored. For this long
// after a restart every id may have been stored.
constexpr int64_t kBoundAheadMillis = 10'000;

std::optional<int64_t> MillisOf(std::string_view id) {
  const std::optional<absl::Time> time = UuidV7Time(id);
  if (!time.has_value()) return std::nullopt;
  return absl::ToUnixMillis(*time);
}

}  // namespace

bool RecentIds::MayContain(std::string_view key, std::string_view id) const {
  const std::optional<int64_t> millis = MillisOf(id);
  if (!millis.has_value() || *millis <= horizon_) return true;
  const uint64_t hash = StableHash64(key);
  return newer_.contains(hash) || older_.contains(hash);
}

void RecentIds::Add(std::string_view key, std::string_view id) {
  const std::optional<int64_t> millis = MillisOf(id);
  if (!millis.has_value()) return;
  if (*millis > bound_) {
    bound_ = *millis + kBoundAheadMillis;
    bound_raised_ = true;
  }
  if (*millis <= horizon_) return;
  if (newer_.size() >= generation_) {
    horizon_ = std::max(horizon_, newest_of_older_);
    older_.clear();
    older_.swap(newer_);
    newest_of_older_ = std::exchange(newest_of_newer_, 0);
  }
  newer_.insert(StableHash64(key));
  newest_of_newer_ = std::max(newest_of_newer_, *millis);
}

std::optional<int64_t> RecentIds::TakeBound() {
  if (!std::exchange(bound_raised_, false)) return std::nullopt;
  return bound_;
}

}  // namespace apium
