#include "broker/storage/record_codec.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "broker/storage/key_format.h"
#include "gtest/gtest.h"

namespace apium::broker {
namespace {

const absl::Time kCreated = absl::FromUnixNanos(1700000000123456789);

StoredTask FullTask() {
  auto content = std::make_shared<TaskContent>();
  content->namespace_name = "ns";
  content->task_id = "id";
  content->type = "mail.send";
  content->queue = "mail";
  content->priority = 200;
  content->payload = {
      .data = "body", .content_type = "text/plain", .content_encoding = "zstd"};
  content->headers = {{"a", "1"}, {"b", "2"}};
  content->retry_policy.max_attempts = 7;
  content->retry_policy.jitter = 0;
  content->retry_policy.non_retryable_types = {"ValueError"};
  content->eta = kCreated + absl::Seconds(5);
  content->expire_time = kCreated + absl::Hours(1);
  content->result_ttl = absl::Minutes(3);
  content->soft_time_limit = absl::Seconds(9);
  content->create_time = kCreated;
  content->fingerprint = {.high = 1, .low = 2};
  StoredTask task;
  task.content = std::move(content);
  task.minted = true;
  task.state = TaskState::kScheduled;
  task.ready_sequence = 11;
  task.due_millis = 1700000005124;
  task.attempt = 3;
  task.failures = 2;
  task.crashes = 1;
  task.returns = 4;
  task.last_epoch = 99;
  task.cancel_requested = true;
  task.cancel_reason = "no longer needed";
  task.has_last_failure = true;
  task.last_failure = {
      .type = "T", .message = "M", .stack = "S", .non_retryable = true};
  return task;
}

TEST(RecordCodecTest, ALiveTaskReadsBackWhole) {
  const StoredTask task = FullTask();
  std::string value;
  EncodeTaskRow(task, &value);
  EXPECT_FALSE(IsFinishedTaskRow(value));
  auto read = DecodeLiveTaskRow(MakeTaskKey("ns", "id"), value);
  ASSERT_TRUE(read.ok()) << read.status();
  const TaskContent& content = *read->content;
  EXPECT_EQ(content.namespace_name, "ns");
  EXPECT_EQ(content.task_id, "id");
  EXPECT_EQ(content.type, "mail.send");
  EXPECT_EQ(content.queue, "mail");
  EXPECT_EQ(content.priority, 200);
  EXPECT_EQ(content.payload.data, "body");
  EXPECT_EQ(content.payload.content_type, "text/plain");
  EXPECT_EQ(content.payload.content_encoding, "zstd");
  EXPECT_EQ(content.headers, task.content->headers);
  EXPECT_EQ(content.retry_policy.max_attempts, 7u);
  EXPECT_EQ(content.retry_policy.jitter, 0);
  EXPECT_EQ(content.retry_policy.non_retryable_types,
            std::vector<std::string>{"ValueError"});
  EXPECT_EQ(content.eta, task.content->eta);
  EXPECT_EQ(content.expire_time, task.content->expire_time);
  EXPECT_EQ(content.result_ttl, absl::Minutes(3));
  EXPECT_EQ(content.soft_time_limit, absl::Seconds(9));
  EXPECT_EQ(content.create_time, kCreated);
  EXPECT_TRUE(content.fingerprint == task.content->fingerprint);
  EXPECT_TRUE(read->minted);
  EXPECT_EQ(read->state, TaskState::kScheduled);
  EXPECT_EQ(read->ready_sequence, 11u);
  EXPECT_EQ(read->due_millis, 1700000005124);
  EXPECT_EQ(read->attempt, 3u);
  EXPECT_EQ(read->failures, 2u);
  EXPECT_EQ(read->crashes, 1u);
  EXPECT_EQ(read->returns, 4u);
  EXPECT_EQ(read->last_epoch, 99u);
  EXPECT_TRUE(read->cancel_requested);
  EXPECT_EQ(read->cancel_reason, "no longer needed");
  EXPECT_TRUE(read->has_last_failure);
  EXPECT_EQ(read->last_failure.stack, "S");
  EXPECT_TRUE(read->last_failure.non_retryable);
}

TEST(RecordCodecTest, DefaultsReadBackAsDefaults) {
  auto content = std::make_shared<TaskContent>();
  content->type = "t";
  content->queue = "q";
  content->create_time = kCreated;
  StoredTask task;
  task.content = content;
  std::string value;
  EncodeTaskRow(task, &value);
  auto read = DecodeLiveTaskRow(MakeTaskKey("ns", "id"), value);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->content->eta, absl::InfinitePast());
  EXPECT_EQ(read->content->expire_time, absl::InfiniteFuture());
  EXPECT_EQ(read->content->retry_policy.max_attempts, 4u);
  EXPECT_EQ(read->content->retry_policy.max_crashes, 5u);
  EXPECT_FALSE(read->has_last_failure);
}

TEST(RecordCodecTest, BytesOfAFinishedTaskStayAsTheyAre) {
  const FinishedTask task{.state = TaskState::kFailed,
                          .keep_until_millis = 0x0102,
                          .outbox_position = 3,
                          .create_time = absl::FromUnixNanos(4),
                          .fingerprint = {.high = 5, .low = 6}};
  std::string value;
  EncodeTaskRow(task, &value);
  EXPECT_EQ(
      absl::BytesToHexString(value),
      "02070000000000000102000000000000000300000000000000040000000000000005"
      "0000000000000006");
  EXPECT_TRUE(IsFinishedTaskRow(value));
  auto read = DecodeFinishedTaskRow(value);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->state, TaskState::kFailed);
  EXPECT_EQ(read->keep_until_millis, 0x0102);
  EXPECT_EQ(read->outbox_position, 3u);
  EXPECT_EQ(read->create_time, absl::FromUnixNanos(4));
  EXPECT_TRUE(read->fingerprint == task.fingerprint);
  EXPECT_EQ(read->copies, 0u);
}

