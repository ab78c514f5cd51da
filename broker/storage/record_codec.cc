#include "broker/storage/record_codec.h"

#include <optional>
#include <utility>

#include "apium/storage/v1/record.pb.h"
#include "broker/storage/key_format.h"
#include "broker/storage/record_value.h"
#include "broker/storage/retry_policy_codec.h"

namespace apium::broker {
namespace {

namespace pb = ::apium::storage::v1;

constexpr char kLiveTag = 0x01;
constexpr char kFinishedTag = 0x02;
constexpr size_t kFinishedRowBytes = 2 + 3 * 8 + 16;
constexpr size_t kCopiesBytes = 8;

int64_t NanosFrom(absl::Time time) {
  if (time == absl::InfinitePast() || time == absl::InfiniteFuture()) return 0;
  return absl::ToUnixNanos(time);
}

absl::Time TimeFrom(int64_t nanos, absl::Time if_unset) {
  return nanos == 0 ? if_unset : absl::FromUnixNanos(nanos);
}

void ToRecord(const Payload& payload, pb::PayloadRecord* record) {
  record->set_data(payload.data);
  if (!payload.content_type.empty())
    record->set_content_type(payload.content_type);
  if (!payload.content_encoding.empty())
    record->set_content_encoding(payload.content_encoding);
}

Payload FromRecord(pb::PayloadRecord* record) {
  return {.data = std::move(*record->mutable_data()),
          .content_type = std::move(*record->mutable_content_type()),
          .content_encoding = std::move(*record->mutable_content_encoding())};
}

void ToRecord(const Failure& failure, pb::FailureRecord* record) {
  record->set_type(failure.type);
  record->set_message(failure.message);
  record->set_stack(failure.stack);
  record->set_non_retryable(failure.non_retryable);
}

Failure FromRecord(pb::FailureRecord* record) {
  return {.type = std::move(*record->mutable_type()),
          .message = std::move(*record->mutable_message()),
          .stack = std::move(*record->mutable_stack()),
          .non_retryable = record->non_retryable()};
}

void ToRecord(const Unique& unique, pb::UniqueRecord* record) {
  record->set_key(unique.key);
  record->set_scope(static_cast<uint32_t>(unique.scope));
  record->set_window_nanos(absl::ToInt64Nanoseconds(unique.window));
  record->set_on_conflict(static_cast<uint32_t>(unique.on_conflict));
}

std::shared_ptr<const Unique> FromRecord(pb::UniqueRecord* record) {
  auto unique = std::make_shared<Unique>();
  unique->key = std::move(*record->mutable_key());
  unique->scope = static_cast<UniqueScope>(record->scope());
  unique->window = absl::Nanoseconds(record->window_nanos());
  unique->on_conflict = static_cast<UniqueConflict>(record->on_conflict());
  return unique;
}

void ToRecord(const TaskEvent& event, pb::TaskEventRecord* record) {
  record->set_kind(static_cast<uint32_t>(event.kind));
  record->set_time_nanos(NanosFrom(event.time));
  record->set_state(static_cast<uint32_t>(event.state));
  record->set_attempt(event.attempt);
  record->set_worker_id(event.worker_id);
  record->set_lease_nanos(NanosFrom(event.lease_time));
  record->set_start_nanos(NanosFrom(event.start_time));
  if (event.failure != nullptr)
    ToRecord(*event.failure, record->mutable_failure());
  record->set_detail(event.detail);
}

TaskEvent FromRecord(pb::TaskEventRecord* record) {
  TaskEvent event;
  event.kind = static_cast<TaskEventKind>(record->kind());
  event.time = absl::FromUnixNanos(record->time_nanos());
  event.state = static_cast<TaskState>(record->state());
  event.attempt = record->attempt();
  event.worker_id = std::move(*record->mutable_worker_id());
  event.lease_time = TimeFrom(record->lease_nanos(), absl::InfinitePast());
  event.start_time = TimeFrom(record->start_nanos(), absl::InfinitePast());
  if (record->has_failure()) {
    event.failure =
        std::make_shared<Failure>(FromRecord(record->mutable_failure()));
  }
  event.detail = std::move(*record->mutable_detail());
  return event;
}

// For task and outcome rows.
template <typename Record>
void HistoryToRecord(const TaskHistory& history, Record* record) {
  for (const TaskEvent& event : history.events)
    ToRecord(event, record->add_events());
  if (history.dropped != 0) record->set_dropped_events(history.dropped);
}

template <typename Record>
TaskHistory HistoryFromRecord(Record* record) {
  TaskHistory history{.dropped = record->dropped_events()};
  for (pb::TaskEventRecord& event : *record->mutable_events())
    history.events.push_back(FromRecord(&event));
  return history;
}

using Headers = std::vector<std::pair<std::string, std::string>>;

using HeaderRecords = google::protobuf::RepeatedPtrField<pb::HeaderRecord>;

void HeadersToRecord(const Headers& headers, HeaderRecords* records) {
  for (const auto& [name, value] : headers) {
    pb::HeaderRecord* header = records->Add();
    header->set_name(name);
    header->set_value(value);
  }
}

Headers HeadersFromRecord(HeaderRecords* records) {
  Headers headers;
  for (pb::HeaderRecord& header : *records) {
    headers.emplace_back(std::move(*header.mutable_name()),
                         std::move(*header.mutable_value()));
  }
  return headers;
}

void ToRecord(const Placement& placement, pb::PlacementRecord* record) {
  record->set_fairness_key(placement.fairness_key);
  if (placement.fairness_weight != 1)
    record->set_fairness_weight(placement.fairness_weight);
  record->set_ordering_key(placement.ordering_key);
  if (placement.ordering_failure_policy != OrderingFailurePolicy::kSkip) {
    record->set_ordering_failure_policy(
        static_cast<uint32_t>(placement.ordering_failure_policy));
  }
  HeadersToRecord(placement.required_labels, record->mutable_required_labels());
  HeadersToRecord(placement.preferred_labels,
                  record->mutable_preferred_labels());
  record->set_sticky_key(placement.sticky_key);
  HeadersToRecord(placement.limit_keys, record->mutable_limit_keys());
}

std::shared_ptr<const Placement> FromRecord(pb::PlacementRecord* record) {
  auto placement = std::make_shared<Placement>();
  placement->fairness_key = std::move(*record->mutable_fairness_key());
  if (record->fairness_weight() != 0)
    placement->fairness_weight = record->fairness_weight();
  placement->ordering_key = std::move(*record->mutable_ordering_key());
  if (record->ordering_failure_policy() != 0) {
    placement->ordering_failure_policy =
        static_cast<OrderingFailurePolicy>(record->ordering_failure_policy());
  }
  placement->required_labels =
      HeadersFromRecord(record->mutable_required_labels());
  placement->preferred_labels =
      HeadersFromRecord(record->mutable_preferred_labels());
  placement->sticky_key = std::move(*record->mutable_sticky_key());
  placement->limit_keys = HeadersFromRecord(record->mutable_limit_keys());
  return placement;
}

uint32_t ToRecord(ResultMode mode) {
  return mode == ResultMode::kKeep ? 0 : static_cast<uint32_t>(mode);
}

ResultMode ResultModeFromRecord(uint32_t record) {
  return record == 0 ? ResultMode::kKeep : static_cast<ResultMode>(record);
}

void ContentToRecord(const TaskContent& content, pb::TaskRecord* record) {
  record->set_type(content.type);
  record->set_queue(content.queue);
  record->set_priority(content.priority);
  ToRecord(content.payload, record->mutable_payload());
  HeadersToRecord(content.headers, record->mutable_headers());
  if (!(content.retry_policy == RetryPolicy()))
    RetryPolicyToRecord(content.retry_policy, record->mutable_retry_policy());
  record->set_eta_nanos(NanosFrom(content.eta));
  record->set_expire_nanos(NanosFrom(content.expire_time));
  record->set_result_ttl_nanos(absl::ToInt64Nanoseconds(content.result_ttl));
  record->set_soft_time_limit_nanos(
      absl::ToInt64Nanoseconds(content.soft_time_limit));
  record->set_create_nanos(NanosFrom(content.create_time));
  record->set_fingerprint_high(content.fingerprint.high);
  record->set_fingerprint_low(content.fingerprint.low);
  if (content.unique != nullptr)
    ToRecord(*content.unique, record->mutable_unique());
  record->set_result_mode(ToRecord(content.result_mode));
  if (content.delivery_mode != DeliveryMode::kAtLeastOnce)
    record->set_delivery_mode(static_cast<uint32_t>(content.delivery_mode));
  record->set_batch_id(content.batch_id);
  if (content.placement != nullptr)
    ToRecord(*content.placement, record->mutable_placement());
}

std::shared_ptr<const TaskContent> ContentFromRecord(std::string_view task_key,
                                                     pb::TaskRecord* record) {
  const size_t zero = task_key.find('\0');
  if (zero == std::string_view::npos) return nullptr;
  auto content = std::make_shared<TaskContent>();
  content->namespace_name = std::string(task_key.substr(0, zero));
  content->task_id = std::string(task_key.substr(zero + 1));
  content->type = std::move(*record->mutable_type());
  content->queue = std::move(*record->mutable_queue());
  content->priority = static_cast<uint8_t>(record->priority());
  content->payload = FromRecord(record->mutable_payload());
  content->headers = HeadersFromRecord(record->mutable_headers());
  if (record->has_retry_policy())
    content->retry_policy =
        RetryPolicyFromRecord(record->mutable_retry_policy());
  content->eta = TimeFrom(record->eta_nanos(), absl::InfinitePast());
  content->expire_time =
      TimeFrom(record->expire_nanos(), absl::InfiniteFuture());
  content->result_ttl = absl::Nanoseconds(record->result_ttl_nanos());
  content->soft_time_limit = absl::Nanoseconds(record->soft_time_limit_nanos());
  content->create_time = absl::FromUnixNanos(record->create_nanos());
  content->fingerprint = {.high = record->fingerprint_high(),
                          .low = record->fingerprint_low()};
  if (record->has_unique())
    content->unique = FromRecord(record->mutable_unique());
  content->result_mode = ResultModeFromRecord(record->result_mode());
  if (record->delivery_mode() != 0) {
    content->delivery_mode = static_cast<DeliveryMode>(record->delivery_mode());
  }
  content->batch_id = std::move(*record->mutable_batch_id());
  if (record->has_placement())
    content->placement = FromRecord(record->mutable_placement());
  return content;
}

void ToRecord(const Outcome& outcome, pb::OutcomeRecord* record) {
  record->set_namespace_(outcome.namespace_name);
  record->set_task_id(outcome.task_id);
  record->set_type(outcome.type);
  record->set_queue(outcome.queue);
  record->set_priority(outcome.priority);
  record->set_state(static_cast<uint32_t>(outcome.state));
  ToRecord(outcome.result, record->mutable_result());
  if (outcome.has_failure) ToRecord(outcome.failure, record->mutable_failure());
  record->set_attempt(outcome.attempt);
  record->set_epoch(outcome.epoch);
  record->set_failures(outcome.failures);
  record->set_crashes(outcome.crashes);
  record->set_create_nanos(NanosFrom(outcome.create_time));
  record->set_start_nanos(NanosFrom(outcome.start_time));
  record->set_finish_nanos(NanosFrom(outcome.finish_time));
  record->set_worker_id(outcome.worker_id);
  record->set_result_ttl_nanos(absl::ToInt64Nanoseconds(outcome.result_ttl));
  record->set_returns(outcome.returns);
  record->set_lease_nanos(NanosFrom(outcome.lease_time));
  HistoryToRecord(outcome.history, record);
  HeadersToRecord(outcome.headers, record->mutable_headers());
  record->set_result_mode(ToRecord(outcome.result_mode));
  record->set_chunks(outcome.chunks);
  if (outcome.details != nullptr)
    ToRecord(*outcome.details, record->mutable_details());
}

std::shared_ptr<const Outcome> FromRecord(pb::OutcomeRecord* record) {
  auto outcome = std::make_shared<Outcome>();
  outcome->namespace_name = std::move(*record->mutable_namespace_());
  outcome->task_id = std::move(*record->mutable_task_id());
  outcome->type = std::move(*record->mutable_type());
  outcome->queue = std::move(*record->mutable_queue());
  outcome->priority = static_cast<uint8_t>(record->priority());
  outcome->state = static_cast<TaskState>(record->state());
  outcome->result = FromRecord(record->mutable_result());
  outcome->has_failure = record->has_failure();
  if (outcome->has_failure)
    outcome->failure = FromRecord(record->mutable_failure());
  outcome->attempt = record->attempt();
  outcome->epoch = record->epoch();
  outcome->failures = record->failures();
  outcome->crashes = record->crashes();
  outcome->create_time = absl::FromUnixNanos(record->create_nanos());
  outcome->start_time = TimeFrom(record->start_nanos(), absl::InfinitePast());
  outcome->finish_time = absl::FromUnixNanos(record->finish_nanos());
  outcome->worker_id = std::move(*record->mutable_worker_id());
  outcome->result_ttl = absl::Nanoseconds(record->result_ttl_nanos());
  outcome->returns = record->returns();
  outcome->lease_time = TimeFrom(record->lease_nanos(), absl::InfinitePast());
  outcome->history = HistoryFromRecord(record);
  outcome->headers = HeadersFromRecord(record->mutable_headers());
  outcome->result_mode = ResultModeFromRecord(record->result_mode());
  outcome->chunks = record->chunks();
  if (record->has_details()) {
    outcome->details =
        std::make_shared<Payload>(FromRecord(record->mutable_details()));
  }
  return outcome;
}

}  // namespace

void EncodeTaskRow(const StoredTask& task, std::string* value) {
  // Reused: building a message anew costs more than filling it (one message for
  // each thread that writes).
  thread_local pb::TaskRecord record;
  record.Clear();
  ContentToRecord(*task.content, &record);
  record.set_minted(task.minted);
  record.set_state(static_cast<uint32_t>(task.state));
  record.set_ready_sequence(task.ready_sequence);
  record.set_due_millis(task.due_millis);
  record.set_attempt(task.attempt);
  record.set_failures(task.failures);
  record.set_crashes(task.crashes);
  record.set_returns(task.returns);
  record.set_last_epoch(task.last_epoch);
  record.set_cancel_requested(task.cancel_requested);
  record.set_cancel_reason(task.cancel_reason);
  if (task.has_last_failure)
    ToRecord(task.last_failure, record.mutable_last_failure());
  record.set_suspect(task.suspect);
  HistoryToRecord(task.history, &record);
  record.set_chunks(task.chunks);
  record.set_has_details(task.has_details);
  record.set_copies(task.copies);
  value->assign(1, kLiveTag);
  record.AppendToString(value);
}

void EncodeTaskRow(const FinishedTask& task, std::string* value) {
  value->clear();
  value->push_back(kFinishedTag);
  value->push_back(static_cast<char>(task.state));
  value->append(EncodeNumber(static_cast<uint64_t>(task.keep_until_millis)));
  value->append(EncodeNumber(task.outbox_position));
  value->append(
      EncodeNumber(static_cast<uint64_t>(absl::ToUnixNanos(task.create_time))));
  value->append(FingerprintToBytes(task.fingerprint));
  if (task.copies > 0) value->append(EncodeNumber(task.copies));
}

bool IsFinishedTaskRow(std::string_view value) {
  return !value.empty() && value.front() == kFinishedTag;
}

absl::StatusOr<StoredTask> DecodeLiveTaskRow(std::string_view task_key,
                                             std::string_view value) {
  if (value.empty() || value.front() != kLiveTag) return DamagedRow("task");
  thread_local pb::TaskRecord record;
  if (!ParseRecord(value.substr(1), &record)) return DamagedRow("task");
  StoredTask task;
  task.content = ContentFromRecord(task_key, &record);
  task.state = static_cast<TaskState>(record.state());
  if (task.content == nullptr || (task.state != TaskState::kQueued &&
                                  task.state != TaskState::kScheduled &&
                                  task.state != TaskState::kBlocked)) {
    return DamagedRow("task");
  }
  task.minted = record.minted();
  task.ready_sequence = record.ready_sequence();
  task.due_millis = record.due_millis();
  task.attempt = record.attempt();
  task.failures = record.failures();
  task.crashes = record.crashes();
  task.returns = record.returns();
  task.last_epoch = record.last_epoch();
  task.cancel_requested = record.cancel_requested();
  task.cancel_reason = std::move(*record.mutable_cancel_reason());
  task.has_last_failure = record.has_last_failure();
  if (task.has_last_failure)
    task.last_failure = FromRecord(record.mutable_last_failure());
  task.suspect = record.suspect();
  task.history = HistoryFromRecord(&record);
  task.chunks = record.chunks();
  task.has_details = record.has_details();
  task.copies = record.copies();
  return task;
}

absl::StatusOr<FinishedTask> DecodeFinishedTaskRow(std::string_view value) {
  const bool has_copies = value.size() == kFinishedRowBytes + kCopiesBytes;
  const bool fits = has_copies || value.size() == kFinishedRowBytes;
  if (!fits || value.front() != kFinishedTag)
    return DamagedRow("finished task");
  const auto number = [&](size_t offset) {
    return *DecodeNumber(value.substr(offset, 8));
  };
  const auto state = static_cast<TaskState>(value[1]);
  if (!IsTerminal(state)) return DamagedRow("finished task");
  return FinishedTask{
      .state = state,
      .keep_until_millis = static_cast<int64_t>(number(2)),
      .outbox_position = number(10),
      .create_time = absl::FromUnixNanos(static_cast<int64_t>(number(18))),
      .fingerprint = {.high = number(26), .low = number(34)},
      .copies =
          has_copies ? static_cast<uint32_t>(number(kFinishedRowBytes)) : 0};
}

std::string EncodeReadyChunk(const std::vector<std::string_view>& task_keys) {
  pb::ReadyChunkRecord record;
  for (std::string_view key : task_keys)
    record.add_task_keys(key.data(), key.size());
  return record.SerializeAsString();
}

absl::StatusOr<std::vector<std::string>> DecodeReadyChunk(
    std::string_view value) {
  pb::ReadyChunkRecord record;
  if (!ParseRecord(value, &record)) return DamagedRow("ready");
  return std::vector<std::string>(
      std::make_move_iterator(record.mutable_task_keys()->begin()),
      std::make_move_iterator(record.mutable_task_keys()->end()));
}

std::string EncodeLane(const LanePosition& lane) {
  pb::LaneRecord record;
  record.set_count(lane.count);
  record.set_head_sequence(lane.head_sequence);
  if (lane.lane_class != nullptr)
    ToRecord(*lane.lane_class, record.mutable_lane_class());
  return record.SerializeAsString();
}

absl::StatusOr<LanePosition> DecodeLane(std::string_view value) {
  pb::LaneRecord record;
  if (!ParseRecord(value, &record)) return DamagedRow("lane");
  LanePosition lane{.count = record.count(),
                    .head_sequence = record.head_sequence()};
  if (record.has_lane_class())
    lane.lane_class = FromRecord(record.mutable_lane_class());
  return lane;
}

std::string EncodeLeaseJournal(absl::Time grant_time,
                               const std::vector<JournalledLease>& leases) {
  thread_local pb::LeaseJournalRecord record;
  record.Clear();
  record.set_grant_nanos(NanosFrom(grant_time));
  const JournalledLease* before = nullptr;
  for (const JournalledLease& lease : leases) {
    pb::LeaseRecord* entry = record.add_leases();
    entry->set_task_key(lease.task_key.data(), lease.task_key.size());
    entry->set_attempt(lease.attempt);
    entry->set_epoch(lease.epoch);
    if (before == nullptr || lease.session_id != before->session_id) {
      entry->set_session_id(lease.session_id.data(), lease.session_id.size());
      entry->set_worker_id(lease.worker_id.data(), lease.worker_id.size());
    }
    before = &lease;
  }
  return record.SerializeAsString();
}

absl::StatusOr<StoredLeases> DecodeLeaseJournal(std::string_view value) {
  pb::LeaseJournalRecord record;
  if (!ParseRecord(value, &record)) return DamagedRow("lease");
  StoredLeases row{.grant_time = absl::FromUnixNanos(record.grant_nanos())};
  row.leases.reserve(record.leases_size());
  for (pb::LeaseRecord& entry : *record.mutable_leases()) {
    StoredLease lease{.task_key = std::move(*entry.mutable_task_key()),
                      .attempt = entry.attempt(),
                      .epoch = entry.epoch(),
                      .session_id = std::move(*entry.mutable_session_id()),
                      .worker_id = std::move(*entry.mutable_worker_id())};
    if (lease.session_id.empty()) {
      if (row.leases.empty()) return DamagedRow("lease");
      lease.session_id = row.leases.back().session_id;
      lease.worker_id = row.leases.back().worker_id;
    }
    row.leases.push_back(std::move(lease));
  }
  return row;
}

std::string EncodeOutboxRow(
    const std::vector<std::shared_ptr<const Outcome>>& outcomes) {
  thread_local pb::OutboxRecord record;
  record.Clear();
  for (const auto& outcome : outcomes)
    ToRecord(*outcome, record.add_outcomes());
  return record.SerializeAsString();
}

absl::StatusOr<std::vector<std::shared_ptr<const Outcome>>> DecodeOutboxRow(
    std::string_view value) {
  pb::OutboxRecord record;
  if (!ParseRecord(value, &record)) return DamagedRow("outbox");
  std::vector<std::shared_ptr<const Outcome>> outcomes;
  outcomes.reserve(record.outcomes_size());
  for (pb::OutcomeRecord& entry : *record.mutable_outcomes())
    outcomes.push_back(FromRecord(&entry));
  return outcomes;
}

}  // namespace apium::broker
