#include "broker/storage/ordering_codec.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/escaping.h"
#include "absl/time/time.h"

namespace apium::broker {
namespace {

TEST(OrderingCodecTest, ALineReadsBackWhole) {
  const auto back = DecodeOrderingLine(
      EncodeOrderingLine({.head = "a", .waiting = 3, .first_ticket = 77}));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->head, "a");
  EXPECT_EQ(back->waiting, 3u);
  EXPECT_EQ(back->first_ticket, 77u);
  EXPECT_FALSE(back->blocked);
  EXPECT_EQ(back->block_time, absl::InfinitePast());
  EXPECT_EQ(back->fail_limit, 0u);
}

TEST(OrderingCodecTest, ABlockedLineReadsBackWhole) {
  const absl::Time time = absl::FromUnixNanos(1'700'000'000'123'456'789);
  const auto back = DecodeOrderingLine(
      EncodeOrderingLine({.blocked = true, .failed = "a", .block_time = time}));
  ASSERT_TRUE(back.ok());
  EXPECT_TRUE(back->blocked);
  EXPECT_EQ(back->failed, "a");
  EXPECT_EQ(back->block_time, time);
  EXPECT_FALSE(back->wants_head());
}

TEST(OrderingCodecTest, WhoIsNext) {
  StoredOrderingLine line;
  EXPECT_TRUE(line.empty());
  line.waiting = 1;
  EXPECT_TRUE(line.wants_head());
  line.fail_limit = 5;
  EXPECT_FALSE(line.wants_head());
  line.fail_limit = 0;
  line.head = "a";
  EXPECT_FALSE(line.wants_head());
  EXPECT_FALSE(line.empty());
}

TEST(OrderingCodecTest, BytesStayAsTheyAre) {
  EXPECT_EQ(absl::BytesToHexString(
                EncodeOrderingLine({.head = "a",
                                    .waiting = 2,
                                    .first_ticket = 258,
                                    .blocked = true,
                                    .failed = "b",
                                    .block_time = absl::FromUnixNanos(5),
                                    .fail_limit = 300})),
            "0a0161"  // head
            "1002"    // waiting
            "188202"  // first_ticket
            "2001"    // blocked
            "2a0162"  // failed
            "3005"    // block_nanos
            "38ac02"  // fail_limit
  );
}

TEST(OrderingCodecTest, DamagedRowsAreDataLoss) {
  // A line without anybody has no row.
  for (const std::string& value : {std::string(), std::string("\xff")}) {
    EXPECT_EQ(DecodeOrderingLine(value).status().code(),
              absl::StatusCode::kDataLoss);
  }
}

}  // namespace
}  // namespace apium::broker