TEST(RecordCodecTest, TheNumberOfCopiesReadsBack) {
  std::string value;
  EncodeTaskRow(FinishedTask{.state = TaskState::kFailed, .copies = 258},
                &value);
  EXPECT_EQ(absl::BytesToHexString(value.substr(42)), "0000000000000102");
  ASSERT_TRUE(DecodeFinishedTaskRow(value).ok());
  EXPECT_EQ(DecodeFinishedTaskRow(value)->copies, 258u);
  value.pop_back();
  EXPECT_TRUE(absl::IsDataLoss(DecodeFinishedTaskRow(value).status()));
  StoredTask live;
  live.content = std::make_shared<TaskContent>();
  live.copies = 3;
  EncodeTaskRow(live, &value);
  const std::string key("n\0a", 3);
  ASSERT_TRUE(DecodeLiveTaskRow(key, value).ok());
  EXPECT_EQ(DecodeLiveTaskRow(key, value)->copies, 3u);
}

TEST(RecordCodecTest, AnOutcomeReadsBackWhole) {
  auto outcome = std::make_shared<Outcome>();
  outcome->namespace_name = "ns";
  outcome->task_id = "id";
  outcome->type = "t";
  outcome->queue = "q";
  outcome->priority = 9;
  outcome->state = TaskState::kCancelled;
  outcome->result.data = "r";
  outcome->has_failure = true;
  outcome->failure.type = "F";
  outcome->attempt = 2;
  outcome->epoch = 77;
  outcome->failures = 1;
  outcome->crashes = 3;
  outcome->create_time = kCreated;
  outcome->start_time = kCreated + absl::Seconds(1);
  outcome->finish_time = kCreated + absl::Seconds(2);
  outcome->worker_id = "w";
  outcome->result_ttl = absl::Hours(2);
  auto read = DecodeOutboxRow(EncodeOutboxRow({outcome}));
  ASSERT_TRUE(read.ok());
  ASSERT_EQ(read->size(), 1u);
  const Outcome& back = *read->front();
  EXPECT_EQ(back.namespace_name, "ns");
  EXPECT_EQ(back.task_id, "id");
  EXPECT_EQ(back.type, "t");
  EXPECT_EQ(back.queue, "q");
  EXPECT_EQ(back.priority, 9);
  EXPECT_EQ(back.state, TaskState::kCancelled);
  EXPECT_EQ(back.result.data, "r");
  EXPECT_TRUE(back.has_failure);
  EXPECT_EQ(back.failure.type, "F");
  EXPECT_EQ(back.attempt, 2u);
  EXPECT_EQ(back.epoch, 77u);
  EXPECT_EQ(back.failures, 1u);
  EXPECT_EQ(back.crashes, 3u);
  EXPECT_EQ(back.create_time, kCreated);
  EXPECT_EQ(back.start_time, outcome->start_time);
  EXPECT_EQ(back.finish_time, outcome->finish_time);
  EXPECT_EQ(back.worker_id, "w");
  EXPECT_EQ(back.result_ttl, absl::Hours(2));
}

