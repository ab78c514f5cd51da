#ifndef APIUM_BROKER_SERVICE_PLACEMENT_FROM_PROTO_H_
#define APIUM_BROKER_SERVICE_PLACEMENT_FROM_PROTO_H_

#include <memory>

#include "absl/status/status.h"
#include "broker/engine/placement.h"

namespace apium::v1 {
class TaskSpec;
}  // namespace apium::v1

namespace apium::broker {

// Checks and takes what `spec` says of the task's place among others and on
// workers; null where it says nothing. INVALID_ARGUMENT / INVALID_FIELD names
// the field. Any thread.
absl::Status PlacementFromProto(v1::TaskSpec* spec,
                                std::shared_ptr<const Placement>* placement);

// The largest weight of a tenant.
inline constexpr double kFairnessWeightMax = 1000;

}  // namespace apium::broker

#endif  // APIUM_BROKER_SERVICE_PLACEMENT_FROM_PROTO_H_
