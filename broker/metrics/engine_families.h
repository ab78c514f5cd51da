#ifndef APIUM_BROKER_METRICS_ENGINE_FAMILIES_H_
#define APIUM_BROKER_METRICS_ENGINE_FAMILIES_H_

#include <cstddef>
#include <vector>

#include "prometheus/metric_family.h"

namespace apium {
struct StoreStats;
}  // namespace apium

namespace apium::broker {

struct EngineStats;

// Queues with series of their own. What is beyond is added up under the
// namespace and queue "other", so that a client that makes queues cannot make
// the metrics grow without bound.
inline constexpr size_t kMetricQueuesMax = 1000;

// The engine's counts as Prometheus sees them.
std::vector<prometheus::MetricFamily> EngineFamilies(
    const EngineStats& stats, size_t queues_max = kMetricQueuesMax);

// What the store says of itself: apium_rocksdb_*.
std::vector<prometheus::MetricFamily> StoreFamilies(const StoreStats& stats);

// A family of one gauge without labels.
prometheus::MetricFamily GaugeFamily(const char* name, const char* help,
                                     double value);

}  // namespace apium::broker

#endif  // APIUM_BROKER_METRICS_ENGINE_FAMILIES_H_
