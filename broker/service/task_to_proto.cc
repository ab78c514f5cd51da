#include "broker/service/task_to_proto.h"

#include <algorithm>
#include <string>
#include <utility>

#include "apium/v1/queue_service.pb.h"
#include "apium/v1/task.pb.h"
#include "apium/v1/task_service.pb.h"
#include "apium/v1/worker_service.pb.h"
#include "common/error_reason.h"
#include "common/rpc/proto_time.h"

namespace apium::broker {
namespace {

v1::TaskState StateToProto(TaskState state) {
  return static_cast<v1::TaskState>(state);
}

void FailureToProto(const Failure& failure, v1::Failure* proto) {
  proto->set_type(failure.type);
  proto->set_message(failure.message);
  if (!failure.stack.empty()) proto->set_stack(failure.stack);
  proto->set_non_retryable(failure.non_retryable);
}

void RetryPolicyToProto(const RetryPolicy& policy, v1::RetryPolicy* proto) {
  proto->set_max_attempts(policy.max_attempts);
  DurationToProto(policy.initial_delay, proto->mutable_initial_delay());
  proto->set_multiplier(policy.multiplier);
  DurationToProto(policy.max_delay, proto->mutable_max_delay());
  proto->set_jitter(policy.jitter);
  for (const std::string& type : policy.non_retryable_types) {
    proto->add_non_retryable_types(type);
  }
  proto->set_max_crashes(policy.max_crashes);
  proto->set_max_returns(policy.max_returns);
  if (policy.total_time_limit != absl::InfiniteDuration()) {
    DurationToProto(policy.total_time_limit, proto->mutable_total_time_limit());
  }
}

template <typename Headers>
void HeadersToProto(
    const std::vector<std::pair<std::string, std::string>>& headers,
    Headers* proto) {
  for (const auto& [name, value] : headers) (*proto)[name] = value;
}

void UniqueToProto(const Unique& unique, v1::Unique* proto) {
  proto->set_key(unique.key);
  proto->set_scope(static_cast<v1::UniqueScope>(unique.scope));
  if (unique.window != absl::ZeroDuration()) {
    DurationToProto(unique.window, proto->mutable_window());
  }
  proto->set_on_conflict(static_cast<v1::UniqueConflict>(unique.on_conflict));
}

void PlacementToProto(const Placement& placement, v1::TaskSpec* spec) {
  spec->set_fairness_key(placement.fairness_key);
  if (!placement.fairness_key.empty()) {
    spec->set_fairness_weight(placement.fairness_weight);
  }
  spec->set_ordering_key(placement.ordering_key);
  if (!placement.ordering_key.empty()) {
    spec->set_ordering_failure_policy(static_cast<v1::OrderingFailurePolicy>(
        placement.ordering_failure_policy));
  }
  HeadersToProto(placement.required_labels, spec->mutable_required_labels());
  HeadersToProto(placement.preferred_labels, spec->mutable_preferred_labels());
  spec->set_sticky_key(placement.sticky_key);
  HeadersToProto(placement.limit_keys, spec->mutable_limit_keys());
}

void EventToProto(const TaskEvent& event, v1::TaskEvent* proto) {
  proto->set_kind(static_cast<v1::TaskEventKind>(event.kind));
  TimeToProto(event.time, proto->mutable_time());
  proto->set_state(StateToProto(event.state));
  proto->set_attempt(event.attempt);
  proto->set_worker_id(event.worker_id);
  if (event.lease_time != absl::InfinitePast()) {
    TimeToProto(event.lease_time, proto->mutable_lease_time());
  }
  if (event.start_time != absl::InfinitePast()) {
    TimeToProto(event.start_time, proto->mutable_start_time());
  }
  if (event.failure != nullptr) {
    FailureToProto(*event.failure, proto->mutable_failure());
  }
  proto->set_detail(event.detail);
}

// What a task says of itself besides its events.
struct Milestones {
  const google::protobuf::Timestamp* create_time = nullptr;
  const google::protobuf::Timestamp* lease_time = nullptr;  // null: not leased
  const google::protobuf::Timestamp* start_time = nullptr;  // null: not started
  const google::protobuf::Timestamp* finish_time = nullptr;  // null: it lives
  uint32_t attempt = 0;
  const std::string* worker_id = nullptr;
};

// The whole history, from `events` (which are taken) and what is not stored
// as an event since every task has it.
void AddHistory(const Milestones& at,
                google::protobuf::RepeatedPtrField<v1::TaskEvent>* events,
                v1::Task* task) {
  const auto add = [task](v1::TaskEventKind kind, v1::TaskState state,
                          const google::protobuf::Timestamp& time) {
    v1::TaskEvent* const event = task->add_history();
    event->set_kind(kind);
    event->set_state(state);
    *event->mutable_time() = time;
    return event;
  };
  uint32_t begun = 0;  // the beginnings of attempts up to here are told
  const auto begin = [&](uint32_t attempt, const std::string& worker_id,
                         const google::protobuf::Timestamp* lease_time,
                         const google::protobuf::Timestamp* start_time) {
    begun = attempt;
    if (lease_time == nullptr) return;
    const auto add_attempt = [&](v1::TaskEventKind kind, v1::TaskState state,
                                 const google::protobuf::Timestamp& time) {
      v1::TaskEvent* const event = add(kind, state, time);
      event->set_attempt(attempt);
      event->set_worker_id(worker_id);
    };
    add_attempt(v1::TASK_EVENT_KIND_LEASED, v1::TASK_STATE_LEASED, *lease_time);
    if (start_time == nullptr) return;
    add_attempt(v1::TASK_EVENT_KIND_STARTED, v1::TASK_STATE_STARTED,
                *start_time);
  };
  // A finished task no longer says whether it had to wait for its ETA.
  const bool scheduled =
      task->spec().has_eta() &&
      (task->spec().eta().seconds() > at.create_time->seconds() ||
       (task->spec().eta().seconds() == at.create_time->seconds() &&
        task->spec().eta().nanos() > at.create_time->nanos()));
  const v1::TaskState first = at.finish_time != nullptr
                                  ? v1::TASK_STATE_UNSPECIFIED
                              : scheduled ? v1::TASK_STATE_SCHEDULED
                                          : v1::TASK_STATE_QUEUED;
  add(v1::TASK_EVENT_KIND_SUBMITTED, first, *at.create_time);
  for (auto event = events->begin(); event != events->end(); ++event) {
    const uint32_t attempt = event->attempt();
    if (attempt > begun) {
      // An attempt that is over is told by the event that ended it.
      const auto end = std::find_if(
          event, events->end(), [attempt](const v1::TaskEvent& other) {
            return other.attempt() == attempt && other.has_lease_time();
          });
      if (end != events->end()) {
        begin(attempt, end->worker_id(), &end->lease_time(),
              end->has_start_time() ? &end->start_time() : nullptr);
      } else if (attempt == at.attempt) {
        begin(attempt, *at.worker_id, at.lease_time, at.start_time);
      }
    }
    *task->add_history() = std::move(*event);
  }
  if (at.attempt > begun)
    begin(at.attempt, *at.worker_id, at.lease_time, at.start_time);
  if (at.finish_time == nullptr) return;
  v1::TaskEvent* const end =
      add(v1::TASK_EVENT_KIND_ENDED, task->state(), *at.finish_time);
  end->set_attempt(at.attempt);
  end->set_worker_id(*at.worker_id);
}

void SpecWithoutPolicyToProto(const TaskContent& content, View view,
                              v1::TaskSpec* spec) {
  spec->set_task_id(content.task_id);
  spec->set_type(content.type);
  if (view == View::kFull) {
    PayloadToProto(content.payload, view, spec->mutable_payload());
    HeadersToProto(content.headers, spec->mutable_headers());
  }
  spec->set_queue(content.queue);
  spec->set_priority(content.priority);
  if (content.eta != absl::InfinitePast()) {
    TimeToProto(content.eta, spec->mutable_eta());
  }
  if (content.expire_time != absl::InfiniteFuture()) {
    TimeToProto(content.expire_time, spec->mutable_expire_time());
  }
  if (content.result_ttl != absl::ZeroDuration()) {
    DurationToProto(content.result_ttl, spec->mutable_result_ttl());
  }
  if (content.soft_time_limit != absl::ZeroDuration()) {
    DurationToProto(content.soft_time_limit, spec->mutable_soft_time_limit());
  }
  if (content.unique != nullptr) {
    UniqueToProto(*content.unique, spec->mutable_unique());
  }
  if (content.result_mode != ResultMode::kKeep) {
    spec->set_result_mode(static_cast<v1::ResultMode>(content.result_mode));
  }
  if (content.delivery_mode != DeliveryMode::kAtLeastOnce) {
    spec->set_delivery_mode(
        static_cast<v1::DeliveryMode>(content.delivery_mode));
  }
  if (content.placement != nullptr) PlacementToProto(*content.placement, spec);
  spec->set_batch_id(content.batch_id);
}

}  // namespace

void PayloadToProto(const Payload& payload, View view, v1::Payload* proto) {
  if (view == View::kFull) proto->set_data(payload.data);
  if (!payload.content_type.empty()) {
    proto->set_content_type(payload.content_type);
  }
  if (!payload.content_encoding.empty()) {
    proto->set_content_encoding(payload.content_encoding);
  }
}

void SpecToProto(const TaskContent& content, View view, v1::TaskSpec* spec) {
  SpecWithoutPolicyToProto(content, view, spec);
  RetryPolicyToProto(content.retry_policy, spec->mutable_retry_policy());
}

void DeliveredSpecToProto(const TaskContent& content, v1::TaskSpec* spec) {
  SpecWithoutPolicyToProto(content, View::kFull, spec);
  if (!(content.retry_policy == RetryPolicy()))
    RetryPolicyToProto(content.retry_policy, spec->mutable_retry_policy());
}

void OutcomeToProto(const Outcome& outcome, View view, v1::TaskOutcome* proto) {
  proto->set_namespace_(outcome.namespace_name);
  proto->set_task_id(outcome.task_id);
  proto->set_type(outcome.type);
  proto->set_queue(outcome.queue);
  proto->set_state(StateToProto(outcome.state));
  if (outcome.state == TaskState::kSucceeded) {
    PayloadToProto(outcome.result, view, proto->mutable_result());
  }
  if (outcome.has_failure) {
    FailureToProto(outcome.failure, proto->mutable_failure());
  }
  proto->set_attempt(outcome.attempt);
  proto->set_epoch(outcome.epoch);
  proto->set_failures(outcome.failures);
  proto->set_crashes(outcome.crashes);
  TimeToProto(outcome.create_time, proto->mutable_create_time());
  if (outcome.start_time != absl::InfinitePast()) {
    TimeToProto(outcome.start_time, proto->mutable_start_time());
  }
  TimeToProto(outcome.finish_time, proto->mutable_finish_time());
  proto->set_worker_id(outcome.worker_id);
  proto->set_priority(outcome.priority);
  if (outcome.result_ttl != absl::ZeroDuration()) {
    DurationToProto(outcome.result_ttl, proto->mutable_result_ttl());
  }
  proto->set_returns(outcome.returns);
  if (outcome.lease_time != absl::InfinitePast()) {
    TimeToProto(outcome.lease_time, proto->mutable_lease_time());
  }
  for (const TaskEvent& event : outcome.history.events) {
    EventToProto(event, proto->add_events());
  }
  proto->set_dropped_events(outcome.history.dropped);
  HeadersToProto(outcome.headers, proto->mutable_headers());
  if (outcome.result_mode != ResultMode::kKeep) {
    proto->set_result_mode(static_cast<v1::ResultMode>(outcome.result_mode));
  }
  proto->set_chunks(outcome.chunks);
  if (outcome.details != nullptr) {
    PayloadToProto(*outcome.details, view, proto->mutable_details());
  }
}

void FinishedTaskToProto(v1::TaskOutcome&& outcome, View view,
                         v1::Task* proto) {
  proto->set_namespace_(outcome.namespace_());
  v1::TaskSpec* const spec = proto->mutable_spec();
  spec->set_task_id(outcome.task_id());
  spec->set_type(outcome.type());
  spec->set_queue(outcome.queue());
  spec->set_priority(outcome.priority());
  if (outcome.has_result_ttl()) {
    *spec->mutable_result_ttl() = outcome.result_ttl();
  }
  proto->set_state(outcome.state());
  *proto->mutable_create_time() = outcome.create_time();
  proto->set_attempt(outcome.attempt());
  proto->set_failures(outcome.failures());
  proto->set_crashes(outcome.crashes());
  proto->set_returns(outcome.returns());
  proto->set_chunks(outcome.chunks());
  proto->set_epoch(outcome.epoch());
  proto->set_worker_id(outcome.worker_id());
  if (outcome.has_start_time()) {
    *proto->mutable_start_time() = outcome.start_time();
  }
  if (view == View::kBasic) {
    if (outcome.has_result()) outcome.mutable_result()->clear_data();
    outcome.clear_headers();
    outcome.clear_events();
    if (outcome.has_details()) outcome.mutable_details()->clear_data();
  } else {
    google::protobuf::RepeatedPtrField<v1::TaskEvent> events = outcome.events();
    AddHistory({.create_time = &outcome.create_time(),
                .lease_time =
                    outcome.has_lease_time() ? &outcome.lease_time() : nullptr,
                .start_time =
                    outcome.has_start_time() ? &outcome.start_time() : nullptr,
                .finish_time = &outcome.finish_time(),
                .attempt = outcome.attempt(),
                .worker_id = &outcome.worker_id()},
               &events, proto);
    proto->set_dropped_events(outcome.dropped_events());
  }
  *proto->mutable_outcome() = std::move(outcome);
}

namespace {

void LiveHistoryToProto(const TaskSnapshot& snapshot, v1::Task* proto) {
  google::protobuf::RepeatedPtrField<v1::TaskEvent> events;
  for (const TaskEvent& event : snapshot.history.events) {
    EventToProto(event, events.Add());
  }
  google::protobuf::Timestamp lease_time;
  const bool leased = snapshot.lease_time != absl::InfinitePast();
  if (leased) TimeToProto(snapshot.lease_time, &lease_time);
  AddHistory(
      {.create_time = &proto->create_time(),
       .lease_time = leased ? &lease_time : nullptr,
       .start_time = proto->has_start_time() ? &proto->start_time() : nullptr,
       .attempt = snapshot.attempt,
       .worker_id = &proto->worker_id()},
      &events, proto);
  proto->set_dropped_events(snapshot.history.dropped);
}

}  // namespace

void SnapshotToProto(const TaskSnapshot& snapshot, View view, v1::Task* proto) {
  if (snapshot.outcome != nullptr) {
    v1::TaskOutcome outcome;
    OutcomeToProto(*snapshot.outcome, view, &outcome);
    FinishedTaskToProto(std::move(outcome), view, proto);
    return;
  }
  proto->set_namespace_(snapshot.content->namespace_name);
  SpecToProto(*snapshot.content, view, proto->mutable_spec());
  proto->set_state(StateToProto(snapshot.state));
  TimeToProto(snapshot.content->create_time, proto->mutable_create_time());
  if (snapshot.state == TaskState::kScheduled) {
    TimeToProto(snapshot.schedule_time, proto->mutable_schedule_time());
  }
  proto->set_attempt(snapshot.attempt);
  proto->set_failures(snapshot.failures);
  proto->set_crashes(snapshot.crashes);
  proto->set_returns(snapshot.returns);
  proto->set_epoch(snapshot.epoch);
  proto->set_worker_id(snapshot.worker_id);
  if (snapshot.start_time != absl::InfinitePast()) {
    TimeToProto(snapshot.start_time, proto->mutable_start_time());
  }
  if (snapshot.state == TaskState::kStarted ||
      snapshot.progress.details != nullptr) {
    v1::Progress* const progress = proto->mutable_progress();
    progress->set_completed(snapshot.progress.completed);
    progress->set_total(snapshot.progress.total);
    progress->set_message(snapshot.progress.message);
    progress->set_state(snapshot.progress.state);
    if (snapshot.progress.details != nullptr) {
      PayloadToProto(*snapshot.progress.details, view,
                     progress->mutable_details());
    }
  }
  proto->set_cancel_requested(snapshot.cancel_requested);
  proto->set_waiting_reason(snapshot.waiting_reason);
  if (snapshot.has_last_failure) {
    FailureToProto(snapshot.last_failure, proto->mutable_last_failure());
  }
  proto->set_suspect(snapshot.suspect);
  proto->set_chunks(snapshot.chunks);
  if (view == View::kFull) LiveHistoryToProto(snapshot, proto);
}

void ChunkToProto(TaskChunk&& chunk, v1::TaskChunk* proto) {
  proto->set_position(chunk.position);
  proto->set_attempt(chunk.attempt);
  v1::Payload* const payload = proto->mutable_payload();
  payload->set_data(std::move(chunk.payload.data));
  payload->set_content_type(std::move(chunk.payload.content_type));
  payload->set_content_encoding(std::move(chunk.payload.content_encoding));
  TimeToProto(chunk.time, proto->mutable_time());
}

namespace {

void DefaultsToProto(const TaskDefaults& defaults, v1::TaskDefaults* proto) {
  if (defaults.priority.has_value()) proto->set_priority(*defaults.priority);
  if (defaults.retry_policy.has_value()) {
    RetryPolicyToProto(*defaults.retry_policy, proto->mutable_retry_policy());
  }
  if (defaults.expire_after.has_value()) {
    DurationToProto(*defaults.expire_after, proto->mutable_expire_after());
  }
  if (defaults.result_ttl.has_value()) {
    DurationToProto(*defaults.result_ttl, proto->mutable_result_ttl());
  }
  if (defaults.soft_time_limit.has_value()) {
    DurationToProto(*defaults.soft_time_limit,
                    proto->mutable_soft_time_limit());
  }
  if (defaults.result_mode.has_value()) {
    proto->set_result_mode(static_cast<v1::ResultMode>(*defaults.result_mode));
  }
  if (defaults.delivery_mode.has_value()) {
    proto->set_delivery_mode(
        static_cast<v1::DeliveryMode>(*defaults.delivery_mode));
  }
}

void SettingsToProto(const QueueSettings& settings, v1::Queue* proto) {
  proto->set_description(settings.description);
  proto->set_paused(settings.paused);
  proto->set_submit_paused(settings.submit_paused);
  proto->set_dead_letter(settings.dead_letter);
  proto->set_weight(settings.weight);
  proto->set_max_length(settings.max_length);
  proto->set_max_bytes(settings.max_bytes);
  proto->set_overflow_policy(
      static_cast<v1::OverflowPolicy>(settings.overflow_policy));
  if (!(settings.task_defaults == TaskDefaults())) {
    DefaultsToProto(settings.task_defaults, proto->mutable_task_defaults());
  }
  proto->set_fairness_mode(
      static_cast<v1::FairnessMode>(settings.fairness_mode));
  if (settings.priority_aging != absl::ZeroDuration()) {
    DurationToProto(settings.priority_aging, proto->mutable_priority_aging());
  }
  proto->mutable_fairness_weights()->insert(settings.fairness_weights.begin(),
                                            settings.fairness_weights.end());
  proto->set_broadcast(settings.broadcast);
}

}  // namespace

void QueueToProto(const QueueInfo& queue, v1::Queue* proto) {
  proto->set_name(queue.name);
  SettingsToProto(queue.settings, proto);
  proto->set_paused_by(queue.paused_by);
  proto->set_pause_reason(queue.pause_reason);
  if (queue.pause_time != absl::InfinitePast()) {
    TimeToProto(queue.pause_time, proto->mutable_pause_time());
  }
  proto->set_etag(queue.etag);
  TimeToProto(queue.create_time, proto->mutable_create_time());
  v1::QueueCounts* const counts = proto->mutable_counts();
  counts->set_ready(queue.ready);
  counts->set_scheduled(queue.scheduled);
  counts->set_leased(queue.leased);
  counts->set_workers(queue.workers);
  counts->set_dead_letters(queue.dead_letters);
  counts->set_blocked(queue.blocked);
  if (queue.oldest_ready_age != absl::InfiniteDuration()) {
    DurationToProto(queue.oldest_ready_age, counts->mutable_oldest_ready_age());
  }
}

void WorkerToProto(const WorkerInfo& worker, v1::Worker* proto) {
  proto->set_worker_id(worker.worker_id);
  proto->set_session_id(worker.session_id);
  proto->set_connected(worker.connected);
  proto->set_draining(worker.draining);
  proto->set_slots(worker.slots);
  proto->set_credit(worker.credit);
  proto->set_leases(worker.leases);
  for (const std::string& type : worker.task_types) {
    proto->add_task_types(type);
  }
  for (const std::string& queue : worker.queues) proto->add_queues(queue);
  for (const auto& [name, value] : worker.labels) {
    (*proto->mutable_labels())[name] = value;
  }
  proto->set_version(worker.version);
  proto->set_hostname(worker.hostname);
  TimeToProto(worker.connect_time, proto->mutable_connect_time());
  TimeToProto(worker.last_seen_time, proto->mutable_last_seen_time());
}

void ItemErrorToProto(const absl::Status& status, v1::ItemError* proto) {
  proto->set_code(static_cast<int>(status.code()));
  const auto message = status.message();
  proto->set_message(message.data(), message.size());
  proto->set_reason(ReasonOf(status));
  const auto violations = FieldViolationsOf(status);
  if (!violations.empty()) proto->set_field(violations.front().first);
}

}  // namespace apium::broker
