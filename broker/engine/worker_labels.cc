#include "broker/engine/worker_labels.h"

#include <algorithm>

namespace apium::broker {

size_t CountLabels(const Session& session, const Placement::Labels& labels) {
  return static_cast<size_t>(
      std::count_if(labels.begin(), labels.end(), [&](const auto& label) {
        if (label.first == kWorkerIdLabel)
          return label.second == session.worker_id;
        return std::find(session.labels.begin(), session.labels.end(), label) !=
               session.labels.end();
      }));
}

}  // namespace apium::broker
