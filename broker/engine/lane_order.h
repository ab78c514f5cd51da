#ifndef APIUM_BROKER_ENGINE_LANE_ORDER_H_
#define APIUM_BROKER_ENGINE_LANE_ORDER_H_

#include <compare>
#include <cstdint>
#include <utility>

#include "absl/container/btree_set.h"

namespace apium::broker {

struct Lane;

// Where a lane stands among those of its queue: the least is next. The first
// two are priority and tenant, or the reverse (FairnessMode); the others are
// the place of its head, which no two lanes share.
struct LanePlace {
  int64_t first = 0;
  int64_t second = 0;
  uint64_t sequence = 0;
  uint32_t index = 0;

  friend auto operator<=>(const LanePlace&, const LanePlace&) = default;
};

// Lanes in order of their places, which whoever changes them takes out first.
using LaneOrder = absl::btree_set<std::pair<LanePlace, Lane*>>;

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_LANE_ORDER_H_
