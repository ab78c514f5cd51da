#include "broker/metrics/engine_families.h"

#include <prometheus/client_metric.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "broker/engine/engine_stats.h"
#include "storage/store.h"

namespace apium::broker {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;
using Read = std::function<double(const QueueStats&)>;

// One series of a family: its further label, and where its value is.
struct Series {
  Labels labels;
  Read read;
};

constexpr const char* kOther = "other";

Labels LabelsOf(const std::string& namespace_name, const std::string& queue,
                const Labels& more) {
  Labels labels = {{"namespace", namespace_name}, {"queue", queue}};
  labels.insert(labels.end(), more.begin(), more.end());
  return labels;
}

ClientMetric Metric(MetricType type, Labels labels, double value) {
  ClientMetric metric;
  metric.label = std::move(labels);
  if (type == MetricType::Counter) {
    metric.counter.value = value;
  } else {
    metric.gauge.value = value;
  }
  return metric;
}

void AddTo(const DurationHistogram& from, ClientMetric::Histogram* to) {
  const size_t buckets = from.counts().size();
  to->bucket.resize(buckets);
  uint64_t cumulative = 0;
  for (size_t i = 0; i < buckets; ++i) {
    cumulative += from.counts()[i];
    to->bucket[i].cumulative_count += cumulative;
    to->bucket[i].upper_bound = i < DurationHistogram::kBounds.size()
                                    ? DurationHistogram::kBounds[i]
                                    : std::numeric_limits<double>::infinity();
  }
  to->sample_count += cumulative;
  to->sample_sum += from.sum_seconds();
}

// Families with series for each queue, and one series for all beyond a limit.
class QueueFamilies {
 public:
  QueueFamilies(const EngineStats& stats, size_t queues_max,
                std::vector<MetricFamily>* families)
      : stats_(stats),
        named_(std::min(queues_max, stats.queues.size())),
        families_(families) {}

  // How series of queues beyond the limit become one.
  enum class Combine { kSum, kMax };

  void Add(MetricType type, const char* name, const char* help,
           const std::vector<Series>& series, Combine combine = Combine::kSum) {
    MetricFamily family = {
        .name = name, .help = help, .type = type, .metric = {}};
    for (size_t i = 0; i < named_; ++i) {
      const QueueStats& queue = stats_.queues[i];
      for (const Series& one : series) {
        family.metric.push_back(Metric(
            type, LabelsOf(queue.namespace_name, queue.queue, one.labels),
            one.read(queue)));
      }
    }
    if (named_ < stats_.queues.size()) {
      for (const Series& one : series) {
        double value = 0;
        for (size_t i = named_; i < stats_.queues.size(); ++i) {
          const double next = one.read(stats_.queues[i]);
          value =
              combine == Combine::kSum ? value + next : std::max(value, next);
        }
        family.metric.push_back(
            Metric(type, LabelsOf(kOther, kOther, one.labels), value));
      }
    }
    families_->push_back(std::move(family));
  }

  void AddHistogram(const char* name, const char* help,
                    DurationHistogram QueueStats::*histogram) {
    MetricFamily family = {.name = name,
                           .help = help,
                           .type = MetricType::Histogram,
                           .metric = {}};
    for (size_t i = 0; i < named_; ++i) {
      const QueueStats& queue = stats_.queues[i];
      ClientMetric& metric = family.metric.emplace_back();
      metric.label = LabelsOf(queue.namespace_name, queue.queue, {});
      AddTo(queue.*histogram, &metric.histogram);
    }
    if (named_ < stats_.queues.size()) {
      ClientMetric& metric = family.metric.emplace_back();
      metric.label = LabelsOf(kOther, kOther, {});
      for (size_t i = named_; i < stats_.queues.size(); ++i) {
        AddTo(stats_.queues[i].*histogram, &metric.histogram);
      }
    }
    families_->push_back(std::move(family));
  }