TEST(RecordCodecTest, SmallRowsReadBack) {
  auto keys = DecodeReadyChunk(EncodeReadyChunk({"a", "b"}));
  ASSERT_TRUE(keys.ok());
  EXPECT_EQ(*keys, (std::vector<std::string>{"a", "b"}));
  auto lane = DecodeLane(EncodeLane({.count = 5, .head_sequence = 6}));
  ASSERT_TRUE(lane.ok());
  EXPECT_EQ(lane->count, 5u);
  EXPECT_EQ(lane->head_sequence, 6u);
  auto row =
      DecodeLeaseJournal(EncodeLeaseJournal(kCreated, {{.task_key = "k",
                                                        .attempt = 2,
                                                        .epoch = 3,
                                                        .session_id = "s",
                                                        .worker_id = "w"},
                                                       {.task_key = "l",
                                                        .attempt = 1,
                                                        .epoch = 4,
                                                        .session_id = "s",
                                                        .worker_id = "w"},
                                                       {.task_key = "m",
                                                        .attempt = 1,
                                                        .epoch = 5,
                                                        .session_id = "t",
                                                        .worker_id = "v"}}));
  ASSERT_TRUE(row.ok());
  EXPECT_EQ(row->grant_time, kCreated);
  ASSERT_EQ(row->leases.size(), 3u);
  EXPECT_EQ(row->leases[1].task_key, "l");
  EXPECT_EQ(row->leases[1].session_id, "s");
  EXPECT_EQ(row->leases[1].worker_id, "w");
  EXPECT_EQ(row->leases[2].session_id, "t");
  EXPECT_EQ(row->leases[2].worker_id, "v");
  EXPECT_EQ(row->leases.front().task_key, "k");
  EXPECT_EQ(row->leases.front().attempt, 2u);
  EXPECT_EQ(row->leases.front().epoch, 3u);
  EXPECT_EQ(row->leases.front().session_id, "s");
  EXPECT_EQ(row->leases.front().worker_id, "w");
}

TEST(RecordCodecTest, DamagedValuesAreDataLoss) {
  const std::string key = MakeTaskKey("ns", "id");
  for (const std::string& bad :
       {std::string(), std::string("\x03"), std::string("\x01\xff\xff")}) {
    EXPECT_TRUE(absl::IsDataLoss(DecodeLiveTaskRow(key, bad).status()));
    EXPECT_TRUE(absl::IsDataLoss(DecodeFinishedTaskRow(bad).status()));
  }
  EXPECT_TRUE(absl::IsDataLoss(DecodeReadyChunk("\xff").status()));
  EXPECT_TRUE(absl::IsDataLoss(DecodeLane("\xff").status()));
  EXPECT_TRUE(absl::IsDataLoss(DecodeLeaseJournal("\xff").status()));
  EXPECT_TRUE(absl::IsDataLoss(DecodeOutboxRow("\xff").status()));
}

}  // namespace
}  // namespace apium::broker
