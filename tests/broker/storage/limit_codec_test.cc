#include "broker/storage/limit_codec.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/escaping.h"
#include "absl/time/time.h"
#include "broker/storage/record_value.h"

namespace apium::broker {
namespace {

const absl::Time kTime = absl::FromUnixNanos(1'700'000'000'123'456'789);

StoredLimit FullLimit() {
  return {.limit = {.name = "l",
                    .partition = LimitPartition::kKey,
                    .key = "k",
                    .settings = {.description = "d",
                                 .type_pattern = "t*",
                                 .queue_pattern = "q?",
                                 .max_concurrency = 7,
                                 .rate = Rate{.points = 0.5,
                                              .period = absl::Nanoseconds(9),
                                              .burst = 4,
                                              .cost = 2},
                                 .disabled = true},
                    .revision = 3,
                    .create_time = absl::FromUnixNanos(5)},
          .generation = 258};
}

TEST(LimitCodecTest, ALimitReadsBackWhole) {
  const StoredLimit full = FullLimit();
  const auto back = DecodeLimit("l", EncodeLimit(full));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->generation, 258u);
  EXPECT_EQ(back->limit.name, "l");
  EXPECT_EQ(back->limit.partition, LimitPartition::kKey);
  EXPECT_EQ(back->limit.key, "k");
  EXPECT_EQ(back->limit.settings, full.limit.settings);
  EXPECT_EQ(back->limit.revision, 3u);
  EXPECT_EQ(back->limit.create_time, absl::FromUnixNanos(5));
}

TEST(LimitCodecTest, ALimitMayHaveNoRate) {
  StoredLimit limit = FullLimit();
  limit.limit.settings.rate.reset();
  EXPECT_EQ(DecodeLimit("l", EncodeLimit(limit))->limit.settings.rate,
            std::nullopt);
}

TEST(LimitCodecTest, AStateReadsBackWhole) {
  const StoredLimitState full = {.generation = 258,
                                 .full_time = kTime,
                                 .point_nanos = 0.5,
                                 .pause_until = kTime + absl::Nanoseconds(1)};
  const std::string value = EncodeLimitState(full);
  const auto back = DecodeLimitState(value);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->generation, 258u);
  EXPECT_EQ(back->full_time, kTime);
  EXPECT_EQ(back->point_nanos, 0.5);
  EXPECT_EQ(back->pause_until, kTime + absl::Nanoseconds(1));
  // It is not dropped while it says something.
  EXPECT_GE(absl::FromUnixMillis(*KeepUntilOf(value)), full.over());
}

TEST(LimitCodecTest, AStateMayBeOnlyTakenOrOnlyPaused) {
  auto back = DecodeLimitState(EncodeLimitState(
      {.generation = 1, .full_time = kTime, .point_nanos = 1}));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->pause_until, absl::InfinitePast());
  back = DecodeLimitState(
      EncodeLimitState({.generation = 1, .pause_until = kTime}));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->full_time, absl::InfinitePast());
}

TEST(LimitCodecTest, BytesOfALimitStayAsTheyAre) {
  EXPECT_EQ(absl::BytesToHexString(EncodeLimit(FullLimit())),
            "090201000000000000"  // generation
            "1004"                // partition
            "1a016b"              // key
            "220164"              // description
            "2a02742a"            // type_pattern
            "3202713f"            // queue_pattern
            "3807"                // max_concurrency
            // rate: points, period_nanos, burst, cost
            "421d09000000000000e03f1009190000000000001040210000000000000040"
            "4801"  // disabled
            "5003"  // revision
            "5805"  // create_nanos
  );
}

TEST(LimitCodecTest, BytesOfAStateStayAsTheyAre) {
  EXPECT_EQ(absl::BytesToHexString(
                EncodeLimitState({.generation = 258,
                                  .full_time = absl::FromUnixNanos(256'000'000),
                                  .point_nanos = 0.5,
                                  .pause_until = absl::FromUnixNanos(5)})),
            "0000000000000101"    // keep_until_millis
            "090201000000000000"  // generation
            "108080897a"          // full_nanos
            "19000000000000e03f"  // point_nanos
            "2005"                // pause_until_nanos
  );
}

TEST(LimitCodecTest, DamageIsTold) {
  EXPECT_TRUE(absl::IsDataLoss(DecodeLimit("l", "\xff").status()));
  EXPECT_TRUE(absl::IsDataLoss(DecodeLimit("l", "").status()));
  EXPECT_TRUE(absl::IsDataLoss(DecodeLimitState("").status()));
  EXPECT_TRUE(absl::IsDataLoss(DecodeLimitState("12345678").status()));
  StoredLimit limit = FullLimit();
  limit.limit.settings.rate->points = 0;
  EXPECT_TRUE(absl::IsDataLoss(DecodeLimit("l", EncodeLimit(limit)).status()));
  EXPECT_TRUE(absl::IsDataLoss(
      DecodeLimitState(EncodeLimitState({.generation = 1, .full_time = kTime}))
          .status()));
}

}  // namespace
}  // namespace apium::broker