 private:
  const EngineStats& stats_;
  const size_t named_;
  std::vector<MetricFamily>* const families_;
};

Read Of(uint64_t QueueStats::*field) {
  return [field](const QueueStats& queue) {
    return static_cast<double>(queue.*field);
  };
}

void AddCounters(QueueFamilies* families) {
  const auto state = [](const char* value, uint64_t QueueStats::*field) {
    return Series{{{"state", value}}, Of(field)};
  };
  const auto outcome = [](const char* value, uint64_t QueueStats::*field) {
    return Series{{{"outcome", value}}, Of(field)};
  };
  families->Add(MetricType::Counter, "apium_tasks_submitted_total",
                "Submits, by what became of them.",
                {outcome("accepted", &QueueStats::submitted_accepted),
                 outcome("duplicate", &QueueStats::submitted_duplicate),
                 outcome("rejected", &QueueStats::submitted_rejected)});
  families->Add(MetricType::Counter, "apium_tasks_delivered_total",
                "First deliveries of tasks to workers.",
                {{{}, Of(&QueueStats::delivered)}});
  families->Add(MetricType::Counter, "apium_tasks_redelivered_total",
                "Deliveries after the first: retries, returns, crashes.",
                {{{}, Of(&QueueStats::redelivered)}});
  families->Add(MetricType::Counter, "apium_tasks_completed_total",
                "Ends of attempts (retried) and of tasks (the rest).",
                {state("succeeded", &QueueStats::succeeded),
                 state("failed", &QueueStats::failed),
                 state("dead_lettered", &QueueStats::dead_lettered),
                 state("retried", &QueueStats::retried),
                 state("cancelled", &QueueStats::cancelled),
                 state("expired", &QueueStats::expired)});
  families->Add(MetricType::Counter, "apium_dead_letters_redriven_total",
                "Dead letters that were submitted again.",
                {{{}, Of(&QueueStats::redriven)}});
  families->Add(MetricType::Counter, "apium_leases_expired_total",
                "Leases lost because the worker, or the process that ran the "
                "task, is gone.",
                {{{}, Of(&QueueStats::leases_lost)}});
  families->Add(MetricType::Counter, "apium_tasks_returned_total",
                "Deliveries that came back unharmed.",
                {{{}, Of(&QueueStats::returned)}});
  families->Add(MetricType::Counter, "apium_lease_stale_completions_total",
                "Reports refused because the lease was lost.",
                {{{}, Of(&QueueStats::stale_reports)}});
}

void AddBlocked(QueueFamilies* families) {
  std::vector<Series> series;
  for (size_t kind = 1; kind < kWaitReasonNames.size(); ++kind) {
    series.push_back(
        {{{"reason", kWaitReasonNames[kind]}}, [kind](const QueueStats& queue) {
           return queue.blocked_seconds[kind];
         }});
  }
  families->Add(MetricType::Counter, "apium_queue_blocked_seconds_total",
                "Time for which tasks have been waiting, by what holds them "
                "up, summed over the tasks; as seen at each scrape.",
                series);
}

void AddGauges(QueueFamilies* families) {
  const auto state = [](const char* value, uint64_t QueueStats::*field) {
    return Series{{{"state", value}}, Of(field)};
  };
  families->Add(MetricType::Gauge, "apium_queue_depth",
                "Tasks in the queue, by state.",
                {state("ready", &QueueStats::ready),
                 state("scheduled", &QueueStats::scheduled),
                 state("leased", &QueueStats::leased)});
  families->Add(MetricType::Gauge, "apium_dead_letters",
                "Tasks in the queue's dead-letter store.",
                {{{}, Of(&QueueStats::dead_letters)}});
  families->Add(MetricType::Gauge, "apium_queue_oldest_ready_age_seconds",
                "How long the task at the head has been ready; 0 when none is.",
                {{{},
                  [](const QueueStats& queue) {
                    return queue.ready == 0
                               ? 0
                               : absl::ToDoubleSeconds(queue.oldest_ready_age);
                  }}},
                QueueFamilies::Combine::kMax);
  families->Add(
      MetricType::Gauge, "apium_queue_paused",
      "1 while nothing is dispatched from the queue.",
      {{{}, [](const QueueStats& queue) { return queue.paused ? 1.0 : 0.0; }}});
  families->Add(MetricType::Gauge, "apium_queue_consumers",
                "Connected workers that take tasks from the queue.",
                {{{}, [](const QueueStats& queue) {
                    return static_cast<double>(queue.workers);
                  }}});
}

// Breakers are set by operators, and are few.
void AddBreakers(const EngineStats& stats,
                 std::vector<MetricFamily>* families) {
  MetricFamily state = {.name = "apium_breaker_state",
                        .help =
                            "1 for the state that the breaker of the type "
                            "is in.",
                        .type = MetricType::Gauge,
                        .metric = {}};
  MetricFamily opened = {.name = "apium_breaker_opened_total",
                         .help = "Times that the breaker of the type opened.",
                         .type = MetricType::Counter,
                         .metric = {}};
  constexpr std::pair<BreakerState, const char*> kStates[] = {
      {BreakerState::kClosed, "closed"},
      {BreakerState::kOpen, "open"},
      {BreakerState::kHalfOpen, "half_open"}};
  for (const BreakerStats& breaker : stats.breakers) {
    const Labels labels = {{"namespace", breaker.namespace_name},
                           {"task_type", breaker.type}};
    for (const auto& [number, name] : kStates) {
      Labels with_state = labels;
      with_state.push_back({"state", name});
      state.metric.push_back(Metric(MetricType::Gauge, std::move(with_state),
                                    breaker.state == number ? 1 : 0));
    }
    opened.metric.push_back(Metric(MetricType::Counter, labels,
                                   static_cast<double>(breaker.opened)));
  }
  families->push_back(std::move(state));
  families->push_back(std::move(opened));
}

}  // namespace

