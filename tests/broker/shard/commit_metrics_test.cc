#include "broker/shard/commit_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/text_serializer.h>

#include <string>

namespace apium::broker {
namespace {

using testing::HasSubstr;

TEST(CommitMetricsTest, CountsSyncsAndBatchesCumulatively) {
  CommitMetrics metrics;
  metrics.ObserveCommit(absl::Microseconds(150), 1);
  metrics.ObserveCommit(absl::Milliseconds(3), 64);
  metrics.ObserveCommit(absl::Seconds(9), 100'000);
  metrics.SetQueueDepth(2);
  const std::string text =
      prometheus::TextSerializer().Serialize(metrics.Collect());
  EXPECT_THAT(text, HasSubstr("apium_wal_sync_seconds_count 3\n"));
  EXPECT_THAT(text,
              HasSubstr("apium_wal_sync_seconds_bucket{le=\"0.0001\"} 0\n"));
  EXPECT_THAT(text,
              HasSubstr("apium_wal_sync_seconds_bucket{le=\"0.0002\"} 1\n"));
  EXPECT_THAT(text,
              HasSubstr("apium_wal_sync_seconds_bucket{le=\"0.005\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("apium_wal_sync_seconds_bucket{le=\"5\"} 2\n"));
  EXPECT_THAT(text,
              HasSubstr("apium_wal_sync_seconds_bucket{le=\"+Inf\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("apium_commit_batch_size_bucket{le=\"1\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("apium_commit_batch_size_bucket{le=\"64\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("apium_commit_batch_size_sum 100065\n"));
  EXPECT_THAT(text, HasSubstr("apium_commit_queue_depth 2\n"));
}

}  // namespace
}  // namespace apium::broker
