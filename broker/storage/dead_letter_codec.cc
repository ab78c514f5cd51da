#include "broker/storage/dead_letter_codec.h"

#include <utility>
#include <vector>

#include "apium/storage/v1/dead_letter.pb.h"
#include "broker/storage/key_format.h"
#include "broker/storage/record_codec.h"
#include "broker/storage/record_value.h"
#include "common/status_macros.h"

namespace apium::broker {
namespace {

namespace pb = ::apium::storage::v1;

constexpr size_t kNumberBytes = 8;

}  // namespace

std::string EncodeDeadLetter(const DeadLetter& letter) {
  pb::DeadLetterRecord record;
  EncodeTaskRow(StoredTask{.content = letter.content},
                record.mutable_task_row());
  record.set_outbox_row(EncodeOutboxRow({letter.outcome}));
  std::string value = EncodeNumber(letter.number);
  record.AppendToString(&value);
  return value;
}

absl::StatusOr<std::shared_ptr<const DeadLetter>> DecodeDeadLetter(
    std::string_view task_key, std::string_view value) {
  if (value.size() < kNumberBytes) return DamagedRow("dead letter");
  auto letter = std::make_shared<DeadLetter>();
  letter->number = *DecodeNumber(value.substr(0, kNumberBytes));
  pb::DeadLetterRecord record;
  if (!ParseRecord(value.substr(kNumberBytes), &record)) {
    return DamagedRow("dead letter");
  }
  APIUM_ASSIGN_OR_RETURN(StoredTask task,
                         DecodeLiveTaskRow(task_key, record.task_row()));
  letter->content = std::move(task.content);
  APIUM_ASSIGN_OR_RETURN(auto outcomes, DecodeOutboxRow(record.outbox_row()));
  if (outcomes.size() != 1) return DamagedRow("dead letter");
  letter->outcome = std::move(outcomes.front());
  return letter;
}

std::string EncodeRedrive(const StoredRedrive& redrive) {
  const Redrive& shown = redrive.shown;
  pb::RedriveRecord record;
  record.set_type(shown.filter.type);
  record.set_failure_type(shown.filter.failure_type);
  if (shown.filter.dead_after != absl::InfinitePast())
    record.set_dead_after_nanos(absl::ToUnixNanos(shown.filter.dead_after));
  if (shown.filter.dead_before != absl::InfiniteFuture())
    record.set_dead_before_nanos(absl::ToUnixNanos(shown.filter.dead_before));
  record.set_max_per_second(shown.max_per_second);
  record.set_target_queue(shown.target_queue);
  record.set_state(static_cast<uint32_t>(shown.state));
  record.set_matched(shown.matched);
  record.set_redriven(shown.redriven);
  record.set_refused(shown.refused);
  record.set_last_refusal(shown.last_refusal);
  record.set_start_nanos(absl::ToUnixNanos(shown.start_time));
  if (shown.end_time != absl::InfiniteFuture())
    record.set_end_nanos(absl::ToUnixNanos(shown.end_time));
  record.set_number_limit(redrive.number_limit);
  record.set_cursor(redrive.cursor);
  if (redrive.next_time != absl::InfinitePast())
    record.set_next_nanos(absl::ToUnixNanos(redrive.next_time));
  return record.SerializeAsString();
}

absl::StatusOr<StoredRedrive> DecodeRedrive(std::string_view value) {
  pb::RedriveRecord record;
  if (!ParseRecord(value, &record) || record.state() < 1 || record.state() > 3)
    return DamagedRow("redrive");
  StoredRedrive redrive;
  Redrive& shown = redrive.shown;
  shown.filter.type = std::move(*record.mutable_type());
  shown.filter.failure_type = std::move(*record.mutable_failure_type());
  if (record.has_dead_after_nanos())
    shown.filter.dead_after = absl::FromUnixNanos(record.dead_after_nanos());
  if (record.has_dead_before_nanos())
    shown.filter.dead_before = absl::FromUnixNanos(record.dead_before_nanos());
  shown.max_per_second = record.max_per_second();
  shown.target_queue = std::move(*record.mutable_target_queue());
  shown.state = static_cast<RedriveState>(record.state());
  shown.matched = record.matched();
  shown.redriven = record.redriven();
  shown.refused = record.refused();
  shown.last_refusal = std::move(*record.mutable_last_refusal());
  shown.start_time = absl::FromUnixNanos(record.start_nanos());
  if (record.end_nanos() != 0)
    shown.end_time = absl::FromUnixNanos(record.end_nanos());
  redrive.number_limit = record.number_limit();
  redrive.cursor = std::move(*record.mutable_cursor());
  if (record.next_nanos() != 0)
    redrive.next_time = absl::FromUnixNanos(record.next_nanos());
  return redrive;
}

std::string EncodeBreaker(const StoredBreaker& breaker) {
  pb::BreakerRecord record;
  record.set_failure_share(breaker.settings.failure_share);
  record.set_min_attempts(breaker.settings.min_attempts);
  record.set_window_nanos(absl::ToInt64Nanoseconds(breaker.settings.window));
  record.set_open_nanos(
      absl::ToInt64Nanoseconds(breaker.settings.open_duration));
  record.set_state(static_cast<uint32_t>(breaker.state));
  if (breaker.open_time != absl::InfinitePast())
    record.set_opened_nanos(absl::ToUnixNanos(breaker.open_time));
  record.set_trial_epoch(breaker.trial_epoch);
  return record.SerializeAsString();
}

absl::StatusOr<StoredBreaker> DecodeBreaker(std::string_view value) {
  pb::BreakerRecord record;
  const bool valid = ParseRecord(value, &record) && record.state() >= 1 &&
                     record.state() <= 3 && record.window_nanos() > 0;
  if (!valid) return DamagedRow("breaker");
  StoredBreaker breaker;
  breaker.settings = {.failure_share = record.failure_share(),
                      .min_attempts = record.min_attempts(),
                      .window = absl::Nanoseconds(record.window_nanos()),
                      .open_duration = absl::Nanoseconds(record.open_nanos())};
  breaker.state = static_cast<BreakerState>(record.state());
  if (record.has_opened_nanos())
    breaker.open_time = absl::FromUnixNanos(record.opened_nanos());
  breaker.trial_epoch = record.trial_epoch();
  return breaker;
}

}  // namespace apium::broker