MetricFamily GaugeFamily(const char* name, const char* help, double value) {
  return {.name = name,
          .help = help,
          .type = MetricType::Gauge,
          .metric = {Metric(MetricType::Gauge, {}, value)}};
}

std::vector<MetricFamily> EngineFamilies(const EngineStats& stats,
                                         size_t queues_max) {
  std::vector<MetricFamily> families;
  QueueFamilies queues(stats, queues_max, &families);
  AddCounters(&queues);
  AddBlocked(&queues);
  AddGauges(&queues);
  AddBreakers(stats, &families);
  queues.AddHistogram("apium_task_queue_wait_seconds",
                      "From ready to dispatched.", &QueueStats::queue_wait);
  queues.AddHistogram("apium_task_run_seconds",
                      "From dispatched to the end of the attempt.",
                      &QueueStats::run);
  queues.AddHistogram("apium_task_end_to_end_seconds",
                      "From accepted to the outcome.", &QueueStats::end_to_end);

  const auto gauge = [&families](const char* name, const char* help,
                                 uint64_t value) {
    families.push_back(GaugeFamily(name, help, static_cast<double>(value)));
  };
  families.push_back(
      {.name = "apium_submits_refused_total",
       .help = "Submits refused for want of a queue, or of admission.",
       .type = MetricType::Counter,
       .metric = {Metric(MetricType::Counter, {},
                         static_cast<double>(stats.submits_rejected))}});
  gauge("apium_leases_active", "Tasks that workers hold.", stats.leases_active);
  gauge("apium_workers_connected", "Sessions with a stream.",
        stats.sessions_connected);
  gauge("apium_workers_detached",
        "Sessions without a stream, within their grace period.",
        stats.sessions_detached);
  gauge("apium_worker_slots", "Slots of connected workers.",
        stats.worker_slots);
  gauge("apium_stream_credit", "Deliveries that workers could take now.",
        stats.worker_credit);
  gauge("apium_task_waiters", "Callers that wait for tasks.", stats.waiters);
  gauge("apium_tasks_in_memory", "Tasks that the engine holds in memory.",
        stats.hot_tasks);
  gauge("apium_tasks_in_memory_bytes", "Memory of those tasks, about.",
        stats.hot_bytes);
  gauge("apium_timers_in_memory", "Timers that the engine holds in memory.",
        stats.timers_in_memory);
  gauge("apium_outbox_position", "Last commit with outcomes.",
        stats.outbox_last_position);
  gauge("apium_outbox_lag_commits",
        "Commits with outcomes that the result service has not confirmed.",
        stats.outbox_last_position - stats.outbox_confirmed_position);
  return families;
}

std::vector<MetricFamily> StoreFamilies(const StoreStats& stats) {
  std::vector<MetricFamily> families;
  const auto gauge = [&families](const char* name, const char* help,
                                 uint64_t value) {
    families.push_back(GaugeFamily(name, help, static_cast<double>(value)));
  };
  gauge("apium_rocksdb_estimated_keys",
        "Rows, deleted ones still partly counted.", stats.estimated_keys);
  gauge("apium_rocksdb_block_cache_usage_bytes",
        "Memory of blocks read from files.", stats.block_cache_bytes);
  gauge("apium_rocksdb_table_reader_bytes",
        "Memory of open files beside the block cache.",
        stats.table_reader_bytes);
  gauge("apium_rocksdb_memtable_bytes",
        "Memory of rows that are not in a file yet.", stats.memtable_bytes);
  gauge("apium_rocksdb_sst_bytes", "Size of all table files.", stats.sst_bytes);
  gauge("apium_rocksdb_pending_compaction_bytes",
        "Estimate of what compaction has to rewrite.",
        stats.pending_compaction_bytes);
  gauge("apium_rocksdb_l0_files", "Files in level 0.", stats.l0_files);
  gauge("apium_rocksdb_background_errors",
        "Failed flushes and compactions since the start.",
        stats.background_errors);
  gauge("apium_rocksdb_write_stopped",
        "1 while writes wait for flush or compaction.",
        stats.write_stopped ? 1 : 0);
  families.push_back(
      {.name = "apium_rocksdb_stall_seconds_total",
       .help = "What writes have waited for flush or compaction.",
       .type = MetricType::Counter,
       .metric = {Metric(MetricType::Counter, {},
                         absl::ToDoubleSeconds(stats.stall_time))}});
  return families;
}

}  // namespace apium::broker
