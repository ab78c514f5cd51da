#ifndef APIUM_BROKER_ENGINE_SUBMIT_PLAN_H_
#define APIUM_BROKER_ENGINE_SUBMIT_PLAN_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "broker/engine/live_task.h"
#include "broker/storage/identity_codec.h"

// What a submit is looked at for before it is accepted.
namespace apium::broker {

// What becomes of a submit with a unique key.
struct KeyClaim {
  enum class Verdict : uint8_t { kTake, kBlock, kAttach, kRefuse };
  Verdict verdict = Verdict::kTake;
  absl::Status refusal;                // set with kRefuse
  std::optional<StoredUniqueKey> row;  // none: nobody holds the key
  LiveTask* waiting_holder = nullptr;  // null: it does not wait
};

// One of the tasks that a submit makes.
struct SubmitTarget {
  std::string queue;
  std::string worker_id;  // the only one that may run it; empty: any
};

// What a queue is to take.
struct Demand {
  uint64_t tasks = 0;
  uint64_t bytes = 0;
  // Those that end because of it, so that they need no room.
  std::vector<const LiveTask*> replaced;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_SUBMIT_PLAN_H_
