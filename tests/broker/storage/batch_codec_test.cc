#include "broker/storage/batch_codec.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/time/time.h"
#include "broker/storage/record_value.h"

namespace apium::broker {
namespace {

const absl::Time kCreated = absl::FromUnixNanos(1'700'000'000'123'456'789);

TEST(BatchCodecTest, AStateReadsBackWhole) {
  StoredBatch batch;
  batch.description = "letters";
  batch.closed = true;
  batch.members = 9;
  batch.succeeded = 5;
  batch.unsuccessful = 3;
  batch.create_time = kCreated;
  batch.complete_time = kCreated + absl::Seconds(7);
  batch.keep_until_millis = 1234;
  batch.fingerprint = {.high = 11, .low = 22};
  batch.callbacks[BatchEvent::kSuccess] = {.wanted = true, .task_id = "t"};
  batch.callbacks[BatchEvent::kComplete] = {.wanted = true};
  const auto back = DecodeBatch(EncodeBatch(batch));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->description, "letters");
  EXPECT_TRUE(back->closed);
  EXPECT_EQ(back->members, 9u);
  EXPECT_EQ(back->succeeded, 5u);
  EXPECT_EQ(back->unsuccessful, 3u);
  EXPECT_EQ(back->pending(), 1u);
  EXPECT_EQ(back->create_time, kCreated);
  EXPECT_EQ(back->complete_time, batch.complete_time);
  EXPECT_EQ(back->keep_until_millis, 1234);
  EXPECT_EQ(back->fingerprint, batch.fingerprint);
  EXPECT_TRUE(back->callbacks[BatchEvent::kSuccess].wanted);
  EXPECT_EQ(back->callbacks[BatchEvent::kSuccess].task_id, "t");
  EXPECT_TRUE(back->callbacks[BatchEvent::kComplete].wanted);
  EXPECT_EQ(back->callbacks[BatchEvent::kComplete].task_id, "");
  EXPECT_FALSE(back->callbacks[BatchEvent::kFirstFailure].wanted);
}

TEST(BatchCodecTest, AnOpenBatchIsKept) {
  const auto back = DecodeBatch(EncodeBatch({.create_time = kCreated}));
  ASSERT_TRUE(back.ok());
  EXPECT_FALSE(back->closed);
  EXPECT_FALSE(back->complete());
  EXPECT_FALSE(back->has_callbacks());
  EXPECT_EQ(back->keep_until_millis, kKeepBatch);
}

TEST(BatchCodecTest, BytesOfAStateStayAsTheyAre) {
  StoredBatch batch;
  batch.members = 3;
  batch.succeeded = 1;
  batch.create_time = absl::FromUnixNanos(5);
  batch.keep_until_millis = 258;
  batch.callbacks[BatchEvent::kFirstFailure] = {.wanted = true, .task_id = "x"};
  EXPECT_EQ(absl::BytesToHexString(EncodeBatch(batch)),
            "0000000000000102"
            "1803"            // members
            "2001"            // succeeded
            "3005"            // create_nanos
            "52050801120178"  // callbacks {event 1, task_id "x"}
  );
}

TEST(BatchCodecTest, CallbacksReadBackWhole) {
  auto content = std::make_shared<TaskContent>();
  content->namespace_name = "ns";
  content->type = "done";
  content->queue = "q";
  content->priority = 7;
  content->payload.data = std::string("\0x", 2);
  content->headers = {{"a", "b"}};
  BatchCallbacks callbacks;
  callbacks[BatchEvent::kSuccess] = {.content = content,
                                     .delay = absl::ZeroDuration()};
  callbacks[BatchEvent::kFirstFailure] = {.content = content,
                                          .expire_after = absl::Hours(1)};
  const auto back =
      DecodeBatchCallbacks("ns", EncodeBatchCallbacks(callbacks, 99));
  ASSERT_TRUE(back.ok());
  const BatchCallback& success = (*back)[BatchEvent::kSuccess];
  ASSERT_NE(success.content, nullptr);
  EXPECT_EQ(success.content->namespace_name, "ns");
  EXPECT_EQ(success.content->task_id, "");
  EXPECT_EQ(success.content->type, "done");
  EXPECT_EQ(success.content->queue, "q");
  EXPECT_EQ(success.content->priority, 7);
  EXPECT_EQ(success.content->payload.data, content->payload.data);
  EXPECT_EQ(success.content->headers, content->headers);
  EXPECT_EQ(success.delay, absl::ZeroDuration());
  EXPECT_FALSE(success.expire_after.has_value());
  const BatchCallback& failure = (*back)[BatchEvent::kFirstFailure];
  EXPECT_FALSE(failure.delay.has_value());
  EXPECT_EQ(failure.expire_after, absl::Hours(1));
  EXPECT_EQ((*back)[BatchEvent::kComplete].content, nullptr);
}

TEST(BatchCodecTest, BothRowsBeginWithTheirTime) {
  EXPECT_EQ(KeepUntilOf(EncodeBatch({.keep_until_millis = 5})), 5);
  EXPECT_EQ(KeepUntilOf(EncodeBatchCallbacks({}, 6)), 6);
  EXPECT_FALSE(KeepUntilOf("short").has_value());
}

TEST(BatchCodecTest, DamagedValuesAreDataLoss) {
  EXPECT_TRUE(absl::IsDataLoss(DecodeBatch("").status()));
  EXPECT_TRUE(absl::IsDataLoss(DecodeBatch("12345678\xff").status()));
  EXPECT_TRUE(absl::IsDataLoss(
      DecodeBatch(EncodeBatch({.members = 1, .succeeded = 2})).status()));
  EXPECT_TRUE(absl::IsDataLoss(DecodeBatchCallbacks("ns", "x").status()));
  std::string callbacks = EncodeBatchCallbacks({}, 1);
  callbacks += "\x0a\x02\x08\x09";  // event 9
  EXPECT_TRUE(absl::IsDataLoss(DecodeBatchCallbacks("ns", callbacks).status()));
}

}  // namespace
}  // namespace apium::broker
