#include "broker/storage/limit_codec.h"

#include <utility>

#include "apium/storage/v1/limit.pb.h"
#include "broker/storage/record_value.h"

namespace apium::broker {
namespace {

namespace pb = ::apium::storage::v1;

// 0 stands for a time long ago: nothing that is stored ended in 1970.
int64_t NanosOf(absl::Time time) {
  return time == absl::InfinitePast() ? 0 : absl::ToUnixNanos(time);
}

absl::Time TimeOf(int64_t nanos) {
  return nanos == 0 ? absl::InfinitePast() : absl::FromUnixNanos(nanos);
}

}  // namespace

std::string EncodeLimit(const StoredLimit& stored) {
  const Limit& limit = stored.limit;
  const LimitSettings& settings = limit.settings;
  pb::LimitRecord record;
  record.set_generation(stored.generation);
  record.set_partition(static_cast<uint32_t>(limit.partition));
  record.set_key(limit.key);
  record.set_description(settings.description);
  record.set_type_pattern(settings.type_pattern);
  record.set_queue_pattern(settings.queue_pattern);
  record.set_max_concurrency(settings.max_concurrency);
  if (settings.rate.has_value()) {
    pb::RateRecord* rate = record.mutable_rate();
    rate->set_points(settings.rate->points);
    rate->set_period_nanos(absl::ToInt64Nanoseconds(settings.rate->period));
    rate->set_burst(settings.rate->burst);
    rate->set_cost(settings.rate->cost);
  }
  record.set_disabled(settings.disabled);
  record.set_revision(limit.revision);
  record.set_create_nanos(absl::ToUnixNanos(limit.create_time));
  return record.SerializeAsString();
}

absl::StatusOr<StoredLimit> DecodeLimit(std::string name,
                                        std::string_view value) {
  pb::LimitRecord record;
  const bool valid =
      ParseRecord(value, &record) && record.generation() != 0 &&
      record.partition() >= static_cast<uint32_t>(LimitPartition::kNone) &&
      record.partition() <= static_cast<uint32_t>(LimitPartition::kFairnessKey);
  // Written so that NaN is refused.
  const bool usable_rate =
      !record.has_rate() ||
      (record.rate().points() > 0 && record.rate().period_nanos() > 0 &&
       record.rate().cost() > 0 &&
       record.rate().burst() >= record.rate().cost());
  if (!valid || !usable_rate) return DamagedRow("limit");
  StoredLimit stored{.generation = record.generation()};
  Limit& limit = stored.limit;
  limit.name = std::move(name);
  limit.partition = static_cast<LimitPartition>(record.partition());
  limit.key = std::move(*record.mutable_key());
  limit.revision = record.revision();
  limit.create_time = absl::FromUnixNanos(record.create_nanos());
  LimitSettings& settings = limit.settings;
  settings.description = std::move(*record.mutable_description());
  settings.type_pattern = std::move(*record.mutable_type_pattern());
  settings.queue_pattern = std::move(*record.mutable_queue_pattern());
  settings.max_concurrency = record.max_concurrency();
  if (record.has_rate()) {
    settings.rate =
        Rate{.points = record.rate().points(),
             .period = absl::Nanoseconds(record.rate().period_nanos()),
             .burst = record.rate().burst(),
             .cost = record.rate().cost()};
  }
  settings.disabled = record.disabled();
  return stored;
}

std::string EncodeLimitState(const StoredLimitState& state) {
  pb::LimitStateRecord record;
  record.set_generation(state.generation);
  record.set_full_nanos(NanosOf(state.full_time));
  record.set_point_nanos(state.point_nanos);
  record.set_pause_until_nanos(NanosOf(state.pause_until));
  // Rounded up: what the row says holds until its last nanosecond.
  return SerializeKept(absl::ToUnixMillis(state.over()) + 1, record);
}

absl::StatusOr<StoredLimitState> DecodeLimitState(std::string_view value) {
  pb::LimitStateRecord record;
  const bool valid = ParseKept(value, &record) && record.generation() != 0 &&
                     (record.full_nanos() == 0 || record.point_nanos() > 0);
  if (!valid) return DamagedRow("limit state");
  return StoredLimitState{.generation = record.generation(),
                          .full_time = TimeOf(record.full_nanos()),
                          .point_nanos = record.point_nanos(),
                          .pause_until = TimeOf(record.pause_until_nanos())};
}

}  // namespace apium::broker
