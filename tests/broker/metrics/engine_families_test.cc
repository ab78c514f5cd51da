#include "broker/metrics/engine_families.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/text_serializer.h>

#include <string>

#include "broker/engine/engine_stats.h"
#include "storage/store.h"

namespace apium::broker {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string Text(const std::vector<prometheus::MetricFamily>& families) {
  return prometheus::TextSerializer().Serialize(families);
}

QueueStats Queue(const std::string& name) {
  QueueStats stats;
  stats.namespace_name = "default";
  stats.queue = name;
  stats.ready = 2;
  stats.submitted_accepted = 3;
  stats.oldest_ready_age = absl::Seconds(4);
  stats.queue_wait.Record(absl::Milliseconds(20));
  stats.queue_wait.Record(absl::Hours(1));
  return stats;
}

TEST(EngineFamiliesTest, ShowsEachQueueByNamespaceAndName) {
  EngineStats stats;
  stats.queues.push_back(Queue("mail"));
  const std::string text = Text(EngineFamilies(stats));
  EXPECT_THAT(text, HasSubstr("apium_tasks_submitted_total{namespace="
                              "\"default\",queue=\"mail\",outcome=\"accepted\""
                              "} 3"));
  EXPECT_THAT(text, HasSubstr("apium_queue_depth{namespace=\"default\",queue="
                              "\"mail\",state=\"ready\"} 2"));
  EXPECT_THAT(text, HasSubstr("apium_queue_oldest_ready_age_seconds{namespace="
                              "\"default\",queue=\"mail\"} 4"));
  // Even what never happened has a series.
  EXPECT_THAT(text, HasSubstr("apium_leases_expired_total{namespace="
                              "\"default\",queue=\"mail\"} 0"));
}

TEST(EngineFamiliesTest, HistogramsAreCumulative) {
  EngineStats stats;
  stats.queues.push_back(Queue("mail"));
  const std::string text = Text(EngineFamilies(stats));
  EXPECT_THAT(text, HasSubstr("apium_task_queue_wait_seconds_count{namespace="
                              "\"default\",queue=\"mail\"} 2"));
  EXPECT_THAT(text, HasSubstr("queue=\"mail\",le=\"0.01\"} 0"));
  EXPECT_THAT(text, HasSubstr("queue=\"mail\",le=\"0.025\"} 1"));
  EXPECT_THAT(text, HasSubstr("queue=\"mail\",le=\"+Inf\"} 2"));
}

TEST(EngineFamiliesTest, AddsUpTheQueuesBeyondTheLimit) {
  EngineStats stats;
  for (int i = 0; i < 5; ++i) {
    stats.queues.push_back(Queue("q" + std::to_string(i)));
  }
  stats.queues[4].oldest_ready_age = absl::Seconds(9);
  const std::string text = Text(EngineFamilies(stats, 2));
  EXPECT_THAT(text, HasSubstr("queue=\"q1\""));
  EXPECT_THAT(text, Not(HasSubstr("queue=\"q2\"")));
  EXPECT_THAT(text, HasSubstr("apium_queue_depth{namespace=\"other\",queue="
                              "\"other\",state=\"ready\"} 6"));
  EXPECT_THAT(text, HasSubstr("apium_queue_oldest_ready_age_seconds{namespace="
                              "\"other\",queue=\"other\"} 9"));
  EXPECT_THAT(text, HasSubstr("apium_task_queue_wait_seconds_count{namespace="
                              "\"other\",queue=\"other\"} 6"));
}

TEST(EngineFamiliesTest, ShowsDeadLettersAndBreakers) {
  EngineStats stats;
  stats.queues.push_back(Queue("mail"));
  stats.queues[0].dead_letters = 3;
  stats.queues[0].dead_lettered = 5;
  stats.queues[0].redriven = 2;
  stats.breakers.push_back({.namespace_name = "default",
                            .type = "job",
                            .state = BreakerState::kOpen,
                            .opened = 4});
  const std::string text = Text(EngineFamilies(stats));
  EXPECT_THAT(text, HasSubstr("apium_dead_letters{namespace=\"default\","
                              "queue=\"mail\"} 3"));
  EXPECT_THAT(text, HasSubstr("queue=\"mail\",state=\"dead_lettered\"} 5"));
  EXPECT_THAT(text, HasSubstr("apium_dead_letters_redriven_total{namespace="
                              "\"default\",queue=\"mail\"} 2"));
  EXPECT_THAT(text, HasSubstr("apium_breaker_state{namespace=\"default\","
                              "task_type=\"job\",state=\"open\"} 1"));
  EXPECT_THAT(text, HasSubstr("apium_breaker_state{namespace=\"default\","
                              "task_type=\"job\",state=\"closed\"} 0"));
  EXPECT_THAT(text, HasSubstr("apium_breaker_opened_total{namespace="
                              "\"default\",task_type=\"job\"} 4"));
}

TEST(EngineFamiliesTest, ShowsTheLagOfTheOutbox) {
  EngineStats stats;
  stats.outbox_last_position = 10;
  stats.outbox_confirmed_position = 7;
  EXPECT_THAT(Text(EngineFamilies(stats)),
              HasSubstr("apium_outbox_lag_commits 3"));
}

TEST(StoreFamiliesTest, ShowsTheStore) {
  StoreStats stats;
  stats.sst_bytes = 5;
  stats.stall_time = absl::Seconds(2);
  const std::string text = Text(StoreFamilies(stats));
  EXPECT_THAT(text, HasSubstr("apium_rocksdb_sst_bytes 5"));
  EXPECT_THAT(text, HasSubstr("apium_rocksdb_stall_seconds_total 2"));
}

}  // namespace
}  // namespace apium::broker
