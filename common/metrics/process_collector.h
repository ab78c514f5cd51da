#ifndef APIUM_COMMON_METRICS_PROCESS_COLLECTOR_H_
#define APIUM_COMMON_METRICS_PROCESS_COLLECTOR_H_

#include <vector>

#include "prometheus/collectable.h"
#include "prometheus/metric_family.h"

namespace apium {

// The standard process_* metrics (CPU, resident and virtual memory,
// descriptors, threads, start time), read from /proc at each scrape, and
// apium_build_info. Any thread.
class ProcessCollector final : public prometheus::Collectable {
 public:
  std::vector<prometheus::MetricFamily> Collect() const override;
};

}  // namespace apium

#endif  // APIUM_COMMON_METRICS_PROCESS_COLLECTOR_H_
