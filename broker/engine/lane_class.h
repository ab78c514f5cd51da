#ifndef APIUM_BROKER_ENGINE_LANE_CLASS_H_
#define APIUM_BROKER_ENGINE_LANE_CLASS_H_

#include <memory>

#include "broker/engine/placement.h"
#include "broker/engine/task.h"
#include "common/fingerprint.h"

// Tasks of one lane are alike in everything that decides whether and when they
// are dispatched, so that only the head of a lane is ever looked at. What a
// task says of that beyond queue, type and priority is its lane class: tenant,
// limit keys and required labels.
namespace apium::broker {

// Zero for most tasks, which say nothing of the kind.
Fingerprint LaneClassId(const TaskContent& content);

// What the class stands for; null for class zero.
std::shared_ptr<const Placement> LaneClassOf(const TaskContent& content);

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_LANE_CLASS_H_
