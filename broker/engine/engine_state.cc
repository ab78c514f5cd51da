#include "broker/engine/engine_state.h"

#include <utility>

namespace apium::broker {

EngineState::EngineState(const EngineOptions& options,
                         const StoreReader* reader, Meta meta)
    : options_(options),
      reader_(reader),
      shard_id_(std::move(meta.shard_id)),
      new_store_(meta.reserved_tickets == 0),
      random_(options.random_seed + meta.reserved_tickets),
      tickets_(meta.reserved_tickets),
      tasks_(reader, meta.ids_until),
      queues_(options.namespaces),
      lanes_({.lane_window_tasks = options.lane_window_tasks,
              .suspect_window_tasks = options.suspect_window_tasks,
              .window_bytes = options.ready_window_bytes,
              .class_lanes_max = options.max_lanes},
             reader, &tasks_, &queues_, &tickets_, &limits_),
      timers_(reader, options.timer_window),
      leases_(&tickets_),
      sessions_(options.lease_duration, options.reattach_grace),
      waiters_(options.max_waiters),
      outbox_(reader),
      batches_(reader, options.batch_window),
      chunks_(reader),
      details_(reader),
      dead_letters_(reader),
      limits_(reader, options.limit_key_window),
      unique_keys_(reader),
      ordering_(reader),
      requests_(reader) {}

}  // namespace apium::broker
