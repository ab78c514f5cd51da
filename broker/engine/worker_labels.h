#ifndef APIUM_BROKER_ENGINE_WORKER_LABELS_H_
#define APIUM_BROKER_ENGINE_WORKER_LABELS_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "broker/engine/placement.h"
#include "broker/engine/session_table.h"

namespace apium::broker {

// The label that every worker has besides those that it says.
inline constexpr std::string_view kWorkerIdLabel = "apium.worker_id";

// How many of the labels the session's worker has.
size_t CountLabels(const Session& session, const Placement::Labels& labels);

// Whether it has all of them.
inline bool HasLabels(const Session& session, const Placement::Labels& labels) {
  return labels.empty() || CountLabels(session, labels) == labels.size();
}

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_WORKER_LABELS_H_
