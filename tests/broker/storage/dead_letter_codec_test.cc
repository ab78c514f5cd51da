#include "broker/storage/dead_letter_codec.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/time/time.h"
#include "broker/storage/key_format.h"
#include "broker/storage/record_value.h"

namespace apium::broker {
namespace {

const absl::Time kTime = absl::FromUnixNanos(1'700'000'000'123'456'789);

DeadLetter SmallLetter() {
  auto content = std::make_shared<TaskContent>();
  content->namespace_name = "n";
  content->task_id = "a";
  content->type = "t";
  content->queue = "q";
  content->create_time = absl::FromUnixNanos(5);
  auto outcome = std::make_shared<Outcome>();
  outcome->namespace_name = "n";
  outcome->task_id = "a";
  outcome->type = "t";
  outcome->queue = "q";
  outcome->state = TaskState::kDeadLettered;
  outcome->has_failure = true;
  outcome->failure.type = "F";
  outcome->create_time = absl::FromUnixNanos(5);
  outcome->finish_time = absl::FromUnixNanos(6);
  return {.number = 258, .content = std::move(content), .outcome = outcome};
}

StoredRedrive FullRedrive() {
  return {.shown = {.filter = {.type = "t",
                               .failure_type = "F",
                               .dead_after = absl::FromUnixNanos(1),
                               .dead_before = absl::FromUnixNanos(2)},
                    .max_per_second = 0.5,
                    .target_queue = "q",
                    .state = RedriveState::kCancelled,
                    .matched = 3,
                    .redriven = 2,
                    .refused = 1,
                    .last_refusal = "no",
                    .start_time = absl::FromUnixNanos(4),
                    .end_time = absl::FromUnixNanos(5)},
          .number_limit = 258,
          .cursor = "n",
          .next_time = absl::FromUnixNanos(6)};
}

TEST(DeadLetterCodecTest, ALetterReadsBackWhole) {
  const auto back =
      DecodeDeadLetter(MakeTaskKey("n", "a"), EncodeDeadLetter(SmallLetter()));
  ASSERT_TRUE(back.ok());
  const DeadLetter& letter = **back;
  EXPECT_EQ(letter.number, 258u);
  EXPECT_EQ(letter.content->namespace_name, "n");
  EXPECT_EQ(letter.content->task_id, "a");
  EXPECT_EQ(letter.content->type, "t");
  EXPECT_EQ(letter.content->queue, "q");
  EXPECT_EQ(letter.outcome->task_id, "a");
  EXPECT_EQ(letter.outcome->state, TaskState::kDeadLettered);
  EXPECT_EQ(letter.outcome->failure.type, "F");
  EXPECT_EQ(letter.outcome->finish_time, absl::FromUnixNanos(6));
}

TEST(DeadLetterCodecTest, ARedriveReadsBackWhole) {
  const auto back = DecodeRedrive(EncodeRedrive(FullRedrive()));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->shown.filter.type, "t");
  EXPECT_EQ(back->shown.filter.failure_type, "F");
  EXPECT_EQ(back->shown.filter.dead_after, absl::FromUnixNanos(1));
  EXPECT_EQ(back->shown.filter.dead_before, absl::FromUnixNanos(2));
  EXPECT_EQ(back->shown.max_per_second, 0.5);
  EXPECT_EQ(back->shown.target_queue, "q");
  EXPECT_EQ(back->shown.state, RedriveState::kCancelled);
  EXPECT_EQ(back->shown.matched, 3u);
  EXPECT_EQ(back->shown.redriven, 2u);
  EXPECT_EQ(back->shown.refused, 1u);
  EXPECT_EQ(back->shown.last_refusal, "no");
  EXPECT_EQ(back->shown.start_time, absl::FromUnixNanos(4));
  EXPECT_EQ(back->shown.end_time, absl::FromUnixNanos(5));
  EXPECT_EQ(back->number_limit, 258u);
  EXPECT_EQ(back->cursor, "n");
  EXPECT_EQ(back->next_time, absl::FromUnixNanos(6));
}

TEST(DeadLetterCodecTest, ARedriveAtWorkHasNoEndAndMayHaveNoFilter) {
  const auto back =
      DecodeRedrive(EncodeRedrive({.shown = {.start_time = kTime}}));
  ASSERT_TRUE(back.ok());
  EXPECT_TRUE(back->shown.filter.everything());
  EXPECT_EQ(back->shown.state, RedriveState::kRunning);
  EXPECT_EQ(back->shown.start_time, kTime);
  EXPECT_EQ(back->shown.end_time, absl::InfiniteFuture());
  EXPECT_EQ(back->next_time, absl::InfinitePast());
}

TEST(DeadLetterCodecTest, ABreakerReadsBackWhole) {
  const auto back = DecodeBreaker(
      EncodeBreaker({.settings = {.failure_share = 0.25,
                                  .min_attempts = 7,
                                  .window = absl::Seconds(3),
                                  .open_duration = absl::Milliseconds(4)},
                     .state = BreakerState::kHalfOpen,
                     .open_time = kTime,
                     .trial_epoch = 9}));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->settings.failure_share, 0.25);
  EXPECT_EQ(back->settings.min_attempts, 7u);
  EXPECT_EQ(back->settings.window, absl::Seconds(3));
  EXPECT_EQ(back->settings.open_duration, absl::Milliseconds(4));
  EXPECT_EQ(back->state, BreakerState::kHalfOpen);
  EXPECT_EQ(back->open_time, kTime);
  EXPECT_EQ(back->trial_epoch, 9u);
  EXPECT_EQ(DecodeBreaker(EncodeBreaker({}))->open_time, absl::InfinitePast());
}

