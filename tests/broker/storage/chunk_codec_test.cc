#include "broker/storage/chunk_codec.h"

#include <gtest/gtest.h>

#include "broker/storage/key_format.h"

namespace apium::broker {
namespace {

const absl::Time kTime = absl::FromUnixNanos(1234567890123456789);

TEST(ChunkCodecTest, KeepsAChunk) {
  const std::string value =
      EncodeChunk({.position = 7,
                   .attempt = 2,
                   .time = kTime,
                   .payload = {.data = std::string("a\0b", 3),
                               .content_type = "text/plain",
                               .content_encoding = "zstd"}});
  const auto chunk = DecodeChunk(7, value);
  ASSERT_TRUE(chunk.ok());
  EXPECT_EQ(chunk->position, 7u);
  EXPECT_EQ(chunk->attempt, 2u);
  EXPECT_EQ(chunk->time, kTime);
  EXPECT_EQ(chunk->payload.data, std::string("a\0b", 3));
  EXPECT_EQ(chunk->payload.content_type, "text/plain");
  EXPECT_EQ(chunk->payload.content_encoding, "zstd");
}

TEST(ChunkCodecTest, KeepsAHead) {
  const auto head = DecodeChunkHead(EncodeChunkHead({.create_time = kTime,
                                                     .count = 9,
                                                     .bytes = 1000,
                                                     .attempt = 3,
                                                     .number = 4,
                                                     .delete_millis = 77,
                                                     .deleted = 5}));
  ASSERT_TRUE(head.ok());
  EXPECT_EQ(head->create_time, kTime);
  EXPECT_EQ(head->count, 9u);
  EXPECT_EQ(head->bytes, 1000u);
  EXPECT_EQ(head->attempt, 3u);
  EXPECT_EQ(head->number, 4u);
  EXPECT_EQ(head->delete_millis, 77);
  EXPECT_EQ(head->deleted, 5u);
}

TEST(ChunkCodecTest, KeepsDetails) {
  const auto details = DecodeDetails(EncodeDetails(
      {.data = "cursor", .content_type = "t", .content_encoding = "e"}));
  ASSERT_TRUE(details.ok());
  EXPECT_EQ(details->data, "cursor");
  EXPECT_EQ(details->content_type, "t");
  EXPECT_EQ(details->content_encoding, "e");
}

TEST(ChunkCodecTest, RefusesWhatNoEncoderWrites) {
  EXPECT_EQ(DecodeChunk(1, "\xff\xff").status().code(),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(DecodeDetails("\xff\xff").status().code(),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(DecodeChunkHead(EncodeChunkHead({.count = 1, .deleted = 2}))
                .status()
                .code(),
            absl::StatusCode::kDataLoss);
}

TEST(ChunkKeyTest, SortsByTaskThenPosition) {
  const std::string key = MakeTaskKey("ns", "a");
  EXPECT_EQ(ChunkRowKey(key, 258), std::string("Kns\0a\0\0\0\0\0\0\0\1\2", 14));
  EXPECT_LT(ChunkRowKey(key, 255), ChunkRowKey(key, 256));
  EXPECT_LT(ChunkRowKey(key, ~uint64_t{0}),
            ChunkRowKey(MakeTaskKey("ns", "a-b"), 0));
  EXPECT_EQ(PositionOfChunkRow(ChunkRowKey(key, 258)), 258u);
  EXPECT_FALSE(PositionOfChunkRow("K").has_value());
  EXPECT_EQ(DetailsRowKey(key), std::string("Pns\0a", 5));
}

}  // namespace
}  // namespace apium::broker
