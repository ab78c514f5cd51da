#include "broker/storage/queue_codec.h"

#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace apium::broker {
namespace {

const absl::Time kCreated = absl::FromUnixMillis(1'700'000'000'000);

TEST(QueueCodecTest, EverySettingComesBack) {
  StoredQueue stored{
      .queue_id = 4,
      .settings = {.description = "d",
                   .paused = true,
                   .submit_paused = true,
                   .dead_letter = true,
                   .weight = 7,
                   .max_length = 8,
                   .max_bytes = 9,
                   .overflow_policy = OverflowPolicy::kDeadLetterOldest,
                   .task_defaults = {.priority = 0,
                                     .retry_policy =
                                         RetryPolicy{.max_attempts = 9},
                                     .expire_after = absl::Seconds(1),
                                     .result_ttl = absl::Seconds(2),
                                     .soft_time_limit = absl::Seconds(3),
                                     .result_mode = ResultMode::kIgnore,
                                     .delivery_mode =
                                         DeliveryMode::kAtMostOnce},
                   .fairness_mode = FairnessMode::kFairnessFirst,
                   .priority_aging = absl::Milliseconds(5),
                   .fairness_weights = {{"", 0.5}, {"tenant", 3}},
                   .broadcast = true},
      .paused_by = "who",
      .pause_reason = "why",
      .pause_time = kCreated + absl::Seconds(1),
      .revision = 8,
      .create_time = kCreated};
  const auto queue = DecodeQueue(EncodeQueue(stored));
  ASSERT_TRUE(queue.ok());
  EXPECT_EQ(queue->queue_id, 4u);
  EXPECT_EQ(queue->settings, stored.settings);
  EXPECT_EQ(queue->paused_by, "who");
  EXPECT_EQ(queue->pause_reason, "why");
  EXPECT_EQ(queue->pause_time, stored.pause_time);
  EXPECT_EQ(queue->revision, 8u);
  EXPECT_EQ(queue->create_time, kCreated);
}

TEST(QueueCodecTest, DefaultsComeBack) {
  const auto queue =
      DecodeQueue(EncodeQueue({.queue_id = 1, .create_time = kCreated}));
  ASSERT_TRUE(queue.ok());
  EXPECT_EQ(queue->settings, QueueSettings());
  EXPECT_EQ(queue->pause_time, absl::InfinitePast());
}

TEST(QueueCodecTest, DamagedValuesAreDataLoss) {
  EXPECT_TRUE(absl::IsDataLoss(DecodeQueue("\xff").status()));
  EXPECT_TRUE(absl::IsDataLoss(DecodeQueue("").status()));
}

}  // namespace
}  // namespace apium::broker
