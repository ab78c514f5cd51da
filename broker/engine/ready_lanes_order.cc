// The order of the lanes of a queue, and the limits that hold some up.

#include <string>
#include <utility>
#include <vector>

#include "broker/engine/ready_lanes.h"

namespace apium::broker {

LanePlace ReadyLanes::LanePlaceOf(const Lane& lane) const {
  const QueueSettings& settings = lane.queue->stored.settings;
  const LiveTask* head = lane.window.empty() ? nullptr : lane.window.front();
  LanePlace place;
  if (head == nullptr) {
    place.sequence = lane.cold_from;
  } else {
    place.sequence = head->stored.ready_sequence;
    place.index = head->chunk_index;
  }
  place.first = 255 - lane.id.priority;
  if (settings.priority_aging > absl::ZeroDuration()) {
    // Of two tasks, the one with the greater sum of priority and waiting time,
    // in steps of the aging, comes first. Both grow alike, so that this order
    // never changes. One that is still on disk is about to be read.
    const absl::Time since =
        head == nullptr ? absl::UnixEpoch() : head->aging_since;
    place.first =
        absl::ToUnixMillis(since) -
        lane.id.priority * absl::ToInt64Milliseconds(settings.priority_aging);
  }
  place.second = lane.tenant->virtual_nanos;
  if (settings.fairness_mode == FairnessMode::kFairnessFirst)
    std::swap(place.first, place.second);
  return place;
}

void ReadyLanes::List(Lane* lane) {
  if (lane->window.empty() && lane->cold_from == 0) {
    if (lane->order != nullptr) Unlist(lane);
    return;
  }
  if (lane->order == nullptr) {
    std::vector<Lane*>& of_tenant = lane->tenant->lanes;
    if (of_tenant.empty()) lane->queue->shares.Activate(lane->tenant);
    lane->tenant_index = of_tenant.size();
    of_tenant.push_back(lane);
    lane->order = &lane->group->ready;
  } else {
    const LanePlace place = LanePlaceOf(*lane);
    if (place == lane->place) return;
    lane->order->erase({lane->place, lane});
  }
  lane->place = LanePlaceOf(*lane);
  lane->order->insert({lane->place, lane});
}

void ReadyLanes::TakeOut(Lane* lane) {
  lane->order->erase({lane->place, lane});
  LimitInstance* limit = std::exchange(lane->parked_at, nullptr);
  if (limit == nullptr) return;
  --limit->parked_lanes;
  if (!lane->order->empty()) return;
  const auto parked = parked_.find(limit);
  parked->second.erase(lane->group);
  if (parked->second.empty()) parked_.erase(parked);
}

void ReadyLanes::Unlist(Lane* lane) {
  // It may have been woken, and ends without a task that was let through.
  if (lane->parked_at == nullptr) limits_->LookAgain(lane->limits);
  TakeOut(lane);
  lane->order = nullptr;
  std::vector<Lane*>& of_tenant = lane->tenant->lanes;
  of_tenant.back()->tenant_index = lane->tenant_index;
  of_tenant[lane->tenant_index] = of_tenant.back();
  of_tenant.pop_back();
}

const LimitShare& ReadyLanes::LimitsOf(Lane* lane) {
  if (lane->limits_revision == limits_->revision()) return lane->limits;
  if (lane->parked_at != nullptr) Unpark(lane);
  lane->limits_revision = limits_->revision();
  limits_->Drop(&lane->limits);
  LimitSubject subject{.namespace_name = lane->queue->namespace_name,
                       .queue = lane->queue->name,
                       .type = queues_->TypeName(lane->id.type_id)};
  if (lane->lane_class != nullptr) {
    subject.fairness_key = lane->lane_class->fairness_key;
    subject.limit_keys = &lane->lane_class->limit_keys;
  }
  lane->limits = limits_->ShareOf(subject);
  return lane->limits;
}

void ReadyLanes::Park(Lane* lane, LimitInstance* limit) {
  lane->order->erase({lane->place, lane});
  lane->order = &parked_[limit][lane->group];
  lane->order->insert({lane->place, lane});
  lane->parked_at = limit;
  ++limit->parked_lanes;
}

void ReadyLanes::Unpark(Lane* lane) {
  TakeOut(lane);
  lane->order = &lane->group->ready;
  lane->order->insert({lane->place, lane});
  // What a limit held up has saved nothing.
  Tenant* tenant = lane->tenant;
  const int64_t before = tenant->virtual_nanos;
  lane->queue->shares.Activate(tenant);
  if (tenant->virtual_nanos == before) return;
  for (Lane* of_tenant : tenant->lanes) List(of_tenant);
}

void ReadyLanes::Wake(LimitInstance* limit) {
  const auto parked = parked_.find(limit);
  if (parked == parked_.end()) return;
  std::vector<Lane*> first;
  for (const auto& [group, order] : parked->second)
    first.push_back(order.begin()->second);
  for (Lane* lane : first) Unpark(lane);
}

void ReadyLanes::WakeFreed(absl::Time now) {
  if (limits_->revision() != limits_revision_) {
    // Other limits may count them now.
    limits_revision_ = limits_->revision();
    std::vector<Lane*> lanes;
    for (const auto& [limit, groups] : parked_) {
      for (const auto& [group, order] : groups) {
        for (const auto& [place, lane] : order) lanes.push_back(lane);
      }
    }
    for (Lane* lane : lanes) Unpark(lane);
  }
  for (LimitInstance* limit : limits_->TakeFreed(now)) Wake(limit);
}

void ReadyLanes::ListSuspects(Lane* lane) {
  const bool listed = !lane->suspects.empty();
  if (listed == lane->listed_suspect) return;
  lane->listed_suspect = listed;
  if (listed) {
    lane->queue->suspect_lanes[RankOf(lane->id)] = lane;
  } else {
    lane->queue->suspect_lanes.erase(RankOf(lane->id));
  }
}

void ReadyLanes::Reorder(Queue* queue) {
  for (const auto& [key, weight] : queue->stored.settings.fairness_weights) {
    if (Tenant* tenant = queue->shares.Find(key); tenant != nullptr)
      tenant->weight = weight;
  }
  for (const auto& [rank, lane] : queue->lanes) List(lane.get());
}

void ReadyLanes::Charge(LiveTask* task) {
  Lane* lane = task->chunk->lane;
  if (!lane->queue->shares.shared()) return;
  task->lease.charged = lane->queue->shares.Charge(lane->tenant);
  for (Lane* of_tenant : lane->tenant->lanes) List(of_tenant);
}

void ReadyLanes::Settle(LiveTask* task, absl::Duration run) {
  if (task->lease.charged == absl::ZeroDuration()) return;
  const TaskContent& content = task->content();
  Queue* queue = queues_->Find(content.namespace_name, content.queue);
  Tenant* tenant =
      queue == nullptr
          ? nullptr
          : queue->shares.Find(content.placement == nullptr
                                   ? std::string()
                                   : content.placement->fairness_key);
  if (tenant == nullptr) return;
  const std::vector<Lane*> lanes = tenant->lanes;
  // It may go with its last attempt.
  queue->shares.Settle(tenant, std::exchange(task->lease.charged, {}), run);
  for (Lane* lane : lanes) List(lane);
}

}  // namespace apium::broker