TEST(DeadLetterCodecTest, BytesOfALetterStayAsTheyAre) {
  EXPECT_EQ(absl::BytesToHexString(EncodeDeadLetter(SmallLetter())),
            "0000000000000102"  // number
            // task_row: a live one, with type, queue, priority, payload,
            // create_nanos, state
            "0a0f010a01741201711864220058057803"
            // outbox_row: one outcome, of namespace, id, type, queue; state,
            // result, failure, create_nanos, finish_nanos
            "121b0a19"
            "0a016e1201611a0174220171"
            "300a3a0042030a014668057806");
}

TEST(DeadLetterCodecTest, BytesOfARedriveStayAsTheyAre) {
  EXPECT_EQ(absl::BytesToHexString(EncodeRedrive(FullRedrive())),
            "0a0174"              // type
            "120146"              // failure_type
            "1801"                // dead_after_nanos
            "2002"                // dead_before_nanos
            "29000000000000e03f"  // max_per_second
            "320171"              // target_queue
            "3803"                // state
            "4003"                // matched
            "4802"                // redriven
            "5001"                // refused
            "5a026e6f"            // last_refusal
            "6004"                // start_nanos
            "6805"                // end_nanos
            "710201000000000000"  // number_limit
            "7a016e"              // cursor
            "800106"              // next_nanos
  );
}

TEST(DeadLetterCodecTest, BytesOfABreakerStayAsTheyAre) {
  EXPECT_EQ(absl::BytesToHexString(EncodeBreaker(
                {.settings = {.failure_share = 0.5,
                              .min_attempts = 4,
                              .window = absl::Nanoseconds(300),
                              .open_duration = absl::Nanoseconds(5)},
                 .state = BreakerState::kOpen,
                 .open_time = absl::FromUnixNanos(6),
                 .trial_epoch = 258})),
            "09000000000000e03f"  // failure_share
            "1004"                // min_attempts
            "18ac02"              // window_nanos
            "2005"                // open_nanos
            "2802"                // state
            "3006"                // opened_nanos
            "390201000000000000"  // trial_epoch
  );
}

TEST(DeadLetterCodecTest, KeysAndTheCountStayAsTheyAre) {
  EXPECT_EQ(
      absl::BytesToHexString(DeadLetterRowKey(258, MakeTaskKey("n", "a"))),
      "58"        // 'X'
      "00000102"  // queue_id
      "6e0061"    // task_key
  );
  EXPECT_EQ(TaskKeyOfDeadLetterRow(DeadLetterRowKey(258, "n")), "n");
  EXPECT_EQ(absl::BytesToHexString(RedriveRowKey(258)), "4a00000102");
  EXPECT_EQ(QueueIdOfRedriveRow(RedriveRowKey(258)), 258u);
  EXPECT_EQ(absl::BytesToHexString(BreakerRowKey(MakeTaskKey("n", "t"))),
            "426e0074");
  // How many letters a queue has, behind its number of scheduled tasks.
  EXPECT_EQ(absl::BytesToHexString(DeadLetterCountRowKey(258)), "530000010258");
  EXPECT_EQ(absl::BytesToHexString(EncodeNumber(258)), "0000000000000102");
}

TEST(DeadLetterCodecTest, DamagedRowsAreDataLoss) {
  const auto is_loss = [](const absl::Status& status) {
    return status.code() == absl::StatusCode::kDataLoss;
  };
  const std::string key = MakeTaskKey("n", "a");
  const std::string letter = EncodeDeadLetter(SmallLetter());
  for (const std::string& value :
       {std::string(), std::string(7, 'x'), std::string(8, '\0'),
        std::string(8, '\0') + "\xff", letter.substr(0, letter.size() - 1)})
    EXPECT_TRUE(is_loss(DecodeDeadLetter(key, value).status()));
  for (const std::string& value :
       {std::string(), std::string("\xff"), std::string("\x38\x04")}) {
    EXPECT_TRUE(is_loss(DecodeRedrive(value).status()));
    EXPECT_TRUE(is_loss(DecodeBreaker(value).status()));
  }
  // No window.
  EXPECT_TRUE(is_loss(DecodeBreaker("\x28\x01").status()));
}

}  // namespace
}  // namespace apium::broker
